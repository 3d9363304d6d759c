//! Tests of the store: what is found, what stays, and what goes.

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
