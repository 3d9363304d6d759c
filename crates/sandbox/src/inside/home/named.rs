//! What has a name below a home.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, openat, statat};
use rustix::io::Errno;
use rustix::path::Arg;

use super::{Left, Over};
use crate::limits::HOME_FOLDERS_DEEP;

/// Opens a folder, which is no link.
pub(super) fn open(at: impl AsFd, name: impl Arg) -> rustix::io::Result<OwnedFd> {
    openat(at, name, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
}

// === impl Left ===

impl Left {
    /// What goes while it is looked at is not there.
    pub(super) fn take_named(&mut self, home: &OwnedFd) -> Result<(), Over> {
        let home = open(home, c".").map_err(|_| Over::Unreadable)?;
        self.take_below(home, 0)
    }

    fn take_below(&mut self, folder: OwnedFd, depth: usize) -> Result<(), Over> {
        if depth > HOME_FOLDERS_DEEP {
            return Err(Over::Deep);
        }
        let mut entries = Dir::new(folder).map_err(|_| Over::Unreadable)?;
        loop {
            let entry = match entries.read() {
                // The folder itself has gone.
                None | Some(Err(Errno::NOENT)) => return Ok(()),
                Some(Err(_)) => return Err(Over::Unreadable),
                Some(Ok(entry)) => entry,
            };
            let name = entry.file_name();
            if name == c"." || name == c".." {
                continue;
            }
            let at = entries.fd().map_err(|_| Over::Unreadable)?;
            let found = match statat(at, name, AtFlags::SYMLINK_NOFOLLOW) {
                Err(Errno::NOENT) => continue,
                other => other.map_err(|_| Over::Unreadable)?,
            };
            self.files = self.files.checked_sub(1).ok_or(Over::Most)?;
            self.take(&found)?;
            if FileType::from_raw_mode(found.st_mode) == FileType::Directory {
                match open(at, name) {
                    Err(Errno::NOENT) => {}
                    below => self.take_below(below.map_err(|_| Over::Unreadable)?, depth + 1)?,
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs::{self, File};

    use super::*;

    fn look(home: &tempfile::TempDir, bytes: u64, files: u64) -> Result<(), Over> {
        let folder = open(rustix::fs::CWD, home.path()).unwrap();
        Left { bytes, files, counted: BTreeSet::new() }.take_named(&folder)
    }

    #[test]
    fn what_a_home_takes_of_the_disk_is_counted_without_following_links() {
        let home = tempfile::tempdir().unwrap();
        fs::create_dir(home.path().join("a")).unwrap();
        fs::write(home.path().join("a/b"), vec![1; 300_000]).unwrap();
        std::os::unix::fs::symlink("/usr", home.path().join("usr")).unwrap();
        assert_eq!(look(&home, 400_000, 3), Ok(()));
        assert_eq!(look(&home, 290_000, 3), Err(Over::Most));
        assert_eq!(look(&home, 400_000, 2), Err(Over::Most));
        File::create(home.path().join("hole")).unwrap().set_len(1 << 40).unwrap();
        assert_eq!(look(&home, 400_000, 4), Ok(()), "a hole takes nothing");
        fs::hard_link(home.path().join("a/b"), home.path().join("again")).unwrap();
        assert_eq!(look(&home, 400_000, 5), Ok(()), "a second name takes nothing");
    }

    #[test]
    fn paths_that_are_too_long_to_be_named_hide_nothing_and_depth_has_a_bound() {
        let home = tempfile::tempdir().unwrap();
        let mut at = open(rustix::fs::CWD, home.path()).unwrap();
        let name = "n".repeat(200);
        let mut deeper = |times: usize| {
            for _ in 0..times {
                rustix::fs::mkdirat(&at, &name, Mode::RWXU).unwrap();
                at = open(&at, &name).unwrap();
            }
            let flags = OFlags::CREATE | OFlags::WRONLY;
            File::from(openat(&at, "file", flags, Mode::RWXU).unwrap())
        };
        let mut file = deeper(30);
        std::io::Write::write_all(&mut file, &vec![1; 300_000]).unwrap();
        assert_eq!(look(&home, 290_000, 1_000), Err(Over::Most));
        assert_eq!(look(&home, 1_000_000, 1_000), Ok(()));
        deeper(HOME_FOLDERS_DEEP);
        assert_eq!(look(&home, 10_000_000, 1_000), Err(Over::Deep));
        crate::server::empty::empty_home(home.path(), std::time::Duration::from_hours(1)).unwrap();
    }
}
