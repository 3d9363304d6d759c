//! What is made before its order comes is no different, knows nothing of other orders, and is never in the way.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use common::{Ended, children_of, eventually, has_role, role, run, spawner, state_and_parent};
use ringfence_sandbox::{Child, Command, ExitStatus, Network, Root, Spawner};
use tokio::io::AsyncBufReadExt;

#[test]
#[ignore = "becomes the spawner"]
fn the_spawner() {
    ringfence_sandbox::become_spawner_if_asked();
}

fn boxed(script: &str) -> Command {
    Command::new("sh").argument("-c").argument(script).root(Root::system()).network(Network::Gateway)
}

/// Starts a box that sleeps; it, its spawner, and what was made ahead for the next. Whoever else mounts something on this
/// machine has that thrown away, so that more than one may be started.
async fn one(spawner: &Spawner) -> (Child, u32, u32) {
    for _ in 0..20 {
        let child = spawner.spawn(&boxed("exec sleep 1000")).await.unwrap();
        let own = child.process.pid();
        let (_, of) = state_and_parent(own).unwrap();
        for _ in 0..100 {
            if let Some((ahead, _)) = children_of(of).into_iter().find(|(pid, _)| *pid != own) {
                return (child, of, ahead);
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        child.process.kill();
        let mut process = child.process;
        process.exited().await;
    }
    panic!("nothing is made ahead");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_box_is_the_one_that_was_made_ahead_and_no_different() {
    let spawner = spawner(&[]);
    for attempt in 0..20 {
        let (first, _, ahead) = one(&spawner).await;
        let second = spawner.spawn(&boxed("exec sleep 1000")).await.unwrap();
        assert_eq!(second.process.layers(), first.process.layers());
        if second.process.pid() == ahead {
            return;
        }
        assert!(state_and_parent(ahead).is_none(), "it was thrown away, at attempt {attempt}");
        second.process.kill();
        let mut process = second.process;
        process.exited().await;
    }
    panic!("what is made ahead is never used");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_box_looks_the_same_from_inside() {
    let spawner = spawner(&[]);
    // Descriptors, mounts, addresses, capabilities and limits, and the order of things that listen.
    let script = "ls -l /proc/self/fd | awk '{print $9, $10, $11}' | sed 's/[0-9]\\{3,\\}/N/g'; \
        sed 's/[0-9]*:[0-9]* //' /proc/self/mountinfo | cut -d' ' -f3-; awk '{print $2}' /proc/net/tcp6 | sort; \
        grep -E 'Cap|Seccomp:|NoNew|Uid' /proc/self/status; cat /proc/self/limits; hostname; id; env | sort";
    let command = boxed(script).variable("SECRET", "hunter2");
    let Ended { stdout: first, stderr, .. } = run(&spawner, &command).await;
    assert!(first.contains("/work") && first.contains("SECRET=hunter2"), "{first}{stderr}");
    for _ in 0..3 {
        let Ended { stdout, .. } = run(&spawner, &command).await;
        assert_eq!(stdout, first);
    }
    let other = run(&spawner, &boxed("env; grep -c . /proc/uptime")).await;
    assert!(!other.stdout.contains("SECRET"), "{}", other.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_clock_of_a_box_begins_with_its_order() {
    let spawner = spawner(&[]);
    let (_first, _, ahead) = one(&spawner).await;
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    let ordered = Instant::now();
    let mut second = spawner.spawn(&boxed("cut -d' ' -f1 /proc/uptime; exec sleep 1000")).await.unwrap();
    assert!(second.process.pid() == ahead || state_and_parent(ahead).is_none());
    let mut up = String::new();
    tokio::io::BufReader::new(&mut second.stdout).read_line(&mut up).await.unwrap();
    let up: f64 = up.trim().parse().unwrap();
    // As long as it took to be there, and not as long as it had waited before. Whole seconds are set off.
    let most = ordered.elapsed().as_secs_f64() + 1.0;
    assert!(up <= most, "{up} of {most}");
}

#[tokio::test(flavor = "multi_thread")]
async fn other_children_go_past_what_was_made_ahead() {
    let spawner = spawner(&[]);
    let (_first, _, ahead) = one(&spawner).await;
    let without = Command::new("true").root(Root::system()).network(Network::None);
    for command in [common::shell("true"), without] {
        let child = spawner.spawn(&command).await.unwrap();
        assert_ne!(child.process.pid(), ahead);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_has_died_is_no_failure_of_the_next_box() {
    let spawner = spawner(&[]);
    let (_first, _, ahead) = one(&spawner).await;
    let pid = rustix::process::Pid::from_raw(ahead.cast_signed()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    assert!(eventually(|| state_and_parent(ahead).is_none_or(|(state, _)| state == 'Z')));
    let Ended { status, stdout, .. } = run(&spawner, &boxed("echo fine")).await;
    assert_eq!((status, stdout.as_str()), (ExitStatus::Exited(0), "fine\n"));
    assert!(eventually(|| state_and_parent(ahead).is_none()), "it is buried");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_was_made_ahead_outlives_its_spawner() {
    let spawner = spawner(&[]);
    let (first, of, ahead) = one(&spawner).await;
    let folders = cgroups(first.process.pid());
    assert!(folders.iter().all(|folder| folder.exists()), "{folders:?}");
    drop((first, spawner));
    assert!(eventually(|| [of, ahead].iter().all(|pid| state_and_parent(*pid).is_none())));
    assert!(eventually(|| folders.iter().all(|folder| !folder.exists())), "{folders:?}");
}

/// The spawner's own folders among the cgroups of a box, in which those of all its boxes are.
fn cgroups(pid: u32) -> Vec<PathBuf> {
    let lines = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    let entered =
        lines.lines().filter_map(|line| line.split(':').nth(2)).filter(|path| path.contains("/ringfence-"));
    let mut folders = Vec::new();
    for path in entered {
        let own = Path::new(path.trim_start_matches('/')).parent().unwrap();
        let hierarchies = fs::read_dir("/sys/fs/cgroup").unwrap().flatten().map(|entry| entry.path());
        let all = hierarchies.chain([PathBuf::from("/sys/fs/cgroup")]).map(|hierarchy| hierarchy.join(own));
        folders.extend(all.filter(|folder| folder.exists()));
    }
    folders
}

#[test]
fn a_disk_that_was_mounted_since_is_seen_and_one_that_is_unmounted_is_let_go() {
    if !rustix::process::geteuid().is_root() {
        // It takes a mount of the machine.
        return;
    }
    // In a namespace of its own: every other test would notice.
    let role = role(std::env::current_exe().unwrap(), "role_with_a_disk");
    let mut unshared = std::process::Command::new("unshare");
    unshared.args(["--mount", "--propagation", "private"]).arg(role.get_program()).args(role.get_args());
    let output = unshared.env("RINGFENCE_TEST_ROLE", "role_with_a_disk").output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("\nseen and let go\n"), "{said}{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a role"]
async fn role_with_a_disk() {
    if !has_role("role_with_a_disk") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().canonicalize().unwrap().join("disk");
    fs::create_dir(&place).unwrap();
    let spawner = spawner(&[]);
    let (_first, _, before) = one(&spawner).await;
    rustix::mount::mount("none", &place, "tmpfs", rustix::mount::MountFlags::empty(), None).unwrap();
    fs::write(place.join("file"), "on the disk\n").unwrap();
    assert!(eventually(|| state_and_parent(before).is_none()), "it would keep what is mounted");
    let root = Root::system().read_only(&place, "/disk");
    let command = Command::new("cat").argument("/disk/file").root(root).network(Network::Gateway);
    let said = run(&spawner, &command).await;
    rustix::mount::unmount(&place, rustix::mount::UnmountFlags::empty()).unwrap();
    assert_eq!(said.stdout, "on the disk\n", "{}", said.stderr);
    println!("\nseen and let go");
}

#[test]
fn all_of_this_holds_for_an_ordinary_user_too() {
    common::as_nobody(8);
}
