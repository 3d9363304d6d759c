//! Bytes both ways between two streams, without memory of their own while nothing waits.
//!
//! What is read is written at once, out of a buffer that all connections of a thread share; only what the other side does
//! not take is kept, and freed when it is taken. So a thousand idle connections hold nothing.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

thread_local! {
    /// What is being passed on by this thread now.
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// One direction.
#[derive(Debug)]
struct OneWay {
    /// What was read and not yet taken, from `at` on.
    kept: Vec<u8>,
    at: usize,
    stage: Stage,
    bytes_max: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// There may be more.
    Open,
    /// There is no more; the other side is being told.
    Ending,
    /// It was told.
    Ended,
}

/// What became of one look for more.
enum Looked {
    /// All of it was taken.
    Passed,
    /// Some of it waits.
    Kept(Vec<u8>),
    /// The end.
    End,
    /// Nothing now.
    Nothing,
}

/// Passes bytes on both ways, at most `bytes_max` at a time, until both sides have ended.
///
/// # Errors
/// As soon as one side fails.
pub(crate) async fn both_ways<A, B>(one: &mut A, other: &mut B, bytes_max: usize) -> io::Result<()>
where
    A: AsyncRead + AsyncWrite + Unpin,
    B: AsyncRead + AsyncWrite + Unpin,
{
    let (mut there, mut back) = (OneWay::new(bytes_max), OneWay::new(bytes_max));
    poll_fn(|cx| {
        let there = there.poll(cx, Pin::new(&mut *one), Pin::new(&mut *other))?;
        let back = back.poll(cx, Pin::new(&mut *other), Pin::new(&mut *one))?;
        if there.is_ready() && back.is_ready() { Poll::Ready(Ok(())) } else { Poll::Pending }
    })
    .await
}

// === impl OneWay ===

impl OneWay {
    fn new(bytes_max: usize) -> Self {
        Self { kept: Vec::new(), at: 0, stage: Stage::Open, bytes_max: bytes_max.max(1) }
    }

    fn poll<R: AsyncRead, W: AsyncWrite>(
        &mut self,
        cx: &mut Context<'_>,
        mut from: Pin<&mut R>,
        mut to: Pin<&mut W>,
    ) -> Poll<io::Result<()>> {
        loop {
            while self.at < self.kept.len() {
                self.at += ready!(write(cx, to.as_mut(), &self.kept[self.at..]))?;
            }
            (self.kept, self.at) = (Vec::new(), 0);
            match self.stage {
                Stage::Open => match self.look(cx, from.as_mut(), to.as_mut())? {
                    Looked::Passed => {}
                    Looked::Kept(kept) => self.kept = kept,
                    Looked::End => self.stage = Stage::Ending,
                    Looked::Nothing => {
                        // What was written may wait for this.
                        ready!(to.as_mut().poll_flush(cx))?;
                        return Poll::Pending;
                    }
                },
                Stage::Ending => {
                    ready!(to.as_mut().poll_shutdown(cx))?;
                    self.stage = Stage::Ended;
                }
                Stage::Ended => return Poll::Ready(Ok(())),
            }
        }
    }

    /// Reads what is there and writes what is taken.
    fn look<R: AsyncRead, W: AsyncWrite>(
        &self,
        cx: &mut Context<'_>,
        from: Pin<&mut R>,
        mut to: Pin<&mut W>,
    ) -> io::Result<Looked> {
        SCRATCH.with_borrow_mut(|scratch| {
            if scratch.len() < self.bytes_max {
                scratch.resize(self.bytes_max, 0);
            }
            let mut buffer = ReadBuf::new(&mut scratch[..self.bytes_max]);
            let Poll::Ready(read) = from.poll_read(cx, &mut buffer) else { return Ok(Looked::Nothing) };
            read?;
            let mut rest = buffer.filled();
            if rest.is_empty() {
                return Ok(Looked::End);
            }
            while !rest.is_empty() {
                match write(cx, to.as_mut(), rest) {
                    Poll::Ready(written) => rest = &rest[written?..],
                    Poll::Pending => return Ok(Looked::Kept(rest.to_vec())),
                }
            }
            Ok(Looked::Passed)
        })
    }
}

fn write<W: AsyncWrite>(cx: &mut Context<'_>, to: Pin<&mut W>, bytes: &[u8]) -> Poll<io::Result<usize>> {
    let written = ready!(to.poll_write(cx, bytes))?;
    Poll::Ready(if written == 0 { Err(io::ErrorKind::WriteZero.into()) } else { Ok(written) })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};

    use super::*;

    fn numbered(bytes: usize, seed: u8) -> Vec<u8> {
        (0..bytes).map(|at| u8::try_from(at % 251).unwrap() ^ seed).collect()
    }

    /// Writes all of it, in pieces, ends, and gives what came the other way.
    async fn speak(mut stream: DuplexStream, said: Vec<u8>, piece: usize) -> Vec<u8> {
        let (mut read, mut write) = tokio::io::split(&mut stream);
        let mut heard = Vec::new();
        let speaking = async {
            for piece in said.chunks(piece) {
                write.write_all(piece).await.unwrap();
                tokio::task::yield_now().await;
            }
            write.shutdown().await.unwrap();
        };
        let hearing = async { read.read_to_end(&mut heard).await.unwrap() };
        tokio::join!(speaking, hearing);
        heard
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn all_bytes_arrive_in_order_however_slowly_they_are_taken(
            there in 0_usize..20_000,
            back in 0_usize..20_000,
            narrow in 1_usize..3_000,
            wide in 1_usize..3_000,
            buffer in 1_usize..5_000,
            piece in 1_usize..5_000,
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let (said, answered) = (numbered(there, 1), numbered(back, 2));
            let (heard, came_back) = runtime.block_on(async {
                let (near, mut one) = duplex(narrow);
                let (far, mut other) = duplex(wide);
                let (passed, came_back, heard) = tokio::join!(
                    both_ways(&mut one, &mut other, buffer),
                    speak(near, said.clone(), piece),
                    speak(far, answered.clone(), piece),
                );
                passed.unwrap();
                (heard, came_back)
            });
            prop_assert!(heard == said && came_back == answered);
        }
    }

    #[tokio::test]
    async fn one_side_can_end_before_the_other() {
        let (mut near, mut one) = duplex(64);
        let (mut far, mut other) = duplex(64);
        let passing = tokio::spawn(async move { both_ways(&mut one, &mut other, 64).await });
        near.write_all(b"question").await.unwrap();
        near.shutdown().await.unwrap();
        let mut question = String::new();
        far.read_to_string(&mut question).await.unwrap();
        far.write_all(b"answer").await.unwrap();
        far.shutdown().await.unwrap();
        let mut answer = String::new();
        near.read_to_string(&mut answer).await.unwrap();
        assert_eq!((question.as_str(), answer.as_str()), ("question", "answer"));
        assert!(tokio::time::timeout(Duration::from_secs(5), passing).await.unwrap().unwrap().is_ok());
    }

    #[tokio::test]
    async fn who_takes_nothing_is_not_read_for() {
        let (mut near, mut one) = duplex(1 << 20);
        let (_far, mut other) = duplex(16);
        let passing = tokio::spawn(async move { both_ways(&mut one, &mut other, 1_000).await });
        near.write_all(&numbered(500_000, 0)).await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
        drop(passing);
        // One buffer was taken out of what waits, and no more.
        let full =
            tokio::time::timeout(Duration::from_millis(50), near.write_all(&numbered(600_000, 0))).await;
        assert!(full.is_err(), "it is read on while nobody takes it");
    }
}
