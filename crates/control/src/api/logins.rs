//! Requests of nobody who is known: counted, and said of, but not once for each.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::Entrance;

/// Between two lines about them: whoever guesses must not fill the node's log lines.
const QUIET: Duration = Duration::from_secs(10);

/// Requests of nobody who is known, since the start.
#[derive(Debug, Default)]
pub(crate) struct FailedLogins(Mutex<Counted>);

#[derive(Debug, Default)]
struct Counted {
    all: u64,
    unsaid: u64,
    said: Option<Instant>,
}

// === impl FailedLogins ===

impl FailedLogins {
    /// One more, by that entrance.
    pub(crate) fn count(&self, entrance: Entrance) {
        if let Some(count) = self.0.lock().add(Instant::now()) {
            tracing::warn!(
                count,
                ?entrance,
                "requests of operators were refused: nobody here has these tokens"
            );
        }
    }

    /// How many there were.
    pub(crate) fn total(&self) -> u64 {
        self.0.lock().all
    }
}

// === impl Counted ===

impl Counted {
    /// One more; how many to speak of now, if that is not too soon after the last time.
    fn add(&mut self, now: Instant) -> Option<u64> {
        self.all += 1;
        self.unsaid += 1;
        if self.said.is_some_and(|said| now.saturating_duration_since(said) < QUIET) {
            return None;
        }
        self.said = Some(now);
        Some(std::mem::take(&mut self.unsaid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_said_at_once_and_the_others_together() {
        let (mut counted, start) = (Counted::default(), Instant::now());
        assert_eq!(counted.add(start), Some(1));
        assert_eq!(counted.add(start), None);
        assert_eq!(counted.add(start + QUIET / 2), None);
        assert_eq!(counted.add(start + QUIET), Some(3));
        assert_eq!(counted.all, 4);
    }
}
