//! Registries that answer, and some that do so badly.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tar::{Builder, Header};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::document::Described;
use super::pull::{Registry, digest_of};
use super::until::Until;
use super::{ImageError, ImageName, Images};
use crate::limits::{IMAGE_DOCUMENT_BYTES_MAX, IMAGE_PULLS_AT_ONCE};
use crate::sparing::Floor;

/// Nothing takes so long unless it hangs.
const HANGS: Duration = Duration::from_mins(1);

#[derive(Clone)]
enum Answer {
    Whole(Vec<u8>),
    /// A byte now and then, for ever.
    Drip,
    /// As much as is taken.
    Endless,
    /// To whoever has no token: where to get one.
    Locked(Vec<u8>),
}

/// A registry of this machine.
struct Scene {
    port: u16,
    seen: Arc<Seen>,
}

#[derive(Default)]
struct Seen {
    asked: AtomicUsize,
    /// Connections on which a registry still gives what has no end.
    open: AtomicUsize,
    sent: AtomicU64,
}

impl Scene {
    async fn with(answers: impl IntoIterator<Item = (&'static str, Answer)>) -> Self {
        let answers = answers.into_iter().map(|(path, answer)| (path.to_owned(), answer));
        Self::of(answers.collect()).await
    }

    async fn of(answers: HashMap<String, Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (seen, answers) = (Arc::new(Seen::default()), Arc::new(answers));
        let counted = Arc::clone(&seen);
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let (answers, seen) = (Arc::clone(&answers), Arc::clone(&counted));
                tokio::spawn(async move { serve(socket, port, &answers, &seen).await });
            }
        });
        Self { port, seen }
    }

    /// One that gives an image with this layer, and its manifest as `manifest`.
    async fn with_image(layer: &[u8], manifest: impl Fn(Vec<u8>) -> Answer) -> (Self, String) {
        let digest = digest_of(layer);
        let config = format!(r#"{{"config":{{"Env":["A=b"]}},"rootfs":{{"diff_ids":["{digest}"]}}}}"#);
        let of = |bytes: &[u8], kind: &str| {
            let (digest, size) = (digest_of(bytes), bytes.len());
            format!(r#"{{"digest":"{digest}","size":{size},"mediaType":"{kind}"}}"#)
        };
        let layer_of = of(layer, "application/vnd.oci.image.layer.v1.tar");
        let said = format!(r#"{{"config":{},"layers":[{layer_of}]}}"#, of(config.as_bytes(), "x"));
        let own = digest_of(said.as_bytes());
        let scene = Self::of(HashMap::from([
            ("/v2/a/manifests/1".to_owned(), manifest(said.clone().into_bytes())),
            (format!("/v2/a/manifests/{own}"), manifest(said.into_bytes())),
            (format!("/v2/a/blobs/{digest}"), Answer::Whole(layer.to_vec())),
            (format!("/v2/a/blobs/{}", digest_of(config.as_bytes())), Answer::Whole(config.into_bytes())),
            (
                "/token?scope=repository%3Aa%3Apull&service=here".to_owned(),
                Answer::Whole(br#"{"token":"sesame"}"#.to_vec()),
            ),
        ]));
        (scene.await, own)
    }

    fn name(&self, rest: &str) -> ImageName {
        format!("127.0.0.1:{}/{rest}", self.port).parse().unwrap()
    }

    /// Waits until nobody listens to what has no end.
    async fn left_alone(&self) {
        while self.seen.open.load(Ordering::SeqCst) > 0 {
            sleep(Duration::from_millis(10)).await;
        }
    }
}

async fn serve(mut socket: TcpStream, port: u16, answers: &HashMap<String, Answer>, seen: &Seen) {
    let mut asked = Vec::new();
    while !asked.ends_with(b"\r\n\r\n") {
        let Ok(byte) = socket.read_u8().await else { return };
        asked.push(byte);
    }
    seen.asked.fetch_add(1, Ordering::SeqCst);
    let asked = String::from_utf8(asked).unwrap();
    let path = asked.split(' ').nth(1).unwrap();
    let mut tell = async |status: &str, body: &[u8]| {
        let length = body.len();
        let head = format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n");
        let _ = socket.write_all(&[head.as_bytes(), body].concat()).await;
    };
    match answers.get(path) {
        None => tell("404 Not Found", br#"{"errors":[{"code":"UNKNOWN"}]}"#).await,
        Some(Answer::Whole(body)) => tell("200 OK", body).await,
        Some(Answer::Locked(body)) if asked.to_lowercase().contains("authorization: bearer sesame\r\n") => {
            tell("200 OK", body).await;
        }
        Some(Answer::Locked(_)) => {
            let realm = format!(r#"Bearer realm="http://127.0.0.1:{port}/token",service="here""#);
            tell(&format!("401 Unauthorized\r\nwww-authenticate: {realm}"), b"").await;
        }
        Some(endless) => {
            seen.open.fetch_add(1, Ordering::SeqCst);
            let _ = pour(&mut socket, matches!(endless, Answer::Drip), seen).await;
            seen.open.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

/// Writes until nobody takes it.
async fn pour(socket: &mut TcpStream, slowly: bool, seen: &Seen) -> std::io::Result<()> {
    socket.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n").await?;
    let piece = if slowly { vec![b' '; 1] } else { vec![b' '; 64 << 10] };
    loop {
        socket.write_all(&piece).await?;
        seen.sent.fetch_add(piece.len() as u64, Ordering::SeqCst);
        if slowly {
            sleep(Duration::from_millis(20)).await;
        }
    }
}

fn layer() -> Vec<u8> {
    let mut layer = Builder::new(Vec::new());
    let mut header = Header::new_gnu();
    header.set_mode(0o644);
    header.set_size(5);
    layer.append_data(&mut header, "usr/hello", &b"hello"[..]).unwrap();
    layer.into_inner().unwrap()
}

fn unfinished(folder: &Path) -> usize {
    let all = fs::read_dir(folder).into_iter().flatten().flatten();
    all.filter(|entry| entry.file_name().to_string_lossy().starts_with("unfinished")).count()
}

/// Waits until somebody has asked so often.
async fn asked(scene: &Scene, often: usize) {
    while scene.seen.asked.load(Ordering::SeqCst) < often {
        sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn an_image_is_pulled_once_for_all_who_wait_and_then_is_there() {
    let (scene, digest) = Scene::with_image(&layer(), Answer::Whole).await;
    let folder = tempfile::tempdir().unwrap();
    let images = Images::in_folder(folder.path());
    let name = scene.name("a:1");
    let (one, two) = tokio::join!(images.get(&name), images.get(&name));
    assert_eq!(scene.seen.asked.load(Ordering::SeqCst), 3, "a manifest, a configuration and a layer");
    for image in [one.unwrap(), two.unwrap(), images.get(&name).await.unwrap()] {
        assert_eq!(image.digest, digest);
        assert_eq!(image.environment, [("A".to_owned(), "b".to_owned())]);
        assert_eq!(fs::read_to_string(image.rootfs.join("usr/hello")).unwrap(), "hello");
    }
    assert_eq!(images.pinned(&name), Some(digest));
    assert_eq!(scene.seen.asked.load(Ordering::SeqCst), 3);
    assert_eq!(unfinished(folder.path()), 0);
}

#[tokio::test]
async fn who_is_asked_for_a_token_gets_one() {
    let (scene, digest) = Scene::with_image(&layer(), Answer::Locked).await;
    let folder = tempfile::tempdir().unwrap();
    let image = Images::in_folder(folder.path()).get(&scene.name("a:1")).await.unwrap();
    assert_eq!(image.digest, digest);
    let (scene, _) = Scene::with_image(&layer(), |_| Answer::Endless).await;
    let error = Images::in_folder(folder.path()).get(&scene.name("none:1")).await.unwrap_err();
    assert!(error.to_string().ends_with("the registry answers 404 Not Found (UNKNOWN)"), "{error}");
}

#[tokio::test]
async fn a_registry_that_hardly_speaks_keeps_nobody_from_other_images() {
    let slow = Scene::with([("/v2/slow/manifests/1", Answer::Drip)]).await;
    let (fast, digest) = Scene::with_image(&layer(), Answer::Whole).await;
    let folder = tempfile::tempdir().unwrap();
    let images = Images::in_folder(folder.path());
    let (waiting, name) = (images.clone(), slow.name("slow:1"));
    let waiting = tokio::spawn(async move { waiting.get(&name).await.map(drop) });
    asked(&slow, 1).await;
    let name = fast.name("a:1");
    for _ in ["pulled", "there"] {
        let image = timeout(HANGS, images.get(&name)).await.expect("it waits for another").unwrap();
        assert_eq!(image.digest, digest);
    }
    timeout(HANGS, images.prune(&[])).await.expect("it waits for another");
    assert!(!waiting.is_finished());
    waiting.abort();
}

#[tokio::test]
async fn a_pull_that_nobody_waits_for_is_called_off() {
    let slow = Scene::with([("/v2/slow/manifests/1", Answer::Drip)]).await;
    let folder = tempfile::tempdir().unwrap();
    let images = Images::in_folder(folder.path());
    let get = || {
        let (images, name) = (images.clone(), slow.name("slow:1"));
        tokio::spawn(async move { images.get(&name).await.map(drop) })
    };
    let (one, two) = (get(), get());
    asked(&slow, 1).await;
    one.abort();
    assert!(one.await.unwrap_err().is_cancelled());
    sleep(Duration::from_millis(100)).await;
    assert_eq!(slow.seen.open.load(Ordering::SeqCst), 1, "somebody still waits");
    two.abort();
    timeout(HANGS, slow.left_alone()).await.expect("the pull goes on");
    // The next one begins anew.
    let next = get();
    timeout(HANGS, asked(&slow, 2)).await.expect("nobody asks again");
    next.abort();
}

#[tokio::test]
async fn a_pull_has_an_end_whatever_a_registry_sends() {
    let (scene, digest) = {
        let layer = digest_of(b"layer");
        let config = br#"{"rootfs":{"diff_ids":[]}}"#;
        let (of, size) = (digest_of(config), config.len());
        let manifest = format!(
            r#"{{"config":{{"digest":"{of}","size":{size}}},"layers":[{{"digest":"{layer}","size":99999999}}]}}"#
        );
        let answers = [
            ("/v2/a/manifests/1".to_owned(), Answer::Whole(manifest.into_bytes())),
            (format!("/v2/a/blobs/{of}"), Answer::Whole(config.to_vec())),
            (format!("/v2/a/blobs/{layer}"), Answer::Drip),
        ];
        (Scene::of(HashMap::from(answers)).await, layer)
    };
    let folder = tempfile::tempdir().unwrap();
    let images = Images::with_time(folder.path().to_owned(), Duration::from_millis(500));
    let got = timeout(HANGS, images.get(&scene.name("a:1"))).await.expect("it goes on for ever");
    let error = got.unwrap_err();
    assert!(matches!(*error, ImageError::Pull { .. }), "{error}");
    assert!(error.to_string().contains("all in all"), "{error}");
    assert_eq!(unfinished(folder.path()), 0);
    timeout(HANGS, scene.left_alone()).await.expect("the pull goes on");
    // The same layer, where there is no room.
    let until = Until::new(CancellationToken::new(), HANGS);
    let name = scene.name("a:1");
    let layer = Described { digest, bytes: 99_999_999, kind: String::new() };
    let (registry, mut floor) = (Registry::of(&name, until).unwrap(), Floor::leaving(u64::MAX));
    let done = registry.layer(&layer, &folder.path().join("layer"), &mut floor).await;
    assert!(matches!(done, Err(ImageError::Disk { .. })));
    assert_eq!(fs::metadata(folder.path().join("layer")).unwrap().len(), 0);
}

#[tokio::test]
async fn an_answer_without_an_end_is_not_held_in_memory() {
    let scene = Scene::with([("/v2/a/manifests/1", Answer::Endless)]).await;
    let folder = tempfile::tempdir().unwrap();
    let images = Images::in_folder(folder.path());
    let got = timeout(HANGS, images.get(&scene.name("a:1"))).await.expect("it is read for ever");
    let error = got.unwrap_err();
    assert!(error.to_string().contains("no more are read"), "{error}");
    timeout(HANGS, scene.left_alone()).await.expect("the pull goes on");
    // What the system holds between the two comes to it.
    assert!(scene.seen.sent.load(Ordering::SeqCst) < IMAGE_DOCUMENT_BYTES_MAX as u64 + (32 << 20));
}

#[tokio::test]
async fn so_many_are_pulled_at_once_and_the_next_one_begins_when_one_is_over() {
    let paths: Vec<String> =
        (0..=IMAGE_PULLS_AT_ONCE).map(|number| format!("/v2/slow/manifests/{number}")).collect();
    let slow = Scene::of(paths.into_iter().map(|path| (path, Answer::Drip)).collect()).await;
    let folder = tempfile::tempdir().unwrap();
    let images = Images::in_folder(folder.path());
    let get = |number: usize| {
        let (images, name) = (images.clone(), slow.name(&format!("slow:{number}")));
        tokio::spawn(async move { images.get(&name).await.map(drop) })
    };
    let mut first: Vec<_> = (0..IMAGE_PULLS_AT_ONCE).map(get).collect();
    timeout(HANGS, asked(&slow, IMAGE_PULLS_AT_ONCE)).await.expect("they are not pulled");
    let next = get(IMAGE_PULLS_AT_ONCE);
    sleep(Duration::from_millis(100)).await;
    assert_eq!(slow.seen.asked.load(Ordering::SeqCst), IMAGE_PULLS_AT_ONCE);
    // Who waits in line and goes is in nobody's way.
    next.abort();
    assert!(next.await.unwrap_err().is_cancelled());
    let next = get(IMAGE_PULLS_AT_ONCE);
    sleep(Duration::from_millis(100)).await;
    assert_eq!(slow.seen.asked.load(Ordering::SeqCst), IMAGE_PULLS_AT_ONCE);
    first.remove(0).abort();
    timeout(HANGS, asked(&slow, IMAGE_PULLS_AT_ONCE + 1)).await.expect("the next one is not pulled");
    next.abort();
    first.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test]
async fn what_a_power_cut_left_of_an_image_is_taken_neither_for_whole_nor_for_its_place() {
    let (scene, digest) = Scene::with_image(&layer(), Answer::Whole).await;
    let folder = tempfile::tempdir().unwrap();
    let torn = folder.path().join(digest.replace(':', "-"));
    fs::create_dir_all(torn.join("rootfs/usr")).unwrap();
    fs::write(torn.join("rootfs/usr/hello"), "").unwrap();
    let image = Images::in_folder(folder.path()).get(&scene.name("a:1")).await.unwrap();
    assert_eq!(fs::read_to_string(image.rootfs.join("usr/hello")).unwrap(), "hello");
    assert_eq!(unfinished(folder.path()), 0);
}
