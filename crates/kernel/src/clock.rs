//! Log time: anchored to the boot clock, so that it never runs backwards and steps of the wall clock do not move it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ringfence_types::Timestamp;
use rustix::time::{ClockId, clock_gettime};

/// Where time comes from. Cheap to clone; clones share the anchor.
#[derive(Debug, Clone)]
pub struct Clock {
    source: Source,
    /// No moment before this is ever given: what was given last.
    floor: Arc<AtomicU64>,
}

#[derive(Debug, Clone)]
enum Source {
    /// All in microseconds: `anchor` is log time when the boot clock stood at zero, `wall` what the wall clock said
    /// then, as last looked at.
    System { anchor: Arc<AtomicU64>, wall: Arc<AtomicU64> },
    /// Set by whoever holds it.
    Manual { now: Arc<AtomicU64> },
}

// === impl Clock ===

impl Clock {
    /// The machine's clock, anchored now.
    pub fn system() -> Self {
        let wall = wall_anchor();
        let shared = || Arc::new(AtomicU64::new(wall));
        Self { source: Source::System { anchor: shared(), wall: shared() }, floor: Arc::default() }
    }

    /// A clock that stands still until it is [moved](Clock::advance); for tests and replays.
    pub fn manual(start: Timestamp) -> Self {
        Self {
            source: Source::Manual { now: Arc::new(AtomicU64::new(start.as_micros())) },
            floor: Arc::default(),
        }
    }

    /// The present moment in log time; never earlier than any moment given before.
    pub fn now(&self) -> Timestamp {
        let reading = match &self.source {
            Source::System { anchor, .. } => anchor.load(Ordering::Relaxed) + micros(ClockId::Boottime),
            Source::Manual { now } => now.load(Ordering::Relaxed),
        };
        let before = self.floor.fetch_max(reading, Ordering::Relaxed);
        Timestamp::from_micros(reading.max(before))
    }

    /// Moves log time on to `at`, if it is not there yet: the last entry of the log, after a restart. It then runs on
    /// from there, so that nothing that expires waits for the wall clock to catch up.
    pub(crate) fn not_before(&self, at: Timestamp) {
        let behind = at.as_micros().saturating_sub(self.now().as_micros());
        match &self.source {
            Source::System { anchor: moment, .. } | Source::Manual { now: moment } => {
                moment.fetch_add(behind, Ordering::Relaxed);
            }
        }
    }

    /// Whether the wall clock was stepped by at least `tolerance` since this was last asked. Log time does not
    /// follow: it keeps its anchor until the node starts again.
    pub(crate) fn jump(&self, tolerance: Duration) -> Option<ClockJump> {
        let Source::System { wall, .. } = &self.source else { return None };
        let (seen, now) = (wall.load(Ordering::Relaxed), wall_anchor());
        let by = Duration::from_micros(now.abs_diff(seen));
        if by < tolerance {
            return None;
        }
        wall.store(now, Ordering::Relaxed);
        Some(ClockJump { by, forward: now > seen })
    }

    /// Moves a manual clock on. The machine's clock is not moved by this.
    pub fn advance(&self, by: Duration) {
        if let Source::Manual { now } = &self.source {
            now.fetch_add(u64::try_from(by.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
        }
    }
}

/// A step of the wall clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ClockJump {
    /// How far.
    pub by: Duration,
    /// Whether it went ahead.
    pub forward: bool,
}

/// What the wall clock says when the boot clock stands at zero.
fn wall_anchor() -> u64 {
    micros(ClockId::Realtime).saturating_sub(micros(ClockId::Boottime))
}

fn micros(clock: ClockId) -> u64 {
    let time = clock_gettime(clock);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanos = u64::try_from(time.tv_nsec).unwrap_or(0);
    seconds.saturating_mul(1_000_000).saturating_add(nanos / 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_never_runs_backwards() {
        let clock = Clock::system();
        let now = clock.now();
        let ahead = now.after(Duration::from_hours(1));
        clock.not_before(ahead);
        assert!(clock.now() >= ahead, "a restart behind the log's last entry goes on from there");
        std::thread::sleep(Duration::from_millis(2));
        assert!(clock.now() > ahead, "and does not stand still");
        assert_eq!(clock.jump(Duration::from_mins(1)), None);
    }

    #[test]
    fn a_manual_clock_moves_only_when_told() {
        let clock = Clock::manual(Timestamp::from_micros(5));
        assert_eq!(clock.now(), clock.now());
        clock.advance(Duration::from_micros(2));
        assert_eq!(clock.now(), Timestamp::from_micros(7));
    }
}
