//! From a folder to a version and back, whatever is in the folder.

mod hostile;
mod names;

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use ringfence_types::{AgentName, Timestamp, WorkspaceName};
use rustix::fs::{AtFlags, Mode, OFlags, linkat, mkdirat, openat};
use rustix::thread::{CapabilitySet, capabilities, set_capabilities};

use super::archive::{About, Extent, MAGIC, Tag, write_name};
use super::store::{Left, Store};
use super::unpack::unpack;
use super::{StateError, to_tar};
use crate::limits::{DEPTH_MAX, STATE_VERSIONS_MAX};

struct Scene {
    folder: tempfile::TempDir,
    store: Store,
    workspace: WorkspaceName,
    agent: AgentName,
}

impl Scene {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path().join("state"), folder.path().join("keys/state"));
        let (workspace, agent) = (WorkspaceName::new("lab").unwrap(), AgentName::new("assistant").unwrap());
        Self { folder, store, workspace, agent }
    }

    fn whose(&self) -> super::store::Whose<'_> {
        (&self.workspace, &self.agent)
    }

    fn keep(&self, from: &Path) -> Result<u64, StateError> {
        let left = Left { at: Timestamp::default(), run: None, why: "program".into(), from: None };
        let kept = self.store.keep(self.whose(), root(from), 1 << 30, left);
        kept.map(|(version, _)| version.number)
    }

    fn fill(&self, into: &Path) -> Result<Option<u64>, StateError> {
        fs::create_dir_all(into).unwrap();
        Ok(self.store.fill(self.whose(), &root(into))?.map(|version| version.number))
    }

    fn numbers(&self) -> Vec<u64> {
        self.store.versions(self.whose()).unwrap().iter().map(|version| version.number).collect()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A folder with one file.
    fn one(&self, content: &str) -> PathBuf {
        let folder = self.path("one");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("file"), content).unwrap();
        folder
    }
}

fn root(folder: &Path) -> OwnedFd {
    File::open(folder).unwrap().into()
}

/// Everything in a folder: path, kind and mode, content or target, and how many names it has.
fn all(folder: &Path) -> Vec<(PathBuf, u32, Vec<u8>, u64)> {
    let mut found = Vec::new();
    let mut left = vec![folder.to_owned()];
    while let Some(next) = left.pop() {
        for entry in fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            let about = fs::symlink_metadata(&path).unwrap();
            let content = if about.is_symlink() {
                fs::read_link(&path).unwrap().as_os_str().as_bytes().to_vec()
            } else if about.is_file() {
                // What nobody may read is empty here.
                fs::read(&path).unwrap_or_default()
            } else {
                Vec::new()
            };
            if about.is_dir() {
                left.push(path.clone());
            }
            let names = if about.is_file() { about.nlink() } else { 0 };
            found.push((path.strip_prefix(folder).unwrap().to_owned(), about.mode(), content, names));
        }
    }
    found.sort();
    found
}

#[test]
fn what_an_agent_keeps_comes_back_as_it_was() {
    let scene = Scene::new();
    let from = scene.path("from");
    fs::create_dir_all(from.join("a/b/c")).unwrap();
    fs::write(from.join("a/file"), "content").unwrap();
    fs::write(from.join("empty"), "").unwrap();
    fs::write(from.join("a/b/large"), vec![7; 700_000]).unwrap();
    fs::hard_link(from.join("a/file"), from.join("a/b/c/again")).unwrap();
    symlink("/etc/passwd", from.join("link")).unwrap();
    symlink("nowhere", from.join("a/b/dangling")).unwrap();
    fs::write(from.join(std::ffi::OsStr::from_bytes(b"odd\n\xff\\..")), "odd").unwrap();
    fs::set_permissions(from.join("a/file"), fs::Permissions::from_mode(0o640)).unwrap();
    fs::set_permissions(from.join("empty"), fs::Permissions::from_mode(0o000)).unwrap();
    fs::set_permissions(from.join("a/b"), fs::Permissions::from_mode(0o500)).unwrap();
    let old = File::open(from.join("a/file")).unwrap();
    old.set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000)).unwrap();

    let before = all(&from);
    assert_eq!(scene.keep(&from).unwrap(), 1);
    let into = scene.path("into");
    assert_eq!(scene.fill(&into).unwrap(), Some(1));
    let after = all(&into);
    assert_eq!(after, before);
    assert_eq!(after.iter().filter(|(_, _, _, names)| *names == 2).count(), 2, "two names of one file");
    assert_eq!(fs::metadata(into.join("a/file")).unwrap().mtime(), 1_000_000_000);
    for folder in [from, into] {
        fs::set_permissions(folder.join("a/b"), fs::Permissions::from_mode(0o700)).unwrap();
    }
}

#[test]
fn set_id_modes_do_not_come_back_and_neither_do_fifos_and_sockets() {
    let scene = Scene::new();
    let from = scene.path("from");
    fs::create_dir(&from).unwrap();
    fs::write(from.join("tool"), "x").unwrap();
    fs::set_permissions(from.join("tool"), fs::Permissions::from_mode(0o6755)).unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, from.join("fifo"), rustix::fs::FileType::Fifo, Mode::RUSR, 0)
        .unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(from.join("socket")).unwrap();
    let left = Left { at: Timestamp::default(), run: None, why: "program".into(), from: None };
    let (_, packed) = scene.store.keep(scene.whose(), root(&from), 1 << 20, left).unwrap();
    assert_eq!(packed.left_out, 2);
    let into = scene.path("into");
    scene.fill(&into).unwrap();
    let mode = fs::metadata(into.join("tool")).unwrap().mode() & 0o7777;
    assert_eq!((mode, all(&into).len()), (0o755, 1));
}

#[test]
fn holes_stay_holes() {
    let scene = Scene::new();
    let from = scene.path("from");
    fs::create_dir(&from).unwrap();
    let sparse = File::create(from.join("sparse")).unwrap();
    sparse.set_len(1 << 40).unwrap();
    sparse.write_all_at(b"in the middle", 1 << 39).unwrap();
    scene.keep(&from).unwrap();
    let version = &scene.store.versions(scene.whose()).unwrap()[0];
    assert!(version.bytes < 1 << 20, "{}", version.bytes);
    let into = scene.path("into");
    scene.fill(&into).unwrap();
    let sparse = File::open(into.join("sparse")).unwrap();
    let about = sparse.metadata().unwrap();
    assert!(about.len() == 1 << 40 && about.blocks() < 2_048, "{} blocks", about.blocks());
    let mut middle = [0; 13];
    sparse.read_exact_at(&mut middle, 1 << 39).unwrap();
    assert_eq!(&middle, b"in the middle");
    // Written out they would be a terabyte.
    let tar = to_tar(&mut scene.store.version(scene.whose(), None).unwrap(), &mut io::sink());
    assert!(tar.unwrap_err().to_string().contains("holes"));
}

#[test]
fn what_is_more_than_is_kept_is_refused_and_the_versions_before_stay() {
    let scene = Scene::new();
    scene.keep(&scene.one("good")).unwrap();
    let deep = scene.path("deep");
    fs::create_dir_all(deep.join(vec!["d"; DEPTH_MAX + 1].join("/"))).unwrap();
    let error = scene.keep(&deep).unwrap_err().to_string();
    assert!(error.contains("folders deep"), "{error}");
    let left = Left { at: Timestamp::default(), run: None, why: "program".into(), from: None };
    let error = scene.store.keep(scene.whose(), root(&scene.one("too much")), 3, left).unwrap_err();
    assert!(error.to_string().contains("file: there is more"), "{error}");
    assert_eq!(scene.numbers(), [1]);
    let left_over: Vec<_> = fs::read_dir(scene.path("state/lab/assistant")).unwrap().flatten().collect();
    assert_eq!(left_over.len(), 2, "the version and the index: {left_over:?}");
    let into = scene.path("into");
    assert_eq!(scene.fill(&into).unwrap(), Some(1));
    assert_eq!(fs::read_to_string(into.join("file")).unwrap(), "good");
}

#[test]
fn so_many_versions_are_kept_and_an_earlier_one_can_be_the_newest_again() {
    let scene = Scene::new();
    assert_eq!(scene.fill(&scene.path("empty")).unwrap(), None);
    for number in 1..=STATE_VERSIONS_MAX + 3 {
        scene.keep(&scene.one(&format!("content {number}"))).unwrap();
    }
    let last = (STATE_VERSIONS_MAX + 3) as u64;
    assert_eq!(scene.numbers(), (4..=last).collect::<Vec<_>>());
    let missing = scene.store.restore(scene.whose(), 3, Timestamp::default()).unwrap_err();
    assert!(missing.to_string().contains("there are: 4, 5"), "{missing}");
    let restored = scene.store.restore(scene.whose(), 5, Timestamp::default()).unwrap();
    assert_eq!((restored.number, restored.from), (last + 1, Some(5)));
    let into = scene.path("into");
    assert_eq!(scene.fill(&into).unwrap(), Some(last + 1));
    assert_eq!(fs::read_to_string(into.join("file")).unwrap(), "content 5");
    assert_eq!(scene.store.clear(scene.whose()).unwrap(), STATE_VERSIONS_MAX as u64);
    assert_eq!(scene.fill(&scene.path("cleared")).unwrap(), None);
    assert_eq!(scene.keep(&scene.one("new")).unwrap(), last + 2, "no number is used twice");
    assert_eq!(scene.store.all(), [(scene.workspace.clone(), scene.agent.clone())]);
}

#[test]
fn a_version_that_was_changed_or_put_in_the_place_of_another_is_not_restored() {
    let scene = Scene::new();
    for content in ["one", "two", "six"] {
        scene.keep(&scene.one(content)).unwrap();
    }
    let file = |number: u64| scene.path(&format!("state/lab/assistant/{number}.state"));
    let kept = fs::read(file(3)).unwrap();
    let refused = |into: &str| {
        let error = scene.fill(&scene.path(into)).unwrap_err();
        assert!(matches!(error, StateError::Damaged { version: 3, .. }), "{error}");
    };
    let mut changed = kept.clone();
    *changed.last_mut().unwrap() ^= 1;
    fs::write(file(3), changed).unwrap();
    refused("a");
    fs::copy(file(2), file(3)).unwrap();
    refused("b");
    fs::write(file(3), &kept[..kept.len() - 1]).unwrap();
    refused("c");
    fs::remove_file(file(3)).unwrap();
    refused("d");
    // Of another store with the same key: sealed well, for the same place, and not what was kept.
    let other = Scene::new();
    fs::create_dir_all(other.path("keys/state")).unwrap();
    fs::copy(scene.path("keys/state/lab"), other.path("keys/state/lab")).unwrap();
    for content in ["x", "y", "z"] {
        other.keep(&other.one(content)).unwrap();
    }
    fs::copy(other.path("state/lab/assistant/3.state"), file(3)).unwrap();
    refused("e");
    let error = scene.store.restore(scene.whose(), 3, Timestamp::default()).unwrap_err();
    assert!(matches!(error, StateError::Damaged { version: 3, .. }), "{error}");
    assert_eq!(scene.numbers(), [1, 2, 3]);
    // An earlier one is the way out.
    scene.store.restore(scene.whose(), 2, Timestamp::default()).unwrap();
    assert_eq!(scene.fill(&scene.path("f")).unwrap(), Some(4));
    fs::remove_file(scene.path("keys/state/lab")).unwrap();
    assert!(matches!(scene.fill(&scene.path("g")), Err(StateError::NoKey(_))));
    assert!(
        matches!(scene.keep(&scene.one("x")), Err(StateError::NoKey(_))),
        "no new key beside what the old sealed"
    );
}

#[test]
fn what_a_crash_leaves_is_the_versions_before_or_one_more() {
    let scene = Scene::new();
    scene.keep(&scene.one("one")).unwrap();
    let folder = scene.path("state/lab/assistant");
    // Before it is whole; before the index names it; while the index is written.
    fs::write(folder.join("unfinished"), "half").unwrap();
    fs::write(folder.join("2.state"), "whole, and nobody knows").unwrap();
    fs::write(folder.join("index.new"), "{").unwrap();
    assert_eq!(scene.fill(&scene.path("a")).unwrap(), Some(1));
    assert_eq!(scene.keep(&scene.one("two")).unwrap(), 2);
    assert_eq!(scene.fill(&scene.path("b")).unwrap(), Some(2));
    fs::write(folder.join("9.state"), "left by a crash").unwrap();
    scene.keep(&scene.one("three")).unwrap();
    assert!(!folder.join("9.state").exists());
    fs::write(folder.join("index.json"), "{").unwrap();
    assert!(scene.store.versions(scene.whose()).is_err());
    assert_eq!(scene.store.clear(scene.whose()).unwrap(), 3);
    assert_eq!(scene.keep(&scene.one("four")).unwrap(), 4);
}

#[test]
fn a_version_can_be_taken_out_as_a_tar() {
    let scene = Scene::new();
    let from = scene.path("from");
    let long = format!("{}/{}", "folder-with-a-long-name".repeat(4), "file-with-a-long-name".repeat(6));
    fs::create_dir_all(from.join(&long).parent().unwrap()).unwrap();
    fs::write(from.join(&long), "long").unwrap();
    fs::write(from.join("file"), vec![5; 1_000]).unwrap();
    fs::hard_link(from.join("file"), from.join("other")).unwrap();
    symlink("file", from.join("link")).unwrap();
    File::create(from.join("hole")).unwrap().set_len(2_000).unwrap();
    scene.keep(&from).unwrap();
    let mut snapshot = scene.store.version(scene.whose(), Some(1)).unwrap();
    let mut tar = Vec::new();
    to_tar(&mut snapshot, &mut tar).unwrap();
    snapshot.verify().unwrap();
    let path = scene.path("export.tar");
    fs::write(&path, &tar).unwrap();
    let into = scene.path("into");
    fs::create_dir(&into).unwrap();
    let mut extracting = std::process::Command::new("tar");
    let status = extracting.arg("-xf").arg(&path).arg("-C").arg(&into).status().unwrap();
    assert!(status.success());
    let mut content = String::new();
    File::open(into.join(&long)).unwrap().read_to_string(&mut content).unwrap();
    assert_eq!(content, "long");
    assert_eq!(all(&into), all(&from));
}

/// As when the runs of several agents of a workspace that kept nothing yet end at once.
#[test]
fn first_versions_that_agents_of_one_workspace_leave_at_once_are_all_kept_and_readable() {
    const AGENTS: usize = 8;
    let scene = Scene::new();
    let from = scene.one("content");
    for number in 0..20 {
        let workspace = WorkspaceName::new(&format!("lab{number}")).unwrap();
        let agents: Vec<_> = (0..AGENTS).map(|agent| AgentName::new(&format!("a{agent}")).unwrap()).collect();
        let begin = std::sync::Barrier::new(AGENTS);
        std::thread::scope(|scope| {
            for agent in &agents {
                scope.spawn(|| {
                    let left =
                        Left { at: Timestamp::default(), run: None, why: "program".into(), from: None };
                    begin.wait();
                    scene.store.keep((&workspace, agent), root(&from), 1 << 30, left).unwrap();
                });
            }
        });
        for agent in &agents {
            let into = scene.path(&format!("into/{workspace}/{agent}"));
            fs::create_dir_all(&into).unwrap();
            assert!(scene.store.fill((&workspace, agent), &root(&into)).unwrap().is_some());
            assert_eq!(fs::read_to_string(into.join("file")).unwrap(), "content");
        }
    }
    let left = fs::read_dir(scene.path("keys/state")).unwrap().count();
    assert_eq!(left, 20, "a key for each workspace, and nothing else");
}
