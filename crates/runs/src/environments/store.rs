//! Environments that are built: each in a folder under its key, whole or not there.

use std::collections::{HashMap, HashSet};
use std::fs::{self, DirBuilder, File};
use std::io::{self, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;
use ringfence_json::Object;
use ringfence_types::Digest;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, openat2, renameat, statat};
use tokio_util::sync::CancellationToken;

use super::in_order::going_on;
use super::manifest::Manifest;
use crate::tree::{BENEATH, real_folder, remove_tree};

/// The environment itself, in the folder of its key; and what it consists of.
const TREE: &str = "tree";
const MANIFEST: &str = "manifest.jsonl";

/// What stands before the name of what is not whole: being built, or being removed.
const UNFINISHED: &str = ".unfinished-";

/// All environments of a node.
#[derive(Debug)]
pub(crate) struct Store {
    folder: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// How many use each.
    used: HashMap<Digest, usize>,
    /// Those that were read to their end and are what they were, since the node began.
    proven: HashSet<Digest>,
    drafts: u64,
}

/// An environment that is used: it is not removed before this is dropped.
#[derive(Debug)]
pub(crate) struct InUse {
    store: Arc<Store>,
    key: Digest,
}

/// A folder in which one is built. Removed when it is dropped.
#[derive(Debug)]
pub(crate) struct Draft(PathBuf);

// === impl Store ===

impl Store {
    /// Those in this folder. What was not finished is removed.
    pub(crate) fn open(folder: PathBuf) -> Arc<Self> {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with(UNFINISHED) {
                // What cannot be removed has a name that is never looked for.
                let _ = remove_tree(&entry.path());
            }
        }
        Arc::new(Self { folder, state: Mutex::default() })
    }

    /// The environment of this key, if it is there and is what it was. Blocks for as long as it takes to read all of it, the
    /// first time after the node began, or until it is called off.
    pub(crate) fn get(self: &Arc<Self>, key: Digest, stop: &CancellationToken) -> Option<InUse> {
        let in_use = self.hold(key);
        if !self.is_there(key) {
            return None;
        }
        if !self.is_proven(key) {
            let whole = is_whole(&self.place(key), stop);
            // What was not read to its end is neither.
            if !whole && stop.is_cancelled() || !self.judge(key, whole) {
                return None;
            }
        }
        // It was used now: that is what its age is counted from. Where that cannot be said, it is removed early.
        let manifest = self.place(key).join(MANIFEST);
        let _ = File::open(&manifest).and_then(|file| file.set_modified(SystemTime::now()));
        Some(in_use)
    }

    /// Whether one has to be read before it is given to anybody.
    pub(crate) fn is_to_be_read(&self, key: Digest) -> bool {
        self.is_there(key) && !self.is_proven(key)
    }

    /// Whether one is used that was read, and found to be whole or not. What is not goes; unless it was meanwhile found whole,
    /// or replaced by one that is: then it may be used by others.
    fn judge(&self, key: Digest, whole: bool) -> bool {
        let mut state = self.state.lock();
        if whole {
            state.proven.insert(key);
        }
        if state.proven.contains(&key) {
            return true;
        }
        let away = self.rename_away(key, &mut state);
        drop(state);
        tracing::warn!(environment = %key.short(), "an environment is not what was built; it is built again");
        // What cannot be removed now is at the next start.
        away.inspect(|path| drop(remove_tree(path)));
        false
    }

    /// A folder to build in.
    pub(crate) fn draft(&self, key: Digest) -> io::Result<Draft> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)?;
        let folder = self.unfinished(key, &mut self.state.lock());
        DirBuilder::new().mode(0o700).create(&folder)?;
        Ok(Draft(folder))
    }

    /// Takes in what was built: `built`, in the draft, becomes the environment; whatever else is in the draft goes. Nobody
    /// finds it before it is whole and on the disk. Where another build was faster, its environment stays, which runs may
    /// have. Blocks, or until it is called off.
    pub(crate) fn put(
        self: &Arc<Self>,
        key: Digest,
        draft: &Draft,
        built: &Path,
        about: Object,
        stop: &CancellationToken,
    ) -> io::Result<InUse> {
        let whole = self.draft(key)?;
        draft.give(built, &whole)?;
        let manifest = Manifest::of(&whole.0.join(TREE), stop)?;
        let mut file = File::create_new(whole.0.join(MANIFEST))?;
        file.write_all(manifest.to_text(about).as_bytes())?;
        rustix::fs::syncfs(&file)?;
        going_on(stop)?;
        let in_use = self.hold(key);
        let away = self.place_now(key, &whole)?;
        File::open(&self.folder)?.sync_all()?;
        away.inspect(|path| drop(remove_tree(path)));
        Ok(in_use)
    }

    /// Gives what is whole its place, unless there is one that is proven; what was there, if it was none, to be removed.
    fn place_now(&self, key: Digest, whole: &Draft) -> io::Result<Option<PathBuf>> {
        let mut state = self.state.lock();
        if state.proven.contains(&key) && self.is_there(key) {
            return Ok(None);
        }
        // Of an earlier time, and nobody has it: it was never found whole.
        let away = self.rename_away(key, &mut state);
        fs::rename(&whole.0, self.place(key))?;
        state.proven.insert(key);
        Ok(away)
    }

    /// Removes those that nobody uses and nobody has used for so long. Blocks.
    pub(crate) fn prune(&self, kept: Duration) {
        let now = SystemTime::now();
        for entry in fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            let Some(key) = entry.file_name().to_str().and_then(|name| name.parse::<Digest>().ok()) else {
                continue;
            };
            let used = fs::metadata(entry.path().join(MANIFEST)).and_then(|found| found.modified());
            let age = used.ok().and_then(|used| now.duration_since(used).ok());
            if age.is_some_and(|age| age > kept) {
                let mut state = self.state.lock();
                if !state.used.contains_key(&key) {
                    let away = self.rename_away(key, &mut state);
                    drop(state);
                    away.inspect(|path| drop(remove_tree(path)));
                }
            }
        }
    }

    fn hold(self: &Arc<Self>, key: Digest) -> InUse {
        *self.state.lock().used.entry(key).or_default() += 1;
        InUse { store: Arc::clone(self), key }
    }

    /// Takes an environment out of the way: nobody finds it any more. It is to be removed, when the lock is no longer held.
    fn rename_away(&self, key: Digest, state: &mut State) -> Option<PathBuf> {
        state.proven.remove(&key);
        let away = self.unfinished(key, state);
        fs::rename(self.place(key), &away).is_ok().then_some(away)
    }

    /// A name that nothing has.
    fn unfinished(&self, key: Digest, state: &mut State) -> PathBuf {
        state.drafts += 1;
        self.folder.join(format!("{UNFINISHED}{}-{}", key.short(), state.drafts))
    }

    fn is_there(&self, key: Digest) -> bool {
        self.place(key).join(MANIFEST).is_file()
    }

    fn is_proven(&self, key: Digest) -> bool {
        self.state.lock().proven.contains(&key)
    }

    fn place(&self, key: Digest) -> PathBuf {
        self.folder.join(key.to_string())
    }
}

/// Whether what is in a folder is what its manifest says.
fn is_whole(place: &Path, stop: &CancellationToken) -> bool {
    let said = fs::read_to_string(place.join(MANIFEST));
    let found = Manifest::of(&place.join(TREE), stop);
    matches!((said, found), (Ok(said), Ok(found)) if found.is_said_by(&said))
}

// === impl InUse ===

impl InUse {
    /// The environment's folder on the machine.
    pub(crate) fn tree(&self) -> PathBuf {
        self.store.place(self.key).join(TREE)
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        let mut state = self.store.state.lock();
        if let Some(count) = state.used.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                state.used.remove(&self.key);
            }
        }
    }
}

// === impl Draft ===

impl Draft {
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Moves what was built into another folder, as its tree. A stranger may have been at work here: what is no folder, or
    /// leads anywhere by a link, is not moved.
    fn give(&self, built: &Path, whole: &Self) -> io::Result<()> {
        let refused = |why: &dyn std::fmt::Display| {
            io::Error::other(format!("{} is no folder that was built there: {why}", built.display()))
        };
        let parent = self.folder(built.parent()).map_err(|error| refused(&error))?;
        let name = built.file_name().ok_or_else(|| refused(&"it has no name"))?;
        let found = statat(&parent, name, AtFlags::SYMLINK_NOFOLLOW).map_err(|error| refused(&error))?;
        if FileType::from_raw_mode(found.st_mode) != FileType::Directory {
            return Err(refused(&"it is something else"));
        }
        Ok(renameat(&parent, name, real_folder(&whole.0)?, TREE)?)
    }

    /// A folder in it, over no link.
    fn folder(&self, inside: Option<&Path>) -> io::Result<OwnedFd> {
        let root = real_folder(&self.0)?;
        match inside.filter(|inside| !inside.as_os_str().is_empty()) {
            Some(inside) => {
                let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
                Ok(openat2(root.as_fd(), inside, flags, Mode::empty(), BENEATH)?)
            }
            None => Ok(root),
        }
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // What cannot be removed now is at the next start; what became an environment has another name.
        let _ = remove_tree(&self.0);
    }
}

#[cfg(test)]
mod tests;
