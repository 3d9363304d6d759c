//! A spawner's own folder in one hierarchy.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

use rustix::fs::{FlockOperation, Mode, OFlags, flock};
use rustix::process::{Signal, kill_process};
use rustix::rand::{GetRandomFlags, getrandom};

use super::handing::{Handed, hand_out};
use super::{Version, folders, processes, set};
use crate::limits::{KILL_PAUSE, REST_MOST};

/// How often a folder is made, where other spawners take it for left over.
const MAKE_ROUNDS: usize = 5;

/// Cgroups beside the node's own that are looked into for what dead spawners left.
const BESIDE_MAX: usize = 1_024;

const PREFIX: &str = "ringfence-";

/// A spawner's own folder in one hierarchy, locked while it lives.
#[derive(Debug)]
pub(super) struct Base {
    pub(super) path: PathBuf,
    /// What folders below have (v2).
    pub(super) handed: Handed,
    _lock: File,
}

// === impl Base ===

impl Base {
    /// Makes the folder in `parent`, and removes those that dead spawners left there.
    pub(super) fn make(parent: &Path, version: Version) -> Result<Self, String> {
        remove_leftovers(parent);
        for _ in 0..MAKE_ROUNDS {
            let made =
                locked(parent).map_err(|error| format!("no cgroup in {}: {error}", parent.display()))?;
            if let Some((path, lock)) = made {
                let mut base = Self { path, handed: Handed::default(), _lock: lock };
                if version == Version::Unified {
                    base.handed = hand_out(parent, &base.path).inspect_err(|_| base.remove())?;
                }
                return Ok(base);
            }
        }
        Err(format!("other nodes remove what is made in {}", parent.display()))
    }

    /// Removes the folder and what is left in it.
    pub(super) fn remove(&self) {
        remove_tree(&self.path);
    }
}

/// Makes a folder and locks it; `None` if another spawner took it for left over before it was locked.
fn locked(parent: &Path) -> io::Result<Option<(PathBuf, File)>> {
    let mut random = [0_u8; 8];
    getrandom(&mut random, GetRandomFlags::empty())?;
    let path = parent.join(format!("{PREFIX}{:016x}", u64::from_le_bytes(random)));
    fs::create_dir(&path)?;
    let Ok(lock) = open(&path) else { return Ok(None) };
    // Whoever holds it removes the folder and lets go.
    flock(&lock, FlockOperation::LockExclusive)?;
    Ok(path.exists().then_some((path, lock)))
}

fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(File::from(rustix::fs::open(path, flags, Mode::empty())?))
}

/// Removes what dead spawners left in `parent` and in the cgroups beside it: a node that is started again is not
/// always in the same one.
fn remove_leftovers(parent: &Path) {
    let above = parent.parent().filter(|above| above.join("cgroup.procs").exists());
    let beside = above.map(folders).unwrap_or_default();
    for place in beside.iter().map(PathBuf::as_path).filter(|place| *place != parent).take(BESIDE_MAX) {
        remove_dead(place);
    }
    remove_dead(parent);
}

fn remove_dead(place: &Path) {
    for folder in folders(place) {
        let named =
            folder.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with(PREFIX));
        let Some(lock) = named.then(|| open(&folder).ok()).flatten() else { continue };
        if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok() {
            remove_tree(&folder);
        }
    }
}

/// Ends what lives in its folders, and removes it. Who has just been killed is there for another moment.
fn remove_tree(folder: &Path) {
    let until = Instant::now() + REST_MOST;
    let mut left = folders(folder);
    loop {
        left.retain(|below| {
            end(below);
            fs::remove_dir(below).is_err_and(|error| error.kind() == io::ErrorKind::ResourceBusy)
        });
        if left.is_empty() || Instant::now() > until {
            break;
        }
        std::thread::sleep(KILL_PAUSE);
    }
    let _ = fs::remove_dir(folder);
}

fn end(folder: &Path) {
    // Linux 5.14, and v2.
    let _ = set(folder, "cgroup.kill", "1");
    for pid in processes(folder) {
        let _ = kill_process(pid, Signal::KILL);
    }
    // Whoever is frozen in v1 does not even die.
    let _ = set(folder, "freezer.state", "THAWED");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn controllers_that_are_not_there_or_not_handed_down_are_said() {
        let parent = tempfile::tempdir().unwrap();
        fs::write(parent.path().join("cgroup.controllers"), "cpuset io pids cpu\n").unwrap();
        fs::write(parent.path().join("cgroup.subtree_control"), "").unwrap();
        let base = Base::make(parent.path(), Version::Unified).unwrap();
        // The parent grants; the new folder is none of the kernel's and has no file to grant with.
        let granted = fs::read_to_string(parent.path().join("cgroup.subtree_control")).unwrap();
        assert!(granted.starts_with("+cpu"), "{granted}");
        assert_eq!(base.handed.controllers, []);
        let without = base.handed.without.unwrap();
        assert!(without.starts_with("cgroup.subtree_control in "), "{without}");
    }

    #[test]
    fn what_a_dead_spawner_left_is_removed_and_a_living_ones_is_not() {
        let parent = tempfile::tempdir().unwrap();
        let living = Base::make(parent.path(), Version::Old).unwrap();
        let dead = parent.path().join(format!("{PREFIX}dead"));
        fs::create_dir_all(dead.join("7")).unwrap();
        let other = parent.path().join("system.slice");
        fs::create_dir(&other).unwrap();
        let young = Base::make(parent.path(), Version::Old).unwrap();
        assert!(living.path.exists() && young.path.exists() && other.exists());
        assert!(!dead.exists());
        young.remove();
        assert!(!young.path.exists());
    }

    #[test]
    fn what_was_left_in_a_cgroup_beside_the_own_one_is_removed_too() {
        let above = tempfile::tempdir().unwrap();
        let (before, now) = (above.path().join("before"), above.path().join("now"));
        let dead = before.join(format!("{PREFIX}dead"));
        fs::create_dir_all(&dead).unwrap();
        fs::create_dir(&now).unwrap();
        // Without the file it is no cgroup, and nothing beside is looked into.
        Base::make(&now, Version::Old).unwrap();
        assert!(dead.exists());
        fs::write(above.path().join("cgroup.procs"), "").unwrap();
        Base::make(&now, Version::Old).unwrap();
        assert!(!dead.exists());
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_an_error_that_names_it() {
        let refused = Base::make(Path::new("/proc/self"), Version::Old).unwrap_err();
        assert!(refused.starts_with("no cgroup in /proc/self: "), "{refused}");
    }
}
