//! How far long work has come: for somebody who waits at a terminal, and for nobody else.

use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Work that is done sooner shows nothing.
const PATIENCE: Duration = Duration::from_millis(700);

/// Between two looks.
const LOOK: Duration = Duration::from_millis(200);

/// Where the cursor goes back to the start of a line that is then empty.
const CLEAR: &str = "\r\x1b[K";

/// Entries done of long work. While it lives, a line on standard error tells of them, if that is a terminal and
/// standard output is not.
#[derive(Debug)]
pub struct Progress {
    done: Arc<AtomicU64>,
    /// Dropped to end the line.
    showing: Option<(Sender<()>, JoinHandle<()>)>,
}

// === impl Progress ===

impl Progress {
    /// Counts in `done` towards `total`, if that is known, and says what is done to entries.
    pub fn new(doing: &'static str, total: Option<u64>, done: Arc<AtomicU64>) -> Self {
        let is_watched = std::io::stderr().is_terminal();
        Self::to(is_watched.then(std::io::stderr), PATIENCE, doing, total, done)
    }

    /// As [`Progress::new`], for work whose answer is shown as it comes: at a terminal, that is progress enough.
    pub fn beside_output(doing: &'static str, total: Option<u64>) -> Self {
        let is_watched = std::io::stderr().is_terminal() && !std::io::stdout().is_terminal();
        Self::to(is_watched.then(std::io::stderr), PATIENCE, doing, total, Arc::default())
    }

    /// Counts for nobody.
    pub fn unseen() -> Self {
        Self { done: Arc::default(), showing: None }
    }

    /// So many entries are done.
    pub fn reached(&self, done: u64) {
        self.done.store(done, Ordering::Relaxed);
    }

    fn to(
        screen: Option<impl Write + Send + 'static>,
        patience: Duration,
        doing: &'static str,
        total: Option<u64>,
        done: Arc<AtomicU64>,
    ) -> Self {
        let counted = Arc::clone(&done);
        let showing = screen.map(|mut screen| {
            let (alive, ended) = channel();
            let thread = std::thread::spawn(move || {
                let started = Instant::now();
                let mut wait = patience;
                while ended.recv_timeout(wait) == Err(RecvTimeoutError::Timeout) {
                    wait = LOOK;
                    let text = line(doing, counted.load(Ordering::Relaxed), total, started.elapsed());
                    let _ = write!(screen, "{CLEAR}{text}").and_then(|()| screen.flush());
                }
                if wait == LOOK {
                    let _ = write!(screen, "{CLEAR}").and_then(|()| screen.flush());
                }
            });
            (alive, thread)
        });
        Self { done, showing }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some((alive, thread)) = self.showing.take() {
            drop(alive);
            // The line is gone before anything else is written.
            let _ = thread.join();
        }
    }
}

fn line(doing: &str, done: u64, total: Option<u64>, elapsed: Duration) -> String {
    let rate = done.saturating_mul(1000) / u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX).max(1);
    match total.filter(|total| *total > 0) {
        Some(total) => {
            let percent = done.min(total) * 100 / total;
            format!("{doing} {done} of {total} entries, {percent} %, {rate}/s")
        }
        None => format!("{doing} {done} entries, {rate}/s"),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[derive(Clone, Default)]
    struct Screen(Arc<Mutex<Vec<u8>>>);

    impl Screen {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    impl Write for Screen {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_tells_how_far_it_is_and_is_gone_at_the_end() {
        let screen = Screen::default();
        let progress =
            Progress::to(Some(screen.clone()), Duration::ZERO, "checking", Some(200), Arc::default());
        progress.reached(50);
        while !screen.text().contains("50 of 200") {
            std::thread::sleep(Duration::from_millis(5));
        }
        drop(progress);
        assert!(screen.text().contains("checking 50 of 200 entries, 25 %"), "{}", screen.text());
        assert!(screen.text().ends_with(CLEAR), "{:?}", screen.text());
    }

    #[test]
    fn work_that_is_done_soon_says_nothing() {
        let screen = Screen::default();
        drop(Progress::to(Some(screen.clone()), Duration::from_hours(1), "checking", None, Arc::default()));
        assert_eq!(screen.text(), "");
    }

    #[test]
    fn rates_are_of_the_whole_time() {
        for (done, total, seconds, expected) in [
            (10, None, 2, "doing 10 entries, 5/s"),
            (0, Some(0), 0, "doing 0 entries, 0/s"),
            (30, Some(20), 3, "doing 30 of 20 entries, 100 %, 10/s"),
        ] {
            assert_eq!(line("doing", done, total, Duration::from_secs(seconds)), expected);
        }
    }
}
