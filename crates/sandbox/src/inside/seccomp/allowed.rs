//! What a program in a root of its own may ask of the kernel: what libraries, interpreters, shells, network clients and
//! statically linked programs need to work on files, processes of their own, and sockets.

use libc::{EPERM, c_long};

use super::arguments::conditional;
use super::program::{Rule, Table};
use super::refused::refused;

/// A call: its number here, and its name as the library has it.
pub(super) type Call = (c_long, &'static str);

macro_rules! calls {
    ($($name:ident),* $(,)?) => { &[$((libc::$name, stringify!($name))),*] };
}

/// Files and folders.
#[rustfmt::skip]
const FILES: &[Call] = calls![
    SYS_read, SYS_write, SYS_close, SYS_lseek, SYS_pread64, SYS_pwrite64,
    SYS_readv, SYS_writev, SYS_preadv, SYS_pwritev, SYS_preadv2, SYS_pwritev2,
    SYS_close_range, SYS_fstat, SYS_newfstatat,
    SYS_statx, SYS_statfs, SYS_fstatfs, SYS_faccessat, SYS_faccessat2,
    SYS_getdents64, SYS_getcwd, SYS_chdir, SYS_fchdir,
    SYS_unlinkat, SYS_renameat, SYS_renameat2, SYS_linkat, SYS_symlinkat,
    SYS_readlinkat, SYS_fchown, SYS_fchownat,
    SYS_truncate, SYS_ftruncate, SYS_fallocate, SYS_fsync, SYS_fdatasync,
    SYS_sync, SYS_syncfs, SYS_sync_file_range, SYS_fadvise64, SYS_readahead,
    SYS_utimensat, SYS_umask, SYS_flock, SYS_fcntl, SYS_dup, SYS_dup3,
    SYS_pipe2, SYS_sendfile, SYS_splice, SYS_tee, SYS_vmsplice,
    SYS_copy_file_range, SYS_setxattr, SYS_lsetxattr, SYS_fsetxattr, SYS_getxattr,
    SYS_lgetxattr, SYS_fgetxattr, SYS_listxattr, SYS_llistxattr, SYS_flistxattr,
    SYS_removexattr, SYS_lremovexattr, SYS_fremovexattr, SYS_inotify_init1,
    SYS_inotify_add_watch, SYS_inotify_rm_watch, SYS_memfd_create,
];

/// Memory.
#[rustfmt::skip]
const MEMORY: &[Call] = calls![
    SYS_mmap, SYS_munmap, SYS_mprotect, SYS_mremap, SYS_msync, SYS_mincore,
    SYS_madvise, SYS_brk, SYS_mlock, SYS_mlock2, SYS_munlock, SYS_mlockall,
    SYS_munlockall, SYS_membarrier, SYS_mbind, SYS_set_mempolicy, SYS_get_mempolicy,
    SYS_pkey_alloc, SYS_pkey_free, SYS_pkey_mprotect,
];

/// Processes, threads and their signals.
#[rustfmt::skip]
const PROCESSES: &[Call] = calls![
    SYS_execve, SYS_execveat, SYS_exit, SYS_exit_group, SYS_wait4, SYS_waitid,
    SYS_kill, SYS_tkill, SYS_tgkill, SYS_getpid, SYS_getppid, SYS_gettid,
    SYS_getpgid, SYS_setpgid, SYS_getsid, SYS_setsid, SYS_set_tid_address,
    SYS_set_robust_list, SYS_get_robust_list, SYS_futex, SYS_rseq, SYS_restart_syscall,
    SYS_rt_sigaction, SYS_rt_sigprocmask, SYS_rt_sigreturn, SYS_rt_sigpending,
    SYS_rt_sigtimedwait, SYS_rt_sigqueueinfo, SYS_rt_tgsigqueueinfo, SYS_rt_sigsuspend,
    SYS_sigaltstack, SYS_signalfd4, SYS_pidfd_open, SYS_pidfd_send_signal, SYS_prctl,
    SYS_sched_yield, SYS_sched_getaffinity, SYS_sched_setaffinity, SYS_sched_getparam,
    SYS_sched_setparam, SYS_sched_getscheduler, SYS_sched_setscheduler, SYS_sched_getattr,
    SYS_sched_setattr, SYS_sched_get_priority_max, SYS_sched_get_priority_min,
    SYS_sched_rr_get_interval, SYS_getpriority, SYS_setpriority, SYS_ioprio_get,
    SYS_ioprio_set, SYS_getrlimit, SYS_setrlimit, SYS_prlimit64, SYS_getrusage,
    SYS_times, SYS_getcpu, SYS_seccomp, SYS_landlock_create_ruleset,
    SYS_landlock_add_rule, SYS_landlock_restrict_self,
];

/// Who one is; nobody else can be become.
#[rustfmt::skip]
const USERS: &[Call] = calls![
    SYS_getuid, SYS_geteuid, SYS_getgid, SYS_getegid, SYS_getresuid,
    SYS_getresgid, SYS_getgroups, SYS_setuid, SYS_setgid, SYS_setreuid,
    SYS_setregid, SYS_setresuid, SYS_setresgid, SYS_setfsuid, SYS_setfsgid,
    SYS_setgroups, SYS_capget, SYS_capset,
];

/// Waiting, and time.
#[rustfmt::skip]
const TIME: &[Call] = calls![
    SYS_ppoll, SYS_pselect6, SYS_epoll_create1, SYS_epoll_ctl, SYS_epoll_pwait,
    SYS_epoll_pwait2, SYS_eventfd2, SYS_timerfd_create, SYS_timerfd_settime,
    SYS_timerfd_gettime, SYS_timer_create, SYS_timer_settime, SYS_timer_gettime,
    SYS_timer_getoverrun, SYS_timer_delete, SYS_getitimer, SYS_setitimer,
    SYS_nanosleep, SYS_clock_nanosleep, SYS_clock_gettime, SYS_clock_getres,
    SYS_gettimeofday,
];

/// Sockets, once they are made.
#[rustfmt::skip]
const SOCKETS: &[Call] = calls![
    SYS_bind, SYS_listen, SYS_accept, SYS_accept4, SYS_connect,
    SYS_getsockname, SYS_getpeername, SYS_sendto, SYS_recvfrom, SYS_sendmsg,
    SYS_recvmsg, SYS_sendmmsg, SYS_recvmmsg, SYS_setsockopt, SYS_getsockopt,
    SYS_shutdown,
];

/// Objects shared between its own processes: the namespace holds no others.
#[rustfmt::skip]
pub(super) const SHARED: &[Call] = calls![
    SYS_shmget, SYS_shmat, SYS_shmdt, SYS_shmctl, SYS_semget, SYS_semop,
    SYS_semtimedop, SYS_semctl, SYS_msgget, SYS_msgsnd, SYS_msgrcv, SYS_msgctl,
    SYS_mq_open, SYS_mq_unlink, SYS_mq_timedsend, SYS_mq_timedreceive, SYS_mq_notify,
    SYS_mq_getsetattr,
];

/// About the machine, as it shows itself in here.
const MACHINE: &[Call] = calls![SYS_uname, SYS_sysinfo, SYS_getrandom];

/// Newer than the names in the library, with the same numbers everywhere: futex_waitv, set_mempolicy_home_node left out,
/// cachestat, map_shadow_stack, futex_wake, futex_wait, futex_requeue, mseal, and the four for attributes.
#[rustfmt::skip]
const NEW: &[Call] = &[
    (449, "SYS_futex_waitv"), (451, "SYS_cachestat"), (453, "SYS_map_shadow_stack"), (454, "SYS_futex_wake"),
    (455, "SYS_futex_wait"), (456, "SYS_futex_requeue"), (462, "SYS_mseal"), (463, "SYS_setxattrat"),
    (464, "SYS_getxattrat"), (465, "SYS_listxattrat"), (466, "SYS_removexattrat"),
];

/// Older forms of the above, which only the oldest architecture has.
#[cfg(target_arch = "x86_64")]
#[rustfmt::skip]
const OLD: &[Call] = calls![
    SYS_stat, SYS_lstat, SYS_access, SYS_getdents,
    SYS_rmdir, SYS_unlink, SYS_rename, SYS_link, SYS_symlink,
    SYS_readlink, SYS_chown, SYS_lchown, SYS_utime, SYS_utimes,
    SYS_futimesat, SYS_dup2, SYS_pipe, SYS_inotify_init, SYS_fork, SYS_vfork,
    SYS_getpgrp, SYS_pause, SYS_alarm, SYS_time, SYS_poll, SYS_select,
    SYS_epoll_create, SYS_epoll_wait, SYS_eventfd, SYS_signalfd, SYS_arch_prctl,
    SYS_set_thread_area, SYS_get_thread_area,
];
#[cfg(not(target_arch = "x86_64"))]
const OLD: &[Call] = &[];

/// Refused aloud beside what tool servers are refused, so that a program says why it fails.
const ALSO_REFUSED: &[c_long] =
    &[libc::SYS_chroot, libc::SYS_adjtimex, libc::SYS_move_pages, libc::SYS_migrate_pages];

const ALL: [&[Call]; 10] = [FILES, MEMORY, PROCESSES, USERS, TIME, SOCKETS, SHARED, MACHINE, NEW, OLD];

/// How many calls are allowed, those with conditions included.
pub(super) fn count() -> usize {
    ALL.iter().map(|calls| calls.len()).sum::<usize>() + conditional(true).len()
}

/// The table of a child: in a network of its own it may ask the kernel about its addresses.
pub(super) fn calls(own_network: bool) -> Table {
    let refused =
        refused().chain(ALSO_REFUSED.iter().copied()).map(|call| (number(call), Rule::Refuse(EPERM)));
    let allowed = named().map(|(call, _)| (number(call), Rule::Allow));
    // clone3 and openat2 are in none of them: their flags and mode lie in memory, where no filter sees them, and every
    // libc falls back.
    let conditional = conditional(own_network).into_iter().map(|((call, _), rule)| (number(call), rule));
    refused.chain(allowed).chain(conditional).collect()
}

/// A call as it is told to others who filter.
pub(crate) struct Told {
    /// As the kernel names it.
    pub(crate) name: &'static str,
    #[cfg_attr(not(test), expect(dead_code, reason = "tests compare by it"))]
    pub(crate) number: u32,
    pub(crate) rule: Rule,
}

/// What a program with a network of its own may call, by name. What is refused aloud is not among it: others answer that
/// there is no such call.
pub(crate) fn told() -> Vec<Told> {
    let plain = named().map(|call| (call, Rule::Allow));
    let told = |((call, name), rule): (Call, Rule)| Told {
        name: name.strip_prefix("SYS_").unwrap_or(name),
        number: number(call),
        rule,
    };
    plain.chain(conditional(true)).map(told).collect()
}

fn named() -> impl Iterator<Item = Call> {
    ALL.iter().flat_map(|calls| calls.iter().copied())
}

pub(super) fn number(call: c_long) -> u32 {
    u32::try_from(call).unwrap_or(u32::MAX)
}

/// What the filter of a program with a network of its own says of a call.
#[cfg(test)]
pub(crate) fn ask_filter(call: u32, arguments: [u32; 6]) -> bool {
    use super::program::{compile, tests::run};
    static PROGRAM: std::sync::LazyLock<seccompiler::BpfProgram> =
        std::sync::LazyLock::new(|| compile(&calls(true)).unwrap_or_default());
    let architecture = if cfg!(target_arch = "x86_64") { 0xc000_003e } else { 0xc000_00b7 };
    run(&PROGRAM, architecture, call, arguments) == 0x7fff_0000
}

#[cfg(test)]
mod tests {
    use libc::{EAFNOSUPPORT, EPROTONOSUPPORT};

    use super::super::arguments::FCHMODAT2;
    use super::super::program::{compile, tests::run};
    use super::*;

    const ALLOW: u32 = 0x7fff_0000;

    fn ask(own_network: bool, call: c_long, arguments: [u32; 3]) -> u32 {
        let [a, b, c] = arguments;
        ask_with(own_network, call, [a, b, c, 0, 0, 0])
    }

    fn ask_with(own_network: bool, call: c_long, arguments: [u32; 6]) -> u32 {
        let program = compile(&calls(own_network)).unwrap();
        let architecture = if cfg!(target_arch = "x86_64") { 0xc000_003e } else { 0xc000_00b7 };
        run(&program, architecture, number(call), arguments)
    }

    fn error(code: i32) -> u32 {
        0x0005_0000 | code.unsigned_abs()
    }

    #[test]
    fn no_call_is_both_allowed_and_refused() {
        for (call, _) in &named().collect::<Vec<_>>() {
            assert!(!refused().chain(ALSO_REFUSED.iter().copied()).any(|refused| refused == *call), "{call}");
        }
        let mut named: Vec<_> = named().map(|(call, _)| call).collect();
        let before = named.len();
        named.sort_unstable();
        named.dedup();
        assert_eq!(named.len(), before, "a call is named twice");
    }

    #[test]
    fn calls_are_judged_by_their_arguments() {
        let (stream, datagram, raw) = (1, 2, 3);
        for own in [false, true] {
            for kind in [stream, datagram, stream | 0o2_004_000] {
                assert_eq!(ask(own, libc::SYS_socket, [2, kind, 0]), ALLOW);
                assert_eq!(ask(own, libc::SYS_socket, [10, kind, 0]), ALLOW);
            }
            assert_eq!(ask(own, libc::SYS_socket, [1, stream, 0]), ALLOW);
            assert_eq!(ask(own, libc::SYS_socket, [2, stream, 6]), ALLOW);
            assert_eq!(ask(own, libc::SYS_socket, [2, stream, 262]), error(EPROTONOSUPPORT));
            assert_eq!(ask(own, libc::SYS_socket, [2, raw, 1]), error(EPERM));
            assert_eq!(ask(own, libc::SYS_socket, [10, raw | 0o2_000_000, 58]), error(EPERM));
            for other in [17, 38, 40, 15, 44, 29] {
                assert_eq!(ask(own, libc::SYS_socket, [other, raw, 0]), error(EAFNOSUPPORT), "{other}");
            }
            assert_ne!(ask(own, libc::SYS_socket, [16, raw, 9]), ALLOW);
            assert_eq!(ask(own, libc::SYS_clone, [17, 0, 0]), ALLOW);
            assert_eq!(ask(own, libc::SYS_clone, [0x1000_0011, 0, 0]), error(EPERM));
            assert_eq!(ask(own, libc::SYS_clone3, [0, 0, 0]), error(libc::ENOSYS));
            assert_eq!(ask(own, libc::SYS_ioctl, [0, 0x5413, 0]), ALLOW);
            assert_eq!(ask(own, libc::SYS_ioctl, [0, 0x5412, 0]), error(EPERM));
            assert_eq!(ask(own, libc::SYS_mknodat, [0, 0, 0o010_644]), ALLOW);
            assert_eq!(ask(own, libc::SYS_mknodat, [0, 0, 0o060_644]), error(EPERM));
            assert_eq!(ask(own, libc::SYS_ptrace, [0; 3]), error(EPERM));
            assert_eq!(ask(own, 0x4000_0000 | libc::SYS_read, [0; 3]), error(libc::ENOSYS));
        }
        assert_eq!(ask(true, libc::SYS_socket, [16, raw, 0]), ALLOW);
        assert_eq!(ask(false, libc::SYS_socket, [16, raw, 0]), error(EAFNOSUPPORT));
    }

    #[test]
    fn no_mode_gives_the_rights_of_the_owner() {
        let second: &[c_long] = &[
            libc::SYS_fchmod,
            #[cfg(target_arch = "x86_64")]
            libc::SYS_chmod,
            #[cfg(target_arch = "x86_64")]
            libc::SYS_creat,
            #[cfg(target_arch = "x86_64")]
            libc::SYS_mkdir,
            #[cfg(target_arch = "x86_64")]
            libc::SYS_mknod,
        ];
        let third = [libc::SYS_fchmodat, libc::SYS_mkdirat, libc::SYS_mknodat, FCHMODAT2];
        for (own, mode) in [(true, 0o4755), (false, 0o2755), (true, 0o6000), (false, 0o104_755)] {
            for &call in second {
                assert_eq!(ask(own, call, [0, mode, 0]), error(EPERM), "{call}");
                assert_eq!(ask(own, call, [0, mode & !0o6000, 0]), ALLOW, "{call}");
            }
            for &call in &third {
                assert_eq!(ask(own, call, [0, 0, mode]), error(EPERM), "{call}");
                assert_eq!(ask(own, call, [0, 0, mode & !0o6000 | 0o1000]), ALLOW, "{call}");
            }
            for flags in [libc::O_CREAT, libc::O_TMPFILE | libc::O_RDWR].map(i32::cast_unsigned) {
                assert_eq!(ask_with(own, libc::SYS_openat, [0, 0, flags, mode, 0, 0]), error(EPERM));
                assert_eq!(ask_with(own, libc::SYS_openat, [0, 0, flags, 0o644, 0, 0]), ALLOW);
                #[cfg(target_arch = "x86_64")]
                assert_eq!(ask(own, libc::SYS_open, [0, flags, mode]), error(EPERM));
            }
            // Where nothing is made, what lies in the mode's place is nobody's mode.
            let folder = (libc::O_DIRECTORY | libc::O_CLOEXEC).cast_unsigned();
            assert_eq!(ask_with(own, libc::SYS_openat, [0, 0, folder, mode, 0, 0]), ALLOW);
        }
        assert_eq!(ask(true, libc::SYS_openat2, [0; 3]), error(libc::ENOSYS));
    }
}
