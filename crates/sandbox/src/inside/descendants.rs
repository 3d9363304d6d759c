//! Ending everything below a process, where no namespace does it: by looking, again and again.

use std::collections::BTreeMap;
use std::fs;
use std::time::Instant;

use rustix::process::{Pid, Signal, WaitOptions, getpid, kill_process, wait};

use crate::limits::{KILL_MOST, KILL_PAUSE, SIGNAL_ROUNDS};
use crate::system::kill_everybody;

/// A process, from one look at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) pid: Pid,
    parent: Pid,
    pub(crate) state: char,
    threads: u64,
    /// When it was started: with the number, it is nobody else.
    pub(crate) started: u64,
}

/// Kills every descendant of this process, which must be a subreaper; how many are left after a while.
///
/// A program that may fork as it likes can do so faster than its processes are found; that is why the process namespace is a
/// layer, and the gate to new processes its substitute.
pub(super) fn end_all() -> usize {
    let until = Instant::now() + KILL_MOST;
    loop {
        let below = descendants(getpid());
        for pid in &below {
            let _ = kill_process(*pid, Signal::KILL);
        }
        while let Ok(Some(_)) = wait(WaitOptions::NOHANG) {}
        // No child left to wait for: whoever was below has come here and been buried.
        if below.is_empty() && wait(WaitOptions::NOHANG).is_err() {
            return 0;
        }
        if Instant::now() > until {
            return below.len().max(1);
        }
        std::thread::sleep(KILL_PAUSE);
    }
}

/// Stops or continues everything below this process. Twice and more: what was being started while the others were
/// stopped is found the next time.
pub(super) fn signal_all(signal: Signal, alone: bool) {
    for _ in 0..SIGNAL_ROUNDS {
        if alone {
            for pid in descendants(getpid()) {
                let _ = kill_process(pid, signal);
            }
        } else {
            // In a process namespace that is everybody but this process itself.
            let _ = kill_everybody(signal);
        }
    }
}

/// All processes below `root`, from one look at `/proc`.
pub(crate) fn descendants(root: Pid) -> Vec<Pid> {
    seen_below(root).into_iter().map(|seen| seen.pid).collect()
}

/// As [`descendants`], with how they are.
pub(crate) fn seen_below(root: Pid) -> Vec<Seen> {
    strays(root, &[])
}

/// As [`seen_below`], without some of the children and what is below them.
pub(crate) fn strays(root: Pid, known: &[Pid]) -> Vec<Seen> {
    let mut children: BTreeMap<i32, Vec<Seen>> = BTreeMap::new();
    for seen in everybody().filter(|seen| seen.parent != root || !known.contains(&seen.pid)) {
        children.entry(seen.parent.as_raw_nonzero().get()).or_default().push(seen);
    }
    let mut below = children.remove(&root.as_raw_nonzero().get()).unwrap_or_default();
    let mut at = 0;
    while let Some(parent) = below.get(at) {
        below.extend(children.remove(&parent.pid.as_raw_nonzero().get()).unwrap_or_default());
        at += 1;
    }
    below
}

fn everybody() -> impl Iterator<Item = Seen> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    numbers.filter_map(|number| see(Pid::from_raw(number)?))
}

/// How a process is; `None` when it has gone.
pub(crate) fn see(pid: Pid) -> Option<Seen> {
    read(pid, &fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// proc_pid_stat(5). The second field is a name that may hold anything, parentheses too; the third is the first of these.
fn read(pid: Pid, stat: &str) -> Option<Seen> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace();
    let state = fields.next()?.chars().next()?;
    let parent = Pid::from_raw(fields.next()?.parse().ok()?)?;
    let threads = fields.nth(15)?.parse().ok()?;
    let started = fields.nth(1)?.parse().ok()?;
    Some(Seen { pid, parent, state, threads, started })
}

// === impl Seen ===

impl Seen {
    /// Whether it does nothing until somebody lets it go on, or ever: of one whose first thread has ended, others may live.
    pub(crate) const fn is_at_rest(&self) -> bool {
        matches!(self.state, 'T' | 't') || (matches!(self.state, 'Z' | 'X') && self.threads < 2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_read_behind_a_hostile_name() {
        let pid = Pid::from_raw(12).unwrap();
        let rest = "12 12 0 -1 4194304 100 200 0 0 150 50 7 3 20 0 4 0 99 5000";
        let seen = read(pid, &format!("12 (a) S 99 (b) Z 8 {rest}")).unwrap();
        assert_eq!(
            (Some(seen.parent), seen.state, seen.threads, seen.started),
            (Pid::from_raw(8), 'Z', 4, 99)
        );
        assert!(!seen.is_at_rest(), "its other threads live");
        assert!(read(pid, &format!("12 (sh) T 7 {rest}")).unwrap().is_at_rest());
        assert_eq!(read(pid, "12 (a) S 8 1"), None);
        assert_eq!(read(pid, ""), None);
    }

    #[test]
    fn this_process_is_below_its_parent() {
        let parent = rustix::process::getppid().unwrap();
        assert!(descendants(parent).contains(&getpid()));
        assert!(!descendants(getpid()).contains(&parent));
    }
}
