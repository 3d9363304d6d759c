//! Where private homes are: one folder per spawner, an empty place to mount on; folders in it where nothing can
//! be mounted.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, Mode, OFlags, flock};
use rustix::rand::{GetRandomFlags, getrandom};

use super::empty::empty_home;
use crate::limits::HOME_REMOVAL;

const PREFIX: &str = "ringfence-home-";
const UNLOCKED_PREFIX: &str = "ringfence-new-";

/// The folder of one spawner. The lock on it says that the spawner lives; without one it is left over.
pub(crate) struct Homes {
    path: PathBuf,
    _lock: File,
}

// === impl Homes ===

impl Homes {
    /// Makes the folder, and removes those that spawners of this user left over.
    pub(crate) fn make(temporary: &Path, user: u32) -> io::Result<Self> {
        let temporary = fs::canonicalize(temporary)?;
        remove_leftovers(&temporary, user);
        let mut random = [0_u8; 8];
        getrandom(&mut random, GetRandomFlags::empty())?;
        let random = u64::from_le_bytes(random);
        // It gets its name when it is locked, so that nobody finds one that is not and takes it for left over.
        let unlocked = temporary.join(format!("{UNLOCKED_PREFIX}{random:016x}"));
        DirBuilder::new().mode(0o700).create(&unlocked)?;
        let lock = open(&unlocked)?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive)?;
        let path = temporary.join(format!("{PREFIX}{random:016x}"));
        fs::rename(&unlocked, &path)?;
        Ok(Self { path, _lock: lock })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Makes a child's own folder, where it cannot be a mount.
    pub(crate) fn make_one(&self, id: u64) -> io::Result<PathBuf> {
        let path = self.path.join(id.to_string());
        DirBuilder::new().mode(0o700).create(&path)?;
        Ok(path)
    }

    /// Removes the folder; what cannot be removed is left to the next spawner.
    pub(crate) fn remove(&self) {
        let _ = empty_home(&self.path, HOME_REMOVAL);
    }
}

fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(File::from(rustix::fs::open(path, flags, Mode::empty())?))
}

fn remove_leftovers(temporary: &Path, user: u32) {
    let Ok(entries) = fs::read_dir(temporary) else { return };
    for entry in entries.flatten() {
        let named = entry.file_name().to_str().is_some_and(|name| name.starts_with(PREFIX));
        let Some(folder) = named.then(|| open(&entry.path()).ok()).flatten() else { continue };
        let owned = folder.metadata().is_ok_and(|metadata| metadata.uid() == user);
        if owned && flock(&folder, FlockOperation::NonBlockingLockExclusive).is_ok() {
            let _ = empty_home(&entry.path(), HOME_REMOVAL);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_left_over_is_removed_and_a_living_one_is_not() {
        let temporary = tempfile::tempdir().unwrap();
        let user = rustix::process::geteuid().as_raw();
        let living = Homes::make(temporary.path(), user).unwrap();
        let dead = temporary.path().join(format!("{PREFIX}dead"));
        fs::create_dir(&dead).unwrap();
        fs::write(dead.join("file"), "x").unwrap();
        let other = temporary.path().join("somebody-else");
        fs::create_dir(&other).unwrap();
        let link = temporary.path().join(format!("{PREFIX}link"));
        std::os::unix::fs::symlink(&other, &link).unwrap();

        let young = Homes::make(temporary.path(), user).unwrap();
        assert!(living.path().exists() && young.path().exists());
        assert!(other.exists() && link.exists(), "a link is nobody's folder");
        assert!(!dead.exists());
        young.remove();
        assert!(!young.path().exists());
    }

    #[test]
    fn a_folder_of_another_user_is_left_alone() {
        let temporary = tempfile::tempdir().unwrap();
        let theirs = temporary.path().join(format!("{PREFIX}theirs"));
        fs::create_dir(&theirs).unwrap();
        let somebody = rustix::process::geteuid().as_raw() + 1;
        Homes::make(temporary.path(), somebody).unwrap();
        assert!(theirs.exists());
    }
}
