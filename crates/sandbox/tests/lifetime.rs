//! Nothing outlives its child, its spawner or its node, however they end.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use std::io::{BufRead, BufReader, Write};
use std::time::Duration;

use common::{
    Host, children_of, eventually, has_role, marker, processes_with, ready, role, run, shell, spawner,
};
use ringfence_sandbox::{Child, Command, ExitStatus, SpawnError, Spawner};
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[test]
#[ignore = "becomes the spawner"]
fn the_spawner() {
    ringfence_sandbox::become_spawner_if_asked();
}

/// A child that leaves processes behind in every way there is: in the background, in a session of its own,
/// orphaned.
fn leaver(marker: &str) -> Command {
    let script = format!(
        "sleep {marker} & setsid sleep {marker} & (setsid sh -c 'sleep {marker} & sleep {marker}' &) ; \
         echo ready; exec sleep {marker}"
    );
    shell(&script)
}

/// How many processes a [`leaver`] makes that carry its marker as an argument.
const LEFT: usize = 5;

async fn leaving(spawner: &Spawner, marker: &str) -> Child {
    let mut child = spawner.spawn(&leaver(marker)).await.unwrap();
    ready(&mut child).await;
    assert!(eventually(|| processes_with(marker).len() == LEFT), "{:?}", processes_with(marker));
    child
}

fn kill(pid: u32) {
    let pid = Pid::from_raw(pid.cast_signed()).unwrap();
    kill_process(pid, Signal::KILL).unwrap();
}

#[tokio::test]
async fn what_a_child_leaves_running_ends_with_it() {
    let marker = marker();
    let spawner = spawner(&[]);
    let script = format!("setsid sleep {marker} & sleep {marker} & echo ready; read line; exit 7");
    let Child { mut process, mut stdin, mut stdout, stderr: _stderr } =
        spawner.spawn(&shell(&script)).await.unwrap();
    let mut line = [0; 6];
    stdout.read_exact(&mut line).await.unwrap();
    assert!(eventually(|| processes_with(&marker).len() == 2));
    stdin.write_all(b"go\n").await.unwrap();
    assert_eq!(process.exited().await, ExitStatus::Exited(7));
    // Not soon: it has been reported as ended, so that nothing of it is left.
    assert_eq!(processes_with(&marker), [0_u32; 0]);
}

#[tokio::test]
async fn a_killed_child_ends_with_everything_below_it() {
    let marker = marker();
    let spawner = spawner(&[]);
    let mut child = leaving(&spawner, &marker).await;
    child.process.kill();
    assert_eq!(child.process.exited().await, ExitStatus::Killed);
    assert_eq!(processes_with(&marker), [0_u32; 0]);
    // Asking again is not an error, and neither is killing what has ended.
    assert_eq!(child.process.exited().await, ExitStatus::Killed);
    child.process.kill();
    assert!(spawner.alive());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_child_is_killed() {
    let marker = marker();
    let spawner = spawner(&[]);
    drop(leaving(&spawner, &marker).await);
    assert!(eventually(|| processes_with(&marker).is_empty()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_spawn_leaves_nothing() {
    let marker = marker();
    let spawner = spawner(&[]);
    for micros in (0..40).map(|n| n * 100) {
        let command = Command::new("sleep").argument(&marker);
        let spawning = spawner.spawn(&command);
        let _ = tokio::time::timeout(Duration::from_micros(micros), spawning).await;
    }
    assert!(eventually(|| processes_with(&marker).is_empty()));
    assert_eq!(run(&spawner, &shell("echo fine")).await.stdout, "fine\n");
}

#[tokio::test]
async fn a_child_can_be_asked_to_end() {
    let spawner = spawner(&[]);
    let script = "trap 'echo ending; exit 3' TERM; echo ready; while :; do sleep 0.01; done";
    let mut child = spawner.spawn(&shell(script)).await.unwrap();
    ready(&mut child).await;
    child.process.terminate();
    assert_eq!(child.process.exited().await, ExitStatus::Exited(3));

    let mut child = spawner.spawn(&shell("echo ready; exec sleep 1000")).await.unwrap();
    ready(&mut child).await;
    child.process.terminate();
    assert_eq!(child.process.exited().await, ExitStatus::Signaled(15));
}

#[tokio::test]
async fn a_hundred_children_in_a_row_leave_no_zombie() {
    let spawner = spawner(&[]);
    let first = spawner.spawn(&Command::new("sleep").argument("1000")).await.unwrap();
    let (_, process) = common::state_and_parent(first.process.pid()).unwrap();
    for n in 0..100 {
        let ended = run_fast(&spawner, n % 256).await;
        assert_eq!(ended, ExitStatus::Exited(n % 256));
    }
    let left: Vec<u32> = children_of(process).into_iter().map(|(pid, _)| pid).collect();
    assert_eq!(left, [first.process.pid()]);
}

async fn run_fast(spawner: &Spawner, code: i32) -> ExitStatus {
    let mut child = spawner.spawn(&shell(&format!("exit {code}"))).await.unwrap();
    child.process.exited().await
}

#[tokio::test]
async fn orphans_inside_a_sandbox_are_buried() {
    let spawner = spawner(&[]);
    let script = "for i in 1 2 3 4 5 6 7 8; do (true &) ; done; sleep 0.2; ls -d /proc/[0-9]*";
    assert_eq!(run(&spawner, &shell(script)).await.stdout, "/proc/1\n/proc/2\n");
}

#[tokio::test]
async fn the_bound_on_children_is_a_refusal_and_places_come_back() {
    let spawner = spawner(&[]);
    let mut children = Vec::new();
    for _ in 0..ringfence_sandbox::limits::CHILDREN_MAX {
        children.push(spawner.spawn(&Command::new("sleep").argument("1000")).await.unwrap());
    }
    let refused = spawner.spawn(&Command::new("true")).await;
    assert!(matches!(refused, Err(SpawnError::TooMany { max: ringfence_sandbox::limits::CHILDREN_MAX })));
    let mut one = children.swap_remove(7);
    one.process.kill();
    one.process.exited().await;
    assert!(spawner.spawn(&Command::new("true")).await.is_ok());
}

#[tokio::test]
async fn when_the_spawner_dies_children_are_dead_and_spawning_says_so() {
    let marker = marker();
    let spawner = spawner(&[]);
    let mut child = leaving(&spawner, &marker).await;
    let (_, process) = common::state_and_parent(child.process.pid()).unwrap();
    kill(process);
    assert_eq!(child.process.exited().await, ExitStatus::Killed);
    assert!(eventually(|| processes_with(&marker).is_empty()));
    for _ in 0..3 {
        let refused = spawner.spawn(&Command::new("true")).await;
        assert!(matches!(refused, Err(SpawnError::SpawnerGone)), "{refused:?}");
    }
    assert!(!spawner.alive());
}

#[tokio::test]
async fn what_ends_a_terminals_processes_or_a_service_does_not_end_the_spawner_before_its_node() {
    let spawner = spawner(&[]);
    let mut child = spawner.spawn(&shell("echo ready; read line; exit 5")).await.unwrap();
    ready(&mut child).await;
    let (_, process) = common::state_and_parent(child.process.pid()).unwrap();
    let process = Pid::from_raw(process.cast_signed()).unwrap();
    assert_eq!(rustix::process::getsid(Some(process)).unwrap(), process, "it leads a session of its own");
    for signal in [Signal::HUP, Signal::INT, Signal::QUIT, Signal::TERM, Signal::USR1] {
        kill_process(process, signal).unwrap();
    }
    assert_eq!(run(&spawner, &shell("echo fine")).await.stdout, "fine\n");
    child.stdin.write_all(b"go\n").await.unwrap();
    assert_eq!(child.process.exited().await, ExitStatus::Exited(5));
}

/// A node with children, that says when they run and then does nothing.
#[test]
#[ignore = "a role"]
fn role_node() {
    if !has_role("role_node") {
        return;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let spawner = spawner(&[]);
        let marker = std::env::var("RINGFENCE_TEST_MARKER").unwrap();
        let child = leaving(&spawner, &marker).await;
        let other = leaving_more(&spawner, &marker).await;
        println!("running {}", child.process.pid());
        std::io::stdout().flush().unwrap();
        std::future::pending::<()>().await;
        drop((child, other));
    });
}

async fn leaving_more(spawner: &Spawner, marker: &str) -> Child {
    let mut child = spawner.spawn(&leaver(marker)).await.unwrap();
    ready(&mut child).await;
    child
}

#[test]
fn a_node_that_is_killed_leaves_nothing_behind() {
    for signal in [Signal::KILL, Signal::TERM] {
        let marker = marker();
        let mut node = role(std::env::current_exe().unwrap(), "role_node");
        let mut node = Host(node.env("RINGFENCE_TEST_MARKER", &marker).spawn().unwrap());
        let mut said = BufReader::new(node.0.stdout.take().unwrap()).lines().map_while(Result::ok);
        let first = said.find_map(|line| line.rsplit_once("running ")?.1.parse().ok()).unwrap();
        assert!(eventually(|| processes_with(&marker).len() == 2 * LEFT));
        let (_, spawner) = common::state_and_parent(first).unwrap();
        let called = std::fs::read_to_string(format!("/proc/{spawner}/cmdline")).unwrap();
        assert!(called.starts_with("ringfence-spawner\0"), "{called}");

        kill_process(Pid::from_child(&node.0), signal).unwrap();
        node.0.wait().unwrap();
        assert!(
            eventually(|| processes_with(&marker).is_empty()),
            "{signal:?}: {:?}",
            processes_with(&marker)
        );
        assert!(eventually(|| common::state_and_parent(spawner).is_none_or(|(state, _)| state == 'Z')));
    }
}

#[test]
fn all_of_this_holds_for_an_ordinary_user_too() {
    common::as_nobody(12);
}
