//! Where private homes are: one folder per spawner, an empty place to mount on; folders in it where nothing can
//! be mounted.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, Mode, OFlags, flock};
use rustix::rand::{GetRandomFlags, getrandom};

const PREFIX: &str = "ringfence-home-";

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
        let path = temporary.join(format!("{PREFIX}{:016x}", u64::from_le_bytes(random)));
        DirBuilder::new().mode(0o700).create(&path)?;
        let lock = open(&path)?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive)?;
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
        let _ = fs::remove_dir_all(&self.path);
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
        // A spawner locks its folder within moments of making it; an hour keeps us off those moments.
        let old = folder
            .metadata()
            .and_then(|metadata| metadata.modified())
            .is_ok_and(|time| time.elapsed().is_ok_and(|age| age > std::time::Duration::from_hours(1)));
        if owned && old && flock(&folder, FlockOperation::NonBlockingLockExclusive).is_ok() {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, SystemTime};

    #[test]
    fn a_folder_left_over_is_removed_and_a_living_one_is_not() {
        let temporary = tempfile::tempdir().unwrap();
        let user = rustix::process::geteuid().as_raw();
        let age = |path: &Path| {
            let time = SystemTime::now() - Duration::from_hours(2);
            File::open(path).unwrap().set_modified(time).unwrap();
        };
        let living = Homes::make(temporary.path(), user).unwrap();
        age(living.path());
        let dead = temporary.path().join(format!("{PREFIX}dead"));
        fs::create_dir(&dead).unwrap();
        fs::write(dead.join("file"), "x").unwrap();
        age(&dead);
        let other = temporary.path().join("somebody-else");
        fs::create_dir(&other).unwrap();
        age(&other);

        let young = Homes::make(temporary.path(), user).unwrap();
        assert!(living.path().exists() && other.exists() && young.path().exists());
        assert!(!dead.exists());
        young.remove();
        assert!(!young.path().exists());
    }
}
