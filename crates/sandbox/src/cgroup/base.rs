//! A spawner's own folder in one hierarchy.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, Mode, OFlags, flock};
use rustix::process::{getpid, getppid};
use rustix::rand::{GetRandomFlags, getrandom};

use super::hierarchies::Controller;
use super::{Version, folders, set};

/// How often a folder is made, where other spawners take it for left over.
const MAKE_ROUNDS: usize = 5;

const PREFIX: &str = "ringfence-";

/// Where the node and its spawner go, so that their own cgroup (v2) may hand out controllers.
const NODE: &str = "ringfence_node";

/// A spawner's own folder in one hierarchy, locked while it lives.
#[derive(Debug)]
pub(super) struct Base {
    pub(super) path: PathBuf,
    /// Controllers that folders below have (v2).
    pub(super) controllers: Vec<Controller>,
    /// Why not more of them (v2).
    pub(super) without: Option<String>,
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
                let mut base = Self { path, controllers: Vec::new(), without: None, _lock: lock };
                if version == Version::Unified {
                    base.hand_out(parent);
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

    /// Has the controllers of the parent handed to the folders below this one.
    fn hand_out(&mut self, parent: &Path) {
        let available = fs::read_to_string(parent.join("cgroup.controllers")).unwrap_or_default();
        let known =
            [("memory", Controller::Memory), ("pids", Controller::Processes), ("cpu", Controller::Cpu)];
        for (name, controller) in known {
            if !available.split_whitespace().any(|one| one == name) {
                self.without = Some(format!("the cgroup {} has no controller {name}", parent.display()));
                continue;
            }
            let grant = format!("+{name}");
            let handed = set(parent, "cgroup.subtree_control", &grant)
                .or_else(|why| {
                    make_way(parent).map_err(|also| format!("{why}; {also}"))?;
                    set(parent, "cgroup.subtree_control", &grant)
                })
                .and_then(|()| set(&self.path, "cgroup.subtree_control", &grant));
            match handed {
                Ok(()) => self.controllers.push(controller),
                Err(why) => self.without = Some(why),
            }
        }
    }
}

/// Makes a folder and locks it; `None` if another spawner took it for left over before it was locked.
fn locked(parent: &Path) -> std::io::Result<Option<(PathBuf, File)>> {
    let mut random = [0_u8; 8];
    getrandom(&mut random, GetRandomFlags::empty())?;
    let path = parent.join(format!("{PREFIX}{:016x}", u64::from_le_bytes(random)));
    fs::create_dir(&path)?;
    let Ok(lock) = open(&path) else { return Ok(None) };
    // Whoever holds it removes the folder and lets go.
    flock(&lock, FlockOperation::LockExclusive)?;
    Ok(path.exists().then_some((path, lock)))
}

/// A cgroup with processes in it hands out no controllers. If these are the node and this spawner alone, they move
/// into a folder of their own; other people's processes are not moved.
fn make_way(parent: &Path) -> Result<(), String> {
    let inside = fs::read_to_string(parent.join("cgroup.procs")).map_err(|error| error.to_string())?;
    let own = [Some(getpid()), getppid()].map(|pid| pid.map_or(0, |pid| pid.as_raw_nonzero().get()));
    if inside.lines().any(|line| line.parse().map_or(true, |pid: i32| !own.contains(&pid))) {
        return Err("other processes are in the node's cgroup".to_owned());
    }
    let aside = parent.join(NODE);
    if !aside.exists() {
        fs::create_dir(&aside).map_err(|error| error.to_string())?;
    }
    for pid in inside.lines() {
        set(&aside, "cgroup.procs", pid)?;
    }
    Ok(())
}

fn open(path: &Path) -> std::io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(File::from(rustix::fs::open(path, flags, Mode::empty())?))
}

fn remove_leftovers(parent: &Path) {
    for folder in folders(parent) {
        let named =
            folder.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with(PREFIX));
        let Some(lock) = named.then(|| open(&folder).ok()).flatten() else { continue };
        if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok() {
            remove_tree(&folder);
        }
    }
}

/// What is frozen in it is thawed first: a frozen process of v1 does not even die.
fn remove_tree(folder: &Path) {
    for below in folders(folder) {
        let _ = set(&below, "freezer.state", "THAWED");
        let _ = set(&below, "cgroup.kill", "1");
        let _ = fs::remove_dir(&below);
    }
    let _ = fs::remove_dir(folder);
}
