//! The threads of a process that has been stopped: how each stands, and whether it has since.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use rustix::process::Pid;

use super::descendants::unless_gone;

/// The threads of one process, by number; none of one that has gone.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Threads(BTreeMap<u64, Thread>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Thread {
    state: char,
    /// How often it has left its processor, by itself and not.
    switches: [u64; 2],
    /// Whether what is to stop its process waits to be heard.
    is_told: bool,
}

/// SIGSTOP among the signals that wait.
const STOP: u64 = 1 << (libc::SIGSTOP - 1);

// === impl Threads ===

impl Threads {
    pub(super) fn of(pid: Pid) -> io::Result<Self> {
        let mut threads = BTreeMap::new();
        let Some(entries) = unless_gone(fs::read_dir(format!("/proc/{pid}/task")))? else {
            return Ok(Self::default());
        };
        for entry in entries {
            let Some(entry) = unless_gone(entry)? else { break };
            let number = entry.file_name().to_str().and_then(|name| name.parse().ok());
            let number = number.ok_or_else(|| io::Error::other("a thread without a number"))?;
            if let Some(thread) = Thread::of(&entry.path())? {
                threads.insert(number, thread);
            }
        }
        Ok(Self(threads))
    }

    /// Whether none does anything of its own: who is in the middle of what cannot be interrupted does not.
    pub(super) fn are_at_rest(&self) -> bool {
        self.0.values().all(|thread| thread.is_stopped() || "DZX".contains(thread.state))
    }
}

/// Whether none has gone on between these. Who had stopped has not run. Who was on the way to where it stops, or to its end, is
/// so still: a signal that lets it go on takes back what is to stop it, and wakes the others of its process.
pub(super) fn have_stood(before: &Threads, now: &Threads) -> bool {
    let mut stopped = before.0.iter().filter(|(_, thread)| thread.is_stopped()).peekable();
    let is_told = |threads: &Threads| threads.0.values().any(|thread| thread.is_told);
    let are_to_stop = stopped.peek().is_some() || is_told(before) && is_told(now);
    stopped.all(|(number, thread)| now.0.get(number).is_some_and(|now| now.is_as(thread)))
        && now.0.values().all(|thread| match thread.state {
            'T' | 't' | 'Z' | 'X' => true,
            'S' => false,
            _ => are_to_stop,
        })
}

// === impl Thread ===

impl Thread {
    /// `None` when it has gone.
    fn of(folder: &Path) -> io::Result<Option<Self>> {
        let Some(status) = unless_gone(fs::read(folder.join("status")))? else { return Ok(None) };
        let thread = Self::read(&String::from_utf8_lossy(&status));
        thread
            .map(Some)
            .ok_or_else(|| io::Error::other("a thread of which the kernel does not say how it is"))
    }

    /// proc_pid_status(5). Its name may hold any bytes, but no line of its own.
    fn read(status: &str) -> Option<Self> {
        let value = |name: &str| {
            status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
        };
        let count = |name: &str| value(name)?.parse().ok();
        let switches = [count("voluntary_ctxt_switches")?, count("nonvoluntary_ctxt_switches")?];
        let pending = u64::from_str_radix(value("ShdPnd")?, 16).ok()?;
        Some(Self { state: value("State")?.chars().next()?, switches, is_told: pending & STOP != 0 })
    }

    fn is_as(&self, before: &Self) -> bool {
        (self.state, self.switches) == (before.state, before.switches)
    }

    const fn is_stopped(&self) -> bool {
        matches!(self.state, 'T' | 't')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One in a process that has been told to stop, where the number is odd.
    fn thread(state: char, voluntary: u64) -> Thread {
        let pending = (voluntary % 2) << 18;
        let status = format!(
            "Name:\tState: R\nState:\t{state} (x)\nShdPnd:\t{pending:016x}\nvoluntary_ctxt_switches:\t{voluntary}\n\
             nonvoluntary_ctxt_switches:\t7\n"
        );
        Thread::read(&status).unwrap()
    }

    fn threads(all: &[(char, u64)]) -> Threads {
        Threads((1..).zip(all).map(|(number, (state, count))| (number, thread(*state, *count))).collect())
    }

    #[test]
    fn who_went_on_is_told_from_who_stood() {
        let before = threads(&[('T', 5), ('D', 9), ('Z', 3)]);
        assert!(before.are_at_rest() && !threads(&[('T', 5), ('R', 1)]).are_at_rest());
        for fine in [
            &[('T', 5), ('D', 9), ('Z', 3)][..],
            &[('T', 5), ('T', 11), ('Z', 3)],
            &[('T', 5), ('D', 20), ('Z', 3), ('T', 1)],
            &[('T', 5)],
        ] {
            assert!(have_stood(&before, &threads(fine)), "{fine:?}");
        }
        let alone = threads(&[('R', 9)]);
        assert!(have_stood(&alone, &threads(&[('R', 11)])) && have_stood(&alone, &threads(&[('T', 12)])));
        assert!(have_stood(&alone, &threads(&[('Z', 12)])) && have_stood(&alone, &threads(&[])));
        assert!(!have_stood(&alone, &threads(&[('R', 10)])), "it has been let go on");
        assert!(!have_stood(&threads(&[('R', 8)]), &threads(&[('R', 9)])));
        for moved in [
            &[('T', 6), ('D', 9), ('Z', 3)][..],
            &[('R', 5), ('D', 9), ('Z', 3)],
            &[('Z', 5), ('D', 9), ('Z', 3)],
            &[('T', 5), ('S', 9), ('Z', 3)],
            &[('T', 5), ('D', 9), ('Z', 3), ('S', 1)],
            &[],
        ] {
            assert!(!have_stood(&before, &threads(moved)), "{moved:?}");
        }
    }

    #[test]
    fn threads_of_this_process_are_read_and_those_of_nobody_are_none() {
        let this = Threads::of(rustix::process::getpid()).unwrap();
        assert!(!this.0.is_empty() && !this.are_at_rest());
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let pid = Pid::from_child(&child);
        child.wait().unwrap();
        let gone = Threads::of(pid).unwrap();
        assert!(gone.0.is_empty() && gone.are_at_rest());
        assert_eq!(Thread::read("State:\tT (stopped)\n"), None);
    }
}
