//! A sandbox that holds before its program runs, and folders in it that the node fills before and reads after.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use std::fs;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use common::{eventually, marker, processes_with, spawner, state_and_parent};
use ringfence_sandbox::{Child, Command, ExitStatus, LayerName, Limits, Network, Root, SpawnError};
use rustix::fs::{AtFlags, Mode, OFlags, chmodat, openat, statvfs};
use tokio::io::AsyncReadExt;

#[test]
#[ignore = "becomes the spawner"]
fn the_spawner() {
    ringfence_sandbox::become_spawner_if_asked();
}

fn boxed(script: &str) -> Command {
    Command::new("sh").argument("-c").argument(script).root(Root::system()).network(Network::Gateway)
}

async fn to_the_end(child: Child) -> (String, ExitStatus) {
    let Child { mut process, stdin, mut stdout, stderr } = child;
    drop(stdin);
    let mut said = String::new();
    stdout.read_to_string(&mut said).await.unwrap();
    let status = process.exited().await;
    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    (said + &stderr.tail(), status)
}

/// A path that leads beneath an open folder.
fn beneath(folder: &OwnedFd, name: &str) -> PathBuf {
    use std::os::fd::AsRawFd;
    Path::new("/proc/self/fd").join(folder.as_raw_fd().to_string()).join(name)
}

#[tokio::test]
async fn nothing_of_the_program_runs_before_it_is_told_to() {
    let spawner = spawner(&[]);
    let marker = marker();
    let command = boxed(&format!("echo ran; exec sleep {marker}")).volume("/agent/out", 1 << 20);
    let mut created = spawner.create(&command).await.unwrap();
    assert!(created.layers().in_force(LayerName::PrivateRoot), "{:?}", created.layers());
    assert_eq!(created.take_sockets().unwrap().tcp.len(), ringfence_sandbox::limits::TCP_PORTS.len());
    assert_eq!(created.take_volumes().len(), 1);
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    assert!(processes_with(&marker).is_empty());
    let layers = created.layers().clone();
    let mut child = created.exec().await.unwrap();
    let mut word = [0; 4];
    child.stdout.read_exact(&mut word).await.unwrap();
    assert_eq!(&word, b"ran\n");
    assert!(eventually(|| processes_with(&marker).len() == 1));
    assert_eq!(*child.process.layers(), layers);
    assert!(child.take_sockets().is_none() && child.take_volumes().is_empty(), "they were taken before");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_created_one_that_is_dropped_leaves_nothing() {
    let spawner = spawner(&[]);
    let created = spawner.create(&boxed("true")).await.unwrap();
    let first = created.pid();
    assert!(state_and_parent(first).is_some());
    drop(created);
    assert!(eventually(|| state_and_parent(first).is_none()));
    assert!(spawner.alive());
    let child = spawner.create(&boxed("echo next")).await.unwrap().exec().await.unwrap();
    assert_eq!(to_the_end(child).await, ("next\n".to_owned(), ExitStatus::Exited(0)));
}

#[tokio::test]
async fn what_the_program_lacks_is_told_when_it_is_executed_and_the_rest_before() {
    let spawner = spawner(&[]);
    let command = Command::new("no-such-program").root(Root::system());
    let created = spawner.create(&command).await.unwrap();
    let error = created.exec().await.unwrap_err();
    assert!(
        matches!(&error, SpawnError::NotFound { program, .. } if program == "no-such-program"),
        "{error}"
    );
    let nowhere = boxed("true").directory("/nowhere");
    let error = spawner.create(&nowhere).await.unwrap().exec().await.unwrap_err();
    assert!(
        matches!(&error, SpawnError::WorkingDirectory { path, .. } if path == Path::new("/nowhere")),
        "{error}"
    );
    let missing = Command::new("true").root(Root::system().read_only("/no/such/source", "/a"));
    assert!(matches!(spawner.create(&missing).await, Err(SpawnError::Setup(_))));
    let network = Command::new("true").root(Root::system()).require(LayerName::NetworkNamespace);
    assert!(matches!(spawner.create(&network).await, Err(SpawnError::LayerMissing { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_held_too_long_ends_by_itself() {
    let spawner = spawner(&[]);
    let hold = std::time::Duration::from_millis(300);
    let created = spawner.create(&boxed("true").hold_at_most(hold)).await.unwrap();
    let first = created.pid();
    assert!(state_and_parent(first).is_some());
    assert!(eventually(|| state_and_parent(first).is_none()));
    let error = created.exec().await.unwrap_err();
    assert!(matches!(&error, SpawnError::HeldTooLong { after } if *after == hold), "{error}");
}

#[tokio::test]
async fn a_tool_server_can_be_held_too() {
    let spawner = spawner(&[]);
    let created = spawner.create(&common::shell("echo held")).await.unwrap();
    assert_eq!(to_the_end(created.exec().await.unwrap()).await.0, "held\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_served_before_the_program_runs_answers_its_first_request() {
    let spawner = spawner(&[]);
    let script = "import socket; print(socket.create_connection(('192.0.2.1', 80), 10).makefile().read())";
    let command = Command::new("/usr/bin/python3").argument("-c").argument(script).root(Root::system());
    let mut created = spawner.create(&command.network(Network::Gateway)).await.unwrap();
    let sockets = created.take_sockets().unwrap();
    let served = tokio::task::spawn_blocking(move || {
        let (_, listener) = sockets.tcp.into_iter().find(|(port, _)| *port == 80).unwrap();
        listener.set_nonblocking(false).unwrap();
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(b"served").unwrap();
        stream.local_addr().unwrap().ip().to_canonical()
    });
    let child = created.exec().await.unwrap();
    assert_eq!(served.await.unwrap(), IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)));
    assert_eq!(to_the_end(child).await.0, "served\n");
}

#[tokio::test]
async fn a_volume_is_filled_before_and_read_after_everything_has_ended() {
    let spawner = spawner(&[]);
    let script = "cat /agent/state/before && id -u && stat -c %u /agent/state/before && \
        echo changed > /agent/state/before && mkdir -m 700 /agent/state/deep && \
        echo secret > /agent/state/deep/unreadable && chmod 000 /agent/state/deep/unreadable /agent/state/deep && \
        ln -s /etc/shadow /agent/state/link && \
        printf '#!/bin/sh\\necho executed\\n' > /agent/state/run && chmod +x /agent/state/run && /agent/state/run";
    let command = boxed(script).volume("/agent/state", 1 << 20).volume("/agent/out", 1 << 20);
    let mut created = spawner.create(&command).await.unwrap();
    let volumes = created.take_volumes();
    let targets: Vec<_> = volumes.iter().map(|(target, _)| target.to_str().unwrap()).collect();
    assert_eq!(targets, ["/agent/state", "/agent/out"]);
    let state = &volumes[0].1;
    fs::write(beneath(state, "before"), "from the node\n").unwrap();

    let child = created.exec().await.unwrap();
    let (said, status) = to_the_end(child).await;
    assert_eq!(said, "from the node\n1000\n1000\nexecuted\n");
    assert_eq!(status, ExitStatus::Exited(0));

    assert_eq!(fs::read_to_string(beneath(state, "before")).unwrap(), "changed\n");
    assert_eq!(fs::read_dir(beneath(&volumes[1].1, ".")).unwrap().count(), 0);
    let follows = openat(state, "link", OFlags::RDONLY | OFlags::NOFOLLOW, Mode::empty());
    assert_eq!(follows.unwrap_err(), rustix::io::Errno::LOOP);
    // Whoever started it owns what is in it, and can so give itself what the mode refuses.
    for name in ["deep", "deep/unreadable"] {
        chmodat(state, name, Mode::RWXU, AtFlags::empty()).unwrap();
    }
    assert_eq!(fs::read_to_string(beneath(state, "deep/unreadable")).unwrap(), "secret\n");
    let owner = fs::metadata(beneath(state, "deep/unreadable")).unwrap();
    assert_eq!(std::os::unix::fs::MetadataExt::uid(&owner), rustix::process::geteuid().as_raw());
    assert_eq!(owner.permissions().mode() & 0o777, 0o700);
}

#[tokio::test]
async fn a_volume_of_a_child_that_was_killed_is_read_all_the_same() {
    let spawner = spawner(&[]);
    let command = boxed("echo half > /v/file; echo ready; exec sleep 1000").volume("/v", 1 << 20);
    let mut child = spawner.spawn(&command).await.unwrap();
    let volumes = child.take_volumes();
    common::ready(&mut child).await;
    child.kill();
    assert_eq!(child.process.exited().await, ExitStatus::Killed);
    assert_eq!(fs::read_to_string(beneath(&volumes[0].1, "file")).unwrap(), "half\n");
}

#[tokio::test]
async fn a_volume_holds_so_many_bytes_and_files_and_no_device_or_set_user_id_program() {
    let spawner = spawner(&[]);
    let script = "head -c 9000000 /dev/zero > /v/large 2>/dev/null; stat -c %s /v/large; rm /v/large\n\
        i=0; while mkdir /v/$i 2>/dev/null; do i=$((i + 1)); done; echo $i; grep ' /v ' /proc/self/mounts";
    let command = boxed(script).volume("/v", 8 << 20);
    let mut created = spawner.create(&command).await.unwrap();
    let volumes = created.take_volumes();
    let size = statvfs(beneath(&volumes[0].1, ".")).unwrap();
    assert_eq!((size.f_blocks * size.f_frsize, size.f_files), (8 << 20, 2_048));
    let (said, _) = to_the_end(created.exec().await.unwrap()).await;
    let mut lines = said.lines();
    assert_eq!(lines.next(), Some("8388608"), "{said}");
    // The root of it is one of them.
    assert_eq!(lines.next(), Some("2047"), "{said}");
    let mount = lines.next().unwrap_or_default();
    assert!(mount.contains("nosuid,nodev") && !mount.contains("noexec"), "{said}");
}

#[tokio::test]
async fn what_a_child_writes_to_a_volume_counts_to_its_memory() {
    let spawner = spawner(&[]);
    let limits = Limits { memory_bytes: Some(32 << 20), ..Limits::default() };
    let script = "head -c 50000000 /dev/zero > /v/large; echo survived";
    let command = boxed(script).limits(limits).volume("/v", 64 << 20);
    let child = spawner.create(&command).await.unwrap().exec().await.unwrap();
    let counted = child.process.layers().in_force(LayerName::MemoryLimit);
    let (said, _) = to_the_end(child).await;
    // Without a cgroup nothing counts, and the layer says so.
    assert_eq!(said.contains("Killed") || !said.contains("survived"), counted, "{said}");
}

#[test]
fn all_of_this_holds_for_an_ordinary_user_too() {
    common::as_nobody(11);
}
