//! What a box may use, how it is measured, paused and ended, and that nothing of it is left.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use common::{Host, eventually, has_role, marker, processes_with, ready, role, run, spawner};
use ringfence_sandbox::{Child, Command, ExitStatus, LayerName, Limits, Network, Root};
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, AsyncReadExt};

#[test]
#[ignore = "becomes the spawner"]
fn the_spawner() {
    ringfence_sandbox::become_spawner_if_asked();
}

fn python(script: &str) -> Command {
    let command = Command::new("/usr/bin/python3").argument("-uc").argument(script);
    command.root(Root::system()).network(Network::Gateway)
}

fn shell(script: &str) -> Command {
    common::shell(script).root(Root::system()).network(Network::Gateway)
}

/// Cgroups that spawners have made, of those that live and those that do not.
fn cgroups() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::from("/sys/fs/cgroup")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                folders.push(entry.path());
                if entry.file_name().to_string_lossy().starts_with("ringfence-") {
                    found.push(entry.path());
                }
            }
        }
    }
    found
}

/// The cgroups that this process is in, by any name.
fn cgroups_of(pid: u32) -> String {
    fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap()
}

#[tokio::test]
async fn a_fork_bomb_stops_at_its_bound() {
    let script = "import os, time\nn = 0\n\
        try:\n  while n < 500:\n    if os.fork() == 0: time.sleep(1000)\n    n += 1\n\
        except OSError as e: pass\nprint(n)";
    let limits = Limits { processes: Some(40), ..Limits::default() };
    let spawner = spawner(&[]);
    let mut child = spawner.spawn(&python(script).limits(limits)).await.unwrap();
    assert!(child.process.layers().in_force(LayerName::ProcessLimit), "{:?}", child.process.layers());
    let mut line = String::new();
    tokio::io::BufReader::new(&mut child.stdout).read_line(&mut line).await.unwrap();
    let forked: u64 = line.trim().parse().unwrap();
    assert!((35..=40).contains(&forked), "{forked}");
    child.process.kill();
    child.process.exited().await;
    // The control: with room, all of them are made.
    let room = Limits { processes: Some(600), ..Limits::default() };
    let short = script.replace("time.sleep(1000)", "(time.sleep(3), os._exit(0))");
    let all = run(&spawner, &python(&short).limits(room)).await;
    assert!(all.stdout.starts_with("500\n"), "{}{}", all.stdout, all.stderr);
}

#[tokio::test]
async fn a_memory_bomb_is_killed_and_counted() {
    let spawner = spawner(&[]);
    if !spawner.run_layers().in_force(LayerName::MemoryLimit) {
        // Said, and required by whoever wants it.
        assert!(!rustix::process::geteuid().is_root());
        return;
    }
    let limits = Limits { memory_bytes: Some(64 << 20), ..Limits::default() };
    let script = "import os, subprocess, sys\n\
        bomb = 'x = bytearray(200 << 20); print(len(x))'\n\
        print(subprocess.run([sys.executable, '-c', bomb]).returncode)\nsys.stdin.read()";
    let mut child = spawner.spawn(&python(script).limits(limits)).await.unwrap();
    let mut line = String::new();
    tokio::io::BufReader::new(&mut child.stdout).read_line(&mut line).await.unwrap();
    assert_eq!(line, "-9\n", "{}", child.stderr.tail());
    let stats = child.stats().await.unwrap();
    assert!(stats.by_cgroup && stats.memory_kills == Some(1), "{stats:?}");
    assert!(stats.memory_bytes <= 64 << 20 && stats.memory_bytes_peak.unwrap() > 32 << 20, "{stats:?}");
    drop(child);
    // Files in memory count as well.
    let disk = shell("head -c 200000000 /dev/zero > /tmp/x; echo not reached").limits(limits);
    assert_ne!(run(&spawner, &disk).await.stdout, "not reached\n");
    // The control.
    let room = Limits { memory_bytes: Some(1 << 30), ..Limits::default() };
    let fits = run(&spawner, &python("x = bytearray(200 << 20); print(len(x) >> 20)").limits(room)).await;
    assert_eq!(fits.stdout, "200\n");
}

#[tokio::test]
async fn files_are_bounded_and_no_core_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().canonicalize().unwrap();
    let limits = Limits { file_bytes: Some(1 << 20), open_files: Some(50), ..Limits::default() };
    let script = "ulimit -c; ulimit -n; ulimit -l; head -c 3000000 /dev/zero > /out/x; stat -c %s /out/x";
    let command = shell(script).root(Root::system().writable(&path, "/out")).limits(limits);
    assert_eq!(run(&spawner(&[]), &command).await.stdout, "0\n50\n8192\n1048576\n");
}

#[tokio::test]
async fn the_processor_is_shared_as_ordered() {
    let spawner = spawner(&[]);
    if !spawner.run_layers().in_force(LayerName::CpuLimit) {
        return;
    }
    let limits = Limits { cpu_percent: Some(20), memory_bytes: Some(1 << 28), ..Limits::default() };
    let mut child = spawner.spawn(&shell("echo ready; while :; do :; done").limits(limits)).await.unwrap();
    ready(&mut child).await;
    let (before, begin) = (child.stats().await.unwrap().cpu, Instant::now());
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    let used = child.stats().await.unwrap().cpu.saturating_sub(before);
    // How much is the kernel's business; that it is far less than a whole one is what was ordered.
    assert!(used < begin.elapsed() / 2, "{used:?} in {:?}", begin.elapsed());
    assert!(used > Duration::from_millis(20), "{used:?}");
}

/// A child that writes a number every few milliseconds.
async fn counting() -> (ringfence_sandbox::Spawner, Child) {
    let spawner = spawner(&[]);
    let script = "i=0; echo ready; while :; do i=$((i+1)); echo $i > /work/n; sleep 0.01; done & wait";
    let folder = Root::system();
    let command = common::shell(script).root(folder).network(Network::Gateway);
    let mut child = spawner.spawn(&command).await.unwrap();
    ready(&mut child).await;
    (spawner, child)
}

async fn used(child: &Child) -> Duration {
    child.stats().await.unwrap().cpu
}

#[tokio::test]
async fn what_is_paused_stands_still_and_goes_on() {
    // By the freezer where there is one, which an ordinary user here has not, and by stop signals where there is none.
    let (spawner, mut child) = counting().await;
    child.pause();
    // Asked after the pause, so answered after it.
    child.stats().await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let before = used(&child).await;
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert_eq!(used(&child).await, before, "paused");
    child.resume();
    let begin = Instant::now();
    while used(&child).await == before && begin.elapsed() < common::PATIENCE {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(used(&child).await > before, "resumed");
    // What is paused is killed all the same.
    child.pause();
    child.stats().await.unwrap();
    child.kill();
    assert_eq!(child.process.exited().await, ExitStatus::Killed);
    drop(spawner);
}

#[tokio::test]
async fn any_signal_reaches_the_program() {
    let script =
        "trap 'echo one' USR1; trap 'echo two; exit 4' INT; echo ready; while :; do sleep 0.01; done";
    let spawner = spawner(&[]);
    let mut child = spawner.spawn(&shell(script)).await.unwrap();
    ready(&mut child).await;
    child.signal(0);
    child.signal(64);
    child.signal(Signal::USR1.as_raw());
    let mut line = String::new();
    tokio::io::BufReader::new(&mut child.stdout).read_line(&mut line).await.unwrap();
    assert_eq!(line, "one\n");
    child.signal(Signal::INT.as_raw());
    assert_eq!(child.process.exited().await, ExitStatus::Exited(4));
    assert!(child.stats().await.is_none(), "it has ended");
}

#[tokio::test]
async fn what_a_box_uses_is_told() {
    let (_spawner, child) = counting().await;
    let stats = child.stats().await.unwrap();
    assert!(stats.processes >= 1 && stats.memory_bytes > 4_096, "{stats:?}");
}

#[tokio::test]
async fn standard_error_can_be_read_instead_of_kept() {
    let spawner = spawner(&[]);
    let mut child = spawner.spawn(&shell("echo x >&2").errors_unread()).await.unwrap();
    let mut errors = child.take_errors().unwrap();
    assert!(child.take_errors().is_none());
    let mut said = String::new();
    errors.read_to_string(&mut said).await.unwrap();
    assert_eq!((said.as_str(), child.stderr.tail().as_str()), ("x\n", ""));
}

/// A node with boxes that leave processes behind, one of them paused.
#[test]
#[ignore = "a role"]
fn role_node() {
    if !has_role("role_node") {
        return;
    }
    let marker = std::env::var("RINGFENCE_TEST_MARKER").unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let spawner = spawner(&[]);
        let script = format!("sleep {marker} & setsid sleep {marker} & echo ready; sleep {marker}");
        let limits = Limits { memory_bytes: Some(1 << 28), cpu_percent: Some(100), ..Limits::default() };
        let mut boxes = Vec::new();
        for _ in 0..3 {
            let mut child = spawner.spawn(&shell(&script).limits(limits)).await.unwrap();
            ready(&mut child).await;
            boxes.push(child);
        }
        boxes[2].pause();
        boxes[2].stats().await.unwrap();
        let (_, process) = common::state_and_parent(boxes[0].process.pid()).unwrap();
        println!("\nnode running {process} {}", boxes[0].process.pid());
        std::io::stdout().flush().unwrap();
        std::future::pending::<()>().await;
    });
}

#[test]
fn a_spawner_that_is_killed_leaves_no_process_and_the_next_removes_its_cgroups() {
    let marker = marker();
    let mut node = role(std::env::current_exe().unwrap(), "role_node");
    let mut node = Host(node.env("RINGFENCE_TEST_MARKER", &marker).spawn().unwrap());
    let mut said = BufReader::new(node.0.stdout.take().unwrap()).lines().map_while(Result::ok);
    let line = said.find_map(|line| Some(line.strip_prefix("node running ")?.to_owned())).unwrap();
    let (spawner, first) = line.split_once(' ').unwrap();
    // Of the one that is paused, perhaps none.
    assert!(eventually(|| processes_with(&marker).len() >= 6), "{:?}", processes_with(&marker));
    let places = cgroups_of(first.parse().unwrap());
    // Where it may make one. What kind of machine that is, the spawner says.
    let layers = ringfence_sandbox::probe(&common::program()).unwrap();
    let given = layers.in_force(LayerName::Freezer);
    assert_eq!(places.contains("/ringfence-"), given, "{places}");
    let own: Vec<PathBuf> = cgroups()
        .into_iter()
        .filter(|folder| places.contains(&*folder.file_name().unwrap().to_string_lossy()))
        .collect();
    assert_eq!(own.is_empty(), !given);

    kill_process(Pid::from_raw(spawner.parse().unwrap()).unwrap(), Signal::KILL).unwrap();
    assert!(eventually(|| processes_with(&marker).is_empty()), "{:?}", processes_with(&marker));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let next = common::spawner(&[]);
        let left: Vec<_> = own.iter().filter(|folder| folder.exists()).collect();
        assert!(left.is_empty(), "{left:?}");
        // Its own go with it.
        let child = next.spawn(&shell("sleep 1000")).await.unwrap();
        let places = cgroups_of(child.process.pid());
        drop(child);
        drop(next);
        tokio::task::yield_now().await;
        let theirs = move || {
            cgroups()
                .into_iter()
                .any(|folder| places.contains(&*folder.file_name().unwrap().to_string_lossy()))
        };
        assert!(tokio::task::spawn_blocking(move || eventually(|| !theirs())).await.unwrap());
    });
}

#[test]
fn all_of_this_holds_for_an_ordinary_user_too() {
    common::as_nobody(10);
}
