//! Everything below a process, held still by stop signals: for a look at what it holds, or because somebody paused it.
//!
//! With the gate to new processes shut it is complete: who is found in a round in which all others stood still has been
//! found, and nobody comes after him. What was stopped before, by itself or by others, is not let go on afterwards.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, getpid, kill_process};

use super::descendants::{Seen, see, seen_below};
use super::gate::Gate;
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
}

// === impl Still ===

impl Still {
    /// Stops everything below this process but one, whom nothing in there has made. Nobody is let through the gate
    /// meanwhile.
    pub(super) fn bring(excepted: Option<Pid>, mut gate: Option<&mut Gate>) -> Self {
        let mut still = Self::default();
        let until = Instant::now() + STILL_MOST;
        for _ in 0..STILL_ROUNDS {
            if let Some(gate) = gate.as_deref_mut() {
                gate.hear();
            }
            let all: Vec<Seen> =
                seen_below(getpid()).into_iter().filter(|seen| Some(seen.pid) != excepted).collect();
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
        still
    }

    /// Everybody who stands still.
    pub(super) fn all(&self) -> &[Pid] {
        &self.all
    }

    /// Lets go on what was stopped.
    pub(super) fn release(self) {
        for (pid, started) in self.stopped.into_values() {
            if see(pid).is_some_and(|seen| seen.started == started) {
                let _ = kill_process(pid, Signal::CONT);
            }
        }
    }
}

/// Whether no thread does anything of its own any more: who is in the middle of what cannot be interrupted comes no further
/// than to its end. One that has gone stands still.
fn stands_still(pid: Pid) -> bool {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { return true };
    threads.flatten().all(|thread| {
        let stat = fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
        let state = stat.rsplit_once(')').and_then(|(_, rest)| rest.trim_start().chars().next());
        state.is_none_or(|state| "TtDZX".contains(state))
    })
}
