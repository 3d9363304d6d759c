//! What a program in a root of its own may ask of the kernel: what libraries, interpreters, shells, network clients and
//! statically linked programs need to work on files, processes of their own, and sockets.

use libc::{EAFNOSUPPORT, EPERM, EPROTONOSUPPORT, c_long};

use super::program::{Rule, Step, Table};
use super::{CLONE_FLAGS, REFUSED, REFUSED_X86};

/// Files and folders.
#[rustfmt::skip]
const FILES: &[c_long] = &[
    libc::SYS_read, libc::SYS_write, libc::SYS_close, libc::SYS_lseek, libc::SYS_pread64, libc::SYS_pwrite64,
    libc::SYS_readv, libc::SYS_writev, libc::SYS_preadv, libc::SYS_pwritev, libc::SYS_preadv2, libc::SYS_pwritev2,
    libc::SYS_close_range, libc::SYS_fstat, libc::SYS_newfstatat,
    libc::SYS_statx, libc::SYS_statfs, libc::SYS_fstatfs, libc::SYS_faccessat, libc::SYS_faccessat2,
    libc::SYS_getdents64, libc::SYS_getcwd, libc::SYS_chdir, libc::SYS_fchdir,
    libc::SYS_unlinkat, libc::SYS_renameat, libc::SYS_renameat2, libc::SYS_linkat, libc::SYS_symlinkat,
    libc::SYS_readlinkat, libc::SYS_fchown, libc::SYS_fchownat,
    libc::SYS_truncate, libc::SYS_ftruncate, libc::SYS_fallocate, libc::SYS_fsync, libc::SYS_fdatasync,
    libc::SYS_sync, libc::SYS_syncfs, libc::SYS_sync_file_range, libc::SYS_fadvise64, libc::SYS_readahead,
    libc::SYS_utimensat, libc::SYS_umask, libc::SYS_flock, libc::SYS_fcntl, libc::SYS_dup, libc::SYS_dup3,
    libc::SYS_pipe2, libc::SYS_sendfile, libc::SYS_splice, libc::SYS_tee, libc::SYS_vmsplice,
    libc::SYS_copy_file_range, libc::SYS_setxattr, libc::SYS_lsetxattr, libc::SYS_fsetxattr, libc::SYS_getxattr,
    libc::SYS_lgetxattr, libc::SYS_fgetxattr, libc::SYS_listxattr, libc::SYS_llistxattr, libc::SYS_flistxattr,
    libc::SYS_removexattr, libc::SYS_lremovexattr, libc::SYS_fremovexattr, libc::SYS_inotify_init1,
    libc::SYS_inotify_add_watch, libc::SYS_inotify_rm_watch, libc::SYS_memfd_create,
];

/// Memory.
#[rustfmt::skip]
const MEMORY: &[c_long] = &[
    libc::SYS_mmap, libc::SYS_munmap, libc::SYS_mprotect, libc::SYS_mremap, libc::SYS_msync, libc::SYS_mincore,
    libc::SYS_madvise, libc::SYS_brk, libc::SYS_mlock, libc::SYS_mlock2, libc::SYS_munlock, libc::SYS_mlockall,
    libc::SYS_munlockall, libc::SYS_membarrier, libc::SYS_mbind, libc::SYS_set_mempolicy, libc::SYS_get_mempolicy,
    libc::SYS_pkey_alloc, libc::SYS_pkey_free, libc::SYS_pkey_mprotect,
];

/// Processes, threads and their signals.
#[rustfmt::skip]
const PROCESSES: &[c_long] = &[
    libc::SYS_execve, libc::SYS_execveat, libc::SYS_exit, libc::SYS_exit_group, libc::SYS_wait4, libc::SYS_waitid,
    libc::SYS_kill, libc::SYS_tkill, libc::SYS_tgkill, libc::SYS_getpid, libc::SYS_getppid, libc::SYS_gettid,
    libc::SYS_getpgid, libc::SYS_setpgid, libc::SYS_getsid, libc::SYS_setsid, libc::SYS_set_tid_address,
    libc::SYS_set_robust_list, libc::SYS_get_robust_list, libc::SYS_futex, libc::SYS_rseq, libc::SYS_restart_syscall,
    libc::SYS_rt_sigaction, libc::SYS_rt_sigprocmask, libc::SYS_rt_sigreturn, libc::SYS_rt_sigpending,
    libc::SYS_rt_sigtimedwait, libc::SYS_rt_sigqueueinfo, libc::SYS_rt_tgsigqueueinfo, libc::SYS_rt_sigsuspend,
    libc::SYS_sigaltstack, libc::SYS_signalfd4, libc::SYS_pidfd_open, libc::SYS_pidfd_send_signal, libc::SYS_prctl,
    libc::SYS_sched_yield, libc::SYS_sched_getaffinity, libc::SYS_sched_setaffinity, libc::SYS_sched_getparam,
    libc::SYS_sched_setparam, libc::SYS_sched_getscheduler, libc::SYS_sched_setscheduler, libc::SYS_sched_getattr,
    libc::SYS_sched_setattr, libc::SYS_sched_get_priority_max, libc::SYS_sched_get_priority_min,
    libc::SYS_sched_rr_get_interval, libc::SYS_getpriority, libc::SYS_setpriority, libc::SYS_ioprio_get,
    libc::SYS_ioprio_set, libc::SYS_getrlimit, libc::SYS_setrlimit, libc::SYS_prlimit64, libc::SYS_getrusage,
    libc::SYS_times, libc::SYS_getcpu, libc::SYS_seccomp, libc::SYS_landlock_create_ruleset,
    libc::SYS_landlock_add_rule, libc::SYS_landlock_restrict_self,
];

/// Who one is; nobody else can be become.
#[rustfmt::skip]
const USERS: &[c_long] = &[
    libc::SYS_getuid, libc::SYS_geteuid, libc::SYS_getgid, libc::SYS_getegid, libc::SYS_getresuid,
    libc::SYS_getresgid, libc::SYS_getgroups, libc::SYS_setuid, libc::SYS_setgid, libc::SYS_setreuid,
    libc::SYS_setregid, libc::SYS_setresuid, libc::SYS_setresgid, libc::SYS_setfsuid, libc::SYS_setfsgid,
    libc::SYS_setgroups, libc::SYS_capget, libc::SYS_capset,
];

/// Waiting, and time.
#[rustfmt::skip]
const TIME: &[c_long] = &[
    libc::SYS_ppoll, libc::SYS_pselect6, libc::SYS_epoll_create1, libc::SYS_epoll_ctl, libc::SYS_epoll_pwait,
    libc::SYS_epoll_pwait2, libc::SYS_eventfd2, libc::SYS_timerfd_create, libc::SYS_timerfd_settime,
    libc::SYS_timerfd_gettime, libc::SYS_timer_create, libc::SYS_timer_settime, libc::SYS_timer_gettime,
    libc::SYS_timer_getoverrun, libc::SYS_timer_delete, libc::SYS_getitimer, libc::SYS_setitimer,
    libc::SYS_nanosleep, libc::SYS_clock_nanosleep, libc::SYS_clock_gettime, libc::SYS_clock_getres,
    libc::SYS_gettimeofday,
];

/// Sockets, once they are made.
#[rustfmt::skip]
const SOCKETS: &[c_long] = &[
    libc::SYS_bind, libc::SYS_listen, libc::SYS_accept, libc::SYS_accept4, libc::SYS_connect,
    libc::SYS_getsockname, libc::SYS_getpeername, libc::SYS_sendto, libc::SYS_recvfrom, libc::SYS_sendmsg,
    libc::SYS_recvmsg, libc::SYS_sendmmsg, libc::SYS_recvmmsg, libc::SYS_setsockopt, libc::SYS_getsockopt,
    libc::SYS_shutdown,
];

/// Objects shared between its own processes: the namespace holds no others.
#[rustfmt::skip]
const SHARED: &[c_long] = &[
    libc::SYS_shmget, libc::SYS_shmat, libc::SYS_shmdt, libc::SYS_shmctl, libc::SYS_semget, libc::SYS_semop,
    libc::SYS_semtimedop, libc::SYS_semctl, libc::SYS_msgget, libc::SYS_msgsnd, libc::SYS_msgrcv, libc::SYS_msgctl,
    libc::SYS_mq_open, libc::SYS_mq_unlink, libc::SYS_mq_timedsend, libc::SYS_mq_timedreceive, libc::SYS_mq_notify,
    libc::SYS_mq_getsetattr,
];

/// About the machine, as it shows itself in here.
const MACHINE: &[c_long] = &[libc::SYS_uname, libc::SYS_sysinfo, libc::SYS_getrandom];

/// Newer than the names in the library, with the same numbers everywhere: futex_waitv, set_mempolicy_home_node left out,
/// cachestat, map_shadow_stack, futex_wake, futex_wait, futex_requeue, mseal, and the four for attributes.
const NEW: &[c_long] = &[449, 451, 453, 454, 455, 456, 462, 463, 464, 465, 466];

/// Older forms of the above, which only the oldest architecture has.
#[cfg(target_arch = "x86_64")]
#[rustfmt::skip]
const OLD: &[c_long] = &[
    libc::SYS_stat, libc::SYS_lstat, libc::SYS_access, libc::SYS_getdents,
    libc::SYS_rmdir, libc::SYS_unlink, libc::SYS_rename, libc::SYS_link, libc::SYS_symlink,
    libc::SYS_readlink, libc::SYS_chown, libc::SYS_lchown, libc::SYS_utime, libc::SYS_utimes,
    libc::SYS_futimesat, libc::SYS_dup2, libc::SYS_pipe, libc::SYS_inotify_init, libc::SYS_fork, libc::SYS_vfork,
    libc::SYS_getpgrp, libc::SYS_pause, libc::SYS_alarm, libc::SYS_time, libc::SYS_poll, libc::SYS_select,
    libc::SYS_epoll_create, libc::SYS_epoll_wait, libc::SYS_eventfd, libc::SYS_signalfd, libc::SYS_arch_prctl,
    libc::SYS_set_thread_area, libc::SYS_get_thread_area,
];
#[cfg(not(target_arch = "x86_64"))]
const OLD: &[c_long] = &[];

/// Refused aloud beside what tool servers are refused, so that a program says why it fails.
const ALSO_REFUSED: &[c_long] =
    &[libc::SYS_chroot, libc::SYS_adjtimex, libc::SYS_move_pages, libc::SYS_migrate_pages];

/// fchmodat2, as above.
const FCHMODAT2: c_long = 452;

const ALL: [&[c_long]; 10] = [FILES, MEMORY, PROCESSES, USERS, TIME, SOCKETS, SHARED, MACHINE, NEW, OLD];

/// Terminals: what types into them from outside, what draws on the console, what changes their inner workings.
const TERMINAL_REQUESTS: [u32; 3] = [0x5412, 0x541c, 0x5423];

/// Personalities that change nothing but what a program says of itself, how its memory is laid out, or that ask.
const PERSONALITIES: [u32; 5] = [0, 0x0008, 0x0002_0000, 0x0004_0000, 0xffff_ffff];

/// How many calls are allowed, those with conditions included.
pub(super) fn count() -> usize {
    ALL.iter().map(|calls| calls.len()).sum::<usize>() + conditional(true).len()
}

/// The table of a child: in a network of its own it may ask the kernel about its addresses.
pub(super) fn calls(own_network: bool) -> Table {
    let refused = REFUSED
        .iter()
        .chain(REFUSED_X86)
        .chain(ALSO_REFUSED)
        .map(|call| (number(*call), Rule::Refuse(EPERM)));
    let allowed = ALL.iter().flat_map(|calls| calls.iter()).map(|call| (number(*call), Rule::Allow));
    // clone3 and openat2 are in none of them: their flags and mode lie in memory, where no filter sees them, and every
    // libc falls back.
    refused.chain(allowed).chain(conditional(own_network)).collect()
}

fn conditional(own_network: bool) -> Vec<(u32, Rule)> {
    let namespaces = CLONE_FLAGS.iter().fold(0, |all, flag| all | flag.cast_unsigned());
    let mut rules = vec![
        (libc::SYS_socket, socket(own_network)),
        (libc::SYS_socketpair, only(0, &[family(libc::AF_UNIX)], EAFNOSUPPORT)),
        (
            libc::SYS_clone,
            Rule::Ask(vec![Step::Look(0), Step::HasAny(namespaces, vec![Step::Refuse(EPERM)]), Step::Allow]),
        ),
        (libc::SYS_ioctl, all_but(1, &TERMINAL_REQUESTS)),
        (libc::SYS_personality, only(0, &PERSONALITIES, EPERM)),
        (libc::SYS_mknodat, no_devices(2)),
        (libc::SYS_openat, opened(2)),
        (libc::SYS_mkdirat, without_owner_rights(2)),
        (libc::SYS_fchmod, without_owner_rights(1)),
        (libc::SYS_fchmodat, without_owner_rights(2)),
        (FCHMODAT2, without_owner_rights(2)),
    ];
    #[cfg(target_arch = "x86_64")]
    rules.extend([
        (libc::SYS_mknod, no_devices(1)),
        (libc::SYS_open, opened(1)),
        (libc::SYS_creat, without_owner_rights(1)),
        (libc::SYS_mkdir, without_owner_rights(1)),
        (libc::SYS_chmod, without_owner_rights(1)),
    ]);
    rules.into_iter().map(|(call, rule)| (number(call), rule)).collect()
}

/// Streams and datagrams of IP, sockets of the file system; raw packets and other families are refused.
fn socket(own_network: bool) -> Rule {
    let transport = |kind: i32, protocol: i32| {
        let mut steps = vec![Step::Look(2)];
        steps.extend([0, protocol].map(|one| Step::Is(one.cast_unsigned(), vec![Step::Allow])));
        steps.push(Step::Refuse(EPROTONOSUPPORT));
        Step::Is(kind.cast_unsigned(), steps)
    };
    let internet = vec![
        Step::Look(1),
        Step::Only(0xf),
        transport(libc::SOCK_STREAM, libc::IPPROTO_TCP),
        transport(libc::SOCK_DGRAM, libc::IPPROTO_UDP),
        Step::Refuse(EPERM),
    ];
    let mut steps = vec![
        Step::Look(0),
        Step::Is(family(libc::AF_UNIX), vec![Step::Allow]),
        Step::Is(family(libc::AF_INET), internet.clone()),
        Step::Is(family(libc::AF_INET6), internet),
    ];
    if own_network {
        // getifaddrs(3) asks the kernel by it. Without rights over the namespace it only tells.
        let routes = libc::NETLINK_ROUTE.cast_unsigned();
        let tells = vec![Step::Look(2), Step::Is(routes, vec![Step::Allow]), Step::Refuse(EPROTONOSUPPORT)];
        steps.push(Step::Is(family(libc::AF_NETLINK), tells));
    }
    steps.push(Step::Refuse(EAFNOSUPPORT));
    Rule::Ask(steps)
}

/// Fifos, sockets and files; devices take a capability that nobody has, and are refused once more.
fn no_devices(argument: u32) -> Rule {
    let refused = |kind: u32| Step::Is(kind, vec![Step::Refuse(EPERM)]);
    Rule::Ask(vec![
        Step::Look(argument),
        Step::HasAny(OWNER_RIGHTS, vec![Step::Refuse(EPERM)]),
        Step::Only(libc::S_IFMT),
        refused(libc::S_IFCHR),
        refused(libc::S_IFBLK),
        Step::Allow,
    ])
}

/// What a mode may not say: that a program runs with the rights of who owns it. In a folder of the machine the file would
/// stay, and outside of the box, where the owner is the node's user, it would be what it says.
const OWNER_RIGHTS: u32 = libc::S_ISUID | libc::S_ISGID;

fn without_owner_rights(argument: u32) -> Rule {
    Rule::Ask(refusing_owner_rights(argument))
}

fn refusing_owner_rights(argument: u32) -> Vec<Step> {
    vec![Step::Look(argument), Step::HasAny(OWNER_RIGHTS, vec![Step::Refuse(EPERM)]), Step::Allow]
}

/// A file that is opened: the mode comes after the flags, and means something only where a file is made.
fn opened(flags: u32) -> Rule {
    // O_TMPFILE is two bits, one of them that of O_DIRECTORY.
    let makes = (libc::O_CREAT | libc::O_TMPFILE & !libc::O_DIRECTORY).cast_unsigned();
    Rule::Ask(vec![Step::Look(flags), Step::HasAny(makes, refusing_owner_rights(flags + 1)), Step::Allow])
}

fn only(argument: u32, values: &[u32], error: i32) -> Rule {
    let mut steps = vec![Step::Look(argument)];
    steps.extend(values.iter().map(|value| Step::Is(*value, vec![Step::Allow])));
    steps.push(Step::Refuse(error));
    Rule::Ask(steps)
}

fn all_but(argument: u32, values: &[u32]) -> Rule {
    let mut steps = vec![Step::Look(argument)];
    steps.extend(values.iter().map(|value| Step::Is(*value, vec![Step::Refuse(EPERM)])));
    steps.push(Step::Allow);
    Rule::Ask(steps)
}

fn family(family: i32) -> u32 {
    family.cast_unsigned()
}

fn number(call: c_long) -> u32 {
    u32::try_from(call).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
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
        for call in ALL.iter().flat_map(|calls| calls.iter()) {
            assert!(
                !REFUSED.iter().chain(REFUSED_X86).chain(ALSO_REFUSED).any(|refused| refused == call),
                "{call}"
            );
        }
        let mut named: Vec<_> = ALL.iter().flat_map(|calls| calls.iter()).collect();
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
