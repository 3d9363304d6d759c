//! What is kept of folders that strangers filled.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ringfence_json::Object;
use ringfence_types::Digest;
use rustix::fs::{RenameFlags, renameat_with};

use super::shelf::PutError;
use super::{Collected, FOLDER, Shelf, collect, forget_unused, open_kept};
use crate::limits::{BLOCK_BYTES, DEPTH_MAX, FILE_BYTES, LEFT_OUT_MAX};

const MOST: u64 = 1 << 20;

struct Scene {
    folder: tempfile::TempDir,
}

impl Scene {
    fn new() -> Self {
        let scene = Self { folder: tempfile::tempdir().unwrap() };
        fs::create_dir(scene.out()).unwrap();
        scene
    }

    fn out(&self) -> PathBuf {
        self.folder.path().join("out")
    }

    fn run(&self, name: &str) -> PathBuf {
        let run = self.folder.path().join("lab").join(name);
        fs::create_dir_all(&run).unwrap();
        run
    }

    fn collect(&self, run: &str, most: u64) -> Collected {
        let root: OwnedFd = File::open(self.out()).unwrap().into();
        collect(root, &mut Shelf::of(&self.run(run)), most).unwrap()
    }

    fn shared(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.folder.path().join("lab").join(FOLDER));
        entries.into_iter().flatten().map(|entry| entry.unwrap().path()).collect()
    }
}

fn names(objects: &[Object]) -> Vec<&str> {
    objects.iter().map(|object| object.text("name").unwrap()).collect()
}

fn why<'a>(collected: &'a Collected, name: &str) -> &'a str {
    let found = collected.left_out.iter().find(|object| object.text("name") == Some(name));
    found
        .unwrap_or_else(|| panic!("{name} was not left out: {:?}", names(&collected.left_out)))
        .text("why")
        .unwrap()
}

fn read(run: &Path, object: &Object) -> Vec<u8> {
    let digest: Digest = object.text("sha256").unwrap().parse().unwrap();
    let mut content = Vec::new();
    open_kept(run, &digest).unwrap().read_to_end(&mut content).unwrap();
    assert_eq!(content.len() as u64, object.get("bytes").unwrap().as_u64().unwrap());
    content
}

#[test]
fn files_are_kept_by_content_and_nothing_else_is() {
    let scene = Scene::new();
    let out = scene.out();
    fs::create_dir_all(out.join("a/b")).unwrap();
    fs::write(out.join("report.txt"), "report").unwrap();
    fs::write(out.join("a/b/same.txt"), "report").unwrap();
    fs::write(out.join("a/empty"), "").unwrap();
    fs::hard_link(out.join("report.txt"), out.join("a/again")).unwrap();
    fs::write(out.join("secret"), "mode 0").unwrap();
    fs::set_permissions(out.join("secret"), fs::Permissions::from_mode(0o000)).unwrap();
    fs::create_dir(out.join("closed")).unwrap();
    fs::write(out.join("closed/in"), "closed").unwrap();
    fs::set_permissions(out.join("closed"), fs::Permissions::from_mode(0o000)).unwrap();
    symlink("/etc/passwd", out.join("link")).unwrap();
    symlink("/etc", out.join("a/folder")).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        out.join("fifo"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(out.join("socket")).unwrap();
    fs::write(out.join(OsStr::from_bytes(b"odd\n\xff\x1b[2J\\..")), "odd").unwrap();
    fs::write(out.join("..."), "dots").unwrap();

    let collected = scene.collect("run_1", MOST);
    let odd = "odd\\n\\xff\\u{1b}[2J\\\\..";
    let expected = ["...", "a/again", "a/b/same.txt", "a/empty", "closed/in", odd, "report.txt", "secret"];
    assert_eq!(names(&collected.files), expected);
    assert_eq!(collected.left_out_count, 4);
    for (name, reason) in
        [("link", "symbolic"), ("a/folder", "symbolic"), ("fifo", "fifo"), ("socket", "socket")]
    {
        assert!(why(&collected, name).contains(reason));
    }
    let run = scene.run("run_1");
    let contents: Vec<Vec<u8>> = collected.files.iter().map(|file| read(&run, file)).collect();
    let expected: [&[u8]; 8] = [b"dots", b"report", b"report", b"", b"closed", b"odd", b"report", b"mode 0"];
    assert_eq!(contents, expected);
    assert_eq!(scene.shared().len(), 6, "each content once");
    for kept in scene.shared() {
        let about = fs::metadata(&kept).unwrap();
        assert_eq!((about.mode() & 0o777, about.nlink()), (0o600, 2), "{}", kept.display());
    }
    assert!(!run.join(FOLDER).join("unfinished").exists());
}

#[test]
fn what_is_too_much_is_left_out_and_a_file_that_says_it_is_long_costs_nothing() {
    let scene = Scene::new();
    let out = scene.out();
    File::create(out.join("a-terabyte")).unwrap().set_len(1 << 40).unwrap();
    fs::write(out.join("fits"), vec![1; 600]).unwrap();
    fs::write(out.join("small"), vec![2; 100]).unwrap();
    let sparse = File::create(out.join("sparse")).unwrap();
    sparse.set_len(300).unwrap();
    sparse.write_all_at(b"x", 299).unwrap();
    fs::create_dir_all(out.join(vec!["d"; DEPTH_MAX + 3].join("/"))).unwrap();
    let collected = scene.collect("run_1", 3 * BLOCK_BYTES);
    assert!(why(&collected, "a-terabyte").contains("more than 12Ki"), "{:?}", collected.left_out);
    assert_eq!(names(&collected.files), ["fits", "small", "sparse"]);
    assert_eq!(collected.bytes, 1_000);
    let deep = vec!["d"; DEPTH_MAX].join("/");
    assert!(why(&collected, &deep).contains("folders deep"));
    // What was read and then is too much leaves nothing.
    let collected = scene.collect("run_2", 2 * BLOCK_BYTES);
    assert_eq!(collected.files.len(), 2);
    assert!(collected.bytes < 1_000 && !scene.run("run_2").join(FOLDER).join("unfinished").exists());
}

#[test]
fn many_small_files_count_for_what_they_take_of_the_disk() {
    let scene = Scene::new();
    for number in 0..100 {
        fs::write(scene.out().join(number.to_string()), number.to_string()).unwrap();
    }
    fs::write(scene.out().join("empty"), "").unwrap();
    let collected = scene.collect("run_1", 40 * BLOCK_BYTES);
    assert_eq!(collected.files.iter().filter(|file| file.text("name") != Some("empty")).count(), 40);
    let on_disk = collected.disk_bytes;
    assert!(on_disk >= 41 * FILE_BYTES + 40 * 512 && collected.bytes < 100, "{on_disk}");
    // What is there already takes nothing.
    let again = scene.collect("run_2", 40 * BLOCK_BYTES);
    assert_eq!(again.files.len(), 41);
    let known = names(&collected.files);
    let new = names(&again.files).into_iter().filter(|name| !known.contains(name)).count() as u64;
    assert!(again.disk_bytes <= new * (BLOCK_BYTES + FILE_BYTES), "{} for {new}", again.disk_bytes);
}

#[test]
fn a_file_that_is_longer_than_it_said_is_given_up() {
    let scene = Scene::new();
    fs::write(scene.out().join("grown"), "grown").unwrap();
    let mut shelf = Shelf::of(&scene.run("run_1"));
    let put = shelf.put(File::open(scene.out().join("grown")).unwrap(), 4);
    assert!(matches!(put, Err(PutError::TooMuch)));
    assert_eq!(fs::read_dir(scene.run("run_1").join(FOLDER)).unwrap().count(), 0);
}

#[test]
fn many_that_are_left_out_are_counted_and_some_of_them_named() {
    let scene = Scene::new();
    for number in 0..LEFT_OUT_MAX + 50 {
        symlink("x", scene.out().join(number.to_string())).unwrap();
    }
    let long = vec!["n".repeat(255); 4].join("/");
    fs::create_dir_all(scene.out().join(&long)).unwrap();
    symlink("x", scene.out().join(&long).join("link")).unwrap();
    let collected = scene.collect("run_1", MOST);
    assert!(collected.files.is_empty());
    assert_eq!(
        (collected.left_out.len(), collected.left_out_count),
        (LEFT_OUT_MAX, LEFT_OUT_MAX as u64 + 51)
    );
    assert!(names(&collected.left_out).iter().all(|name| name.len() < 600));
    assert!(scene.shared().is_empty(), "where nothing is kept nothing is made");
}

#[test]
fn what_runs_left_alike_is_kept_once_until_the_last_of_them_is_forgotten() {
    let scene = Scene::new();
    fs::write(scene.out().join("same"), "same").unwrap();
    let first = scene.collect("run_1", MOST);
    fs::write(scene.out().join("other"), "other").unwrap();
    let second = scene.collect("run_2", MOST);
    assert_eq!(scene.shared().len(), 2);
    fs::remove_dir_all(scene.run("run_1")).unwrap();
    forget_unused(&scene.folder.path().join("lab"));
    assert_eq!(scene.shared().len(), 2);
    assert_eq!(read(&scene.run("run_2"), &second.files[1]), b"same");
    fs::remove_dir_all(scene.run("run_2")).unwrap();
    forget_unused(&scene.folder.path().join("lab"));
    assert!(scene.shared().is_empty());
    let digest: Digest = first.files[0].text("sha256").unwrap().parse().unwrap();
    assert_eq!(open_kept(&scene.run("run_1"), &digest).unwrap_err().kind(), std::io::ErrorKind::NotFound);
}

#[test]
fn what_was_changed_since_is_not_given_out() {
    let scene = Scene::new();
    fs::write(scene.out().join("report"), "report").unwrap();
    let collected = scene.collect("run_1", MOST);
    let digest: Digest = collected.files[0].text("sha256").unwrap().parse().unwrap();
    let kept = scene.run("run_1").join(FOLDER).join(digest.to_string());
    fs::write(&kept, "other!").unwrap();
    assert_eq!(open_kept(&scene.run("run_1"), &digest).unwrap_err().kind(), std::io::ErrorKind::InvalidData);
}

#[test]
fn a_disk_that_takes_nothing_leaves_files_out_and_says_so() {
    let scene = Scene::new();
    fs::write(scene.out().join("report"), "report").unwrap();
    let run = scene.run("run_1");
    // A file where the folder should be.
    fs::write(run.join(FOLDER), "").unwrap();
    let collected = scene.collect("run_1", MOST);
    assert!(collected.files.is_empty());
    assert!(why(&collected, "report").contains("cannot be kept"));
}

/// Somebody who still holds a descriptor of the folder exchanges a file and a folder in it for links to the machine's, as
/// fast as he can.
fn while_exchanged<T>(out: &Path, pairs: &[(&str, &str)], work: impl FnOnce() -> T) -> T {
    let stop = AtomicBool::new(false);
    let held = File::open(out).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut state = 0x5eed_u64;
            while !stop.load(Ordering::Relaxed) {
                for (one, other) in pairs {
                    renameat_with(&held, *one, &held, *other, RenameFlags::EXCHANGE).unwrap();
                    state ^= state << 13;
                    state ^= state >> 7;
                    state ^= state << 17;
                    std::thread::sleep(Duration::from_micros(state % 100));
                }
            }
        });
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        stop.store(true, Ordering::Relaxed);
        done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

#[test]
fn nothing_of_the_machine_is_kept_that_is_exchanged_for_what_the_run_left() {
    let scene = Scene::new();
    let (out, machine) = (scene.out(), scene.folder.path().join("machine"));
    fs::create_dir_all(out.join("folder/deep")).unwrap();
    fs::create_dir_all(machine.join("deep")).unwrap();
    for (within, text) in [(&out.join("folder"), "public"), (&machine, "secret")] {
        fs::write(within.join("paper"), text).unwrap();
        fs::write(within.join("deep/paper"), text).unwrap();
    }
    fs::write(out.join("file"), "public").unwrap();
    symlink(machine.join("paper"), out.join("file2")).unwrap();
    symlink(&machine, out.join("folder2")).unwrap();
    let pairs = [("file", "file2"), ("folder", "folder2")];
    let (mut kept, mut left_out) = (0, 0);
    while_exchanged(&out, &pairs, || {
        // The control: who looks first and reads then is deceived, by the file and by the folder.
        for (looked_at, opened) in [("file", "file"), ("folder", "folder/deep/paper")] {
            let begin = Instant::now();
            let deceived = || {
                !out.join(looked_at).is_symlink()
                    && fs::read(out.join(opened)).is_ok_and(|content| content == b"secret")
            };
            while !deceived() {
                assert!(begin.elapsed() < Duration::from_secs(20), "nobody is deceived by the {looked_at}");
            }
        }
        let begin = Instant::now();
        while begin.elapsed() < Duration::from_secs(3) {
            let root: OwnedFd = File::open(&out).unwrap().into();
            let run = scene.run("run_1");
            let collected = collect(root, &mut Shelf::of(&run), MOST).unwrap();
            for object in &collected.files {
                assert_eq!(read(&run, object), b"public", "{:?}", object.text("name"));
            }
            kept += collected.files.len();
            left_out += collected.left_out.len();
            fs::remove_dir_all(&run).unwrap();
        }
    });
    assert!(kept > 0 && left_out > 0, "{kept} {left_out}");
    assert!(scene.shared().len() <= 1, "something else than `public` is kept");
}
