//! What the kernel counts over all of a user, whose boxes and node have the same: one box that takes all it can stops
//! nobody else.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod common;

use common::{has_role, role, run, spawner};
use ringfence_sandbox::{Child, Command, Limits, Network, Root, SpawnError, Spawner};
use rustix::process::{Resource, Rlimit, setrlimit};
use tokio::io::AsyncBufReadExt;

#[test]
#[ignore = "becomes the spawner"]
fn the_spawner() {
    ringfence_sandbox::become_spawner_if_asked();
}

/// Sends descriptors that nobody receives, until the kernel refuses.
const SENDS: &str = "import array, errno, os, socket, sys\n\
    some = array.array('i', [os.open('/dev/null', os.O_RDONLY)] * 250)\n\
    sent, pairs = 0, []\n\
    try:\n\
    \x20 while sent < 15000:\n\
    \x20   pairs.append(socket.socketpair())\n\
    \x20   for _ in range(4):\n\
    \x20     pairs[-1][0].sendmsg([b'x'], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, some)]); sent += 250\n\
    \x20 print('all were sent')\n\
    except OSError as e: print(errno.errorcode[e.errno])\n\
    sys.stdin.read()";

fn python(script: &str) -> Command {
    let command = Command::new("/usr/bin/python3").argument("-uc").argument(script);
    command.root(Root::system()).network(Network::Gateway)
}

async fn sending(spawner: &Spawner, limits: Limits) -> Child {
    let mut child = spawner.spawn(&python(SENDS).limits(limits)).await.unwrap();
    refused(&mut child).await;
    child
}

/// Waits until it can send no more.
async fn refused(child: &mut Child) {
    let mut line = String::new();
    tokio::io::BufReader::new(&mut child.stdout).read_line(&mut line).await.unwrap();
    assert_eq!(line, "ETOOMANYREFS\n", "{}", child.stderr.tail());
}

#[tokio::test]
async fn descriptors_that_a_box_never_receives_keep_no_other_from_starting() {
    let spawner = spawner(&[]);
    let limit = run(&spawner, &python("import resource; print(resource.getrlimit(7))")).await;
    assert!(limit.stdout.ends_with(", 4096)\n"), "{}", limit.stdout);
    let first = sending(&spawner, Limits::default()).await;
    let second = sending(&spawner, Limits::default()).await;
    assert_eq!(run(&spawner, &python("print('fine')")).await.stdout, "fine\n");
    assert!(spawner.alive());
    drop((first, second));
    // Root is exempt. For everybody else the node may hold fewer than a box was given.
    if !rustix::process::geteuid().is_root() {
        let output = role(std::env::current_exe().unwrap(), "role_poor_node").output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(said.contains("\nthe next one runs\n"), "{said}{}", String::from_utf8_lossy(&output.stderr));
    }
}

#[tokio::test]
async fn a_box_watches_files_and_keeps_signals_within_bounds_of_its_own() {
    let script = "import ctypes, errno, resource\n\
        libc = ctypes.CDLL(None, use_errno=True)\n\
        made = 0\n\
        while made < 1000 and libc.inotify_init1(0) >= 0: made += 1\n\
        print(made, errno.errorcode[ctypes.get_errno()])\n\
        print(open('/proc/sys/user/max_inotify_watches').read().strip())\n\
        print(resource.getrlimit(11))";
    let spawner = spawner(&[]);
    // Each has its own.
    for _ in 0..2 {
        let ended = run(&spawner, &python(script)).await;
        assert_eq!(ended.stdout, "8 EMFILE\n8192\n(1024, 1024)\n", "{}", ended.stderr);
    }
}

/// A node that may open no more files than a box of its.
#[test]
#[ignore = "a role"]
fn role_poor_node() {
    if !has_role("role_poor_node") {
        return;
    }
    setrlimit(Resource::Nofile, Rlimit { current: Some(600), maximum: Some(600) }).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let spawner = spawner(&[]);
        let limits = Limits { open_files: Some(600), ..Limits::default() };
        let mut child = patiently(&spawner, &python(SENDS).limits(limits)).await;
        refused(&mut child).await;
        match spawner.spawn(&python("print('not reached')")).await {
            Err(SpawnError::Setup(text)) => assert!(text.contains("handing its pipes"), "{text}"),
            other => panic!("not refused: {other:?}"),
        }
        assert!(spawner.alive());
        child.kill();
        child.process.exited().await;
        drop(patiently(&spawner, &python("print('fine')")).await);
        println!("\nthe next one runs");
    });
}

/// What a box held is given back a moment after it has ended.
async fn patiently(spawner: &Spawner, command: &Command) -> Child {
    let begin = std::time::Instant::now();
    loop {
        match spawner.spawn(command).await {
            Ok(child) => return child,
            Err(error) if begin.elapsed() > common::PATIENCE => panic!("{error}"),
            Err(_) => tokio::time::sleep(std::time::Duration::from_millis(20)).await,
        }
    }
}

#[test]
fn all_of_this_holds_for_an_ordinary_user_too() {
    common::as_nobody(3);
}
