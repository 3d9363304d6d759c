//! Ending everything below a process, where no namespace does it: by looking, again and again.

use std::fs;

use rustix::process::{Pid, Signal, WaitOptions, getpid, kill_process, wait};

use crate::limits::{KILL_ROUNDS_MAX, SIGNAL_ROUNDS};
use crate::system::kill_everybody;

/// Kills every descendant of this process, which must be a subreaper.
///
/// A program that forks faster than its processes are found can outlast the bound; that is why the process
/// namespace is a layer and this is its substitute.
pub(super) fn end_all() {
    for _ in 0..KILL_ROUNDS_MAX {
        let below = descendants(getpid());
        for pid in &below {
            let _ = kill_process(*pid, Signal::KILL);
        }
        while let Ok(Some(_)) = wait(WaitOptions::NOHANG) {}
        // No child left to wait for: whoever was below has come here and been buried.
        if below.is_empty() && wait(WaitOptions::NOHANG).is_err() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(1));
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
    let parents = parents();
    let mut below = vec![root];
    let mut next = 0;
    while let Some(parent) = below.get(next).copied() {
        below.extend(parents.iter().filter(|(_, above)| *above == parent).map(|(pid, _)| *pid));
        next += 1;
    }
    below.split_off(1)
}

fn parents() -> Vec<(Pid, Pid)> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries
        .flatten()
        .filter_map(|entry| {
            let pid = entry.file_name().to_str()?.parse().ok().and_then(Pid::from_raw)?;
            let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
            Some((pid, parent(&stat)?))
        })
        .collect()
}

/// The fourth field of `/proc/PID/stat`; the second is a name that may hold anything, parentheses too.
fn parent(stat: &str) -> Option<Pid> {
    let (_, rest) = stat.rsplit_once(')')?;
    Pid::from_raw(rest.split_whitespace().nth(1)?.parse().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parent_is_read_behind_a_hostile_name() {
        let pid = |raw| Pid::from_raw(raw);
        assert_eq!(parent("12 (sh) S 7 12 12 0"), pid(7));
        assert_eq!(parent("12 (a) S 99 (b) S 8 12"), pid(8));
        assert_eq!(parent("12 (a"), None);
        assert_eq!(parent(""), None);
    }

    #[test]
    fn this_process_is_below_its_parent() {
        let parent = rustix::process::getppid().unwrap();
        assert!(descendants(parent).contains(&getpid()));
        assert!(!descendants(getpid()).contains(&parent));
    }
}
