//! Folders that change while they are shown: somebody who may write into one exchanges it for a link to what he may not see,
//! as fast as he can, and still nothing else than what was ordered is ever shown or written to.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use common::spawner;
use ringfence_sandbox::{Driver, DriverName, Network, Root, Spawner};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use tokio::io::AsyncReadExt;

#[test]
#[ignore = "becomes the spawner"]
fn the_spawner() {
    ringfence_sandbox::become_spawner_if_asked();
}

/// How long each is tried.
const TRIED: Duration = Duration::from_secs(3);

/// The longest pause between two exchanges: about what the check of a path takes.
const PAUSE_MAX_MICROSECONDS: u64 = 300;

/// Exchanges two names until it is dropped, after pauses that follow from a seed.
struct Swapper {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<u64>>,
    seed: u64,
}

impl Swapper {
    fn start(one: PathBuf, other: PathBuf) -> Self {
        let seed = u64::from(std::process::id()) << 32 | 0x5eed;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let (mut state, mut exchanged) = (seed, 0);
            while !stopped.load(Ordering::Relaxed) {
                renameat_with(CWD, &one, CWD, &other, RenameFlags::EXCHANGE).unwrap();
                exchanged += 1;
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                std::thread::sleep(Duration::from_micros(state % PAUSE_MAX_MICROSECONDS));
            }
            exchanged
        });
        Self { stop, thread: Some(thread), seed }
    }
}

impl Drop for Swapper {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(exchanged) = self.thread.take().and_then(|thread| thread.join().ok()) {
            eprintln!("exchanged {exchanged} times, with the seed {:#x}", self.seed);
        }
    }
}

/// `shared/inner` is a folder or a link to `machine`, and `shared/other` what it is not at the moment.
struct Scene {
    _folder: tempfile::TempDir,
    shared: PathBuf,
    machine: PathBuf,
}

impl Scene {
    fn new() -> Self {
        // Of the disk: in this folder of the machine no box has a folder of its own.
        let folder = tempfile::tempdir_in("/var/tmp").unwrap();
        let path = folder.path().canonicalize().unwrap();
        let (shared, machine) = (path.join("shared"), path.join("machine"));
        let inner = shared.join("inner");
        for (within, paper) in [(&inner, "public"), (&machine, "secret")] {
            fs::create_dir_all(within.join("cache")).unwrap();
            fs::write(within.join("paper"), paper).unwrap();
        }
        symlink(&machine, shared.join("other")).unwrap();
        // Also for a program that is a user of its own.
        for open in [&path, &shared, &inner, &machine, &inner.join("cache"), &machine.join("cache")] {
            fs::set_permissions(open, fs::Permissions::from_mode(0o777)).unwrap();
        }
        Self { _folder: folder, shared, machine }
    }

    fn swapped(&self) -> Swapper {
        Swapper::start(self.shared.join("inner"), self.shared.join("other"))
    }

    /// Everything in the folder of the machine, and in the shared one's caches.
    fn untouched(&self) -> bool {
        let names = |path: &Path| {
            let mut names: Vec<_> =
                fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name()).collect();
            names.sort();
            names
        };
        let caches = [self.machine.join("cache"), self.folder_now().join("cache")];
        names(&self.machine) == ["cache", "paper"]
            && caches.iter().all(|cache| names(cache).is_empty())
            && fs::read_to_string(self.machine.join("paper")).unwrap() == "secret"
    }

    /// Under which name the folder is, when nothing is exchanged any more.
    fn folder_now(&self) -> PathBuf {
        let inner = self.shared.join("inner");
        if inner.is_symlink() { self.shared.join("other") } else { inner }
    }
}

/// The control: who looks first and opens then is deceived, or the swapper is none.
fn deceives(scene: &Scene) -> bool {
    let inner = scene.shared.join("inner");
    common::eventually(|| {
        !inner.is_symlink() && fs::read_to_string(inner.join("paper")).is_ok_and(|paper| paper == "secret")
    })
}

/// The drivers on this machine that can show a folder in the way that is tried.
async fn drivers(spawner: &Spawner, can: fn(DriverName) -> bool) -> Vec<Box<dyn Driver>> {
    let mut all = Vec::new();
    for name in DriverName::ALL.into_iter().filter(|name| can(*name)) {
        all.extend(common::driver(spawner, name).await);
    }
    assert!(!all.is_empty());
    all
}

/// What a box says with such a root, if it is made.
async fn said(driver: &dyn Driver, script: &str, root: Root) -> Option<String> {
    let network = if driver.name().has_network() { Network::Gateway } else { Network::None };
    let command = common::shell(script).root(root).network(network);
    let mut child = driver.create(&command).await.ok()?.exec().await.ok()?;
    let mut said = String::new();
    child.stdout.read_to_string(&mut said).await.unwrap();
    child.process.exited().await;
    Some(said)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_is_exchanged_for_a_link_is_refused_or_shown_as_it_was() {
    let scene = Scene::new();
    let spawner = spawner(&[]);
    let swapper = scene.swapped();
    assert!(deceives(&scene), "the swapper never won: {:#x}", swapper.seed);
    for driver in drivers(&spawner, |_| true).await {
        let name = driver.name();
        // Without mounts, what is shown is shown where it is: as the link leads elsewhere, so would it.
        let shown = scene.shared.join("inner");
        let target = if name.has_mounts() { PathBuf::from("/shown") } else { shown.clone() };
        let script =
            format!("cat {0}/paper {1}/paper 2>/dev/null", target.display(), scene.machine.display());
        let (begin, mut made, mut refused) = (Instant::now(), 0, 0);
        while begin.elapsed() < TRIED {
            for writable in [false, true] {
                let root = Root::system();
                let root =
                    if writable { root.writable(&shown, &target) } else { root.read_only(&shown, &target) };
                match said(&*driver, &script, root).await {
                    None => refused += 1,
                    Some(said) => {
                        assert!(!said.contains("secret"), "{name} {writable}: {said} {:#x}", swapper.seed);
                        made += 1;
                    }
                }
            }
        }
        eprintln!("{name}: made {made}, refused {refused}");
        assert!(made + refused > 0, "{name}");
    }
    drop(swapper);
    assert!(scene.untouched());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_put_into_a_folder_that_is_exchanged_for_a_link_is_put_nowhere_else() {
    let scene = Scene::new();
    let spawner = spawner(&[]);
    let swapper = scene.swapped();
    assert!(deceives(&scene), "the swapper never won: {:#x}", swapper.seed);
    for driver in drivers(&spawner, DriverName::has_mounts).await {
        let name = driver.name();
        // What is written is written into memory; were the wrong folder covered, it would be on the disk.
        let script = "echo x > /data/inner/cache/x; echo y > /data/other/cache/y; \
                      cat /data/inner/paper /data/other/paper; ls /data/inner /data/other";
        let (begin, mut made, mut refused) = (Instant::now(), 0, 0);
        while begin.elapsed() < TRIED {
            let root = Root::system()
                .writable(&scene.shared, "/data")
                .scratch("/data/inner/cache", 1 << 20)
                .scratch("/data/inner/new", 1 << 20);
            assert!(said(&*driver, script, root).await.is_none(), "{name}: a folder was made on the machine");
            let root = Root::system().writable(&scene.shared, "/data").scratch("/data/inner/cache", 1 << 20);
            match said(&*driver, script, root).await {
                None => refused += 1,
                Some(said) => {
                    assert!(!said.contains("secret"), "{name}: {said} {:#x}", swapper.seed);
                    made += 1;
                }
            }
        }
        eprintln!("{name}: made {made}, refused {refused}");
    }
    drop(swapper);
    assert!(scene.untouched(), "{:?}", fs::read_dir(&scene.machine).unwrap().collect::<Vec<_>>());
}

#[test]
fn all_of_this_holds_for_an_ordinary_user_too() {
    common::as_nobody(3);
}
