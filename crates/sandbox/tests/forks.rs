//! Without namespaces: programs that make processes faster than anybody can look, and programs that hold more than can be
//! looked at. They are met all the same, end when they are to, and those that do nothing wrong notice none of it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use std::time::Duration;

use common::{eventually, marker, processes_with, ready, spawner};
use ringfence_sandbox::{Child, Command, Driver, DriverName, ExitStatus, LayerName, Limits, Network, Root};
use tokio::io::AsyncReadExt;

#[test]
#[ignore = "becomes the spawner"]
fn the_spawner() {
    ringfence_sandbox::become_spawner_if_asked();
}

/// How long something may take that once took minutes.
const PATIENCE: Duration = Duration::from_secs(30);

async fn begin(driver: &dyn Driver, script: &str, marker: &str, limits: Limits) -> Child {
    let command = Command::new("python3").arguments(["-SEc", script, marker]);
    let command = command.root(Root::system()).network(Network::None).limits(limits);
    driver.create(&command).await.unwrap().exec().await.unwrap()
}

async fn said(child: &mut Child) -> String {
    let mut said = String::new();
    child.stdout.read_to_string(&mut said).await.unwrap();
    said
}

/// A chain of processes: each does something, makes the next and ends, as fast as can be. It goes on after its program.
const CHAIN: &str = "import ctypes, os, time
libc = ctypes.PyDLL(None)
def chain(until, act=lambda: None):
    while time.monotonic() < until:
        act()
        pid = libc.fork()
        if pid > 0: libc._exit(0)
        if pid < 0: libc._exit(9)
    os._exit(0)
";

#[tokio::test]
async fn a_chain_of_processes_hides_no_file_from_a_look() {
    let spawner = spawner(&[]);
    let Some(driver) = common::driver(&spawner, DriverName::Restricted).await else { return };
    assert!(driver.probe().await.unwrap().layers.in_force(LayerName::SureEnd));
    let script = format!(
        "{CHAIN}
os.chdir(os.environ['HOME'])
held, some, begin = [0, -1], bytes(256 << 10), time.monotonic() + 1
def more():
    # Slowly, so that the disk does not fill fast.
    if held[0] >= 24 << 20 or time.monotonic() < begin + held[0] / (6 << 20): return
    if held[0] % (2 << 20) == 0:
        held[1] = os.open('x', os.O_CREAT | os.O_RDWR)
        os.unlink('x')
    held[0] += os.write(held[1], some)
if os.fork() == 0: chain(time.monotonic() + 40, more)
time.sleep(40)"
    );
    let limits = Limits { home_bytes: 16 << 20, ..Limits::default() };
    let mut child = begin(&*driver, &script, &marker(), limits).await;
    let status = tokio::time::timeout(PATIENCE, child.process.exited()).await;
    assert_eq!(status.ok(), Some(ExitStatus::Killed), "{}", child.stderr.tail());
    let why = "its home holds more than 16777216 bytes";
    assert!(eventually(|| child.stderr.tail().contains(why)), "{}", child.stderr.tail());
}

#[tokio::test]
async fn who_makes_processes_without_end_does_not_outlive_its_program() {
    let spawner = spawner(&[]);
    let Some(driver) = common::driver(&spawner, DriverName::Restricted).await else { return };
    let marker = marker();
    let script = format!(
        "{CHAIN}
def bomb(until):
    while time.monotonic() < until:
        pid = libc.fork()
        if pid < 0: time.sleep(0.0001)
        elif pid > 0 and time.monotonic_ns() >> 8 & 1: libc._exit(0)
for _ in range(3):
    if os.fork() == 0:
        os.setsid()
        os.close(1)
        # When all are there.
        time.sleep(0.5)
        bomb(time.monotonic() + 60)
        os._exit(0)
time.sleep(2)
print('ready', flush=True)"
    );
    // Under an ordinary user what others of his take counts as well.
    let most = if rustix::process::geteuid().is_root() { 240 } else { 800 };
    let limits = Limits { processes: Some(most), ..Limits::default() };
    let mut child = begin(&*driver, &script, &marker, limits).await;
    ready(&mut child).await;
    let status = tokio::time::timeout(PATIENCE, child.process.exited()).await;
    assert_eq!(status.ok(), Some(ExitStatus::Exited(0)), "{}", child.stderr.tail());
    assert!(processes_with(&marker).is_empty());
}

#[tokio::test]
async fn what_a_first_process_leaves_that_is_killed_ends_with_its_run() {
    let spawner = spawner(&[]);
    let Some(driver) = common::driver(&spawner, DriverName::Restricted).await else { return };
    let marker = marker();
    let script = format!(
        "{CHAIN}
for i in range(8):
    if os.fork() == 0:
        os.setsid()
        chain(time.monotonic() + 60) if i % 2 else time.sleep(60)
print('ready', flush=True)
time.sleep(60)"
    );
    let mut child = begin(&*driver, &script, &marker, Limits::default()).await;
    ready(&mut child).await;
    let first = i32::try_from(child.process.pid()).ok().and_then(rustix::process::Pid::from_raw).unwrap();
    rustix::process::kill_process(first, rustix::process::Signal::KILL).unwrap();
    let status = tokio::time::timeout(PATIENCE, child.process.exited()).await;
    assert_eq!(status.ok(), Some(ExitStatus::Killed), "{}", child.stderr.tail());
    assert!(processes_with(&marker).is_empty());
    assert!(spawner.alive());
}

#[tokio::test]
async fn a_look_at_very_much_delays_no_end() {
    let spawner = spawner(&[]);
    let Some(driver) = common::driver(&spawner, DriverName::Restricted).await else { return };
    let marker = marker();
    let script = "import ctypes, os, threading, time
os.chdir(os.environ['HOME'])
fd = os.open('m', os.O_RDWR | os.O_CREAT)
os.truncate(fd, 4096)
threading.stack_size(65536)
for _ in range(300): threading.Thread(target=time.sleep, args=(90,), daemon=True).start()
map = ctypes.CDLL(None).mmap
map.restype, map.argtypes = ctypes.c_void_p, [ctypes.c_void_p, ctypes.c_size_t] + [ctypes.c_int] * 3 + [ctypes.c_long]
for _ in range(60000): map(None, 4096, 1, 1, fd, 0)
print('ready', flush=True)
time.sleep(90)";
    let mut child = begin(&*driver, script, &marker, Limits::default()).await;
    ready(&mut child).await;
    // A look, or more of them, has begun.
    tokio::time::sleep(Duration::from_secs(2)).await;
    child.kill();
    let status = tokio::time::timeout(PATIENCE, child.process.exited()).await;
    assert_eq!(status.ok(), Some(ExitStatus::Killed), "{}", child.stderr.tail());
    assert!(!child.stderr.tail().contains("ended"), "{}", child.stderr.tail());
    assert!(processes_with(&marker).is_empty());
}

#[tokio::test]
async fn who_has_as_many_processes_as_he_may_is_not_ended() {
    let spawner = spawner(&[]);
    let Some(driver) = common::driver(&spawner, DriverName::Restricted).await else { return };
    // Under an ordinary user more than others of his take at the same time.
    let most = if rustix::process::geteuid().is_root() { 8 } else { 240 };
    let script = "import os, time
made = 0
try:
    while made < 250:
        if os.fork() == 0: time.sleep(60)
        made += 1
except OSError: print('full', flush=True)
time.sleep(6)
print(made)";
    let limits = Limits { processes: Some(most), ..Limits::default() };
    let mut child = begin(&*driver, script, &marker(), limits).await;
    let mut told = [0; 16];
    let count = child.stdout.read(&mut told).await.unwrap();
    assert_eq!(&told[..count], b"full\n", "{}", child.stderr.tail());
    let stats = child.stats().await.unwrap();
    assert!(stats.processes <= most, "{stats:?}");
    let status = tokio::time::timeout(PATIENCE, child.process.exited()).await;
    assert_eq!(status.ok(), Some(ExitStatus::Exited(0)), "{}", child.stderr.tail());
    let made: u64 = said(&mut child).await.trim().parse().unwrap();
    assert!(made < most, "{made}");
    assert!(made + 1 == most || most == 240, "{made}");
}

#[tokio::test]
async fn who_does_not_bury_his_dead_is_not_ended() {
    let spawner = spawner(&[]);
    let Some(driver) = common::driver(&spawner, DriverName::Restricted).await else { return };
    let script = "import os, time
if os.fork() == 0: os._exit(0)
time.sleep(6)
print('fine')";
    let mut child = begin(&*driver, script, &marker(), Limits::default()).await;
    assert_eq!(said(&mut child).await, "fine\n", "{}", child.stderr.tail());
}

#[tokio::test]
async fn a_pause_lasts_over_looks_and_so_does_what_has_stopped_by_itself() {
    let spawner = spawner(&[]);
    let Some(driver) = common::driver(&spawner, DriverName::Restricted).await else { return };
    let script = "import os, signal, time
pid = os.fork()
if pid == 0:
    os.kill(os.getpid(), signal.SIGSTOP)
    os._exit(0)
os.waitpid(pid, os.WUNTRACED)
print('ready', flush=True)
began = time.monotonic()
while time.monotonic() < began + 6:
    time.sleep(0.05)
    print('.', end='', flush=True)
print(os.waitpid(pid, os.WNOHANG | os.WCONTINUED))
os.kill(pid, signal.SIGKILL)";
    let mut child = begin(&*driver, script, &marker(), Limits::default()).await;
    ready(&mut child).await;
    child.pause();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let mut some = [0; 4_096];
    let _ = tokio::time::timeout(Duration::from_millis(100), child.stdout.read(&mut some)).await;
    // Looks are due meanwhile.
    let quiet = tokio::time::timeout(Duration::from_secs(3), child.stdout.read(&mut some)).await;
    assert!(quiet.is_err(), "it went on while it was paused");
    child.resume();
    let said = said(&mut child).await;
    assert!(said.ends_with("(0, 0)\n"), "{said}: who had stopped by itself was let go on");
    assert_eq!(child.process.exited().await, ExitStatus::Exited(0));
}

#[tokio::test]
async fn who_is_stopped_again_and_again_loses_nothing_of_what_it_does() {
    let spawner = spawner(&[]);
    let Some(driver) = common::driver(&spawner, DriverName::Restricted).await else { return };
    // Processes, threads and handlers of signals that interrupt calls, over some looks.
    let script = "import os, signal, subprocess, threading, time
signal.signal(signal.SIGALRM, lambda *_: None)
signal.setitimer(signal.ITIMER_REAL, 0.003, 0.003)
began, made = time.monotonic(), 0
while time.monotonic() < began + 4:
    assert subprocess.run(['true']).returncode == 0
    thread = threading.Thread(target=lambda: None)
    thread.start(); thread.join()
    made += 1
signal.setitimer(signal.ITIMER_REAL, 0)
print('fine' if made > 20 else made)";
    let mut child = begin(&*driver, script, &marker(), Limits::default()).await;
    assert_eq!(said(&mut child).await, "fine\n", "{}", child.stderr.tail());
    assert_eq!(child.process.exited().await, ExitStatus::Exited(0));
}

#[tokio::test]
async fn nothing_that_was_ordered_before_has_a_stopped_program_go_on() {
    let spawner = spawner(&[]);
    let Some(driver) = common::driver(&spawner, DriverName::Restricted).await else { return };
    // Timers with a signal of their own, signals and tidings of files, of a parent's end and of a child's.
    let script = "import ctypes, errno, fcntl, os, platform, signal, struct, subprocess
libc = ctypes.CDLL(None, use_errno=True)
def tried(result): print(errno.errorcode[ctypes.get_errno()] if result < 0 else 'done', flush=True)
event = struct.pack('qii48x', 0, signal.SIGCONT, 0)
tried(libc.timer_create(1, event, ctypes.byref(ctypes.c_void_p())))
folder = os.open(os.environ['HOME'], os.O_RDONLY)
for command, value in [(fcntl.F_SETSIG, signal.SIGCONT), (fcntl.F_NOTIFY, fcntl.DN_ACCESS)]:
    tried(libc.fcntl(folder, command, value))
tried(libc.prctl(1, signal.SIGCONT))
made = libc.syscall(56 if platform.machine() == 'x86_64' else 220, signal.SIGCONT, 0, 0, 0, 0)
if made == 0: libc._exit(0)
tried(made)
# What programs ask for all the same.
tried(libc.prctl(1, signal.SIGTERM))
tried(libc.fcntl(folder, fcntl.F_GETFL))
print(subprocess.run(['timeout', '1', 'sleep', '60']).returncode)";
    let mut child = begin(&*driver, script, &marker(), Limits::default()).await;
    let said = said(&mut child).await;
    assert_eq!(said, "ENOSYS\nEPERM\nEPERM\nEPERM\nEPERM\ndone\ndone\n124\n", "{}", child.stderr.tail());
    assert_eq!(child.process.exited().await, ExitStatus::Exited(0));
    assert_eq!(child.stderr.tail(), "");
}

#[tokio::test]
async fn what_goes_on_while_it_is_looked_at_has_not_been_seen() {
    let spawner = spawner(&[]);
    let Some(driver) = common::driver(&spawner, DriverName::Restricted).await else { return };
    let marker = marker();
    let script = "import time
print('ready', flush=True)
until = time.monotonic() + 40
while time.monotonic() < until: pass";
    let mut child = begin(&*driver, script, &marker, Limits::default()).await;
    ready(&mut child).await;
    let woken: Vec<_> = processes_with(&marker)
        .into_iter()
        .filter_map(|pid| rustix::process::Pid::from_raw(pid.cast_signed()))
        .collect();
    // Somebody else of the machine does it.
    let waking = std::thread::spawn(move || {
        while woken
            .iter()
            .any(|pid| rustix::process::kill_process(*pid, rustix::process::Signal::CONT).is_ok())
        {
            std::thread::sleep(Duration::from_micros(50));
        }
    });
    let status = tokio::time::timeout(PATIENCE, child.process.exited()).await;
    assert_eq!(status.ok(), Some(ExitStatus::Killed), "{}", child.stderr.tail());
    let why = "that do not stand still";
    assert!(eventually(|| child.stderr.tail().contains(why)), "{}", child.stderr.tail());
    waking.join().unwrap();
}

#[tokio::test]
async fn a_process_whose_name_is_no_text_is_met_as_any_other() {
    let spawner = spawner(&[]);
    let Some(driver) = common::driver(&spawner, DriverName::Restricted).await else { return };
    let marker = marker();
    let script = "import ctypes, os, time
os.chdir(os.environ['HOME'])
if os.fork() == 0:
    ctypes.CDLL(None).prctl(15, b'\\xff\\xfe', 0, 0, 0)
    os.setsid()
    held = []
    for _ in range(6):
        held.append(os.open('x', os.O_CREAT | os.O_RDWR))
        os.unlink('x')
        for _ in range(4): os.write(held[-1], bytes(1 << 20))
    time.sleep(40)
time.sleep(40)";
    let limits = Limits { home_bytes: 16 << 20, ..Limits::default() };
    let mut child = begin(&*driver, script, &marker, limits).await;
    let status = tokio::time::timeout(PATIENCE, child.process.exited()).await;
    assert_eq!(status.ok(), Some(ExitStatus::Killed), "{}", child.stderr.tail());
    let why = "its home holds more than 16777216 bytes";
    assert!(eventually(|| child.stderr.tail().contains(why)), "{}", child.stderr.tail());
    assert!(processes_with(&marker).is_empty());
}

/// Where a supervisor hears of system calls already, nobody else may.
#[test]
#[ignore = "a role"]
#[expect(unsafe_code, reason = "no safe library makes a listener")]
fn role_under_a_supervisor() {
    if !common::has_role("role_under_a_supervisor") {
        return;
    }
    rustix::thread::set_no_new_privs(true).unwrap();
    let mut filter = [libc::sock_filter { code: 0x06, jt: 0, jf: 0, k: libc::SECCOMP_RET_ALLOW }];
    let program = libc::sock_fprog { len: 1, filter: filter.as_mut_ptr() };
    let flags = libc::SECCOMP_FILTER_FLAG_NEW_LISTENER;
    // SAFETY: `program` names a filter of one instruction; both outlive the call, which only reads them.
    let made =
        unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &raw const program) };
    assert!(made >= 0, "{}", std::io::Error::last_os_error());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let spawner = spawner(&[]);
        let Some(driver) = common::driver(&spawner, DriverName::Restricted).await else { return };
        let layers = driver.probe().await.unwrap().layers;
        println!("\n> in force: {}", layers.in_force(LayerName::SureEnd));
        let mut child =
            begin(&*driver, "import os; print(os.wait()[1] if os.fork() else 'fine')", "", Limits::default())
                .await;
        println!("> {}", said(&mut child).await.replace('\n', " "));
        let command = Command::new("true").root(Root::system()).network(Network::None);
        let refused = driver.create(&command.require(LayerName::SureEnd)).await.unwrap_err();
        println!("> {refused}");
    });
}

#[test]
fn below_a_supervisor_of_system_calls_the_layer_is_missing_and_can_be_required() {
    let output = common::role(std::env::current_exe().unwrap(), "role_under_a_supervisor").output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let lines: Vec<&str> = said.lines().filter_map(|line| line.strip_prefix("> ")).collect();
    if lines.is_empty() {
        assert!(output.status.success() && std::env::var_os("CI").is_none(), "{said}");
        return;
    }
    assert_eq!(lines[..2], ["in force: false", "fine 0 "], "{said}");
    assert!(lines[2].contains("sure-end is required and missing: the kernel lets nobody hear"), "{said}");
}

#[test]
fn all_of_this_holds_for_an_ordinary_user_too() {
    common::as_nobody(13);
}
