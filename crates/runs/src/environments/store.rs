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
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use rustix::fs::{chmodat, mkdirat};

    use super::*;

    fn key(text: &str) -> Digest {
        Digest::of(text.as_bytes())
    }

    fn built(store: &Arc<Store>, key: Digest, content: &str) -> InUse {
        let draft = store.draft(key).unwrap();
        fs::create_dir_all(draft.path().join("python/lib")).unwrap();
        fs::write(draft.path().join("python/lib/a.py"), content).unwrap();
        fs::write(draft.path().join("cache"), "much").unwrap();
        put(store, key, &draft, "python").unwrap()
    }

    fn put(store: &Arc<Store>, key: Digest, draft: &Draft, built: &str) -> io::Result<InUse> {
        let about = Object::new().with("format", 1_u64);
        store.put(key, draft, Path::new(built), about, &CancellationToken::new())
    }

    fn get(store: &Arc<Store>, key: Digest) -> Option<InUse> {
        store.get(key, &CancellationToken::new())
    }

    fn read(in_use: &InUse) -> String {
        fs::read_to_string(in_use.tree().join("lib/a.py")).unwrap()
    }

    #[test]
    fn what_was_built_is_found_again_also_by_the_next_node() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path().join("environments"));
        assert!(get(&store, key("one")).is_none());
        assert_eq!(read(&built(&store, key("one"), "1")), "1");
        assert!(get(&store, key("two")).is_none());
        for store in [Arc::clone(&store), Store::open(folder.path().join("environments"))] {
            assert_eq!(read(&get(&store, key("one")).unwrap()), "1");
        }
        let names: Vec<_> = fs::read_dir(folder.path().join("environments")).unwrap().collect();
        assert_eq!(names.len(), 1, "drafts are gone: {names:?}");
    }

    #[test]
    fn what_was_torn_or_changed_is_not_used() {
        type Harm = fn(&Path);
        let harms: [Harm; 4] = [
            |place| fs::write(place.join("tree/lib/a.py"), "other").unwrap(),
            |place| fs::remove_file(place.join("tree/lib/a.py")).unwrap(),
            |place| fs::write(place.join("tree/more.py"), "").unwrap(),
            |place| fs::write(place.join(MANIFEST), "{}\n").unwrap(),
        ];
        for harm in harms {
            let folder = tempfile::tempdir().unwrap();
            drop(built(&Store::open(folder.path().to_owned()), key("one"), "1"));
            harm(&folder.path().join(key("one").to_string()));
            let store = Store::open(folder.path().to_owned());
            assert!(get(&store, key("one")).is_none());
            assert_eq!(read(&built(&store, key("one"), "2")), "2", "it is built again");
        }
    }

    #[test]
    fn half_of_one_is_never_found_and_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path().to_owned());
        let draft = store.draft(key("one")).unwrap();
        fs::create_dir(draft.path().join("python")).unwrap();
        assert!(get(&store, key("one")).is_none());
        // As a node that goes down leaves it.
        std::mem::forget(draft);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        let store = Store::open(folder.path().to_owned());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        assert!(get(&store, key("one")).is_none());
        let draft = store.draft(key("one")).unwrap();
        assert!(put(&store, key("one"), &draft, "absent").is_err());
        drop(draft);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_a_build_swapped_for_a_link_is_refused_and_nothing_behind_it_is_touched() {
        let folder = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        let closed = outside.path().join("node_modules/closed");
        fs::create_dir_all(&closed).unwrap();
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o100)).unwrap();
        let store = Store::open(folder.path().to_owned());
        for (link, target, built) in [
            ("python", "node_modules", "python"),
            ("input", "", "input/node_modules"),
            ("python", "node_modules/closed", "python"),
        ] {
            let draft = store.draft(key("one")).unwrap();
            symlink(outside.path().join(target), draft.path().join(link)).unwrap();
            let said = put(&store, key("one"), &draft, built).unwrap_err().to_string();
            assert!(said.contains("is no folder that was built there"), "{said}");
            assert!(get(&store, key("one")).is_none());
            let mode = fs::symlink_metadata(&closed).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o100, "it is where it was, as it was");
        }
        let draft = store.draft(key("one")).unwrap();
        fs::create_dir(draft.path().join("python")).unwrap();
        symlink(outside.path(), draft.path().join("python/lib")).unwrap();
        assert!(put(&store, key("one"), &draft, "python").is_err());
        drop(draft);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is kept");
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).unwrap();
    }

    #[test]
    fn what_a_build_left_goes_however_deep_and_closed_it_is_and_takes_nothing_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("kept"), "x").unwrap();
        let store = Store::open(folder.path().join("environments"));
        let draft = store.draft(key("one")).unwrap();
        symlink(outside.path(), draft.path().join("out")).unwrap();
        fs::hard_link(outside.path().join("kept"), draft.path().join("again")).unwrap();
        // Far deeper than what is walked into.
        let mut at = real_folder(draft.path()).unwrap();
        for _ in 0..1_500 {
            mkdirat(&at, "d", Mode::RWXU).unwrap();
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            at = rustix::fs::openat(&at, "d", flags, Mode::empty()).unwrap();
        }
        mkdirat(&at, "closed", Mode::RWXU).unwrap();
        chmodat(&at, "closed", Mode::empty(), AtFlags::empty()).unwrap();
        drop(at);
        fs::set_permissions(draft.path(), fs::Permissions::from_mode(0o000)).unwrap();
        drop(draft);
        assert_eq!(fs::read_dir(folder.path().join("environments")).unwrap().count(), 0);
        assert_eq!(fs::read(outside.path().join("kept")).unwrap(), b"x");
    }

    #[test]
    fn one_that_is_used_is_not_removed_and_one_that_is_not_is() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path().to_owned());
        let (one, two) = (built(&store, key("one"), "1"), built(&store, key("two"), "2"));
        drop(two);
        store.prune(Duration::from_hours(1));
        assert!(get(&store, key("two")).is_some(), "it was used lately");
        std::thread::sleep(Duration::from_millis(20));
        store.prune(Duration::from_millis(1));
        assert_eq!(read(&one), "1");
        assert!(get(&store, key("two")).is_none() && get(&store, key("one")).is_some());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn of_two_builds_of_one_environment_the_first_stays_and_who_has_it_keeps_it() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path().to_owned());
        let first = built(&store, key("one"), "1");
        let open = real_folder(&first.tree()).unwrap();
        let second = built(&store, key("one"), "2");
        assert_eq!((read(&first).as_str(), read(&second).as_str()), ("1", "1"));
        assert!(statat(&open, "lib/a.py", AtFlags::empty()).is_ok(), "what a run is shown is there");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "the second is gone");
        // One that somebody took away is built again.
        fs::remove_dir_all(folder.path().join(key("one").to_string())).unwrap();
        assert!(get(&store, key("one")).is_none());
        assert_eq!(read(&built(&store, key("one"), "3")), "3");
    }

    #[test]
    fn one_that_was_found_whole_or_replaced_meanwhile_is_not_taken_away() {
        let folder = tempfile::tempdir().unwrap();
        drop(built(&Store::open(folder.path().to_owned()), key("one"), "1"));
        let store = Store::open(folder.path().to_owned());
        assert!(store.is_to_be_read(key("one")) && !store.is_to_be_read(key("two")));
        let in_use = get(&store, key("one")).unwrap();
        assert!(!store.is_to_be_read(key("one")));
        // As somebody says who began to read it before.
        assert!(store.judge(key("one"), false));
        assert_eq!(read(&in_use), "1");
    }

    #[test]
    fn one_that_was_not_read_to_its_end_is_neither_used_nor_removed() {
        let folder = tempfile::tempdir().unwrap();
        drop(built(&Store::open(folder.path().to_owned()), key("one"), "1"));
        let store = Store::open(folder.path().to_owned());
        let stop = CancellationToken::new();
        stop.cancel();
        assert!(store.get(key("one"), &stop).is_none());
        assert_eq!(read(&get(&store, key("one")).unwrap()), "1");

        let draft = store.draft(key("two")).unwrap();
        fs::create_dir(draft.path().join("python")).unwrap();
        let put = store.put(key("two"), &draft, Path::new("python"), Object::new(), &stop);
        assert!(put.unwrap_err().to_string().contains("called off"));
        assert!(get(&store, key("two")).is_none());
    }
}
