//! System calls that are allowed or refused by their arguments.

use libc::{EAFNOSUPPORT, EPERM, EPROTONOSUPPORT, c_long};

use super::CLONE_FLAGS;
use super::allowed::Call;
use super::program::{Rule, Step};

macro_rules! call {
    ($name:ident) => {
        (libc::$name, stringify!($name))
    };
}

/// fchmodat2, which has no name in the library yet.
pub(super) const FCHMODAT2: c_long = 452;

/// Terminals: what types into them from outside, what draws on the console, what changes their inner workings.
const TERMINAL_REQUESTS: [u32; 3] = [0x5412, 0x541c, 0x5423];

/// Personalities that change nothing but what a program says of itself, how its memory is laid out, or that ask.
const PERSONALITIES: [u32; 5] = [0, 0x0008, 0x0002_0000, 0x0004_0000, 0xffff_ffff];

/// Their rules, for a child with a network of its own or without.
pub(super) fn conditional(own_network: bool) -> Vec<(Call, Rule)> {
    let mut rules = vec![
        (call!(SYS_socket), socket(own_network)),
        (call!(SYS_socketpair), only(0, &[family(libc::AF_UNIX)], EAFNOSUPPORT)),
        (
            call!(SYS_clone),
            Rule::Ask(vec![
                Step::Look(0),
                Step::HasAny(namespaces(), vec![Step::Refuse(EPERM)]),
                Step::Allow,
            ]),
        ),
        (call!(SYS_ioctl), all_but(1, &TERMINAL_REQUESTS)),
        (call!(SYS_personality), only(0, &PERSONALITIES, EPERM)),
        (call!(SYS_mknodat), no_devices(2)),
        (call!(SYS_openat), opened(2)),
        (call!(SYS_mkdirat), without_owner_rights(2)),
        (call!(SYS_fchmod), without_owner_rights(1)),
        (call!(SYS_fchmodat), without_owner_rights(2)),
        ((FCHMODAT2, "SYS_fchmodat2"), without_owner_rights(2)),
    ];
    #[cfg(target_arch = "x86_64")]
    rules.extend([
        (call!(SYS_mknod), no_devices(1)),
        (call!(SYS_open), opened(1)),
        (call!(SYS_creat), without_owner_rights(1)),
        (call!(SYS_mkdir), without_owner_rights(1)),
        (call!(SYS_chmod), without_owner_rights(1)),
    ]);
    rules
}

/// All flags that make one.
pub(super) fn namespaces() -> u32 {
    CLONE_FLAGS.iter().fold(0, |all, flag| all | flag.cast_unsigned())
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

pub(super) fn only(argument: u32, values: &[u32], error: i32) -> Rule {
    let mut steps = vec![Step::Look(argument)];
    steps.extend(values.iter().map(|value| Step::Is(*value, vec![Step::Allow])));
    steps.push(Step::Refuse(error));
    Rule::Ask(steps)
}

pub(super) fn all_but(argument: u32, values: &[u32]) -> Rule {
    let mut steps = vec![Step::Look(argument)];
    steps.extend(values.iter().map(|value| Step::Is(*value, vec![Step::Refuse(EPERM)])));
    steps.push(Step::Allow);
    Rule::Ask(steps)
}

fn family(family: i32) -> u32 {
    family.cast_unsigned()
}
