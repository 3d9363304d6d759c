//! Archives that strangers made.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::time::Duration;

use tar::{Builder, EntryType, Header};
use tokio_util::sync::CancellationToken;

use super::document::{Document, config, document};
use super::layer::unpack;
use super::place::Place;
use super::pull::digest_of;
use super::room::Room;
use super::until::Until;
use super::work::Work;
use super::{ImageError, ImageName, Images, is_digest};
use crate::tree::{FAR_TOO_DEEP, make_deep};

fn ever() -> Until {
    Until::new(CancellationToken::new(), Duration::from_hours(1))
}

fn room(bytes: u64, files: u64) -> Room {
    Room { bytes, files, ..Room::default() }
}

/// A layer in the making; names and links are taken as they are.
struct Layer(Builder<Vec<u8>>);

impl Layer {
    fn new() -> Self {
        Self(Builder::new(Vec::new()))
    }

    fn with(mut self, path: &str, kind: EntryType, leads_to: &str, content: &str, mode: u32) -> Self {
        let mut header = Header::new_gnu();
        let put = |field: &mut [u8], text: &str| field[..text.len()].copy_from_slice(text.as_bytes());
        if let Some(gnu) = header.as_gnu_mut() {
            put(&mut gnu.name, path);
            put(&mut gnu.linkname, leads_to);
        }
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_size(content.len() as u64);
        header.set_cksum();
        self.0.append(&header, content.as_bytes()).unwrap();
        self
    }

    fn file(self, path: &str, content: &str) -> Self {
        self.with(path, EntryType::Regular, "", content, 0o644)
    }

    fn folder(self, path: &str) -> Self {
        self.with(path, EntryType::Directory, "", "", 0o755)
    }

    fn link(self, path: &str, leads_to: &str) -> Self {
        self.with(path, EntryType::Symlink, leads_to, "", 0o777)
    }

    fn same(self, path: &str, other: &str) -> Self {
        self.with(path, EntryType::Link, other, "", 0o644)
    }

    fn bytes(self) -> Vec<u8> {
        self.0.into_inner().unwrap()
    }

    fn onto(self, folder: &Path) -> std::io::Result<String> {
        unpack(&Place::open(folder)?, &self.bytes()[..], false, &mut Room::default(), &ever())
    }
}

/// A folder to unpack in, and one beside it that nothing may come to.
fn scene() -> (tempfile::TempDir, std::path::PathBuf, std::path::PathBuf) {
    let scene = tempfile::tempdir().unwrap();
    let (root, outside) = (scene.path().join("root"), scene.path().join("outside"));
    fs::create_dir(&root).unwrap();
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("kept"), "kept").unwrap();
    (scene, root, outside)
}

#[test]
fn a_layer_is_unpacked_and_hashed() {
    let (_scene, root, _) = scene();
    let layer = Layer::new().folder("./usr/").file("usr/a", "a").link("bin", "usr").same("b", "usr/a");
    let bytes = layer.bytes();
    let digest =
        unpack(&Place::open(&root).unwrap(), &bytes[..], false, &mut Room::default(), &ever()).unwrap();
    assert_eq!(digest, digest_of(&bytes));
    assert_eq!(fs::read_to_string(root.join("bin/a")).unwrap(), "a");
    assert_eq!(fs::metadata(root.join("b")).unwrap().ino(), fs::metadata(root.join("usr/a")).unwrap().ino());
}

#[test]
fn no_path_leaves_the_folder() {
    let (_scene, root, outside) = scene();
    let far = outside.to_str().unwrap();
    let near = "../outside";
    for layer in [
        Layer::new().file("../outside/new", "x"),
        Layer::new().file("a/../../outside/new", "x"),
        Layer::new().same("new", "../outside/kept"),
        Layer::new().same("new", &format!("{far}/kept")),
        Layer::new().link("way", far).same("new", "way/kept"),
        Layer::new().link("kept", &format!("{far}/kept")).same("new", "kept"),
        Layer::new().folder("../outside/folder"),
        Layer::new().file("../outside/.wh.kept", ""),
    ] {
        assert!(layer.onto(&root).is_err());
        assert!(!root.join("new").exists());
    }
    // These are made within, where whoever has the folder as his root would find them.
    for (index, leads_to) in [far, near, "/", "..", "/../outside"].into_iter().enumerate() {
        let way = format!("way{index}");
        let within = Layer::new().link(&way, leads_to).file(&format!("{way}/new"), "x");
        let _ = within.onto(&root);
        let gone = Layer::new().link(&way, leads_to).file(&format!("{way}/.wh.kept"), "");
        let _ = gone.onto(&root);
        let opaque = Layer::new().link(&way, leads_to).file(&format!("{way}/.wh..wh..opq"), "");
        let _ = opaque.onto(&root);
        let through = Layer::new().link("kept", &format!("{far}/kept")).file("kept", "other");
        through.onto(&root).unwrap();
    }
    let left: Vec<_> = fs::read_dir(&outside).unwrap().flatten().map(|entry| entry.file_name()).collect();
    assert_eq!(left, ["kept"]);
    assert_eq!(fs::read_to_string(outside.join("kept")).unwrap(), "kept");
    assert_eq!(
        fs::read_to_string(root.join("kept")).unwrap(),
        "other",
        "the link was replaced, and not followed"
    );
}

#[test]
fn what_a_layer_lacks_goes() {
    let (_scene, root, _) = scene();
    Layer::new().file("a/x", "x").file("a/y", "y").file("b/x", "x").file("c", "c").onto(&root).unwrap();
    Layer::new()
        .file("a/.wh.x", "")
        .file("b/.wh..wh..opq", "")
        .file("b/z", "z")
        .file("no/.wh.x", "")
        .onto(&root)
        .unwrap();
    Layer::new().folder("c").file("c/now", "a folder").onto(&root).unwrap();
    assert!(!root.join("a/x").exists() && root.join("a/y").exists());
    assert!(!root.join("b/x").exists() && root.join("b/z").exists());
    assert_eq!(fs::read_to_string(root.join("c/now")).unwrap(), "a folder");
}

#[test]
fn rights_of_owners_and_devices_are_dropped() {
    let (_scene, root, _) = scene();
    Layer::new()
        .with("su", EntryType::Regular, "", "x", 0o6755)
        .with("hidden", EntryType::Regular, "", "x", 0o000)
        .with("closed", EntryType::Directory, "", "", 0o2000)
        .with("disk", EntryType::Block, "", "", 0o666)
        .with("tty", EntryType::Char, "", "", 0o666)
        .with("pipe", EntryType::Fifo, "", "", 0o666)
        .file("closed/x", "x")
        .onto(&root)
        .unwrap();
    let mode = |name: &str| fs::metadata(root.join(name)).unwrap().permissions().mode() & 0o7777;
    assert_eq!((mode("su"), mode("hidden"), mode("closed")), (0o755, 0o400, 0o700));
    assert!(!root.join("disk").exists() && !root.join("tty").exists() && !root.join("pipe").exists());
}

#[test]
fn bounds_hold_while_it_is_unpacked() {
    let (_scene, root, _) = scene();
    let place = Place::open(&root).unwrap();
    let put = |layer: Layer, mut room: Room| unpack(&place, &layer.bytes()[..], false, &mut room, &ever());
    assert!(put(Layer::new().file("a", "12345"), room(4, 9)).is_err());
    assert!(put(Layer::new().file("a", "").file("b", ""), room(9, 1)).is_err());
    assert!(put(Layer::new().file("a", "12345").file("b", ""), room(5, 2)).is_ok());
    // Longer than what it holds: the rest is not read for ever.
    let whole = Layer::new().file("a", "x").bytes();
    let endless = std::io::Read::chain(&whole[..], std::io::repeat(0));
    assert!(unpack(&place, endless, false, &mut room(9, 9), &ever()).is_err());
    let deep = "d/".repeat(40);
    assert!(Layer::new().folder(&deep).onto(&root).is_ok());
    let place = Place::open(&root).unwrap();
    assert!(place.folder(Path::new(&"a/".repeat(200)), 0o755, &mut room(9, 999)).is_err());
    assert!(place.file(Path::new(&"a".repeat(5_000)), 0o755, &mut room(9, 9)).is_err());
}

#[test]
fn what_is_not_an_image_is_refused() {
    let digest = format!("sha256:{}", "0".repeat(64));
    assert!(is_digest(&digest) && !is_digest("sha256:0") && !is_digest(&digest.replace('0', "A")));
    for text in ["", "{}", "[]", r#"{"layers":[]}"#, r#"{"layers":[{"digest":"x","size":1}],"config":{}}"#] {
        assert!(document(text.as_bytes()).is_err(), "{text}");
    }
    let other = r#"{"manifests":[{"digest":"D","platform":{"os":"linux","architecture":"pdp11"}}]}"#;
    assert!(document(other.replace('D', &digest).as_bytes()).unwrap_err().contains("no image for linux"));
    let many: Vec<String> = (0..999).map(|_| format!(r#"{{"digest":"{digest}","size":1}}"#)).collect();
    let many = format!(r#"{{"config":{{"digest":"{digest}","size":1}},"layers":[{}]}}"#, many.join(","));
    assert!(document(many.as_bytes()).unwrap_err().contains("999 layers"));
    let one = format!(
        r#"{{"config":{{"digest":"{digest}","size":2}},"layers":[{{"digest":"{digest}","size":3,"mediaType":"x"}}]}}"#
    );
    assert!(
        matches!(document(one.as_bytes()), Ok(Document::Manifest(manifest)) if manifest.layers[0].bytes == 3)
    );
    let read = config(br#"{"config":{"Env":["A=b=c","none"]},"rootfs":{"diff_ids":["x"]}}"#).unwrap();
    assert_eq!(read.environment, [("A".to_owned(), "b=c".to_owned())]);
    assert_eq!(read.unpacked, ["x"]);
}

#[test]
fn a_registry_without_tls_is_one_of_this_machine() {
    let near = |name: &str| name.parse::<ImageName>().unwrap().is_near();
    assert!(near("localhost:5000/a") && near("127.0.0.1:5000/a:1") && near("127.9.9.9/a"));
    assert!(
        !near("registry.example/a")
            && !near("localhost.example:5000/a")
            && !near("debian")
            && !near("10.0.0.1:5000/a")
    );
    assert!("a@sha256:12".parse::<ImageName>().is_err() && "".parse::<ImageName>().is_err());
}

/// A folder of images in which this one is, whole.
fn with_image(folder: &Path, digit: &str) -> String {
    let digest = format!("sha256:{}", digit.repeat(64));
    let image = folder.join(digest.replace(':', "-"));
    fs::create_dir_all(image.join("rootfs")).unwrap();
    fs::write(image.join("image.json"), r#"{"environment":{"A":"b"}}"#).unwrap();
    digest
}

#[tokio::test]
async fn what_is_there_is_not_pulled_again_and_a_name_stays_what_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let digest = with_image(folder.path(), "a");
    fs::write(
        folder.path().join("pins.json"),
        format!(r#"{{"127.0.0.1:1/a:1":"{digest}","127.0.0.1:1/b:1":"x"}}"#),
    )
    .unwrap();
    let images = Images::in_folder(folder.path());
    let tag: ImageName = "127.0.0.1:1/a:1".parse().unwrap();
    // Nobody listens at that port.
    let image = images.get(&tag).await.unwrap();
    assert_eq!(
        (image.digest.as_str(), &image.environment[..]),
        (digest.as_str(), &[("A".into(), "b".into())][..])
    );
    let other: ImageName = "127.0.0.1:1/b:1".parse().unwrap();
    assert!(images.pinned(&other).is_none(), "a pin that is no digest is none");
    assert!(matches!(images.get(&other).await, Err(error) if matches!(*error, ImageError::Pull { .. })));
    assert!(
        fs::read_dir(folder.path())
            .unwrap()
            .flatten()
            .all(|entry| !entry.file_name().to_string_lossy().starts_with("unfinished"))
    );
}

#[tokio::test]
async fn what_nobody_names_or_uses_is_removed() {
    let folder = tempfile::tempdir().unwrap();
    let [named, pinned, used, left] = ["a", "b", "c", "d"].map(|digit| with_image(folder.path(), digit));
    fs::create_dir(folder.path().join("unfinished-sha256-e")).unwrap();
    fs::write(
        folder.path().join("pins.json"),
        format!(r#"{{"docker.io/library/p:1":"{pinned}","docker.io/library/gone:1":"{left}"}}"#),
    )
    .unwrap();
    let images = Images::in_folder(folder.path());
    let names = [format!("n@{named}"), "p:1".to_owned()].map(|name| name.parse::<ImageName>().unwrap());
    let held = images.get(&format!("u@{used}").parse().unwrap()).await.unwrap();
    images.prune(&names).await;
    let left_there = |digest: &String| folder.path().join(digest.replace(':', "-")).exists();
    assert_eq!([&named, &pinned, &used, &left].map(left_there), [true, true, true, false]);
    assert!(!folder.path().join("unfinished-sha256-e").exists());
    assert!(images.pinned(&"gone:1".parse().unwrap()).is_none());
    drop(held);
    images.prune(&names).await;
    assert!(!left_there(&used));
}

/// Waits until something is gone, which another thread removes.
fn gone(path: &Path) -> bool {
    (0..6_000).any(|_| {
        std::thread::sleep(Duration::from_millis(10));
        !path.exists()
    })
}

#[test]
fn images_of_any_depth_are_removed() {
    let small = tokio::runtime::Builder::new_current_thread().thread_stack_size(256 << 10).build().unwrap();
    let folder = tempfile::tempdir().unwrap();
    // What a node left that went down.
    let left = folder.path().join("unfinished-0");
    fs::create_dir_all(left.join("rootfs")).unwrap();
    make_deep(&left.join("rootfs"), FAR_TOO_DEEP);
    let images = Images::in_folder(folder.path());
    assert!(gone(&left));
    // One that nobody names.
    let digest = with_image(folder.path(), "a");
    let image = folder.path().join(digest.replace(':', "-"));
    make_deep(&image.join("rootfs"), FAR_TOO_DEEP);
    small.block_on(images.prune(&[]));
    assert!(!image.exists());
    // One that is given up.
    let work = folder.path().join("unfinished-x");
    let given_up = Work::in_folder(work.clone()).unwrap();
    make_deep(&work.join("rootfs"), FAR_TOO_DEEP);
    small.block_on(small.spawn_blocking(move || drop(given_up))).unwrap();
    assert!(!work.exists());
}

#[tokio::test]
async fn what_cannot_be_removed_at_the_start_is_in_nobodys_way() {
    let folder = tempfile::tempdir().unwrap();
    let digest = with_image(folder.path(), "a");
    // Files where folders are looked for, so that nobody can remove them as such.
    for number in ["0", "7", "x", "18446744073709551615"] {
        fs::write(folder.path().join(format!("unfinished-{number}")), "").unwrap();
    }
    let images = Images::in_folder(folder.path());
    images.prune(&[]).await;
    assert!(!folder.path().join(digest.replace(':', "-")).exists(), "it could be moved out of the way");
}
