//! The size of a home that is a folder on the machine's disk: nothing bounds it, so that it is looked at, again and again.
//!
//! What has a name is found from the home down, by descriptors, however long its path is ([`named`]). What has lost its name is
//! found where the program's processes hold it ([`held`]). What cannot be looked at counts as too much: at once below the
//! home, and of processes when it is so at several looks in a row, as they come and go. Free room on the disk is
//! looked at more often than all that: when it falls fast, the rest is looked at then, and at a floor the program ends.

mod held;
mod named;

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::{Gid, Signal, Uid, WaitOptions, getpid, set_parent_process_death_signal, waitpid};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};

use crate::limits::{
    HOME_FILES_MAX, HOME_FOLDERS_DEEP, HOME_GLANCE, HOME_LEFT_BYTES, HOME_LOOK, HOME_UNSEEN,
};
use crate::system::{Cloned, Namespaces, clone_process, exit_now};

/// A home that is looked at.
pub(super) struct Watched {
    home: PathBuf,
    folder: OwnedFd,
    bytes: u64,
    /// Bytes of the disk that it leaves free.
    least: u64,
    /// Whom the program is, where the node is root.
    user: Option<u32>,
    /// The program's standard error, to say why it ends.
    errors: File,
    looked: Instant,
    /// Free bytes on the disk at the last look.
    free: u64,
    /// Looks in a row that could not see all.
    unseen: u32,
}

/// What is left of the bounds while it is looked through.
struct Left {
    bytes: u64,
    files: u64,
    /// Files that are counted already, by device and number: one may have several names, and be open.
    counted: BTreeSet<(u64, u64)>,
}

/// Why it is too much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Over {
    /// More than it may have.
    Most,
    /// So deep that looking would take too long.
    Deep,
    /// It cannot be looked at.
    Unreadable,
    /// Its processes hold something that cannot be looked at.
    Unseen,
    /// The disk has no more room to give.
    Disk,
}

// === impl Watched ===

impl Watched {
    pub(super) fn new(home: &Path, bytes: u64, user: Option<u32>, errors: OwnedFd) -> io::Result<Self> {
        // As the kernel names what is in it.
        let home = home.canonicalize()?;
        let folder = named::open(rustix::fs::CWD, &home)?;
        let free = free_bytes(&folder)?;
        let errors = errors.into();
        let (least, looked) = (HOME_LEFT_BYTES, Instant::now());
        Ok(Self { home, folder, bytes, least, user, errors, looked, free, unseen: 0 })
    }

    /// Between two glances.
    pub(super) const fn interval() -> Duration {
        HOME_GLANCE
    }

    /// Whether it holds more than it may, which is told. It is looked at when it is time.
    pub(super) fn is_over(&mut self) -> bool {
        let Err(over) = self.glance() else { return false };
        let bytes = self.bytes;
        let why = match over {
            Over::Most => format!("its home holds more than {bytes} bytes or {HOME_FILES_MAX} files"),
            Over::Deep => format!("its home holds folders more than {HOME_FOLDERS_DEEP} deep"),
            Over::Unreadable => "its home holds folders that cannot be looked into".to_owned(),
            Over::Unseen => {
                "its processes hold files that cannot be looked at: in memory, on their way over sockets, or \
                             of programs that nobody may look at"
                    .to_owned()
            }
            Over::Disk => format!("the disk that its home is on has less than {} bytes left", self.least),
        };
        // Nobody need read it.
        let _ = writeln!(self.errors, "ringfence: {why}; it is ended");
        true
    }

    fn glance(&mut self) -> Result<(), Over> {
        let free = free_bytes(&self.folder).map_err(|_| Over::Unreadable)?;
        if free < self.least {
            return Err(Over::Disk);
        }
        let has_fallen = self.free.saturating_sub(free) > self.bytes;
        // A little early, so that a wait of that length is long enough.
        if self.looked.elapsed() < HOME_LOOK * 9 / 10 && !has_fallen {
            return Ok(());
        }
        (self.looked, self.free) = (Instant::now(), free);
        let mut left = Left { bytes: self.bytes, files: HOME_FILES_MAX, counted: BTreeSet::new() };
        left.take_named(&self.folder)?;
        match self.held_as_the_program(left) {
            Ok(()) => self.unseen = 0,
            Err(Over::Unseen) if self.unseen + 1 < HOME_UNSEEN => self.unseen += 1,
            Err(over) => return Err(over),
        }
        Ok(())
    }

    /// Looks at what its processes hold, as a process of its user: not every root may look at others.
    fn held_as_the_program(&self, left: Left) -> Result<(), Over> {
        let first = getpid();
        match clone_process(Namespaces::NONE).map_err(|_| Over::Unseen)? {
            Cloned::Child => {
                let looked = self.become_user().map_err(|_| Over::Unseen);
                let looked = looked.and_then(|()| left.take_held(first, &self.home));
                exit_now(match looked {
                    Ok(()) => 0,
                    Err(Over::Most) => 1,
                    Err(_) => 2,
                })
            }
            Cloned::Parent(pid) => {
                let ended = rustix::io::retry_on_intr(|| waitpid(Some(pid), WaitOptions::empty()));
                match ended.ok().flatten().and_then(|(_, status)| status.exit_status()) {
                    Some(0) => Ok(()),
                    Some(1) => Err(Over::Most),
                    _ => Err(Over::Unseen),
                }
            }
        }
    }

    fn become_user(&self) -> io::Result<()> {
        if let Some(user) = self.user {
            set_thread_groups(&[])?;
            let (user, group) = (Uid::from_raw(user), Gid::from_raw(user));
            set_thread_res_gid(group, group, group)?;
            set_thread_res_uid(user, user, user)?;
        }
        Ok(set_parent_process_death_signal(Some(Signal::KILL))?)
    }
}

// === impl Left ===

impl Left {
    /// Counts a file, once.
    fn take(&mut self, found: &rustix::fs::Stat) -> Result<(), Over> {
        // What it takes of the disk, and not how long it says it is.
        let bytes = u64::try_from(found.st_blocks).unwrap_or_default().saturating_mul(512);
        if self.counted.insert((found.st_dev, found.st_ino)) {
            self.bytes = self.bytes.checked_sub(bytes).ok_or(Over::Most)?;
        }
        Ok(())
    }
}

fn free_bytes(folder: &OwnedFd) -> io::Result<u64> {
    let found = rustix::fs::fstatvfs(folder)?;
    Ok(found.f_bavail.saturating_mul(found.f_frsize))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_that_is_short_ends_it_at_once_and_one_that_fills_fast_has_it_looked_at() {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("file"), vec![1; 300_000]).unwrap();
        let (_read, write) = rustix::pipe::pipe().unwrap();
        let mut watched = Watched::new(home.path(), 100_000, None, write).unwrap();
        // Whatever others write meanwhile.
        watched.free = 0;
        assert_eq!(watched.glance(), Ok(()), "it is not time yet");
        watched.least = u64::MAX;
        assert_eq!(watched.glance(), Err(Over::Disk));
        (watched.least, watched.free) = (0, u64::MAX);
        assert_eq!(watched.glance(), Err(Over::Most));
    }
}
