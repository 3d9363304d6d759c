//! Everything below a process, held still by stop signals: for a look at what it holds, or because somebody paused it.
//!
//! With the gate to new processes shut it is complete: who is found in a round in which all others stood still has been
//! found, and nobody comes after him. What was stopped before, by itself or by others, is not let go on afterwards.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, getpid, kill_process};

use super::descendants::{Below, Seen, see, seen_below};
use super::gate::Gate;
use super::threads::{Threads, have_stood};
use crate::limits::{STILL_MOST, STILL_ROUNDS};

/// Between two looks whether all have stopped.
const PAUSE: Duration = Duration::from_micros(200);

/// Who has been stopped.
#[derive(Debug, Default)]
pub(super) struct Still {
    /// By number, when each was started: let go on are these and nobody who has the number after them.
    stopped: BTreeMap<i32, (Pid, u64)>,
    /// Everybody who was there.
    all: Vec<Pid>,
    /// How each of them stood; `None` where the kernel has refused to say who, or how.
    stood: Option<Vec<Threads>>,
}

// === impl Still ===

impl Still {
    /// Stops everything below this process but one, whom nothing in there has made. Nobody is let through the gate
    /// meanwhile.
    pub(super) fn bring(excepted: Option<Pid>, mut gate: Option<&mut Gate>) -> Self {
        let mut still = Self::default();
        let until = Instant::now() + STILL_MOST;
        let mut found_all = false;
        for _ in 0..STILL_ROUNDS {
            if let Some(gate) = gate.as_deref_mut() {
                gate.hear();
            }
            let Below { found, whole } = seen_below(getpid());
            found_all = whole;
            let all: Vec<Seen> = found.into_iter().filter(|seen| Some(seen.pid) != excepted).collect();
            still.all = all.iter().map(|seen| seen.pid).collect();
            let moving = |seen: &&Seen| {
                !seen.is_at_rest() && !still.stopped.contains_key(&seen.pid.as_raw_nonzero().get())
            };
            let new: Vec<Seen> = all.iter().filter(moving).copied().collect();
            if new.is_empty() {
                break;
            }
            for seen in &new {
                let _ = kill_process(seen.pid, Signal::STOP);
                still.stopped.insert(seen.pid.as_raw_nonzero().get(), (seen.pid, seen.started));
            }
            for seen in &new {
                while !stands_still(seen.pid) && Instant::now() < until {
                    std::thread::sleep(PAUSE);
                }
            }
        }
        still.stood = still.settle(until).filter(|_| found_all);
        still
    }

    /// How all stand: who has said that it stops may have a few steps left to where it does.
    fn settle(&self, until: Instant) -> Option<Vec<Threads>> {
        let mut found = self.threads()?;
        while Instant::now() < until {
            std::thread::sleep(PAUSE);
            let again = self.threads()?;
            if again == found {
                break;
            }
            found = again;
        }
        Some(found)
    }

    fn threads(&self) -> Option<Vec<Threads>> {
        self.all.iter().map(|pid| Threads::of(*pid).ok()).collect()
    }

    /// Whether all have stood still since then, and that is known.
    pub(super) fn has_held(&self) -> bool {
        let now = self.threads();
        let both = self.stood.as_ref().zip(now.as_ref());
        both.is_some_and(|(before, now)| before.iter().zip(now).all(|(before, now)| have_stood(before, now)))
    }

    /// Everybody who stands still.
    pub(super) fn all(&self) -> &[Pid] {
        &self.all
    }

    /// Lets go on what was stopped.
    pub(super) fn release(self) {
        for (pid, started) in self.stopped.into_values() {
            // Where the kernel does not say, it is still there: it is stopped, and whoever would bury it as well.
            if see(pid).map_or(true, |seen| seen.is_some_and(|seen| seen.started == started)) {
                let _ = kill_process(pid, Signal::CONT);
            }
        }
    }
}

/// Whether no thread does anything of its own any more: who is in the middle of what cannot be interrupted comes no further
/// than to its end. One that has gone stands still.
fn stands_still(pid: Pid) -> bool {
    Threads::of(pid).is_ok_and(|threads| threads.are_at_rest())
}
