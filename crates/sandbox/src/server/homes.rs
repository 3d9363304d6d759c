//! Where private homes are: one folder per spawner, an empty place to mount on; folders in it where nothing can
//! be mounted.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{FlockOperation, Mode, OFlags, flock};
use rustix::rand::{GetRandomFlags, getrandom};

use super::empty::empty_home;
use crate::limits::HOME_REMOVAL;

const PREFIX: &str = "ringfence-home-";
const UNLOCKED_PREFIX: &str = "ringfence-new-";

/// Times that it is tried to make one.
const MAKING_ROUNDS: usize = 3;

/// So long after it was made, a folder that nobody has locked is left over.
const HOMES_MADE_WITHIN: Duration = Duration::from_mins(10);

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
        let mut made = Self::make_in(&temporary);
        for _ in 1..MAKING_ROUNDS {
            // Where this machine slept meanwhile, another spawner may have taken it for left over.
            made = made.or_else(|_| Self::make_in(&temporary));
        }
        made
    }

    fn make_in(temporary: &Path) -> io::Result<Self> {
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
        let name = entry.file_name();
        let starts_with = |prefix| name.to_str().is_some_and(|name| name.starts_with(prefix));
        let is_unlocked = starts_with(UNLOCKED_PREFIX);
        let named = is_unlocked || starts_with(PREFIX);
        let Some(folder) = named.then(|| open(&entry.path()).ok()).flatten() else { continue };
        let Ok(metadata) = folder.metadata() else { continue };
        if metadata.uid() != user || is_unlocked && !is_late(&metadata) {
            continue;
        }
        if flock(&folder, FlockOperation::NonBlockingLockExclusive).is_ok() {
            let _ = empty_home(&entry.path(), HOME_REMOVAL);
        }
    }
}

/// Whether whoever made it would have locked it by now.
fn is_late(folder: &fs::Metadata) -> bool {
    let age = folder.modified().ok().and_then(|made| made.elapsed().ok());
    age.is_some_and(|age| age > HOMES_MADE_WITHIN)
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

    #[test]
    fn what_got_no_name_in_time_is_left_over_and_what_is_being_made_is_not() {
        let temporary = tempfile::tempdir().unwrap();
        let user = rustix::process::geteuid().as_raw();
        let [dead, young, locked] =
            ["dead", "young", "locked"].map(|name| temporary.path().join(format!("{UNLOCKED_PREFIX}{name}")));
        for folder in [&dead, &young, &locked] {
            fs::create_dir(folder).unwrap();
        }
        let held = open(&locked).unwrap();
        flock(&held, FlockOperation::NonBlockingLockExclusive).unwrap();
        let hours_ago = std::time::SystemTime::now() - Duration::from_hours(2);
        for folder in [&dead, &locked] {
            open(folder).unwrap().set_modified(hours_ago).unwrap();
        }
        Homes::make(temporary.path(), user).unwrap();
        assert!(!dead.exists());
        assert!(young.exists() && locked.exists(), "somebody is at it");
        open(&young).unwrap().set_modified(hours_ago).unwrap();
        Homes::make(temporary.path(), user + 1).unwrap();
        assert!(young.exists(), "it is another's");
    }
}
