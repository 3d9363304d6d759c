//! What holds of every driver.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use std::fs;
use std::os::unix::net::UnixListener;
use std::path::Path;

use common::{drivers, eventually, marker, processes_with, ready, spawner};
use ringfence_sandbox::{
    Child, Command, Driver, DriverName, ExitStatus, LayerName, Limits, Network, Root, SpawnError,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[test]
#[ignore = "becomes the spawner"]
fn the_spawner() {
    ringfence_sandbox::become_spawner_if_asked();
}

fn network_of(driver: &dyn Driver) -> Network {
    if driver.name().has_network() { Network::Gateway } else { Network::None }
}

async fn begin(driver: &dyn Driver, command: Command, root: Root) -> Result<Child, SpawnError> {
    let command = command.root(root).network(network_of(driver));
    driver.create(&command).await?.exec().await
}

fn python(script: &str) -> Command {
    Command::new("python3").argument("-c").argument(script)
}

async fn said(child: &mut Child) -> String {
    let mut said = String::new();
    child.stdout.read_to_string(&mut said).await.unwrap();
    said
}

#[tokio::test]
async fn a_program_reads_writes_and_ends_as_it_says() {
    let spawner = spawner(&[]);
    for driver in drivers(&spawner).await {
        let script = "read line; echo \"$line $VALUE $1\"; echo aside >&2; cd; pwd -P >/dev/null; \
                      echo x > file && cat file; exit 7";
        let command =
            Command::new("sh").arguments(["-c", script, "sh", "argument"]).variable("VALUE", "value");
        let mut child = begin(&*driver, command, Root::system()).await.unwrap();
        child.stdin.write_all(b"line\n").await.unwrap();
        let name = driver.name();
        assert_eq!(said(&mut child).await, "line value argument\nx\n", "{name}");
        assert_eq!(child.process.exited().await, ExitStatus::Exited(7), "{name}");
        assert!(eventually(|| child.stderr.tail() == "aside\n"), "{name}: {}", child.stderr.tail());
    }
}

#[tokio::test]
async fn a_program_that_is_not_there_is_named() {
    let spawner = spawner(&[]);
    for driver in drivers(&spawner).await {
        let refused = begin(&*driver, Command::new("no-such-program"), Root::system()).await;
        let refused = refused.err().map(|error| error.to_string()).unwrap_or_default();
        assert!(refused.contains("`no-such-program`"), "{}: {refused}", driver.name());
    }
}

#[tokio::test]
async fn a_signal_reaches_the_program_and_a_pause_holds_all_of_it() {
    let spawner = spawner(&[]);
    for driver in drivers(&spawner).await {
        let name = driver.name();
        let script = "trap 'echo asked; exit 3' TERM; echo ready; while :; do sleep 0.05; done";
        let command = Command::new("sh").argument("-c").argument(script);
        let mut child = begin(&*driver, command, Root::system()).await.unwrap();
        ready(&mut child).await;
        assert!(child.stats().await.is_some_and(|stats| stats.processes > 0), "{name}");
        child.pause();
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        child.process.terminate();
        let mut one = [0; 1];
        let quiet = tokio::time::timeout(std::time::Duration::from_millis(300), child.stdout.read(&mut one));
        assert!(quiet.await.is_err(), "{name} answered while it was paused");
        child.resume();
        assert_eq!(said(&mut child).await, "asked\n", "{name}");
        assert_eq!(child.process.exited().await, ExitStatus::Exited(3), "{name}");
    }
}

#[tokio::test]
async fn what_a_program_leaves_running_ends_with_it() {
    let spawner = spawner(&[]);
    for driver in drivers(&spawner).await {
        let name = driver.name();
        let marker = marker();
        let script = format!("setsid sleep {marker} & sleep {marker} & echo ready; sleep {marker}");
        let command = Command::new("sh").argument("-c").argument(script);
        let mut child = begin(&*driver, command, Root::system()).await.unwrap();
        ready(&mut child).await;
        // What runs in runsc has no name on the machine; its kernel has.
        let pid = child.process.pid().to_string();
        if name != DriverName::Runsc {
            assert!(eventually(|| processes_with(&marker).len() == 3), "{name}");
        }
        child.kill();
        assert_eq!(child.process.exited().await, ExitStatus::Killed, "{name}");
        assert!(processes_with(&marker).is_empty(), "{name}");
        assert!(!Path::new("/proc").join(pid).exists(), "{name}");
    }
}

#[tokio::test]
async fn layers_are_measured_and_one_that_is_missing_refuses() {
    let spawner = spawner(&[]);
    for driver in drivers(&spawner).await {
        let name = driver.name();
        let posture = driver.probe().await.unwrap();
        assert_eq!((posture.driver, posture.version.is_some()), (name, name.is_oci()));
        assert_eq!(posture.layers.iter().count(), LayerName::ALL.len(), "{name}");
        for layer in [LayerName::Seccomp, LayerName::NoNewPrivileges, LayerName::NoCapabilities] {
            assert!(posture.layers.in_force(layer), "{name} {layer}");
        }
        assert_eq!(posture.layers.in_force(LayerName::Landlock), !name.is_oci(), "{name}");
        assert_eq!(posture.layers.in_force(LayerName::PrivateRoot), name.has_network(), "{name}");
        let Some(missing) = posture.layers.missing().next() else { continue };
        let command = Command::new("true").require(missing.name);
        match begin(&*driver, command, Root::system()).await {
            Err(SpawnError::LayerMissing { name, .. }) => assert_eq!(name, missing.name),
            other => panic!("{name} without {}: {other:?}", missing.name),
        }
    }
}

#[tokio::test]
async fn bounds_hold() {
    let spawner = spawner(&[]);
    for driver in drivers(&spawner).await {
        let name = driver.name();
        let script = "import resource as r\n\
                      print(r.getrlimit(r.RLIMIT_CORE)[1], r.getrlimit(r.RLIMIT_NOFILE)[1], \
                      r.getrlimit(r.RLIMIT_FSIZE)[1])";
        let limits = Limits { open_files: Some(99), file_bytes: Some(1 << 20), ..Limits::default() };
        let mut child = begin(&*driver, python(script).limits(limits), Root::system()).await.unwrap();
        assert_eq!(said(&mut child).await, "1 99 1048576\n", "{name}: {}", child.stderr.tail());
    }
}

#[tokio::test]
async fn what_is_shown_is_seen_and_what_is_read_only_stays_as_it_is() {
    let folder = tempfile::tempdir_in("/var/tmp").unwrap();
    let path = folder.path().canonicalize().unwrap();
    let open = |path: &Path, mode| {
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    fs::create_dir(path.join("out")).unwrap();
    fs::write(path.join("input"), "input\n").unwrap();
    open(&path, 0o755);
    open(&path.join("out"), 0o777);
    let spawner = spawner(&[]);
    for driver in drivers(&spawner).await {
        let name = driver.name();
        let shown = path.display();
        let script = format!(
            "cat {shown}/input; echo x > {shown}/input || echo kept; echo x > {shown}/new || echo none; \
             echo x > {shown}/out/{name} && echo written; ls /root /home 2>/dev/null; true"
        );
        let root = Root::system().read_only(&path, &path).writable(path.join("out"), path.join("out"));
        let command = Command::new("sh").argument("-c").argument(script);
        let mut child = begin(&*driver, command, root).await.unwrap();
        assert_eq!(said(&mut child).await, "input\nkept\nnone\nwritten\n", "{name}: {}", child.stderr.tail());
        assert_eq!(fs::read_to_string(path.join("out").join(name.as_str())).unwrap(), "x\n");
    }
    assert_eq!(fs::read_to_string(path.join("input")).unwrap(), "input\n");
}

#[tokio::test]
async fn a_folder_is_the_root_of_a_container() {
    let folder = tempfile::tempdir_in("/var/tmp").unwrap();
    let path = folder.path().canonicalize().unwrap();
    for part in ["bin", "etc/app.d", "opt"] {
        fs::create_dir_all(path.join(part)).unwrap();
    }
    let busy = ["/bin/busybox", "/usr/bin/busybox"].into_iter().find(|path| Path::new(path).exists());
    fs::copy(busy.expect("busybox-static is installed"), path.join("bin/busybox")).unwrap();
    std::os::unix::fs::symlink("/bin/busybox", path.join("bin/sh")).unwrap();
    std::os::unix::fs::symlink("bin", path.join("sbin")).unwrap();
    fs::write(path.join("etc/passwd"), "image:x:0:0::/:/bin/sh\n").unwrap();
    fs::write(path.join("etc/app.d/one"), "one\n").unwrap();
    fs::write(path.join("etc/hosts"), "8.8.8.8 gateway\n").unwrap();
    let spawner = spawner(&[]);
    for driver in drivers(&spawner).await {
        let name = driver.name();
        if name == DriverName::Restricted {
            assert!(begin(&*driver, Command::new("/bin/sh"), Root::folder(&path)).await.is_err());
            continue;
        }
        let script = "/bin/busybox cat /etc/passwd /etc/app.d/one; /bin/busybox grep -c gateway /etc/hosts; \
                      /sbin/busybox echo x > /work/x && /bin/busybox echo y > /opt/y || /bin/busybox echo kept; \
                      /bin/busybox test -e /usr || /bin/busybox echo alone";
        let command = Command::new("/bin/sh").argument("-c").argument(script);
        let mut child = begin(&*driver, command, Root::folder(&path)).await.unwrap();
        let expected = "image:x:0:0::/:/bin/sh\none\n0\nkept\nalone\n";
        assert_eq!(said(&mut child).await, expected, "{name}: {}", child.stderr.tail());
    }
    assert!(!path.join("opt/y").exists());
}

#[tokio::test]
async fn without_namespaces_no_socket_of_the_machine_is_reached() {
    let folder = tempfile::tempdir_in("/var/tmp").unwrap();
    let path = folder.path().canonicalize().unwrap().join("socket");
    let _listener = UnixListener::bind(&path).unwrap();
    let script = format!(
        "import socket as s, os\n\
         def tried(act):\n\
         \x20   try: act(); return 'yes'\n\
         \x20   except OSError as error: return error.errno\n\
         a, b = s.socketpair()\n\
         a.send(b'x')\n\
         print(b.recv(9), tried(lambda: a.connect({path:?})), tried(lambda: s.socket(s.AF_UNIX)),\n\
         \x20   tried(lambda: s.socket()), tried(lambda: s.socketpair(s.AF_UNIX, s.SOCK_DGRAM)))"
    );
    let spawner = spawner(&[]);
    let Some(driver) = common::driver(&spawner, DriverName::Restricted).await else { return };
    let root = Root::system().writable(path.parent().unwrap(), path.parent().unwrap());
    let mut child =
        begin(&*driver, python(&script), open_to_others(root, path.parent().unwrap())).await.unwrap();
    assert_eq!(said(&mut child).await, "b'x' 1 97 97 1\n", "{}", child.stderr.tail());
}

/// A program of a user of its own must be let in.
fn open_to_others(root: Root, folder: &Path) -> Root {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o777)).unwrap();
    root
}

#[tokio::test]
async fn without_namespaces_a_program_ends_nobody_who_ends_it() {
    let script = "import os, signal\n\
                  for pid in [os.getppid(), 1]:\n\
                  \x20   try: os.kill(pid, signal.SIGKILL); print('killed', pid)\n\
                  \x20   except PermissionError: print('refused')\n\
                  open(os.environ['HOME'] + '/file', 'w').write('x')\n\
                  print(os.environ['HOME'])\n\
                  print(os.getuid())\n\
                  try: os.chmod(os.environ['HOME'] + '/file', 0o600); print('changed')\n\
                  except PermissionError: print('refused')";
    let spawner = spawner(&[]);
    let Some(driver) = common::driver(&spawner, DriverName::Restricted).await else { return };
    let mut child = begin(&*driver, python(script), Root::system()).await.unwrap();
    let said = said(&mut child).await;
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines[..2], ["refused", "refused"], "{said}{}", child.stderr.tail());
    assert_eq!(child.process.exited().await, ExitStatus::Exited(0));
    assert!(!Path::new(lines[2]).exists(), "its home is left");
    let (user, own) = (lines[3].parse::<u32>().unwrap(), rustix::process::geteuid());
    // As the node's user it could change the node's files, which nobody but Landlock keeps from it.
    assert_eq!(
        (user == own.as_raw(), lines[4]),
        if own.is_root() { (false, "changed") } else { (true, "refused") }
    );
}

#[tokio::test]
async fn without_namespaces_a_home_that_grows_too_large_ends_its_program() {
    let script = "cd; i=0; while :; do head -c 1048576 /dev/zero > file$i; i=$((i + 1)); sleep 0.05; done";
    let limits = Limits { home_bytes: 8 << 20, ..Limits::default() };
    let spawner = spawner(&[]);
    let Some(driver) = common::driver(&spawner, DriverName::Restricted).await else { return };
    let command = Command::new("sh").argument("-c").argument(script).limits(limits);
    let mut child = begin(&*driver, command, Root::system()).await.unwrap();
    assert_eq!(child.process.exited().await, ExitStatus::Killed);
    assert!(eventually(|| child.stderr.tail().contains("its home holds more than 8388608 bytes")));
}

/// What a program in a home of 16 MiB does with 48 MiB, until it is ended; and what it is told then.
async fn is_ended(script: &str) -> String {
    let script = format!(
        "import os, mmap, socket, time, sys\n\
         os.chdir(os.environ['HOME'])\n\
         def fill(fd):\n\
         \x20   for _ in range(8): os.write(fd, bytes(1 << 20))\n\
         \x20   return fd\n\
         def new(name): return fill(os.open(name, os.O_CREAT | os.O_RDWR))\n\
         {script}\n\
         print('full', flush=True)\n\
         time.sleep(20); print('still alive', flush=True)"
    );
    let limits = Limits { home_bytes: 16 << 20, ..Limits::default() };
    let spawner = spawner(&[]);
    let driver = spawner.driver(DriverName::Restricted).await.unwrap();
    let mut child = begin(&*driver, python(&script).limits(limits), Root::system()).await.unwrap();
    let said = said(&mut child).await;
    assert_eq!(child.process.exited().await, ExitStatus::Killed, "{said}{}", child.stderr.tail());
    assert!(!said.contains("alive"), "{said}");
    assert!(eventually(|| child.stderr.tail().contains("it is ended")));
    child.stderr.tail()
}

const TOO_MUCH: &str = "its home holds more than 16777216 bytes";

#[tokio::test]
async fn without_namespaces_files_that_have_lost_their_names_count_while_they_are_open() {
    if common::driver(&spawner(&[]), DriverName::Restricted).await.is_none() {
        return;
    }
    let open = "held = []\nfor i in range(6): held.append(new('x')); os.unlink('x')";
    let said = is_ended(open).await;
    assert!(said.contains(TOO_MUCH), "{said}");
    let unnamed = "held = [fill(os.open('.', os.O_TMPFILE | os.O_RDWR)) for _ in range(6)]";
    let said = is_ended(unnamed).await;
    assert!(said.contains(TOO_MUCH), "{said}");
    // Each of its processes holds less than it may.
    let children = "for i in range(6):\n\
                    \x20   if os.fork() == 0: fd = new('x%d' % i); os.unlink('x%d' % i); time.sleep(30); os._exit(0)";
    let said = is_ended(children).await;
    assert!(said.contains(TOO_MUCH), "{said}");
}

#[tokio::test]
async fn without_namespaces_paths_that_are_too_long_to_be_named_hide_nothing() {
    if common::driver(&spawner(&[]), DriverName::Restricted).await.is_none() {
        return;
    }
    let deep =
        "for _ in range(30): os.mkdir('n' * 200); os.chdir('n' * 200)\nfor i in range(6): new('x%d' % i)";
    let said = is_ended(deep).await;
    assert!(said.contains(TOO_MUCH), "{said}");
    let deeper = "for _ in range(3000): os.mkdir('n'); os.chdir('n')";
    let said = is_ended(deeper).await;
    assert!(said.contains("more than 128 deep"), "{said}");
}

#[tokio::test]
async fn without_namespaces_a_folder_that_cannot_be_looked_into_hides_nothing() {
    if common::driver(&spawner(&[]), DriverName::Restricted).await.is_none() {
        return;
    }
    // Root can look into it, and counts.
    let why =
        if rustix::process::geteuid().is_root() { TOO_MUCH } else { "folders that cannot be looked into" };
    let said = is_ended("os.mkdir('d', 0o300)\nfor i in range(6): new('d/x%d' % i)").await;
    assert!(said.contains(why), "{said}");
}

#[tokio::test]
async fn without_namespaces_what_is_mapped_alone_or_on_its_way_hides_nothing() {
    if common::driver(&spawner(&[]), DriverName::Restricted).await.is_none() {
        return;
    }
    let mapped = "held = []\n\
                  for i in range(6):\n\
                  \x20   fd = new('x'); os.unlink('x'); held.append(mmap.mmap(fd, 1 << 20, trackfd=False) if sys.version_info >= (3, 13) else None)\n\
                  \x20   os.close(fd) if held[-1] else None";
    let said = is_ended(mapped).await;
    assert!(said.contains("cannot be looked at") || said.contains(TOO_MUCH), "{said}");
    let sent = "a, b = socket.socketpair()\n\
                for i in range(6): fd = new('x'); os.unlink('x'); socket.send_fds(a, [b'x'], [fd]); os.close(fd)";
    let said = is_ended(sent).await;
    assert!(said.contains("cannot be looked at"), "{said}");
}

#[tokio::test]
async fn without_namespaces_what_takes_nothing_of_the_disk_is_not_ended() {
    // Memory without a name, a file that has lost its name, and a home of some depth: each as many programs have it.
    let script = "import os, time\n\
                  os.chdir(os.environ['HOME'])\n\
                  memory = os.memfd_create('m'); os.write(memory, bytes(24 << 20))\n\
                  fd = os.open('x', os.O_CREAT | os.O_RDWR); os.write(fd, bytes(4 << 20)); os.unlink('x')\n\
                  for _ in range(40): os.mkdir('d'); os.chdir('d')\n\
                  for _ in range(300):\n\
                  \x20   pid = os.fork()\n\
                  \x20   if pid == 0: os._exit(0)\n\
                  \x20   os.waitpid(pid, 0); time.sleep(0.01)\n\
                  time.sleep(2); print('done')";
    let limits = Limits { home_bytes: 16 << 20, ..Limits::default() };
    let spawner = spawner(&[]);
    let Some(driver) = common::driver(&spawner, DriverName::Restricted).await else { return };
    let mut child = begin(&*driver, python(script).limits(limits), Root::system()).await.unwrap();
    assert_eq!(said(&mut child).await, "done\n", "{}", child.stderr.tail());
    assert_eq!(child.process.exited().await, ExitStatus::Exited(0));
}

#[test]
fn all_of_this_holds_for_an_ordinary_user_too() {
    common::as_nobody(17);
}
