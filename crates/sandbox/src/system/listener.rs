//! Hearing of system calls before they are done: seccomp_unotify(2). And what a process needs that does so: to hear of
//! signals by a descriptor, and to get the processor soon.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use seccompiler::sock_filter;

/// Nanoseconds of the processor that are asked for at a time: the least that the kernel takes.
const SLICE: u64 = 100_000;

/// SCHED_FLAG_RESET_ON_FORK
const RESET_ON_FORK: u64 = 1;

/// SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP
const SYNC_WAKE_UP: u64 = 1;

/// Installs a filter for this process and all it starts; what the filter does not decide is told to who has the
/// descriptor. Signals that end nothing do not interrupt a call that has been told of: Linux 5.19.
pub(crate) fn listen_to_calls(filter: &[sock_filter]) -> io::Result<OwnedFd> {
    let mut filter: Vec<libc::sock_filter> = filter
        .iter()
        .map(|one| libc::sock_filter { code: one.code, jt: one.jt, jf: one.jf, k: one.k })
        .collect();
    let len = u16::try_from(filter.len()).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    let program = libc::sock_fprog { len, filter: filter.as_mut_ptr() };
    let flags = libc::SECCOMP_FILTER_FLAG_NEW_LISTENER | libc::SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
    // SAFETY: `program` names a filter of the length that it says; both outlive the call, which only reads them.
    let made =
        unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &raw const program) };
    let made = i32::try_from(made).ok().filter(|made| *made >= 0).ok_or_else(io::Error::last_os_error)?;
    // SAFETY: the kernel has just made this descriptor for us, and nobody else knows of it.
    Ok(unsafe { OwnedFd::from_raw_fd(made) })
}

/// Has who asks run on where we do while we answer, as far as the kernel can: Linux 6.6.
pub(crate) fn answer_nearby(listener: BorrowedFd<'_>) {
    // SAFETY: this request takes a number and touches no memory. A kernel without it says so, and all is as it was.
    unsafe { libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_SET_FLAGS, SYNC_WAKE_UP) };
}

/// The next call that waits, by its number; an error when who asked has gone.
pub(crate) fn receive_call(listener: BorrowedFd<'_>) -> io::Result<u64> {
    // SAFETY: every field is a number, and the kernel wants all of them zero.
    let mut call: libc::seccomp_notif = unsafe { std::mem::zeroed() };
    // SAFETY: the request says how large the structure is; it outlives the call, which writes to it.
    let done = unsafe { libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_RECV, &raw mut call) };
    if done == 0 { Ok(call.id) } else { Err(io::Error::last_os_error()) }
}

/// Lets a call be done as if nobody had heard of it.
pub(crate) fn let_call_go_on(listener: BorrowedFd<'_>, id: u64) -> io::Result<()> {
    // SAFETY: every field is a number.
    let mut answer: libc::seccomp_notif_resp = unsafe { std::mem::zeroed() };
    answer.id = id;
    answer.flags = u32::try_from(libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE).unwrap_or(1);
    // SAFETY: the request says how large the structure is; it outlives the call, which only reads it.
    let done =
        unsafe { libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_SEND, &raw const answer) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// A descriptor that is ready to be read when one of these signals, which must be blocked, waits.
pub(crate) fn signal_descriptor(wanted: &[i32]) -> io::Result<OwnedFd> {
    let mut set = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: sigemptyset initializes the set before it is read.
    let made = unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        for one in wanted {
            libc::sigaddset(set.as_mut_ptr(), *one);
        }
        libc::signalfd(-1, set.as_ptr(), libc::SFD_CLOEXEC)
    };
    if made < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just made this descriptor for us, and nobody else knows of it.
    Ok(unsafe { OwnedFd::from_raw_fd(made) })
}

/// Has this process, and nobody it starts, get the processor soon when it wants it, for a short time: Linux 6.12. It takes no
/// more of it than before.
pub(crate) fn take_short_slices() -> io::Result<()> {
    let nice = rustix::process::getpriority_process(None)?;
    // SAFETY: every field is a number.
    let mut wanted: libc::sched_attr = unsafe { std::mem::zeroed() };
    wanted.size = u32::try_from(size_of::<libc::sched_attr>()).unwrap_or_default();
    wanted.sched_flags = RESET_ON_FORK;
    wanted.sched_nice = nice;
    wanted.sched_runtime = SLICE;
    // SAFETY: the structure says how large it is; it outlives the call, which only reads it. 0 is this process.
    let done = unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const wanted, 0) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
