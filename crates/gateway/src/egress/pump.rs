//! Bytes both ways between a program inside and a host, as fast as both take them, until one of many things ends it.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use ringfence_kernel::{Cancel, Failure};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::copy::both_ways;
use super::fare::{Counts, End, Fare, Way};
use super::limits::EgressLimits;

/// Passes bytes on until both sides are done, and settles.
pub(crate) async fn run<A, B>(inside: A, outside: B, fare: Fare, limits: &EgressLimits)
where
    A: AsyncRead + AsyncWrite + Unpin,
    B: AsyncRead + AsyncWrite + Unpin,
{
    let mut inside = Watched::new(inside, Way::Out, &fare);
    let mut outside = Watched::new(outside, Way::In, &fare);
    let host_failed = Arc::clone(&outside.failed);
    let passing = both_ways(&mut inside, &mut outside, limits.buffer_bytes);
    let end = tokio::select! {
        biased;
        cut = fare.cancel.cancelled() => End::Cut(cut),
        () = tokio::time::sleep_until(fare.deadline) => End::Deadline,
        () = silence(&fare.counts, limits.idle) => End::Done,
        passed = passing => match passed {
            Ok(()) => End::Done,
            Err(_) if fare.is_over() => End::Host(Failure::Withheld, "the host sent more than a rule allows"),
            // How a host ends a connection is its own affair once it has answered.
            Err(_) if host_failed.load(Ordering::Relaxed) && fare.counts.get(Way::In) == 0 => {
                End::Host(Failure::Transport, "the host broke the connection")
            }
            Err(_) if host_failed.load(Ordering::Relaxed) => End::Done,
            Err(_) => End::Inside,
        },
    };
    let end = match (fare.cancel.check(), end) {
        // It may be seen first by what reads.
        (Err(cut), End::Inside) => End::Cut(cut),
        (_, end) => end,
    };
    fare.end(end);
}

/// Done when nothing went either way for so long.
pub(crate) async fn silence(counts: &Counts, idle: Duration) {
    let mut pulse = counts.pulse();
    loop {
        tokio::time::sleep(idle).await;
        let now = counts.pulse();
        if now == pulse {
            return;
        }
        pulse = now;
    }
}

/// A stream whose bytes are counted as they are read, and which gives nothing any more once it was cut off.
struct Watched<S> {
    stream: S,
    way: Way,
    counts: Counts,
    cancel: Cancel,
    bytes_max: Option<u64>,
    failed: Arc<AtomicBool>,
}

// === impl Watched ===

impl<S> Watched<S> {
    fn new(stream: S, way: Way, fare: &Fare) -> Self {
        // A rule bounds what comes in.
        let bytes_max = fare.bytes_max.filter(|_| way == Way::In);
        let (counts, cancel) = (fare.counts.clone(), fare.cancel.clone());
        Self { stream, way, counts, cancel, bytes_max, failed: Arc::default() }
    }

    fn fail(&self) {
        self.failed.store(true, Ordering::Relaxed);
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = std::task::ready!(Pin::new(&mut self.stream).poll_read(cx, buf));
        if read.is_err() {
            self.fail();
        }
        self.counts.add(self.way, buf.filled().len() - before);
        // Looked at after each read: what was cut off meanwhile goes no further.
        let over = self.bytes_max.is_some_and(|most| self.counts.get(self.way) > most);
        if over || self.cancel.check().is_err() {
            return Poll::Ready(Err(io::ErrorKind::PermissionDenied.into()));
        }
        Poll::Ready(read)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = std::task::ready!(Pin::new(&mut self.stream).poll_write(cx, buf));
        if written.is_err() {
            self.fail();
        }
        Poll::Ready(written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
