//! The system calls that no safe library offers. All of this workspace's `unsafe` is here.

#![expect(
    unsafe_code,
    reason = "clone, unshare, close_range, mount_setattr, signals with values and _exit have no safe wrapper"
)]

mod listener;

use std::ffi::CStr;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::time::Duration;

use rustix::process::Pid;
use tokio::io::unix::AsyncFd;

pub(crate) use self::listener::{
    answer_nearby, let_call_go_on, listen_to_calls, receive_call, signal_descriptor, take_short_slices,
};

/// The kernel's highest signal on every architecture we build for.
const LAST_SIGNAL: libc::c_long = 64;

/// Bytes of the kernel's signal set, which system calls ask for.
const SIGNAL_SET_BYTES: libc::c_long = 8;

/// Which side of [`clone_process`] this is.
pub(crate) enum Cloned {
    /// The process that called; the child's id as it sees it.
    Parent(Pid),
    /// The new process.
    Child,
}

/// Namespaces for a new process: `CLONE_NEW*` bits, nothing else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Namespaces(libc::c_int);

impl Namespaces {
    pub(crate) const NONE: Self = Self(0);
    pub(crate) const USER: Self = Self(libc::CLONE_NEWUSER);
    pub(crate) const PROCESS: Self = Self(libc::CLONE_NEWPID);
    pub(crate) const MOUNT: Self = Self(libc::CLONE_NEWNS);
    pub(crate) const IPC: Self = Self(libc::CLONE_NEWIPC);
    pub(crate) const HOST: Self = Self(libc::CLONE_NEWUTS);
    pub(crate) const NETWORK: Self = Self(libc::CLONE_NEWNET);
    pub(crate) const CGROUP: Self = Self(libc::CLONE_NEWCGROUP);
    /// Only for [`enter_namespaces`]: in the flags of clone(2) the bit means something else.
    pub(crate) const TIME: Self = Self(0x80);

    pub(crate) const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(crate) const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    pub(crate) const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0 && other.0 != 0
    }
}

/// Makes a copy of this process, in new namespaces.
///
/// Must be called from a process with one thread: in the copy, locks held by other threads stay held for ever.
pub(crate) fn clone_process(namespaces: Namespaces) -> io::Result<Cloned> {
    debug_assert!(!namespaces.has(Namespaces::TIME), "the bit would change the signal at its end");
    let flags = libc::c_long::from(namespaces.0 | libc::SIGCHLD);
    let none: libc::c_long = 0;
    // SAFETY: without CLONE_VM and with a null stack this is fork: the child runs on a copy of this stack and
    // of all memory. No CLONE_*_SETTID flag is given, so that the kernel writes through none of the pointers,
    // and their order, which differs between architectures, does not matter.
    let pid = unsafe { libc::syscall(libc::SYS_clone, flags, none, none, none, none) };
    cloned(pid)
}

/// As [`clone_process`], and the copy begins in a cgroup (v2), given by its folder: Linux 5.7.
pub(crate) fn clone_process_into(namespaces: Namespaces, cgroup: BorrowedFd<'_>) -> io::Result<Cloned> {
    let number = |value: libc::c_int| u64::from(value.cast_unsigned());
    // SAFETY: every field of clone_args is a number, and zero means "not given".
    let mut arguments: libc::clone_args = unsafe { std::mem::zeroed() };
    arguments.flags = number(namespaces.0) | CLONE_INTO_CGROUP;
    arguments.exit_signal = number(libc::SIGCHLD);
    arguments.cgroup = number(cgroup.as_raw_fd());
    // SAFETY: as in `clone_process`: without CLONE_VM and a stack this is fork. The structure's true size is given,
    // it outlives the call, and no field is a pointer.
    let pid = unsafe { libc::syscall(libc::SYS_clone3, &raw const arguments, size_of::<libc::clone_args>()) };
    cloned(pid)
}

const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

fn cloned(pid: libc::c_long) -> io::Result<Cloned> {
    match pid {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(Cloned::Child),
        pid => i32::try_from(pid)
            .ok()
            .and_then(Pid::from_raw)
            .map(Cloned::Parent)
            .ok_or_else(|| io::Error::other("clone returned no process id")),
    }
}

/// Moves this process into new namespaces; into a new time namespace only the processes that it starts.
pub(crate) fn enter_namespaces(namespaces: Namespaces) -> io::Result<()> {
    // SAFETY: unshare with CLONE_NEW* flags alone changes what this process is in and touches none of its memory.
    let done = unsafe { libc::unshare(namespaces.0) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Ends this process at once, without destructors, exit handlers or flushing.
pub(crate) fn exit_now(code: i32) -> ! {
    // SAFETY: _exit takes any code, does not return and touches no memory of ours.
    unsafe { libc::_exit(code) }
}

/// Closes every descriptor of this process but those in `keep`.
///
/// The caller must not use or drop an owner of any other descriptor afterwards: this is for a process that has
/// just begun (none owned yet) or that ends with [`exit_now`] or exec.
pub(crate) fn close_all_but(keep: &[RawFd]) -> io::Result<()> {
    let mut keep: Vec<u32> = keep.iter().filter_map(|fd| u32::try_from(*fd).ok()).collect();
    keep.sort_unstable();
    let mut first = 0;
    for kept in keep {
        if first < kept {
            close_range(first, kept - 1)?;
        }
        first = first.max(kept + 1);
    }
    close_range(first, u32::MAX)
}

fn close_range(first: u32, last: u32) -> io::Result<()> {
    // SAFETY: closes descriptors and touches no memory; that nobody uses them afterwards is the caller's part,
    // written down at `close_all_but`.
    let done = unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Makes the mount at `path`, and all below it, read-only: mount_setattr(2), Linux 5.12.
pub(crate) fn mount_read_only(path: &CStr) -> io::Result<()> {
    let attributes =
        libc::mount_attr { attr_set: libc::MOUNT_ATTR_RDONLY, attr_clr: 0, propagation: 0, userns_fd: 0 };
    // SAFETY: `path` is a NUL-terminated string and `attributes` a mount_attr whose true size is given; both
    // outlive the call, which only reads them.
    let done = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            libc::AT_FDCWD,
            path.as_ptr(),
            libc::AT_RECURSIVE,
            &raw const attributes,
            size_of::<libc::mount_attr>(),
        )
    };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Sets flags on a detached or attached mount, given by its descriptor, and all below it: no set-user-ID programs
/// and no devices, and, if `read_only`, no change.
pub(crate) fn mount_restrict(mount: BorrowedFd<'_>, read_only: bool) -> io::Result<()> {
    let own = libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV;
    set_attributes(mount, if read_only { own | libc::MOUNT_ATTR_RDONLY } else { own })
}

/// As [`mount_restrict`], for the mount of a device: it can be used, and its owner, mode and times stay as they are.
pub(crate) fn mount_restrict_device(mount: BorrowedFd<'_>) -> io::Result<()> {
    set_attributes(mount, libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NOEXEC | libc::MOUNT_ATTR_RDONLY)
}

fn set_attributes(mount: BorrowedFd<'_>, attr_set: u64) -> io::Result<()> {
    let attributes = libc::mount_attr { attr_set, attr_clr: 0, propagation: 0, userns_fd: 0 };
    // SAFETY: the path is an empty NUL-terminated string, which with AT_EMPTY_PATH means the descriptor itself, and
    // `attributes` a mount_attr whose true size is given; both outlive the call, which only reads them.
    let done = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_RECURSIVE | libc::AT_EMPTY_PATH,
            &raw const attributes,
            size_of::<libc::mount_attr>(),
        )
    };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Switches on an option of a socket whose value is an int.
pub(crate) fn switch_on(socket: BorrowedFd<'_>, level: i32, option: i32) -> io::Result<()> {
    let on: libc::c_int = 1;
    // SAFETY: the value is one int, whose size is given; it outlives the call, which only reads it.
    let done = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            option,
            (&raw const on).cast(),
            size_of::<libc::c_int>().try_into().unwrap_or(4),
        )
    };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Blocks every signal that can be blocked, so that they wait for [`next_signal`].
pub(crate) fn block_signals() {
    // SAFETY: sigfillset initializes the set before it is read; sigprocmask changes this thread's mask only.
    unsafe {
        let mut set = MaybeUninit::<libc::sigset_t>::uninit();
        libc::sigfillset(set.as_mut_ptr());
        libc::sigprocmask(libc::SIG_SETMASK, set.as_ptr(), std::ptr::null_mut());
    }
}

/// Disregards the signals by which terminals and service managers ask whole groups of processes to end: the
/// spawner ends when its node does, and not before. All others are as a new process has them.
pub(crate) fn disregard_requests_to_end() {
    reset_signals();
    for signal in [
        libc::SIGHUP,
        libc::SIGINT,
        libc::SIGQUIT,
        libc::SIGTERM,
        libc::SIGUSR1,
        libc::SIGUSR2,
        libc::SIGPIPE,
    ] {
        // SAFETY: SIG_IGN is a valid disposition for every one of these.
        unsafe { libc::signal(signal, libc::SIG_IGN) };
    }
}

/// Every signal as a new process has it: default disposition, nothing blocked.
pub(crate) fn reset_signals() {
    // By the system call itself: libc refuses to touch the two signals it keeps for its own threads, and these
    // can be inherited as ignored too.
    let default = [0_u64; 8];
    for signal in 1..=LAST_SIGNAL {
        let nothing = std::ptr::null_mut::<libc::c_void>();
        // SAFETY: the kernel's sigaction structure is at most 64 bytes; all zero it means SIG_DFL, no flags and an
        // empty mask. It is only read. SIGKILL and SIGSTOP are refused with an error, which is what we want.
        unsafe { libc::syscall(libc::SYS_rt_sigaction, signal, default.as_ptr(), nothing, SIGNAL_SET_BYTES) };
    }
    // SAFETY: as in `block_signals`.
    unsafe {
        let mut set = MaybeUninit::<libc::sigset_t>::uninit();
        libc::sigemptyset(set.as_mut_ptr());
        libc::sigprocmask(libc::SIG_SETMASK, set.as_ptr(), std::ptr::null_mut());
    }
}

/// A signal that was waited for, with the value it came with (0 for most).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Received {
    pub(crate) signal: i32,
    pub(crate) value: i32,
}

/// Waits for one of these signals, which must be blocked, and returns it; `None` when none came in time, where there is a
/// time.
pub(crate) fn next_signal(wanted: &[i32], within: Option<Duration>) -> Option<Received> {
    let within = within.map(|within| libc::timespec {
        tv_sec: within.as_secs().try_into().unwrap_or(libc::time_t::MAX),
        tv_nsec: within.subsec_nanos().into(),
    });
    let within = within.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: sigemptyset initializes the set before it is read; sigtimedwait writes one siginfo_t to a valid place,
    // which is zeroed, and so valid, from the start, and only reads the time, which is null (for ever) or outlives the
    // call. Its value is a union of an int and a pointer; the pointer is
    // taken as a number and never followed.
    unsafe {
        let mut set = MaybeUninit::<libc::sigset_t>::uninit();
        libc::sigemptyset(set.as_mut_ptr());
        for one in wanted {
            libc::sigaddset(set.as_mut_ptr(), *one);
        }
        let mut info = std::mem::zeroed::<libc::siginfo_t>();
        loop {
            let signal = libc::sigtimedwait(set.as_ptr(), &raw mut info, within);
            if signal > 0 {
                let bytes = info.si_value().sival_ptr.addr().to_ne_bytes();
                let [a, b, c, d, ..] = bytes;
                return Some(Received { signal, value: i32::from_ne_bytes([a, b, c, d]) });
            }
            if !within.is_null() && io::Error::last_os_error().kind() == io::ErrorKind::WouldBlock {
                return None;
            }
        }
    }
}

/// Sends a signal to every process of this process's namespace but itself. Only for the first process of one: any
/// other would reach the machine.
pub(crate) fn kill_everybody(signal: rustix::process::Signal) -> io::Result<()> {
    if rustix::process::getpid() != Pid::INIT {
        return Err(io::Error::from(io::ErrorKind::PermissionDenied));
    }
    // SAFETY: kill takes numbers only and touches no memory of ours.
    let done = unsafe { libc::kill(-1, signal.as_raw()) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// The kernel's siginfo_t on 64-bit machines, as far as a signal with a value uses it.
#[repr(C)]
struct SignalWithValue {
    signal: i32,
    error: i32,
    code: i32,
    gap: i32,
    process: i32,
    user: u32,
    value: [i32; 2],
    rest: [u64; 12],
}

/// Sends a signal that carries a number to a process, given by its descriptor.
pub(crate) fn send_signal_with(process: BorrowedFd<'_>, signal: i32, value: i32) -> io::Result<()> {
    let information = SignalWithValue {
        signal,
        error: 0,
        code: libc::SI_QUEUE,
        gap: 0,
        process: 0,
        user: 0,
        value: [value, 0],
        rest: [0; 12],
    };
    const { assert!(size_of::<SignalWithValue>() == size_of::<libc::siginfo_t>()) };
    // SAFETY: the structure has the size and, for a code of SI_QUEUE, the layout of the kernel's siginfo_t; it
    // outlives the call, which only reads it.
    let done = unsafe {
        libc::syscall(libc::SYS_pidfd_send_signal, process.as_raw_fd(), signal, &raw const information, 0)
    };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Registers a descriptor with the async runtime that this is called in.
pub(crate) fn register(descriptor: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: what is asked of the caller is that the value always gives the same descriptor and keeps it open
    // while it is registered; an OwnedFd does.
    Ok(unsafe { AsyncFd::register(descriptor) }?)
}
