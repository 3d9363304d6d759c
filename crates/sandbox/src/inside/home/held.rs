//! What processes hold of a home that has lost its name there: open, mapped, or on its way over a socket.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, openat, readlinkat, statat};
use rustix::io::Errno;
use rustix::path::Arg;
use rustix::process::Pid;

use super::{Left, Over, named};
use crate::limits::{HOME_DESCRIPTORS_MAX, HOME_ENDING_MAX, HOME_TEXT_MAX};

/// What the kernel writes behind a name that is no more.
const GONE: &[u8] = b" (deleted)";

/// Bytes that are read at once.
const READ_BYTES: usize = 64 * 1_024;

/// Of the kernel's flags of a thread, that it ends: PF_EXITING.
const ENDS: u64 = 4;

/// How far a thread has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    Lives,
    /// It is about to end, and may still hold what it held.
    Ends,
    /// It holds nothing, and nobody has buried it.
    Ended,
}

/// What is looked at, and how much more may be.
struct Look<'a> {
    left: Left,
    home: &'a Path,
    descriptors: usize,
    /// Bytes of what the kernel says of them.
    text: u64,
    /// Numbers of files that are mapped and have lost their names.
    mapped: BTreeSet<Option<u64>>,
    /// Whether something was met that could not be looked at.
    unseen: bool,
}

// === impl Left ===

impl Left {
    /// What these hold.
    pub(super) fn take_held(self, processes: &[Pid], home: &Path) -> Result<(), Over> {
        let mut look = Look {
            left: self,
            home,
            descriptors: HOME_DESCRIPTORS_MAX,
            text: HOME_TEXT_MAX,
            mapped: BTreeSet::new(),
            unseen: false,
        };
        processes.iter().try_for_each(|pid| look.at_process(*pid))?;
        // What is open as well is counted; of the others nobody says how large they are.
        let counted: BTreeSet<u64> = look.left.counted.iter().map(|(_, number)| *number).collect();
        let hidden = look.mapped.iter().any(|number| number.is_none_or(|number| !counted.contains(&number)));
        if look.unseen || hidden { Err(Over::Unseen) } else { Ok(()) }
    }
}

// === impl Look ===

impl Look<'_> {
    /// Its threads share what it holds: no filter lets one have anything of its own. The first may have ended before others, and
    /// where none lives, each that ends may be the last that holds it.
    fn at_process(&mut self, pid: Pid) -> Result<(), Over> {
        let tasks = format!("/proc/{}/task", pid.as_raw_nonzero());
        let Some(tasks) = self.seen(named::open(CWD, tasks.as_str())) else { return Ok(()) };
        let Some(mut threads) = self.seen(Dir::read_from(&tasks)) else { return Ok(()) };
        let mut ending = Vec::new();
        while let Some(thread) = threads.read() {
            let Some(thread) = self.seen(thread) else { return Ok(()) };
            if thread.file_name().to_bytes().starts_with(b".") {
                continue;
            }
            let Some(thread) = self.seen(named::open(&tasks, thread.file_name())) else { continue };
            match self.life(&thread) {
                Life::Lives => return self.at_thread(&thread),
                Life::Ends if ending.len() == HOME_ENDING_MAX => self.unseen = true,
                Life::Ends => ending.push(thread),
                Life::Ended => {}
            }
        }
        ending.iter().try_for_each(|thread| self.at_thread(thread))
    }

    fn life(&mut self, thread: &OwnedFd) -> Life {
        let mut found = None;
        self.lines(thread, b"stat".to_vec(), |line| found = found.or(Some(life(line))));
        // Whoever has gone meanwhile says nothing, and what else is wrong has been noted.
        found.unwrap_or(Life::Ended)
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
        let mut waits = false;
        self.lines(thread, path, |line| {
            let count = line.strip_prefix(b"scm_fds:").and_then(|count| std::str::from_utf8(count).ok());
            waits |= count.is_some_and(|count| count.trim() != "0");
        });
        self.unseen |= waits;
    }

    fn at_mapped(&mut self, thread: &OwnedFd) {
        let home = self.home.as_os_str().as_bytes();
        let mut mapped = std::mem::take(&mut self.mapped);
        self.lines(thread, b"maps".to_vec(), |line| {
            if line.ends_with(GONE) && line.windows(home.len()).any(|part| part == home) {
                mapped.insert(number(line));
            }
        });
        self.mapped = mapped;
    }

    fn lines(&mut self, thread: &OwnedFd, path: impl Arg, mut each: impl FnMut(&[u8])) {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let Some(file) = self.seen(openat(thread, path, flags, Mode::empty())) else { return };
        let mut reader = BufReader::with_capacity(READ_BYTES, File::from(file).take(self.text));
        let mut line = Vec::new();
        loop {
            let read = reader.read_until(b'\n', &mut line);
            // What goes while it is read is not there.
            let read = self.seen(read.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO)));
            if read.is_none_or(|length| length == 0) {
                break;
            }
            self.text = self.text.saturating_sub(line.len() as u64);
            each(line.strip_suffix(b"\n").unwrap_or(&line));
            line.clear();
        }
        self.unseen |= self.text == 0;
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

/// How far the thread has come that `stat` tells of: the third field, and the ninth. What is not understood lives.
fn life(stat: &[u8]) -> Life {
    let text = String::from_utf8_lossy(stat);
    let mut fields = text.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace();
    let state = fields.next();
    let flags: Option<u64> = fields.nth(5).and_then(|flags| flags.parse().ok());
    match state {
        Some("Z" | "X") => Life::Ended,
        _ if flags.is_some_and(|flags| flags & ENDS != 0) => Life::Ends,
        _ => Life::Lives,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_ended_is_told_from_who_is_about_to_and_may_hold_something() {
        assert_eq!(life(b"12 (a) Z (b) S 8 12 12 0 -1 4194560 100 200 0 0"), Life::Lives);
        assert_eq!(life(b"12 (a) R 8 12 12 0 -1 4194564 100 200 0 0"), Life::Ends);
        assert_eq!(life(b"12 (a) Z 8 12 12 0 -1 4194564 100 200 0 0"), Life::Ended);
        assert_eq!(life(b"12"), Life::Lives);
    }

    /// A look that may read so little of what is said of processes.
    fn look() -> Look<'static> {
        Look {
            left: Left { bytes: 1, files: 1, counted: BTreeSet::new() },
            home: Path::new("/h"),
            descriptors: 1,
            text: 300,
            mapped: BTreeSet::new(),
            unseen: false,
        }
    }

    #[test]
    fn what_cannot_be_read_to_its_end_is_not_seen() {
        let mut look = look();
        let this = named::open(CWD, format!("/proc/{}", std::process::id()).as_str()).unwrap();
        // A folder can be opened, and not be read.
        look.lines(&this, b"task".to_vec(), |_| {});
        assert!(look.unseen);
    }

    #[test]
    fn what_is_said_of_processes_is_read_within_a_bound() {
        let mut look = look();
        let this = named::open(CWD, format!("/proc/{}", std::process::id()).as_str()).unwrap();
        let mut read = 0;
        look.lines(&this, b"maps".to_vec(), |line| read += line.len() + 1);
        assert!((1..=301).contains(&read), "{read}");
        assert!(look.unseen);
    }

    #[test]
    fn the_number_of_a_mapped_file_is_read() {
        assert_eq!(number(b"7f0000-7f1000 rw-s 00000000 08:01 4711     /h/a b (deleted)"), Some(4_711));
        assert_eq!(number(b"7f0000-7f1000 rw-p 00000000"), None);
    }
}
