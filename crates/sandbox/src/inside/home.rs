//! The size of a home that is a folder on the machine's disk: nothing bounds it, so that it is looked at, again and again.

use std::fs::{self, File};
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::limits::{HOME_FILES_MAX, HOME_LOOK};

/// A home that is looked at.
pub(super) struct Watched {
    home: PathBuf,
    bytes: u64,
    /// The program's standard error, to say why it ends.
    errors: File,
    looked: Instant,
}

/// What is left of the bounds while it is looked through.
struct Left {
    bytes: u64,
    files: u64,
}

// === impl Watched ===

impl Watched {
    pub(super) fn new(home: &Path, bytes: u64, errors: OwnedFd) -> Self {
        Self { home: home.to_owned(), bytes, errors: errors.into(), looked: Instant::now() }
    }

    /// Between two looks.
    pub(super) const fn interval() -> Duration {
        HOME_LOOK
    }

    /// Whether it holds more than it may, which is told. It is looked at when it is time.
    pub(super) fn is_over(&mut self) -> bool {
        // A little early, so that a wait of that length is long enough.
        if self.looked.elapsed() < HOME_LOOK * 9 / 10 {
            return false;
        }
        let mut left = Left { bytes: self.bytes, files: HOME_FILES_MAX };
        let over = left.take(&self.home).is_none();
        self.looked = Instant::now();
        if over {
            let bytes = self.bytes;
            // Nobody need read it.
            let _ = writeln!(
                self.errors,
                "ringfence: its home holds more than {bytes} bytes or {HOME_FILES_MAX} files; it is ended"
            );
        }
        over
    }
}

// === impl Left ===

impl Left {
    /// `None` when there is more in the folder than is left. What goes while it is looked at is not there.
    fn take(&mut self, folder: &Path) -> Option<()> {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let Ok(found) = entry.metadata() else { continue };
            self.files = self.files.checked_sub(1)?;
            // What it takes of the disk, and not how long it says it is.
            self.bytes = self.bytes.checked_sub(found.blocks().saturating_mul(512))?;
            if found.is_dir() {
                self.take(&entry.path())?;
            }
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_home_takes_of_the_disk_is_counted_without_following_links() {
        let home = tempfile::tempdir().unwrap();
        fs::create_dir(home.path().join("a")).unwrap();
        fs::write(home.path().join("a/b"), vec![1; 300_000]).unwrap();
        std::os::unix::fs::symlink("/usr", home.path().join("usr")).unwrap();
        let takes = |bytes, files| Left { bytes, files }.take(home.path()).is_some();
        assert!(takes(400_000, 3));
        assert!(!takes(290_000, 3));
        assert!(!takes(400_000, 2));
        File::create(home.path().join("hole")).unwrap().set_len(1 << 40).unwrap();
        assert!(takes(400_000, 4), "a hole takes nothing");
    }
}
