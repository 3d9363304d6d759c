//! What processes hold of a home that has lost its name there: open, mapped, or on its way over a socket.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, openat, readlinkat, statat};
use rustix::io::Errno;
use rustix::path::Arg;
use rustix::process::{Pid, getpid};

use super::super::descendants::descendants;
use super::{Left, Over, named};
use crate::limits::{HOME_DESCRIPTORS_MAX, HOME_ROUNDS};

/// What the kernel writes behind a name that is no more.
const GONE: &[u8] = b" (deleted)";

/// What is looked at, and how much more may be.
struct Look<'a> {
    left: Left,
    home: &'a Path,
    descriptors: usize,
    /// Numbers of files that are mapped and have lost their names.
    mapped: BTreeSet<Option<u64>>,
    /// Whether something was met that could not be looked at.
    unseen: bool,
}

// === impl Left ===

impl Left {
    /// All that is below a process, this one excepted.
    pub(super) fn take_held(self, first: Pid, home: &Path) -> Result<(), Over> {
        let mut look = Look {
            left: self,
            home,
            descriptors: HOME_DESCRIPTORS_MAX,
            mapped: BTreeSet::new(),
            unseen: false,
        };
        let mut looked = BTreeSet::from([getpid().as_raw_nonzero()]);
        // Whoever started another meanwhile may have handed on what it held.
        for _ in 0..HOME_ROUNDS {
            let all = descendants(first);
            let new: Vec<Pid> = all.into_iter().filter(|pid| looked.insert(pid.as_raw_nonzero())).collect();
            if new.is_empty() {
                break;
            }
            new.into_iter().try_for_each(|pid| look.at_process(pid))?;
        }
        // What is open as well is counted; of the others nobody says how large they are.
        let counted: BTreeSet<u64> = look.left.counted.iter().map(|(_, number)| *number).collect();
        let hidden = look.mapped.iter().any(|number| number.is_none_or(|number| !counted.contains(&number)));
        if look.unseen || hidden { Err(Over::Unseen) } else { Ok(()) }
    }
}

// === impl Look ===

impl Look<'_> {
    fn at_process(&mut self, pid: Pid) -> Result<(), Over> {
        let tasks = format!("/proc/{}/task", pid.as_raw_nonzero());
        let Some(tasks) = self.seen(named::open(CWD, tasks.as_str())) else { return Ok(()) };
        let Some(mut threads) = self.seen(Dir::read_from(&tasks)) else { return Ok(()) };
        // Each may have descriptors of its own.
        while let Some(thread) = threads.read() {
            let Some(thread) = self.seen(thread) else { return Ok(()) };
            if thread.file_name().to_bytes().starts_with(b".") {
                continue;
            }
            let Some(thread) = self.seen(named::open(&tasks, thread.file_name())) else { continue };
            self.at_thread(&thread)?;
        }
        Ok(())
    }

    fn at_thread(&mut self, thread: &OwnedFd) -> Result<(), Over> {
        let Some(all) = self.seen(named::open(thread, c"fd")) else { return Ok(()) };
        let Some(mut entries) = self.seen(Dir::read_from(&all)) else { return Ok(()) };
        while let Some(entry) = entries.read() {
            let Some(entry) = self.seen(entry) else { return Ok(()) };
            if entry.file_name().to_bytes().starts_with(b".") {
                continue;
            }
            self.descriptors = self.descriptors.checked_sub(1).ok_or(Over::Unseen)?;
            self.at_descriptor(thread, all.as_fd(), entry.file_name())?;
        }
        self.at_mapped(thread);
        Ok(())
    }

    fn at_descriptor(
        &mut self,
        thread: &OwnedFd,
        all: BorrowedFd<'_>,
        name: &std::ffi::CStr,
    ) -> Result<(), Over> {
        let Some(found) = self.seen(statat(all, name, AtFlags::empty())) else { return Ok(()) };
        match FileType::from_raw_mode(found.st_mode) {
            FileType::RegularFile if found.st_nlink == 0 && self.is_of_home(all, name) => {
                self.left.take(&found)
            }
            FileType::Socket => {
                self.at_socket(thread, name);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Whether what has lost its name had it in the home: memory has a name of its own, and a path that is too long for an
    /// answer is nowhere else.
    fn is_of_home(&self, all: BorrowedFd<'_>, name: &std::ffi::CStr) -> bool {
        match readlinkat(all, name, Vec::new()) {
            Ok(path) => path.to_bytes().starts_with(self.home.as_os_str().as_bytes()),
            Err(error) => error != Errno::NOENT,
        }
    }

    /// Descriptors that wait in a socket to be received are nobody's.
    fn at_socket(&mut self, thread: &OwnedFd, name: &std::ffi::CStr) {
        let path = [b"fdinfo/", name.to_bytes()].concat();
        let Some(lines) = self.lines(thread, path) else { return };
        let waits = lines.into_iter().any(|line| {
            let count = line.strip_prefix(b"scm_fds:").and_then(|count| std::str::from_utf8(count).ok());
            count.is_some_and(|count| count.trim() != "0")
        });
        self.unseen |= waits;
    }

    fn at_mapped(&mut self, thread: &OwnedFd) {
        let Some(lines) = self.lines(thread, b"maps".to_vec()) else { return };
        let home = self.home.as_os_str().as_bytes();
        let gone = |line: &Vec<u8>| line.ends_with(GONE) && line.windows(home.len()).any(|part| part == home);
        self.mapped.extend(lines.iter().filter(|line| gone(line)).map(|line| number(line)));
    }

    fn lines(&mut self, thread: &OwnedFd, path: impl Arg) -> Option<Vec<Vec<u8>>> {
        let file = self.seen(openat(thread, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()))?;
        // What ends while it is read has ended.
        Some(BufReader::new(File::from(file)).split(b'\n').map_while(Result::ok).collect())
    }

    /// What goes while it is looked at is not there.
    fn seen<T>(&mut self, found: rustix::io::Result<T>) -> Option<T> {
        self.unseen |= found.as_ref().is_err_and(|error| ![Errno::NOENT, Errno::SRCH].contains(error));
        found.ok()
    }
}

/// The number of the file in a line of `maps`: the fifth field.
fn number(line: &[u8]) -> Option<u64> {
    let mut fields = line.split(|byte| *byte == b' ').filter(|field| !field.is_empty());
    std::str::from_utf8(fields.nth(4)?).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_a_mapped_file_is_read() {
        assert_eq!(number(b"7f0000-7f1000 rw-s 00000000 08:01 4711     /h/a b (deleted)"), Some(4_711));
        assert_eq!(number(b"7f0000-7f1000 rw-p 00000000"), None);
    }
}
