//! What a child can and cannot see, as whoever runs the tests and, where that is root, as nobody too.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use std::fs;
use std::path::Path;

use common::{Ended, run, shell, spawner};
use ringfence_sandbox::{Command, ExitStatus, LayerName};

#[test]
#[ignore = "becomes the spawner"]
fn the_spawner() {
    ringfence_sandbox::become_spawner_if_asked();
}

/// A data folder with a secret in it, in a folder that a child may read.
struct Data {
    outer: tempfile::TempDir,
}

impl Data {
    fn new() -> Self {
        let outer = tempfile::tempdir().unwrap();
        fs::create_dir(outer.path().join("data")).unwrap();
        fs::write(outer.path().join("data/secret"), "hunter2").unwrap();
        fs::write(outer.path().join("paper"), "public").unwrap();
        Self { outer }
    }

    fn outer(&self) -> &Path {
        self.outer.path()
    }

    fn path(&self) -> std::path::PathBuf {
        self.outer.path().join("data")
    }
}

#[tokio::test]
async fn a_child_cannot_read_the_data_folder_and_can_read_beside_it() {
    let data = Data::new();
    let spawner = spawner(&[&data.path()]);
    let script = format!(
        "cat {0}/paper; cat {0}/data/secret || echo refused; ls -A {0}/data; ls {0}; cat /proc/1/root{0}/data/secret || echo refused",
        data.outer().display()
    );
    let Ended { stdout, .. } = run(&spawner, &shell(&script)).await;
    assert_eq!(stdout, "publicrefused\ndata\npaper\nrefused\n");
}

#[tokio::test]
async fn a_child_cannot_write_into_the_data_folder_or_uncover_it() {
    let data = Data::new();
    let spawner = spawner(&[&data.path()]);
    let script = format!(
        "umount -l {0}; unshare -Urm umount -l {0}; echo x > {0}/new || echo refused; cat {0}/secret || echo refused",
        data.path().display()
    );
    let Ended { stdout, .. } = run(&spawner, &shell(&script)).await;
    assert_eq!(stdout, "refused\nrefused\n");
    assert!(!data.path().join("new").exists());
}

#[tokio::test]
async fn a_link_that_leads_into_the_data_folder_leads_nowhere() {
    let data = Data::new();
    std::os::unix::fs::symlink(data.path(), data.outer().join("link")).unwrap();
    // Also when the folder to hide is itself named through a link.
    let spawner = spawner(&[&data.outer().join("link")]);
    let script = format!("cat {0}/link/secret {0}/data/secret || echo refused", data.outer().display());
    assert_eq!(run(&spawner, &shell(&script)).await.stdout, "refused\n");
}

#[tokio::test]
async fn a_path_of_one_command_is_hidden_from_it_alone() {
    let data = Data::new();
    let spawner = spawner(&[]);
    let cat = |path: &Path| Command::new("cat").argument(path);
    let paper = data.outer().join("paper");
    assert_eq!(run(&spawner, &cat(&paper).hide(&paper)).await.stdout, "");
    assert_eq!(run(&spawner, &cat(&paper)).await.stdout, "public");
}

#[tokio::test]
async fn a_child_sees_only_its_own_processes() {
    let Ended { stdout, .. } = run(&spawner(&[]), &shell("ls -d /proc/[0-9]*; echo $$; hostname")).await;
    let lines: Vec<&str> = stdout.lines().collect();
    // The first process and the shell, which looks before it starts ls.
    assert_eq!(lines, ["/proc/1", "/proc/2", "2", "sandbox"]);
}

#[tokio::test]
async fn a_child_cannot_read_the_first_process_or_signal_it() {
    let script = "cat /proc/1/environ /proc/1/maps || echo refused; kill -9 1; kill -0 1 && echo alive";
    let Ended { stdout, status, .. } = run(&spawner(&[]), &shell(script)).await;
    assert_eq!(stdout, "refused\nalive\n");
    assert_eq!(status, ExitStatus::Exited(0));
}

#[tokio::test]
async fn a_child_inherits_no_descriptor_but_three() {
    // A descriptor that is not closed on exec, as careless code leaves behind.
    let file = fs::File::open("/etc/passwd").unwrap();
    rustix::io::fcntl_setfd(&file, rustix::io::FdFlags::empty()).unwrap();
    let spawner = spawner(&[]);
    // `ls` itself holds the folder it lists.
    let Ended { stdout, .. } = run(&spawner, &Command::new("ls").argument("/proc/self/fd")).await;
    assert_eq!(stdout, "0\n1\n2\n3\n");
    drop(file);
}

#[tokio::test]
async fn the_spawner_and_the_first_process_hold_nothing_of_the_node_or_of_each_other() {
    let file = fs::File::open("/etc/passwd").unwrap();
    rustix::io::fcntl_setfd(&file, rustix::io::FdFlags::empty()).unwrap();
    let spawner = spawner(&[]);
    let first = spawner.spawn(&Command::new("sleep").argument("1000")).await.unwrap();
    let second = spawner.spawn(&Command::new("sleep").argument("1000")).await.unwrap();
    let (_, process) = common::state_and_parent(first.process.pid()).unwrap();
    let Some(held) = descriptors(process) else {
        // Neither is dumpable, so that only root can look.
        assert!(!rustix::process::geteuid().is_root());
        return;
    };
    assert!(!held.iter().any(|what| what.contains("passwd")), "{held:?}");
    for pid in [first.process.pid(), second.process.pid()] {
        let held = descriptors(pid).unwrap();
        assert_eq!(held.iter().filter(|what| *what == "/dev/null").count(), 3, "{held:?}");
        assert_eq!(held.iter().filter(|what| what.starts_with("socket:")).count(), 1, "{held:?}");
        assert_eq!(held.len(), 4, "{held:?}");
    }
}

/// What the descriptors of a process are; `None` where that may not be looked at.
fn descriptors(pid: u32) -> Option<Vec<String>> {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).ok()?;
    let targets = entries.map(|entry| fs::read_link(entry.unwrap().path()).unwrap());
    Some(targets.map(|target| target.to_string_lossy().into_owned()).collect())
}

#[tokio::test]
async fn a_child_has_no_capability_and_gains_none() {
    let Ended { stdout, .. } =
        run(&spawner(&[]), &shell("grep -E 'Cap(Inh|Prm|Eff|Amb)|NoNewPrivs' /proc/self/status")).await;
    let sets: Vec<&str> = stdout.split_whitespace().filter(|word| !word.contains(':')).collect();
    assert_eq!(sets, ["0000000000000000", "0000000000000000", "0000000000000000", "0000000000000000", "1"]);
}

#[tokio::test]
async fn a_child_has_no_disks_and_no_switches_of_the_kernel() {
    let script = "ls /dev; echo x > /proc/sys/kernel/core_pattern || echo refused; \
                  echo x > /proc/sysrq-trigger || echo refused; \
                  find /sys -maxdepth 3 -writable -type f | head -1; echo fine > /dev/null && echo null";
    let Ended { stdout, .. } = run(&spawner(&[]), &shell(script)).await;
    let lines: Vec<&str> = stdout.lines().collect();
    let expected = [
        "fd", "full", "null", "ptmx", "pts", "random", "shm", "stderr", "stdin", "stdout", "tty", "urandom",
        "zero",
    ];
    assert_eq!(lines[..expected.len()], expected);
    assert_eq!(lines[expected.len()..], ["refused", "refused", "null"]);
}

#[tokio::test]
async fn each_child_has_a_home_of_its_own_and_it_is_gone_afterwards() {
    let spawner = spawner(&[]);
    let first = run(&spawner, &shell("echo x > ~/note; ls ~; pwd; echo $HOME; echo $TMPDIR")).await.stdout;
    let lines: Vec<&str> = first.lines().collect();
    assert_eq!(lines[0], "note");
    assert!(lines[1..].iter().all(|line| *line == lines[1]), "{lines:?}");
    assert_eq!(run(&spawner, &shell("ls -A ~")).await.stdout, "");
    let home = Path::new(lines[1]);
    assert_eq!(fs::read_dir(home).unwrap().count(), 0);
    drop(spawner);
    tokio::task::yield_now().await;
    let home = home.to_owned();
    assert!(tokio::task::spawn_blocking(move || common::eventually(|| !home.exists())).await.unwrap());
}

#[tokio::test]
async fn a_home_is_bounded() {
    let limits = ringfence_sandbox::Limits { home_bytes: 1 << 20, ..Default::default() };
    let command = shell("head -c 8000000 /dev/zero > ~/large; stat -c %s ~/large").limits(limits);
    let Ended { stdout, stderr, .. } = run(&spawner(&[]), &command).await;
    assert_eq!(stdout.trim(), "1048576", "{stderr}");
}

#[tokio::test]
async fn refused_system_calls_fail_and_threads_and_terminals_work() {
    let script = "unshare -U true || echo no-namespace; unshare -m true || echo no-mounts; \
                  python3 -c 'import threading,socket\nt=threading.Thread(target=print,args=(\"thread\",));t.start();t.join()\n\
                  try: socket.socket(17,3)\nexcept PermissionError: print(\"no-packets\")\n\
                  import pty; print(\"terminal\" if pty.openpty() else 0)' || echo no-python";
    let Ended { stdout, stderr, .. } = run(&spawner(&[]), &shell(script)).await;
    assert_eq!(stdout, "no-namespace\nno-mounts\nthread\nno-packets\nterminal\n", "{stderr}");
}

#[tokio::test]
async fn every_layer_is_in_force_here_and_is_reported_on_the_child() {
    let data = Data::new();
    let spawner = spawner(&[&data.path()]);
    let child = spawner.spawn(&Command::new("true")).await.unwrap();
    // The machine these tests run on gives every layer; another one would have to be told about.
    assert_eq!(
        child.process.layers().iter().map(|layer| layer.name).collect::<Vec<_>>(),
        LayerName::TOOL_SERVER
    );
    assert!(child.process.layers().complete(), "{:?}", child.process.layers().missing().collect::<Vec<_>>());
    assert!(spawner.layers().complete());
}

#[test]
fn all_of_this_holds_for_an_ordinary_user_too() {
    common::as_nobody(15);
}
