//! Programs that take all they can get, in every driver: each stops at its bound, and the same program outside does not.
//!
//! What a driver does not bound by design, and what holds instead:
//! - memory, where the machine gives no cgroup (an ordinary user here): the layer `memory-limit` is missing then and says
//!   why, and whoever requires it starts nothing;
//! - what is written on the disk in `restricted`: each file is bound, all of them are looked at every second, and who has
//!   written more is ended;
//! - processes in `runsc`: the box has room for what the runtime itself needs, and its own kernel has no such bound;
//! - processes in `restricted` under an ordinary user: the bound is that of the user, whose others count as well.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use std::process::{Command as HostCommand, Stdio};
use std::time::Duration;

use common::{drivers, spawner};
use ringfence_sandbox::SpawnError;
use ringfence_sandbox::{Command, Driver, DriverName, ExitStatus, LayerName, Limits, Network, Root};
use tokio::io::AsyncReadExt;

#[test]
#[ignore = "becomes the spawner"]
fn the_spawner() {
    ringfence_sandbox::become_spawner_if_asked();
}

const MEBIBYTE: u64 = 1 << 20;

/// How long a bomb may go off.
const PATIENCE: Duration = Duration::from_mins(1);

/// Starts processes and says how many it has, up to 250. Its bound is the higher one of who started it until that is gone.
const FORKS: &str = "import os, signal, time
time.sleep(1)
made = []
try:
    while len(made) < 250:
        pid = os.fork()
        if pid == 0:
            time.sleep(60)
            os._exit(0)
        made.append(pid)
except OSError: pass
for pid in made: os.kill(pid, signal.SIGKILL)
for pid in made: os.waitpid(pid, 0)
print(len(made))";

/// Takes 600 MiB and touches all of it.
const MEMORY: &str = "import os
held = []
try:
    while len(held) < 600: held.append(os.urandom(4096) * 256)
except MemoryError: pass
print(len(held))";

/// Fills its home with files of 1 MiB, 96 at most, and says how many.
const FILES: &str = "import os, time
made = 0
os.chdir(os.environ['HOME'])
try:
    while made < 96:
        with open(f'file{made}', 'wb', 0) as file:
            if file.write(bytes(1 << 20)) < 1 << 20: break
        made += 1
        time.sleep(0.03)
except OSError: pass
print(made)";

/// Opens what it can, 3000 at most, and says how many.
const DESCRIPTORS: &str = "import os
made = 0
try:
    while made < 3000:
        os.open('/dev/null', os.O_RDONLY)
        made += 1
except OSError: pass
print(made)";

/// Writes to standard output, which nobody reads, up to 64 MiB, and says on standard error how much that was; before
/// that, 4 MiB on standard error.
const OUTPUT: &str = "import os
for _ in range(64): os.write(2, b'x' * 65535 + b'\\n')
os.set_blocking(1, False)
made = 0
try:
    while made < 64 << 20: made += os.write(1, b'x' * 65536)
except BlockingIOError: pass
os.write(2, f'\\n{made}\\n'.encode())";

/// The control: how much it gets of the machine.
fn outside(bomb: &str) -> u64 {
    let folder = tempfile::tempdir().unwrap();
    let mut command = HostCommand::new("/usr/bin/python3");
    command.args(["-c", bomb]).env("HOME", folder.path()).stdin(Stdio::null());
    last_number(&command.output().unwrap().stdout)
}

fn last_number(said: &[u8]) -> u64 {
    String::from_utf8_lossy(said).lines().last().and_then(|line| line.parse().ok()).unwrap_or(0)
}

fn command(driver: &dyn Driver, bomb: &str, limits: Limits) -> Command {
    let network = if driver.name().has_network() { Network::Gateway } else { Network::None };
    let command = Command::new("/usr/bin/python3").argument("-c").argument(bomb);
    command.root(Root::system()).network(network).limits(limits)
}

/// How much it gets in a sandbox, if it lived to say so, and how it ended.
async fn inside(driver: &dyn Driver, bomb: &str, limits: Limits) -> (Option<u64>, ExitStatus) {
    let command = command(driver, bomb, limits);
    let mut child = driver.create(&command).await.unwrap().exec().await.unwrap();
    let mut said = Vec::new();
    let read = tokio::time::timeout(PATIENCE, child.stdout.read_to_end(&mut said));
    assert!(read.await.is_ok(), "{}: it went on", driver.name());
    let status = child.process.exited().await;
    ((!said.is_empty()).then(|| last_number(&said)), status)
}

#[tokio::test]
async fn who_starts_processes_without_end_stops_at_his_bound() {
    assert_eq!(outside(FORKS), 250, "the control");
    let spawner = spawner(&[]);
    for driver in drivers(&spawner).await {
        let name = driver.name();
        let ordered = match name {
            // More than others of this user on the machine take at the same time.
            DriverName::Restricted if !rustix::process::geteuid().is_root() => 240,
            _ => 40,
        };
        let limits = Limits { processes: Some(ordered), ..Limits::default() };
        let (made, status) = inside(&*driver, FORKS, limits).await;
        let most = ordered
            + match name {
                DriverName::Runsc => 96,
                _ => 0,
            };
        assert!(made.is_none_or(|made| made <= most), "{name}: {made:?} {status}");
        assert!(made.is_some() || status != ExitStatus::Exited(0), "{name}: {status}");
    }
}

#[tokio::test]
async fn who_takes_memory_without_end_is_ended_or_that_he_is_not_is_said() {
    assert_eq!(outside(MEMORY), 600, "the control");
    let spawner = spawner(&[]);
    for driver in drivers(&spawner).await {
        let name = driver.name();
        let limits = Limits { memory_bytes: Some(256 * MEBIBYTE), ..Limits::default() };
        let require = command(&*driver, "print(1)", limits).require(LayerName::MemoryLimit);
        match driver.create(&require).await {
            Ok(_) => {
                let (made, status) = inside(&*driver, MEMORY, limits).await;
                assert!(made.is_none_or(|made| made < 256), "{name}: {made:?} {status}");
                assert!(made.is_some() || status != ExitStatus::Exited(0), "{name}: {status}");
            }
            Err(SpawnError::LayerMissing { name: LayerName::MemoryLimit, .. }) => {
                assert!(!rustix::process::geteuid().is_root(), "{name}");
            }
            Err(error) => panic!("{name}: {error}"),
        }
    }
}

#[tokio::test]
async fn who_fills_his_disk_without_end_stops_at_its_end_or_is_ended() {
    assert_eq!(outside(FILES), 96, "the control");
    let spawner = spawner(&[]);
    for driver in drivers(&spawner).await {
        let name = driver.name();
        let limits = Limits { home_bytes: 8 * MEBIBYTE, ..Limits::default() };
        let (made, status) = inside(&*driver, FILES, limits).await;
        match name {
            DriverName::Restricted => assert_eq!((made, status), (None, ExitStatus::Killed)),
            _ => assert!(made.is_some_and(|made| (1..=8).contains(&made)), "{name}: {made:?} {status}"),
        }
    }
}

#[tokio::test]
async fn who_opens_files_without_end_stops_at_his_bound() {
    let outside = HostCommand::new("sh")
        .args(["-c", "ulimit -n 4096 && exec /usr/bin/python3 -c \"$0\"", DESCRIPTORS])
        .output()
        .unwrap();
    assert_eq!(last_number(&outside.stdout), 3_000, "the control");
    let spawner = spawner(&[]);
    for driver in drivers(&spawner).await {
        let name = driver.name();
        let limits = Limits { open_files: Some(99), ..Limits::default() };
        let (made, status) = inside(&*driver, DESCRIPTORS, limits).await;
        assert!(made.is_some_and(|made| (50..99).contains(&made)), "{name}: {made:?} {status}");
    }
}

#[tokio::test]
async fn who_writes_without_end_waits_for_whoever_reads() {
    let spawner = spawner(&[]);
    let file = tempfile::NamedTempFile::new().unwrap();
    let mut outside = HostCommand::new("/usr/bin/python3");
    let outside = outside.args(["-c", OUTPUT]).stdout(file.reopen().unwrap()).output().unwrap();
    assert_eq!(last_number(&outside.stderr), 64 * MEBIBYTE, "the control");
    for driver in drivers(&spawner).await {
        let name = driver.name();
        let command = command(&*driver, OUTPUT, Limits::default());
        let mut child = driver.create(&command).await.unwrap().exec().await.unwrap();
        let ended = tokio::time::timeout(PATIENCE, child.process.exited()).await;
        assert_eq!(ended.ok(), Some(ExitStatus::Exited(0)), "{name}");
        let told = || last_number(child.stderr.tail().as_bytes());
        assert!(common::eventually(|| told() > 0), "{name}: {}", child.stderr.tail());
        assert!(told() <= MEBIBYTE, "{name}: {}", told());
        // What is kept of the four mebibytes before that.
        assert!(child.stderr.tail().len() <= 64 << 10, "{name}: {}", child.stderr.tail().len());
    }
}

#[test]
fn all_of_this_holds_for_an_ordinary_user_too() {
    common::as_nobody(6);
}
