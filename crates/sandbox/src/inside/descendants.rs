//! Ending everything below a process, where no namespace does it: by looking, again and again.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::time::Instant;

use rustix::io::Errno;
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

/// Who was found in one look.
pub(crate) struct Below {
    pub(crate) found: Vec<Seen>,
    /// Whether that is everybody: not where the kernel has refused to say.
    pub(crate) whole: bool,
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
        // No child left to wait for: whoever was below has come here and been buried. What nobody was found is not enough for.
        if below.is_empty() && matches!(wait(WaitOptions::NOHANG), Err(Errno::CHILD)) {
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
    seen_below(root).found.into_iter().map(|seen| seen.pid).collect()
}

/// As [`descendants`], with how they are.
pub(crate) fn seen_below(root: Pid) -> Below {
    strays(root, &[])
}

/// As [`seen_below`], without some of the children and what is below them.
pub(crate) fn strays(root: Pid, known: &[Pid]) -> Below {
    let mut children: BTreeMap<i32, Vec<Seen>> = BTreeMap::new();
    let Below { found, whole } = everybody();
    for seen in found.into_iter().filter(|seen| seen.parent != root || !known.contains(&seen.pid)) {
        children.entry(seen.parent.as_raw_nonzero().get()).or_default().push(seen);
    }
    let mut below = children.remove(&root.as_raw_nonzero().get()).unwrap_or_default();
    let mut at = 0;
    while let Some(parent) = below.get(at) {
        below.extend(children.remove(&parent.pid.as_raw_nonzero().get()).unwrap_or_default());
        at += 1;
    }
    Below { found: below, whole }
}

fn everybody() -> Below {
    let entries = fs::read_dir("/proc");
    let mut below = Below { found: Vec::new(), whole: entries.is_ok() };
    for entry in entries.into_iter().flatten() {
        let seen = entry.and_then(|entry| {
            let number = entry.file_name().to_str().and_then(|name| name.parse().ok());
            number.and_then(Pid::from_raw).map_or(Ok(None), see)
        });
        match seen {
            Ok(seen) => below.found.extend(seen),
            Err(_) => below.whole = false,
        }
    }
    below
}

/// How a process is; `None` when it has gone.
pub(crate) fn see(pid: Pid) -> io::Result<Option<Seen>> {
    let stat = unless_gone(fs::read(format!("/proc/{pid}/stat")))?;
    // Its name may be any bytes. Who has no parent in here is below nobody.
    Ok(stat.and_then(|stat| read(pid, &String::from_utf8_lossy(&stat))))
}

/// `None` when what was asked about has gone; anything else that goes wrong says nothing of whether it has.
pub(super) fn unless_gone<T>(found: io::Result<T>) -> io::Result<Option<T>> {
    let is_gone = |error: &io::Error| matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ESRCH));
    match found {
        Err(error) if is_gone(&error) => Ok(None),
        found => found.map(Some),
    }
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
    fn only_what_is_not_there_has_gone() {
        let error = |raw| unless_gone::<()>(Err(io::Error::from_raw_os_error(raw)));
        for raw in [libc::ENOENT, libc::ESRCH] {
            assert!(matches!(error(raw), Ok(None)));
        }
        for raw in [libc::ENOMEM, libc::EMFILE, libc::EACCES, libc::EPERM, libc::EIO] {
            assert!(error(raw).is_err(), "{raw}");
        }
        assert!(unless_gone::<()>(Err(io::ErrorKind::InvalidData.into())).is_err());
    }

    #[test]
    fn this_process_is_below_its_parent() {
        let parent = rustix::process::getppid().unwrap();
        assert!(descendants(parent).contains(&getpid()));
        assert!(!descendants(getpid()).contains(&parent));
    }
}
