//! What the tests share: a spawner that is this test binary, and looking at the machine's processes.
//!
//! Each test binary has an ignored test `the_spawner`, which becomes the spawner, and tests whose name begins
//! with `role_`, which do something only when this module starts them in a process of their own.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![allow(dead_code, reason = "each test binary uses its own part")]

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command as HostCommand, Stdio};
use std::time::{Duration, Instant};

use ringfence_sandbox::{Child, Command, Driver, DriverName, ExitStatus, LayerName, SpawnError, Spawner};
use ringfence_sandbox::{SpawnerProgram, start_spawner};
use tokio::io::{AsyncBufReadExt, AsyncReadExt};

/// Long enough for a loaded machine; nothing is measured by it.
pub const PATIENCE: Duration = Duration::from_secs(20);

pub fn program() -> SpawnerProgram {
    SpawnerProgram::this_test("the_spawner")
}

pub fn spawner(hidden: &[&Path]) -> Spawner {
    start_spawner(&program(), hidden).unwrap().into_async().unwrap()
}

/// A driver, if this machine has it: the runtime is installed (`cargo xtask install`), and for the one without namespaces the
/// kernel is new enough. Where all are to be tried, none may lack.
pub async fn driver(spawner: &Spawner, name: DriverName) -> Option<Box<dyn Driver>> {
    let lacks = |error: &SpawnError| {
        let landlock = matches!(error, SpawnError::LayerMissing { name: LayerName::Landlock, .. });
        matches!(error, SpawnError::NoRuntime { .. }) || (landlock && name == DriverName::Restricted)
    };
    let found = match spawner.driver(name).await {
        Ok(driver) if name == DriverName::Restricted => driver.probe().await.map(|_| driver),
        other => other,
    };
    match found {
        Err(error) if lacks(&error) && std::env::var_os("CI").is_none() => {
            eprintln!("nothing is tried in {name}: {error}");
            None
        }
        other => Some(other.unwrap()),
    }
}

/// All drivers that this machine has.
pub async fn drivers(spawner: &Spawner) -> Vec<Box<dyn Driver>> {
    let mut all = Vec::new();
    for name in DriverName::ALL {
        all.extend(driver(spawner, name).await);
    }
    assert!(!all.is_empty());
    all
}

/// What a child said and how it ended.
#[derive(Debug)]
pub struct Ended {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
}

pub async fn run(spawner: &Spawner, command: &Command) -> Ended {
    let Child { mut process, stdin, mut stdout, stderr } = spawner.spawn(command).await.unwrap();
    drop(stdin);
    let mut said = String::new();
    stdout.read_to_string(&mut said).await.unwrap();
    let status = process.exited().await;
    // The pipe may hold a last part for a moment longer.
    tokio::time::sleep(Duration::from_millis(20)).await;
    Ended { status, stdout: said, stderr: stderr.tail() }
}

pub fn shell(script: &str) -> Command {
    Command::new("sh").argument("-c").argument(script)
}

/// A number no other test uses, for `sleep`: by it the processes of a test are found.
pub fn marker() -> String {
    let mut random = [0_u8; 4];
    rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty()).unwrap();
    format!("1000.{:010}", u32::from_le_bytes(random))
}

/// Processes of the machine that have `marker` as an argument of its own.
pub fn processes_with(marker: &str) -> Vec<u32> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.split(|byte| *byte == 0).any(|argument| argument == marker.as_bytes())
    })
    .collect()
}

/// The state letter and the parent of a process.
pub fn state_and_parent(pid: u32) -> Option<(char, u32)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace();
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}

pub fn children_of(parent: u32) -> Vec<(u32, char)> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let states = pids.filter_map(|pid| Some((pid, state_and_parent(pid)?)));
    states.filter(|(_, (_, above))| *above == parent).map(|(pid, (state, _))| (pid, state)).collect()
}

/// Waits until it holds; false if it does not within [`PATIENCE`].
pub fn eventually(mut holds: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        if holds() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    false
}

/// Runs this whole test binary again as nobody, and expects so many tests to pass, this one included.
pub fn as_nobody(passing: usize) {
    if !rustix::process::geteuid().is_root() {
        // Then the other tests have just shown it.
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (binary, temporary) = (folder.path().join("tests"), folder.path().join("tmp"));
    fs::copy(std::env::current_exe().unwrap(), &binary).unwrap();
    fs::create_dir(&temporary).unwrap();
    for (path, mode) in [(folder.path(), 0o755), (&binary, 0o755), (&temporary, 0o1777)] {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }
    let output = HostCommand::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all"])
        .arg(&binary)
        .env("TMPDIR", &temporary)
        // Snapshots stand in the test itself; the sources may be out of reach for nobody.
        .env("INSTA_UPDATE", "no")
        .env("INSTA_WORKSPACE_ROOT", "/")
        .current_dir("/")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains(&format!("test result: ok. {passing} passed")), "{said}");
}

/// Waits until a child says so.
pub async fn ready(child: &mut Child) {
    let mut line = String::new();
    tokio::io::BufReader::new(&mut child.stdout).read_line(&mut line).await.unwrap();
    assert_eq!(line, "ready\n");
}

/// A command line that runs one `role_` test in a process of its own.
pub fn role(binary: impl AsRef<OsStr>, name: &str) -> HostCommand {
    let mut command = HostCommand::new(binary);
    command.args(["--exact", name, "--ignored", "--nocapture", "--test-threads=1"]);
    command.env("RINGFENCE_TEST_ROLE", name).stdin(Stdio::null()).stdout(Stdio::piped());
    command
}

/// Whether this process was started for the role; without, a role's test does nothing.
pub fn has_role(name: &str) -> bool {
    std::env::var("RINGFENCE_TEST_ROLE").is_ok_and(|role| role == name)
}

/// A process that does not outlive its test.
pub struct Host(pub std::process::Child);

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
