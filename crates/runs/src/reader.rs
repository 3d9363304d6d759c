//! Keeping what a program writes.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use ringfence_types::Timestamp;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::sync::Notify;

use crate::limits::READ_BYTES;
use crate::output::{Line, Lines, Output, Stream};

/// What a program writes, as far as it came.
#[derive(Default)]
pub(crate) struct Written {
    pub bytes: AtomicU64,
    over: OnceLock<Over>,
    is_over: Notify,
}

/// Why not all that a program writes is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Over {
    /// It wrote more than it may.
    TooMuch,
    /// What it wrote cannot be kept; why.
    Lost(String),
}

/// Reads one stream of a program.
pub(crate) struct Reader {
    pub stream: Stream,
    pub output: Arc<Output>,
    pub written: Arc<Written>,
    /// The time of the log.
    pub now: Box<dyn Fn() -> Timestamp + Send + Sync>,
}

impl Written {
    /// Waits, once, until something is not kept.
    pub(crate) async fn until_over(&self) {
        self.is_over.notified().await;
    }

    /// Why not all of it was kept, if so.
    pub(crate) fn over(&self) -> Option<&Over> {
        self.over.get()
    }

    /// The first reason stays.
    fn end(&self, over: Over) {
        let _ = self.over.set(over);
        self.is_over.notify_one();
    }
}

impl Reader {
    /// Keeps what comes until the program's end of the pipe is closed. What is too much is read on and not kept: a full
    /// pipe would hold the program before it can be ended.
    pub(crate) async fn read(self, mut from: impl AsyncRead + Unpin) {
        let reader = Arc::new(self);
        let (mut lines, mut room) = (Lines::default(), true);
        let mut buffer = vec![0; READ_BYTES];
        while let Ok(length @ 1..) = from.read(&mut buffer).await {
            reader.written.bytes.fetch_add(length as u64, Ordering::Relaxed);
            if !room {
                tokio::task::yield_now().await;
                continue;
            }
            (lines, room) = reader.keep(lines, buffer[..length].to_vec(), false).await;
        }
        if room {
            reader.keep(lines, Vec::new(), true).await;
        }
    }

    /// Keeps the lines that are complete with these bytes; with `last` also one without its end. On a thread that may
    /// block: a chunk can be very many lines.
    async fn keep(self: &Arc<Self>, mut lines: Lines, bytes: Vec<u8>, last: bool) -> (Lines, bool) {
        let reader = Arc::clone(self);
        let kept = tokio::task::spawn_blocking(move || {
            let at = (reader.now)();
            let line = |(text, goes_on)| Line { at, stream: reader.stream, text, goes_on };
            let mut complete = lines.push(&bytes);
            if last {
                complete.extend(lines.rest().map(|rest| (rest, false)));
            }
            let over = match reader.output.keep(complete.into_iter().map(line)) {
                Ok(true) => return (lines, true),
                Ok(false) => Over::TooMuch,
                Err(error) => Over::Lost(error.to_string()),
            };
            reader.written.end(over);
            (lines, false)
        });
        // The runtime is ending, and the run with it.
        kept.await.unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use tokio::io::AsyncWriteExt as _;
    use tokio::time::timeout;

    use super::*;

    struct Scene {
        _folder: tempfile::TempDir,
        output: Arc<Output>,
        written: Arc<Written>,
    }

    impl Scene {
        fn new(most: u64) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let output = Output::create(folder.path().join("output.jsonl"), most).unwrap();
            Self { _folder: folder, output, written: Arc::default() }
        }

        fn reader(&self, stream: Stream) -> Reader {
            let (output, written) = (Arc::clone(&self.output), Arc::clone(&self.written));
            Reader { stream, output, written, now: Box::new(|| Timestamp::from_micros(7)) }
        }

        async fn lines(&self) -> Vec<Line> {
            self.output.follow().next(false).await.unwrap_or_default()
        }

        fn bytes(&self) -> u64 {
            self.written.bytes.load(Ordering::Relaxed)
        }

        async fn is_over(&self) -> bool {
            timeout(Duration::from_millis(1), self.written.until_over()).await.is_ok()
        }
    }

    fn line(stream: Stream, text: &str) -> Line {
        Line { at: Timestamp::from_micros(7), stream, text: text.into(), goes_on: false }
    }

    #[tokio::test]
    async fn lines_are_kept_as_they_come_and_the_last_one_also_without_its_end() {
        let scene = Scene::new(1 << 20);
        let (mut program, pipe) = tokio::io::duplex(8);
        let reading = tokio::spawn(scene.reader(Stream::Err).read(pipe));
        program.write_all(b"one\ntwo, which takes several reads\nthr").await.unwrap();
        program.write_all(b"ee").await.unwrap();
        drop(program);
        reading.await.unwrap();
        let expected = ["one", "two, which takes several reads", "three"].map(|text| line(Stream::Err, text));
        assert_eq!(scene.lines().await, expected);
        assert_eq!((scene.bytes(), scene.is_over().await), (40, false));
        assert_eq!(scene.written.over(), None);
    }

    #[tokio::test]
    async fn what_is_too_much_is_said_once_and_read_on_without_being_kept() {
        let scene = Scene::new(200);
        let (mut program, pipe) = tokio::io::duplex(64);
        let reading = tokio::spawn(scene.reader(Stream::Out).read(pipe));
        // Were it not read on, this would never be done.
        for _ in 0..1_000 {
            program.write_all(b"a line of output\n").await.unwrap();
        }
        program.write_all(b"rest").await.unwrap();
        drop(program);
        reading.await.unwrap();
        assert_eq!(
            scene.lines().await,
            [line(Stream::Out, "a line of output"), line(Stream::Out, "a line of output")]
        );
        assert_eq!(scene.bytes(), 17_004);
        assert!(scene.is_over().await && !scene.is_over().await);
        assert_eq!(scene.written.over(), Some(&Over::TooMuch), "also for whoever looks only afterwards");
    }

    #[tokio::test]
    async fn a_disk_that_takes_nothing_ends_the_run_as_too_much_does() {
        let scene = Scene { output: Output::of_file_for_tests(Path::new("/dev/full")), ..Scene::new(1) };
        scene.reader(Stream::Out).read(&b"one\ntwo\n"[..]).await;
        assert!(scene.is_over().await);
        assert_eq!(scene.bytes(), 8);
        let over = scene.written.over().unwrap();
        assert!(matches!(over, Over::Lost(why) if why.contains("No space left")), "{over:?}");
    }
}
