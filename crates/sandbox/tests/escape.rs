//! Ways out, each tried for real: from outside, where it works, and from inside a box, where it does not.
//!
//! The attempts stand in `attempts.py`.

#![cfg(target_arch = "x86_64")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use std::collections::BTreeMap;
use std::fs::File;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::Path;
use std::process::{Command as HostCommand, Stdio};

use common::{Host, run, spawner};
use ringfence_sandbox::{Command, Driver, DriverName, Network, Root, Spawner};
use rustix::io::{FdFlags, fcntl_setfd};
use tokio::io::AsyncReadExt;

#[test]
#[ignore = "becomes the spawner"]
fn the_spawner() {
    ringfence_sandbox::become_spawner_if_asked();
}

/// Where an attempt works.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Works {
    /// For everybody on the machine.
    Anyone,
    /// For root on the machine.
    Superuser,
    /// For everybody who makes namespaces of their own first, as a box must not.
    InNamespaces,
    /// For root, where the kernel loads modules: one that is built without has no such calls to try.
    WithModules,
}
use Works::{Anyone, InNamespaces, Superuser, WithModules};

/// Every attempt, with whom it works for.
const ATTEMPTS: &str = include_str!("attempts.py");

/// The attempts by name.
fn attempts() -> Vec<(&'static str, Works)> {
    let mut found = Vec::new();
    let mut lines = ATTEMPTS.lines();
    while let Some(line) = lines.next() {
        let works = match line {
            "# Anyone" => Anyone,
            "# Superuser" => Superuser,
            "# InNamespaces" => InNamespaces,
            "# WithModules" => WithModules,
            _ => continue,
        };
        let definition = lines.next().and_then(|line| line.strip_prefix("def ")?.strip_suffix("():"));
        found.push((definition.unwrap(), works));
    }
    found
}

/// What the attempts need of the machine.
struct Bait {
    process: Host,
    name: String,
    _listener: UnixListener,
    /// Of the machine, and left open for whoever is started.
    _left_open: File,
}

impl Bait {
    fn lay() -> Self {
        let name = common::marker();
        let process =
            HostCommand::new("sleep").arg("1000").env("MARK", &name).stdin(Stdio::null()).spawn().unwrap();
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let left_open = File::open("/proc/self/environ").unwrap();
        fcntl_setfd(&left_open, FdFlags::empty()).unwrap();
        let listener = UnixListener::bind_addr(&address).unwrap();
        Self { process: Host(process), name, _listener: listener, _left_open: left_open }
    }

    /// A Python program that tries this.
    fn program(&self, attempt: &str) -> [String; 5] {
        let pid = self.process.0.id().to_string();
        ["-c".to_owned(), ATTEMPTS.to_owned(), attempt.to_owned(), pid, self.name.clone()]
    }

    fn outside(&self, works: Works, attempt: &str) -> String {
        let mut command = HostCommand::new("unshare");
        command.args(if works == InNamespaces { ["-UrmnuC", "--"].as_slice() } else { &["--"] });
        command.arg("/usr/bin/python3").args(self.program(attempt)).stdin(Stdio::null());
        let output = command.output().unwrap();
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).trim().to_owned()
    }

    async fn inside(&self, spawner: &Spawner, network: Network, attempt: &str) -> String {
        let command = Command::new("/usr/bin/python3").arguments(self.program(attempt));
        let ended = run(spawner, &command.root(Root::system()).network(network)).await;
        format!("{}{}", ended.stdout, ended.stderr).trim().to_owned()
    }

    async fn inside_of(&self, driver: &dyn Driver, attempt: &str) -> String {
        let command = Command::new("/usr/bin/python3").arguments(self.program(attempt));
        let mut command = command.root(Root::system()).network(network_of(driver.name()));
        if driver.name().has_mounts() {
            // As of a run: what the node keeps a descriptor of, the program must not.
            command = command.volume("/agent/out", 1 << 20);
        }
        let mut child = driver.create(&command).await.unwrap().exec().await.unwrap();
        let mut said = String::new();
        child.stdout.read_to_string(&mut said).await.unwrap();
        child.process.exited().await;
        format!("{said}{}", child.stderr.tail()).trim().to_owned()
    }
}

#[test]
fn what_is_refused_inside_works_outside() {
    let bait = Bait::lay();
    let root = rustix::process::geteuid().is_root();
    let mut wrong = BTreeMap::new();
    let modules = Path::new("/proc/modules").exists();
    for (attempt, works) in attempts() {
        let can = match works {
            Anyone | InNamespaces => true,
            // Without root the control of what only root can do says nothing.
            Superuser => root,
            WithModules => root && modules,
        };
        if can {
            let there = bait.outside(works, attempt);
            if there != "yes" {
                wrong.insert(attempt, there);
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(attempts().len() > 70, "attempts were lost");
}

/// What a driver does not prevent, and why that is no way out.
fn permitted(driver: DriverName, attempt: &str) -> Option<&'static str> {
    match driver {
        DriverName::Restricted => RESTRICTED.iter().find(|(name, _)| *name == attempt).map(|(_, why)| *why),
        DriverName::Runsc => RUNSC.iter().find(|(name, _)| *name == attempt).map(|(_, why)| *why),
        _ => None,
    }
}

/// In runsc all of this happens in its own kernel, and to nothing but what is in the container: the machine's kernel, which
/// the box around it still guards, never hears of it.
const RUNSC: [(&str, &str); 6] = [
    ("be_cloned_into_a_user_namespace", "its own namespaces, which it makes for everybody"),
    ("make_a_user_namespace", "its own namespaces, which it makes for everybody"),
    ("trace_a_child", "its own ptrace, of its own processes"),
    ("use_io_uring", "its own, within its own limits"),
    ("read_the_kernels_log", "its own log, which says nothing of the machine"),
    ("look_into_sys", "its own /sys, which says nothing of the machine"),
];

/// Without namespaces.
const RESTRICTED: [(&str, &str); 1] = [(
    "see_a_process_of_the_machine",
    "that a file or a process exists can be asked of any path, which Landlock does not judge; nothing of it can be opened",
)];

fn network_of(driver: DriverName) -> Network {
    if driver.has_network() { Network::Gateway } else { Network::None }
}

/// Tries everything in a driver's sandbox, if there is one.
async fn try_all(name: DriverName) {
    let (bait, spawner) = (Bait::lay(), spawner(&[]));
    let Some(driver) = common::driver(&spawner, name).await else { return };
    let mut wrong = BTreeMap::new();
    for (attempt, _) in attempts() {
        let here = bait.inside_of(&*driver, attempt).await;
        let as_said = match permitted(name, attempt) {
            None => here.starts_with("no"),
            Some(_) => here == "yes",
        };
        if !as_said {
            wrong.insert(attempt, here);
        }
    }
    assert!(wrong.is_empty(), "{name}: {wrong:#?}");
}

#[tokio::test]
async fn what_works_outside_is_refused_inside() {
    try_all(DriverName::Local).await;
}

#[tokio::test]
async fn what_works_outside_is_refused_without_namespaces() {
    try_all(DriverName::Restricted).await;
}

#[tokio::test]
async fn what_works_outside_is_refused_in_a_container_of_runc() {
    try_all(DriverName::Runc).await;
}

#[tokio::test]
async fn what_works_outside_is_refused_in_a_container_of_crun() {
    try_all(DriverName::Crun).await;
}

#[tokio::test]
async fn what_works_outside_is_refused_in_a_container_of_runsc() {
    try_all(DriverName::Runsc).await;
}

#[tokio::test]
async fn the_machines_network_is_no_way_to_its_sockets_either() {
    let (spawner, bait) = (spawner(&[]), Bait::lay());
    let attempt = "reach_a_socket_of_the_machine_by_its_abstract_name";
    assert_eq!(bait.outside(Anyone, attempt), "yes");
    assert_eq!(bait.inside(&spawner, Network::Host, attempt).await, "no EPERM");
}

#[tokio::test]
async fn what_programs_need_works_inside() {
    let needs = [
        "import threading; t = threading.Thread(target=lambda: None); t.start(); t.join()",
        "import multiprocessing; assert multiprocessing.Pool(2).map(abs, [-1, 2]) == [1, 2]",
        "import subprocess; assert subprocess.check_output(['sh', '-c', 'echo x | tr x y']) == b'y\\n'",
        "import tempfile; f = tempfile.NamedTemporaryFile(); f.write(b'x'); f.flush(); assert open(f.name).read() == 'x'",
        "import asyncio; asyncio.run(asyncio.create_subprocess_exec('true'))",
        "import ssl; assert ssl.create_default_context().cert_store_stats()['x509_ca'] > 50",
        "import getpass, pwd; assert getpass.getuser() == 'agent' and pwd.getpwuid(os.getuid()).pw_dir == '/work'",
        "import pty; a, b = pty.openpty(); os.write(a, b'x\\n'); assert os.read(b, 9) == b'x\\n'",
        "assert os.open('/dev/null', os.O_RDWR) and os.open('/dev/urandom', os.O_RDONLY)",
        "import mmap; m = mmap.mmap(-1, 1 << 20); m[0] = 1",
        "import sqlite3; sqlite3.connect('/work/x.db').execute('create table t (x)')",
        "import multiprocessing.shared_memory as s; s.SharedMemory(create=True, size=99).unlink()",
        "os.mkfifo('/tmp/fifo'); os.link('/tmp/fifo', '/tmp/fifo2'); os.rename('/tmp/fifo2', '/tmp/fifo3')",
        "os.mkdir('/work/a'); os.mkdir('/work/b'); open('/work/a/x', 'w').close(); os.rename('/work/a/x', '/work/b/x')",
        "import time; assert time.tzname and time.monotonic() < 1000",
        "assert socket.gethostname() == 'sandbox' and socket.gethostbyname('localhost') == '127.0.0.1'",
        "import resource; assert resource.getrlimit(resource.RLIMIT_CORE) == (1, 1)",
        "assert open('/proc/self/cgroup').read().strip().endswith(':/')",
        "assert sorted(os.listdir('/proc/self/fd')) == ['0', '1', '2', '3']",
    ];
    let spawner = spawner(&[]);
    let mut wrong = BTreeMap::new();
    for need in needs {
        let script = format!("import os, socket\n{need}\nprint('fine')");
        let command = Command::new("/usr/bin/python3").argument("-c").argument(script).root(Root::system());
        let ended = run(&spawner, &command.network(Network::Gateway)).await;
        if ended.stdout != "fine\n" {
            wrong.insert(need, format!("{}{}", ended.stdout, ended.stderr));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn all_of_this_holds_for_an_ordinary_user_too() {
    common::as_nobody(9);
}
