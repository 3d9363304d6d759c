//! What a shelf loses, and what it never gives out.

use std::os::unix::fs::symlink;
use std::time::Duration;

use bytes::Bytes;

use super::super::tests::{CONFIG, START, answer, place};
use super::*;

const HOUR: Duration = Duration::from_hours(1);
const BOUNDS: Bounds = Bounds { files: 100, free_bytes: 0, file_bytes: 1 << 20 };
/// Four small answers.
const FOUR: u64 = 4 * BLOCK;

struct Scene {
    data: tempfile::TempDir,
    shelf: Shelf,
}

impl Scene {
    fn new() -> Self {
        Self::with(BOUNDS)
    }

    fn with(bounds: Bounds) -> Self {
        let data = tempfile::tempdir().unwrap();
        let shelf = Shelf::new(&data.path().join("cache"), bounds);
        Self { data, shelf }
    }

    fn folder(&self) -> PathBuf {
        self.data.path().join("cache")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.shelf.path(&place(name, HOUR).key)
    }

    fn put(&self, name: &str) {
        assert_eq!(self.shelf.put(&answer(name, b"what was said", HOUR), FOUR).unwrap(), Put::Kept);
    }

    fn get(&self, name: &str) -> Option<Bytes> {
        self.shelf.get(&place(name, HOUR), START).map(|answer| answer.body)
    }

    /// The shelf as the next start finds it.
    fn again(&self) -> Shelf {
        self.at(START)
    }

    fn at(&self, now: Timestamp) -> Shelf {
        let shelf = Shelf::new(&self.folder(), BOUNDS);
        shelf.look(now).unwrap();
        shelf
    }

    fn files(&self) -> Vec<String> {
        let entries = fs::read_dir(self.folder()).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort_unstable();
        names
    }
}

fn said(shelf: &Shelf, name: &str) -> Option<Bytes> {
    shelf.get(&place(name, HOUR), START).map(|answer| answer.body)
}

#[test]
fn folder_and_files_are_the_owners_alone_and_named_by_digests() {
    let scene = Scene::new();
    scene.put("one");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&scene.folder()), mode(&scene.path("one"))), (0o700, 0o600));
    assert_eq!(scene.files(), [Digest::of(b"one").to_string()]);
    fs::set_permissions(scene.folder(), Permissions::from_mode(0o755)).unwrap();
    scene.again();
    assert_eq!(mode(&scene.folder()), 0o700);
}

#[test]
fn what_was_not_used_for_longest_makes_room_and_bytes_are_counted_as_the_disk_does() {
    let scene = Scene::new();
    for name in ["a", "b", "c", "d"] {
        scene.put(name);
    }
    assert_eq!(scene.shelf.index.lock().bytes(), FOUR);
    assert!(scene.get("a").is_some());
    scene.put("e");
    assert_eq!((scene.get("b"), scene.files().len()), (None, 4));
    assert!(["a", "c", "d", "e"].iter().all(|name| scene.get(name).is_some()));
    scene.put("e");
    assert_eq!((scene.files().len(), scene.shelf.index.lock().bytes()), (4, FOUR), "again is not once more");
    let large = Answer::new(&place("large", HOUR), vec![0; 5_000].into(), START);
    assert_eq!(scene.shelf.put(&large, FOUR).unwrap(), Put::TooLarge);
    scene.shelf.sweep(START, CONFIG, 2 * BLOCK).unwrap();
    assert_eq!((scene.files().len(), scene.shelf.index.lock().len()), (2, 2), "less fits now");
    scene.shelf.sweep(START, CONFIG, 0).unwrap();
    assert!(scene.files().is_empty() && scene.shelf.is_empty());
}

#[test]
fn there_are_never_more_files_than_there_may_be() {
    let scene = Scene::with(Bounds { files: 2, ..BOUNDS });
    for name in ["a", "b", "c"] {
        scene.put(name);
    }
    assert_eq!((scene.files().len(), scene.get("a")), (2, None));
    let fewer = Shelf::new(&scene.folder(), Bounds { files: 1, ..BOUNDS });
    fewer.look(START).unwrap();
    assert_eq!((scene.files().len(), fewer.index.lock().len()), (1, 1));
}

#[test]
fn the_next_start_finds_what_was_kept_and_what_is_over_is_removed() {
    let scene = Scene::new();
    scene.put("long");
    scene.shelf.put(&answer("short", b"said", Duration::from_secs(1)), FOUR).unwrap();
    let shelf = scene.again();
    assert_eq!(said(&shelf, "long"), Some(Bytes::from_static(b"what was said")));
    assert_eq!(shelf.index.lock().bytes(), 2 * BLOCK);
    let shelf = scene.at(START.after(Duration::from_secs(1)));
    assert_eq!((shelf.index.lock().len(), scene.files().len()), (1, 1));
    assert!(shelf.get(&place("long", HOUR), START.after(HOUR)).is_none(), "its time is over while it runs");
    assert!(scene.files().is_empty());
}

#[test]
fn what_a_shorter_time_is_said_for_by_now_is_not_given_out() {
    let scene = Scene::new();
    scene.put("one");
    let shelf = scene.again();
    assert!(shelf.get(&place("one", HOUR / 2), START).is_none());
    assert!(scene.files().is_empty());
}

#[test]
fn what_another_configuration_decided_is_neither_given_out_nor_kept() {
    let scene = Scene::new();
    scene.put("one");
    let other = Place { config: Digest::of(b"another"), ..place("one", HOUR) };
    assert!(scene.shelf.get(&other, START).is_none());
    scene.put("two");
    scene.shelf.sweep(START, CONFIG, FOUR).unwrap();
    assert_eq!(scene.files().len(), 1);
    scene.shelf.sweep(START, Digest::of(b"another"), FOUR).unwrap();
    assert!(scene.files().is_empty());
}

#[test]
fn a_file_with_any_byte_changed_or_missing_is_removed_and_never_given_out() {
    let scene = Scene::new();
    scene.put("one");
    let whole = fs::read(scene.path("one")).unwrap();
    let refused = |bytes: &[u8], what: String| {
        fs::write(scene.path("one"), bytes).unwrap();
        let shelf = scene.again();
        assert_eq!(said(&shelf, "one"), None, "{what}");
        shelf.sweep(START, CONFIG, FOUR).unwrap();
        assert!(scene.files().is_empty() && shelf.is_empty(), "{what} stays");
        // Also where it changes while the node runs.
        scene.put("one");
        fs::write(scene.path("one"), bytes).unwrap();
        assert_eq!(scene.get("one"), None, "{what}");
        assert!(scene.files().is_empty(), "{what} stays");
    };
    for at in 0..whole.len() {
        let mut bad = whole.clone();
        bad[at] ^= 0x40;
        refused(&bad, format!("byte {at}"));
        refused(&whole[..at], format!("cut at {at}"));
    }
    refused(&[whole.as_slice(), b"x"].concat(), "one byte more".into());
    scene.put("one");
    assert!(scene.get("one").is_some(), "and there is room for the right one again");
}

#[test]
fn what_stands_under_anothers_name_is_not_given_out_however_much_of_it_is_the_same() {
    let scene = Scene::new();
    let mut near = *place("one", HOUR).key.0.as_bytes();
    near[31] ^= 1;
    let near = Place { key: Key(Digest::from_bytes(near)), ..place("one", HOUR) };
    scene.put("one");
    assert!(scene.shelf.get(&near, START).is_none());
    scene.shelf.put(&Answer::new(&near, Bytes::from_static(b"other"), START), FOUR).unwrap();
    assert_eq!(scene.get("one").unwrap(), "what was said");
    assert_eq!(scene.shelf.get(&near, START).unwrap().body, "other");
    fs::copy(scene.path("one"), scene.shelf.path(&near.key)).unwrap();
    assert!(scene.shelf.get(&near, START).is_none(), "a whole and right file, of another key");
    fs::copy(scene.path("one"), scene.shelf.path(&near.key)).unwrap();
    assert!(scene.again().get(&near, START).is_none());
    assert_eq!(scene.files().len(), 1);
}

#[test]
fn what_is_foreign_or_half_written_is_removed_and_folders_are_let_be() {
    let scene = Scene::new();
    scene.put("one");
    let elsewhere = scene.data.path().join("elsewhere");
    fs::write(&elsewhere, fs::read(scene.path("one")).unwrap()).unwrap();
    fs::write(scene.path("two").with_extension(UNFINISHED), b"RFKEPT01").unwrap();
    fs::write(scene.folder().join("notes.txt"), b"mine").unwrap();
    symlink(&elsewhere, scene.path("three")).unwrap();
    let fifo = scene.path("four");
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    fs::create_dir(scene.folder().join("folder")).unwrap();
    let shelf = scene.again();
    assert_eq!(shelf.index.lock().len(), 1);
    let mut left = vec![Digest::of(b"one").to_string(), "folder".to_owned()];
    left.sort_unstable();
    assert_eq!(scene.files(), left);
    assert!(elsewhere.exists(), "what a link leads to is not touched");
}

#[test]
fn a_link_in_place_of_a_file_or_of_the_folder_is_not_followed() {
    let scene = Scene::new();
    scene.put("one");
    let elsewhere = scene.data.path().join("elsewhere");
    fs::rename(scene.path("one"), &elsewhere).unwrap();
    symlink(&elsewhere, scene.path("one")).unwrap();
    assert_eq!(scene.get("one"), None);
    assert!(elsewhere.exists() && scene.files().is_empty());
    fs::remove_dir(scene.folder()).unwrap();
    let real = scene.data.path().join("real");
    fs::create_dir(&real).unwrap();
    symlink(&real, scene.folder()).unwrap();
    assert!(scene.shelf.look(START).is_err());
    assert!(scene.shelf.put(&answer("one", b"said", HOUR), FOUR).is_err());
    assert_eq!(fs::read_dir(&real).unwrap().count(), 0);
}

#[test]
fn a_disk_that_is_short_takes_nothing_and_gives_back_what_it_has() {
    let scene = Scene::new();
    scene.put("one");
    let short = Shelf::new(&scene.folder(), Bounds { free_bytes: u64::MAX, ..BOUNDS });
    short.look(START).unwrap();
    assert_eq!(short.put(&answer("two", b"said", HOUR), FOUR).unwrap(), Put::DiskIsShort);
    assert_eq!(scene.files().len(), 1);
    short.sweep(START, CONFIG, FOUR).unwrap();
    assert!(scene.files().is_empty() && short.is_empty());
}

#[test]
fn what_cannot_be_written_is_not_kept_until_it_can_be() {
    let scene = Scene::new();
    scene.put("one");
    let blocked = scene.path("one").with_extension(UNFINISHED);
    fs::create_dir(&blocked).unwrap();
    assert!(scene.shelf.put(&answer("one", b"newer", HOUR), FOUR).is_err());
    assert_eq!(scene.get("one"), None);
    fs::remove_dir(&blocked).unwrap();
    assert_eq!(scene.shelf.put(&answer("one", b"newer", HOUR), FOUR).unwrap(), Put::Kept);
    assert_eq!(scene.get("one").unwrap(), "newer");
}

#[test]
fn a_folder_that_somebody_removed_is_made_again() {
    let scene = Scene::new();
    scene.put("one");
    fs::remove_dir_all(scene.folder()).unwrap();
    assert_eq!(scene.get("one"), None);
    scene.put("two");
    assert!(scene.get("two").is_some());
    fs::remove_dir_all(scene.folder()).unwrap();
    scene.shelf.sweep(START, CONFIG, FOUR).unwrap();
    assert!(scene.shelf.is_empty());
}
