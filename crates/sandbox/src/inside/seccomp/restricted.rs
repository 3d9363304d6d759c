//! What a program without namespaces may ask of the kernel: what one with a root of its own may, less all that reaches
//! others on the machine where no namespace is in between, and that Landlock does not see.

use libc::{EAFNOSUPPORT, EBUSY, ENOSYS, EPERM, c_long};

use super::allowed::{self, SHARED, number};
use super::arguments::{FCHMODAT2, all_but, namespaces, only};
use super::program::{Rule, Step, Table};

/// Names and addresses of sockets: the machine's would answer. And what watches files that cannot be opened.
const REFUSED: &[c_long] = &[
    libc::SYS_connect,
    libc::SYS_bind,
    libc::SYS_listen,
    libc::SYS_inotify_init1,
    libc::SYS_inotify_add_watch,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_inotify_init,
];

/// What changes a file that cannot be opened, but for its content: of a program that is the node's user, every file of his.
const CHANGES: &[c_long] = &[
    libc::SYS_fchmod,
    libc::SYS_fchmodat,
    FCHMODAT2,
    libc::SYS_fchown,
    libc::SYS_fchownat,
    libc::SYS_utimensat,
    libc::SYS_setxattr,
    libc::SYS_lsetxattr,
    libc::SYS_fsetxattr,
    libc::SYS_removexattr,
    libc::SYS_lremovexattr,
    libc::SYS_fremovexattr,
    // setxattrat, removexattrat
    463,
    466,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_chmod,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_chown,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_lchown,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_utime,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_utimes,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_futimesat,
];

/// CLOSE_RANGE_UNSHARE
const UNSHARE: u32 = 2;

/// F_SETSIG: what signal says that a file is ready, or that somebody wants it.
const SET_SIGNAL: u32 = 10;

/// The only signal but the last that has a stopped process go on, when nobody in there sends it any more.
const WAKING: u32 = libc::SIGCONT.cast_unsigned();

/// What can be done to another process of the same user; 0 is oneself.
const OF_ONESELF: [c_long; 4] = [
    libc::SYS_prlimit64,
    libc::SYS_sched_setaffinity,
    libc::SYS_sched_setparam,
    libc::SYS_sched_setscheduler,
];

/// The table of a program that may be the node's user.
pub(super) fn calls(shares_user: bool) -> Table {
    let mut table = allowed::calls(false);
    let mut refuse = |calls: &mut dyn Iterator<Item = c_long>| {
        for call in calls {
            table.insert(number(call), Rule::Refuse(EPERM));
        }
    };
    refuse(&mut REFUSED.iter().copied());
    // Objects that are named by numbers, without a namespace everybody's.
    refuse(&mut SHARED.iter().map(|(call, _)| *call));
    if shares_user {
        refuse(&mut CHANGES.iter().copied());
    }
    for call in OF_ONESELF {
        table.insert(number(call), only(0, &[0], EPERM));
    }
    // PRIO_PROCESS is 0, IOPRIO_WHO_PROCESS 1.
    table.insert(number(libc::SYS_setpriority), of(0));
    table.insert(number(libc::SYS_ioprio_set), of(1));
    table.insert(number(libc::SYS_clone), clone());
    wake_nobody(&mut table);
    // Threads hold what their process holds, and nothing of their own.
    table.insert(number(libc::SYS_close_range), without(2, UNSHARE, EPERM));
    // Who asks before it makes a process is not to be answered by another.
    let listener = u32::try_from(libc::SECCOMP_FILTER_FLAG_NEW_LISTENER).unwrap_or(8);
    table.insert(number(libc::SYS_seccomp), without(1, listener, EBUSY));
    // Whoever looks after the program comes before it, and it cannot say that it is as short of time.
    table.insert(number(libc::SYS_sched_setattr), Rule::Refuse(EPERM));
    table.insert(number(libc::SYS_socket), Rule::Refuse(EAFNOSUPPORT));
    table.insert(number(libc::SYS_socketpair), pairs());
    table
}

/// While everything stands still to be looked at, nothing that was ordered before has it go on, or tells of the look.
fn wake_nobody(table: &mut Table) {
    // Its signal lies in memory, where no filter sees it. As to an older kernel: timeout(1), the one program of every system that
    // asks for it, then takes alarm(2) without a word.
    table.insert(number(libc::SYS_timer_create), Rule::Refuse(ENOSYS));
    table.insert(number(libc::SYS_fcntl), all_but(1, &[SET_SIGNAL, libc::F_NOTIFY.cast_unsigned()]));
    let death = vec![Step::Look(1), Step::Is(WAKING, vec![Step::Refuse(EPERM)]), Step::Allow];
    let asked = vec![Step::Look(0), Step::Is(libc::PR_SET_PDEATHSIG.cast_unsigned(), death), Step::Allow];
    table.insert(number(libc::SYS_prctl), Rule::Ask(asked));
}

/// Only of oneself: the kind of whom is `kind`, and the number is 0.
fn of(kind: u32) -> Rule {
    let oneself = vec![Step::Look(1), Step::Is(0, vec![Step::Allow]), Step::Refuse(EPERM)];
    Rule::Ask(vec![Step::Look(0), Step::Is(kind, oneself), Step::Refuse(EPERM)])
}

/// Processes without new namespaces, whose end wakes nobody, and threads that share their process's descriptors.
fn clone() -> Rule {
    let [thread, files] = [libc::CLONE_THREAD, libc::CLONE_FILES].map(i32::cast_unsigned);
    Rule::Ask(vec![
        Step::Look(0),
        Step::HasAny(namespaces(), vec![Step::Refuse(EPERM)]),
        Step::HasAny(thread, vec![Step::HasAny(files, vec![Step::Allow]), Step::Refuse(EPERM)]),
        // CSIGNAL: what their parent is told their end by.
        Step::Only(0xff),
        Step::Is(WAKING, vec![Step::Refuse(EPERM)]),
        Step::Allow,
    ])
}

/// All but with any of these bits.
fn without(argument: u32, bits: u32, error: i32) -> Rule {
    Rule::Ask(vec![Step::Look(argument), Step::HasAny(bits, vec![Step::Refuse(error)]), Step::Allow])
}

/// Pairs that stay one: a datagram could be sent from either to any other socket of the machine.
fn pairs() -> Rule {
    let kinds = [libc::SOCK_STREAM, libc::SOCK_SEQPACKET].map(i32::cast_unsigned);
    let mut of_kind = vec![Step::Look(1), Step::Only(0xf)];
    of_kind.extend(kinds.map(|kind| Step::Is(kind, vec![Step::Allow])));
    of_kind.push(Step::Refuse(EPERM));
    let unix = libc::AF_UNIX.cast_unsigned();
    Rule::Ask(vec![Step::Look(0), Step::Is(unix, of_kind), Step::Refuse(EAFNOSUPPORT)])
}

#[cfg(test)]
mod tests {
    use super::super::program::{compile, tests::run};
    use super::*;

    const ALLOW: u32 = 0x7fff_0000;

    fn ask(shares_user: bool, call: c_long, arguments: [u32; 3]) -> bool {
        let architecture = if cfg!(target_arch = "x86_64") { 0xc000_003e } else { 0xc000_00b7 };
        let [a, b, c] = arguments;
        let program = compile(&calls(shares_user)).unwrap();
        run(&program, architecture, number(call), [a, b, c, 0, 0, 0]) == ALLOW
    }

    #[test]
    fn nobody_else_is_reached() {
        for shares in [false, true] {
            for (family, kind) in [(1, 1), (1, 2), (2, 1), (2, 2), (10, 1), (16, 3)] {
                assert!(!ask(shares, libc::SYS_socket, [family, kind, 0]));
            }
            assert!(ask(shares, libc::SYS_socketpair, [1, 1 | 0o2_000_000, 0]));
            assert!(ask(shares, libc::SYS_socketpair, [1, 5, 0]));
            assert!(!ask(shares, libc::SYS_socketpair, [1, 2, 0]));
            assert!(!ask(shares, libc::SYS_connect, [3, 0, 0]));
            assert!(!ask(shares, libc::SYS_shmget, [0, 0, 0]));
            for call in OF_ONESELF {
                assert!(ask(shares, call, [0, 7, 7]) && !ask(shares, call, [1, 7, 7]), "{call}");
            }
            assert!(!ask(shares, libc::SYS_sched_setattr, [0, 7, 0]));
            assert!(ask(shares, libc::SYS_setpriority, [0, 0, 5]));
            assert!(!ask(shares, libc::SYS_setpriority, [0, 1, 5]));
            assert!(!ask(shares, libc::SYS_setpriority, [2, 0, 5]), "all of a user");
            assert!(ask(shares, libc::SYS_openat, [0, 0, 0]));
        }
    }

    #[test]
    fn no_thread_has_descriptors_of_its_own_and_nobody_else_listens() {
        let flags = |all: &[i32]| all.iter().fold(0, |all, one| all | one.cast_unsigned());
        let thread = [libc::CLONE_THREAD, libc::CLONE_VM, libc::CLONE_SIGHAND];
        assert!(!ask(false, libc::SYS_clone, [flags(&thread), 0, 0]));
        assert!(ask(false, libc::SYS_clone, [flags(&thread) | flags(&[libc::CLONE_FILES]), 0, 0]));
        assert!(ask(false, libc::SYS_clone, [flags(&[libc::SIGCHLD]), 0, 0]));
        assert!(ask(
            false,
            libc::SYS_clone,
            [flags(&[libc::CLONE_VFORK, libc::CLONE_VM, libc::SIGCHLD]), 0, 0]
        ));
        for namespace in super::super::CLONE_FLAGS {
            assert!(!ask(false, libc::SYS_clone, [flags(&[namespace, libc::SIGCHLD]), 0, 0]), "{namespace}");
        }
        assert!(ask(true, libc::SYS_close_range, [3, 9, 4]) && !ask(true, libc::SYS_close_range, [3, 9, 6]));
        assert!(ask(true, libc::SYS_seccomp, [1, 0, 0]) && !ask(true, libc::SYS_seccomp, [1, 0x28, 0]));
    }

    #[test]
    fn nothing_that_was_ordered_before_has_the_stopped_go_on() {
        let [cont, term] = [libc::SIGCONT, libc::SIGTERM].map(i32::cast_unsigned);
        for shares in [false, true] {
            assert!(!ask(shares, libc::SYS_timer_create, [0, 0, 0]));
            assert!(ask(shares, libc::SYS_timerfd_create, [0, 0, 0]));
            assert!(ask(shares, libc::SYS_setitimer, [0, 0, 0]));
            for command in [libc::F_NOTIFY.cast_unsigned(), SET_SIGNAL] {
                assert!(!ask(shares, libc::SYS_fcntl, [3, command, cont]));
                assert!(!ask(shares, libc::SYS_fcntl, [3, command, term]));
            }
            for command in
                [libc::F_GETFL, libc::F_SETFL, libc::F_SETOWN, libc::F_DUPFD_CLOEXEC, libc::F_SETLK]
            {
                assert!(ask(shares, libc::SYS_fcntl, [3, command.cast_unsigned(), 0]), "{command}");
            }
            let death = libc::PR_SET_PDEATHSIG.cast_unsigned();
            assert!(!ask(shares, libc::SYS_prctl, [death, cont, 0]));
            assert!(ask(shares, libc::SYS_prctl, [death, term, 0]));
            assert!(ask(shares, libc::SYS_prctl, [libc::PR_SET_NAME.cast_unsigned(), cont, 0]));
            assert!(!ask(shares, libc::SYS_clone, [cont, 0, 0]));
            assert!(!ask(shares, libc::SYS_clone, [libc::CLONE_VM.cast_unsigned() | cont, 0, 0]));
            assert!(ask(shares, libc::SYS_clone, [0, 0, 0]));
        }
    }

    #[test]
    fn a_program_that_is_the_nodes_user_changes_no_owner_mode_or_time() {
        for call in CHANGES {
            assert!(!ask(true, *call, [3, 0o644, 0o644]), "{call}");
            assert!(ask(false, *call, [3, 0o644, 0o644]), "{call}");
        }
    }
}
