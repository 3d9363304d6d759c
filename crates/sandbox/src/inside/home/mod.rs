//! The size of a home that is a folder on the machine's disk: nothing bounds it, so that it is looked at, again and again.
//!
//! What has a name is found from the home down, by descriptors, however long its path is ([`named`]). What has lost its name is
//! found where the program's processes hold it ([`held`]), which stand still meanwhile. What cannot be looked at counts as
//! too much: at once below the home, and of processes when it is so at several looks in a row. Free room on the disk is
//! looked at more often than all that: when it falls fast, the rest is looked at then, and at a floor the program ends.

mod held;
mod looker;
mod named;

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::Pid;

use self::looker::Looker;
use crate::limits::{
    HOME_FILES_MAX, HOME_FOLDERS_DEEP, HOME_GLANCE, HOME_LEFT_BYTES, HOME_LOOK, HOME_LOOK_GLANCES,
    HOME_LOOK_SHARE, HOME_UNSEEN,
};

/// A home that is looked at.
pub(super) struct Watched {
    home: Home,
    /// Bytes of the disk that it leaves free.
    least: u64,
    /// The program's standard error, to say why it ends.
    errors: File,
    glanced: Instant,
    /// When the next look is due.
    due: Instant,
    /// Free bytes on the disk at the last look.
    free: u64,
    /// Looks in a row that could not see all.
    unseen: u32,
    /// Whoever looks next, or does; `None` when there could be none.
    looker: Option<Looker>,
    /// The look that is going on.
    look: Option<Look>,
}

/// What is looked at.
struct Home {
    path: PathBuf,
    folder: OwnedFd,
    bytes: u64,
    /// Whom the program is, where the node is root.
    user: Option<u32>,
}

/// A look that is going on.
struct Look {
    since: Instant,
    /// Glances since then: time in which this process was stopped as well does not count.
    glances: u32,
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
#[repr(u8)]
pub(super) enum Over {
    /// More than it may have.
    Most = 2,
    /// So deep that looking would take too long.
    Deep = 3,
    /// It cannot be looked at.
    Unreadable = 4,
    /// Its processes hold something that cannot be looked at.
    Unseen = 5,
    /// The disk has no more room to give.
    Disk = 6,
}

// === impl Watched ===

impl Watched {
    pub(super) fn new(path: &Path, bytes: u64, user: Option<u32>, errors: OwnedFd) -> io::Result<Self> {
        // As the kernel names what is in it.
        let path = path.canonicalize()?;
        let folder = named::open(rustix::fs::CWD, &path)?;
        let free = free_bytes(&folder)?;
        let home = Home { path, folder, bytes, user };
        let looker = Some(Looker::make(&home)?);
        let (least, now) = (HOME_LEFT_BYTES, Instant::now());
        let errors = errors.into();
        Ok(Self {
            home,
            least,
            errors,
            glanced: now,
            due: now + HOME_LOOK,
            free,
            unseen: 0,
            looker,
            look: None,
        })
    }

    /// Until the next glance.
    pub(super) fn until_glance(&self) -> Duration {
        HOME_GLANCE.saturating_sub(self.glanced.elapsed())
    }

    /// Looks at the free room of the disk, if it is time; whether it is time to look at the home.
    pub(super) fn glance(&mut self) -> Result<bool, Over> {
        if !self.until_glance().is_zero() {
            return Ok(false);
        }
        self.glanced = Instant::now();
        let free = free_bytes(&self.home.folder).map_err(|_| Over::Unreadable)?;
        if free < self.least {
            return Err(Over::Disk);
        }
        if let Some(look) = &mut self.look {
            look.glances += 1;
            return Ok(false);
        }
        let has_fallen = self.free.saturating_sub(free) > self.home.bytes;
        let is_time = has_fallen || self.glanced >= self.due;
        if is_time {
            self.free = free;
        }
        Ok(is_time)
    }

    /// Whoever looks, and is not to be stopped.
    pub(super) fn looker(&self) -> Option<Pid> {
        self.looker.as_ref().map(Looker::pid)
    }

    /// Begins to look at the home, and at what these hold, who stand still.
    pub(super) fn begin(&mut self, processes: &[Pid]) {
        self.look = Some(Look { since: Instant::now(), glances: 0 });
        let told = self.looker.as_ref().ok_or(Over::Unseen).and_then(|looker| looker.go(processes));
        if told.is_err() {
            // Who is not there has nothing to say, which is then heard.
            self.looker = None;
        }
    }

    /// What is ready when a look is over.
    pub(super) fn channel(&self) -> Option<BorrowedFd<'_>> {
        self.looker.as_ref().filter(|_| self.look.is_some()).map(Looker::channel)
    }

    /// Whether a look that is going on is over, of which something may be heard; too much or too often not all are errors.
    /// It has seen nothing when what it looked at has not stood still.
    pub(super) fn is_seen(&mut self, heard: bool, has_held: impl FnOnce() -> bool) -> Result<bool, Over> {
        let Some(look) = &self.look else { return Ok(false) };
        let late = look.glances > HOME_LOOK_GLANCES;
        let found = match &self.looker {
            Some(looker) if heard => {
                looker.verdict().and_then(|()| has_held().then_some(()).ok_or(Over::Unseen))
            }
            Some(_) if !late => return Ok(false),
            _ => Err(Over::Unseen),
        };
        let took = look.since.elapsed();
        self.look = None;
        // The one goes before the other comes: there may be room for one.
        self.looker = None;
        self.looker = Looker::make(&self.home).ok();
        let mut next = HOME_LOOK;
        match found {
            Ok(()) => {
                self.unseen = 0;
                // Who has much is not held still all the time.
                next = next.max(took * HOME_LOOK_SHARE);
            }
            Err(Over::Unseen) if self.unseen + 1 < HOME_UNSEEN => self.unseen += 1,
            Err(over) => return Err(over),
        }
        // A little early, so that a wait of that length is long enough.
        self.due = Instant::now() + next * 9 / 10;
        Ok(true)
    }

    /// Says why the program is ended.
    pub(super) fn say(&mut self, over: Over) {
        let bytes = self.home.bytes;
        let why = match over {
            Over::Most => format!("its home holds more than {bytes} bytes or {HOME_FILES_MAX} files"),
            Over::Deep => format!("its home holds folders more than {HOME_FOLDERS_DEEP} deep"),
            Over::Unreadable => "its home holds folders that cannot be looked into".to_owned(),
            Over::Unseen => {
                "its processes hold files that cannot be looked at: in memory, on their way over sockets, or \
                             of programs that nobody may look at or that do not stand still"
                    .to_owned()
            }
            Over::Disk => format!("the disk that its home is on has less than {} bytes left", self.least),
        };
        self.tell(&format!("{why}; it is ended"));
    }

    /// Says something where the program does.
    pub(super) fn tell(&mut self, what: &str) {
        // Nobody need read it.
        let _ = writeln!(self.errors, "ringfence: {what}");
    }
}

// === impl Over ===

impl Over {
    fn from_code(code: u8) -> Option<Self> {
        [Self::Most, Self::Deep, Self::Unreadable, Self::Unseen, Self::Disk]
            .into_iter()
            .find(|over| *over as u8 == code)
    }
}

// === impl Left ===

impl Left {
    const fn of(home: &Home) -> Self {
        Self { bytes: home.bytes, files: HOME_FILES_MAX, counted: BTreeSet::new() }
    }

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

    fn watched(home: &tempfile::TempDir) -> Watched {
        let path = home.path().canonicalize().unwrap();
        let folder = named::open(rustix::fs::CWD, &path).unwrap();
        let (_, errors) = rustix::pipe::pipe().unwrap();
        let now = Instant::now();
        Watched {
            home: Home { path, folder, bytes: 100_000, user: None },
            least: 0,
            errors: errors.into(),
            glanced: now,
            due: now + HOME_LOOK,
            // Whatever others write meanwhile.
            free: 0,
            unseen: 0,
            // A test has several threads, and makes no copies of itself.
            looker: None,
            look: None,
        }
    }

    #[test]
    fn a_disk_that_is_short_ends_it_at_once_and_one_that_fills_fast_has_it_looked_at() {
        let home = tempfile::tempdir().unwrap();
        let mut watched = watched(&home);
        let glance = |watched: &mut Watched| {
            watched.glanced -= HOME_GLANCE;
            watched.glance()
        };
        assert_eq!(glance(&mut watched), Ok(false), "it is not time yet");
        watched.least = u64::MAX;
        assert_eq!(glance(&mut watched), Err(Over::Disk));
        (watched.least, watched.free) = (0, u64::MAX);
        assert_eq!(glance(&mut watched), Ok(true));
        assert_eq!(glance(&mut watched), Ok(false), "what was free then is what counts");
        watched.due = Instant::now();
        assert_eq!(glance(&mut watched), Ok(true));
        watched.look = Some(Look { since: Instant::now(), glances: 0 });
        assert_eq!(glance(&mut watched), Ok(false), "it is looked at");
        watched.least = u64::MAX;
        assert_eq!(glance(&mut watched), Err(Over::Disk), "and the disk meanwhile");
    }

    #[test]
    fn what_is_left_of_a_bound_is_counted_once() {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("file"), vec![1; 300_000]).unwrap();
        let watched = watched(&home);
        let mut left = Left::of(&watched.home);
        assert_eq!(left.take_named(&watched.home.folder), Err(Over::Most));
    }
}
