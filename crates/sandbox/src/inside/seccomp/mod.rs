//! System calls that a child has no use for and that reach around the other layers: seccomp(2).
//!
//! For a tool server a list of what is refused, not of what is allowed: tool servers are other people's programs, and a
//! new libc must not break them. What is refused fails with EPERM and is known to be optional in practice. For a child
//! in a root of its own a list of what is allowed (`allowed`), and everything that this list does not name is
//! unknown to it, as to an older kernel.

mod allowed;
mod arguments;
mod around;
mod gate;
mod program;
mod refused;
mod restricted;

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch,
};

#[cfg(test)]
pub(crate) use self::allowed::ask_filter;
pub(crate) use self::allowed::{Told, told};
pub(crate) use self::program::{Rule, Step};
use self::refused::refused;
use super::found::Found;
use crate::layer::LayerName;
use crate::network::Network;

/// Compiled filters, or why there are none.
pub(crate) struct Filters {
    refusing: Result<Vec<BpfProgram>, String>,
    /// With the machine's network, and with one of the child's own.
    allowing: Result<[BpfProgram; 2], String>,
    around: Result<Vec<BpfProgram>, String>,
    /// Without a network: of a user of its own, and of one who is also the node's.
    restricted: Result<[BpfProgram; 2], String>,
    /// Beside that one: who makes a process asks first.
    pub(super) gate: Result<BpfProgram, String>,
}

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// Kinds of socket that are no way to a network but to the kernel or the hypervisor.
const SOCKET_KINDS: [i32; 4] = [libc::AF_PACKET, libc::AF_VSOCK, libc::AF_ALG, libc::AF_KEY];

/// Flags of clone(2) that make namespaces.
const CLONE_FLAGS: [i32; 8] = [
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWNS,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWUTS,
    libc::CLONE_NEWNET,
    libc::CLONE_NEWCGROUP,
    0x0000_0080, // CLONE_NEWTIME
];

/// On x86-64 each call also has a number with this bit, in the x32 interface, which the kernel may have.
#[cfg(target_arch = "x86_64")]
const OTHER_NUMBERS: Option<i64> = Some(0x4000_0000);
#[cfg(not(target_arch = "x86_64"))]
const OTHER_NUMBERS: Option<i64> = None;

// === impl Filters ===

impl Filters {
    /// Compiles the filters, once for all children of a spawner.
    pub(crate) fn compile() -> Self {
        let allowing = [false, true].map(|own| program::compile(&allowed::calls(own)));
        let [host, own] = allowing;
        let [alone, sharing] = [false, true].map(|shares| program::compile(&restricted::calls(shares)));
        Self {
            refusing: refusing().and_then(|refusing| Ok(vec![refusing, without_clone3()?])),
            allowing: host.and_then(|host| Ok([host, own?])),
            around: around::programs(),
            restricted: alone.and_then(|alone| Ok([alone, sharing?])),
            gate: gate::program(),
        }
    }
}

/// Installs the filters of a tool server for this process and all it starts.
pub(super) fn refuse(filters: &Filters, found: &mut Found) {
    let installed = filters.refusing.as_ref().map_err(Clone::clone).and_then(|programs| {
        programs
            .iter()
            .try_for_each(|program| seccompiler::apply_filter(program).map_err(|error| error.to_string()))
    });
    found.record(
        LayerName::Seccomp,
        installed.map(|()| format!("{} system calls refused", refused().count())),
    );
}

/// Installs the filter of a child without namespaces, who may be the node's user.
pub(super) fn restrict(filters: &Filters, shares_user: bool) -> Result<(), String> {
    let [alone, sharing] = filters.restricted.as_ref().map_err(Clone::clone)?;
    let program = if shares_user { sharing } else { alone };
    seccompiler::apply_filter(program).map_err(|error| error.to_string())
}

/// How many calls that filter allows.
pub(super) fn restricted_count(shares_user: bool) -> usize {
    restricted::calls(shares_user).values().filter(|rule| !matches!(rule, Rule::Refuse(_))).count()
}

/// Installs the filters of a box around an OCI runtime; how many calls they refuse.
pub(super) fn surround(filters: &Filters) -> Result<usize, String> {
    for program in filters.around.as_ref().map_err(Clone::clone)? {
        seccompiler::apply_filter(program).map_err(|error| error.to_string())?;
    }
    Ok(around::COUNT)
}

/// Installs the filter of a child in a root of its own.
pub(super) fn allow(filters: &Filters, network: Network, found: &mut Found) {
    let installed = filters.allowing.as_ref().map_err(Clone::clone).and_then(|[host, own]| {
        let program = if network.is_own() { own } else { host };
        seccompiler::apply_filter(program).map_err(|error| error.to_string())
    });
    found
        .record(LayerName::Seccomp, installed.map(|()| format!("{} system calls allowed", allowed::count())));
}

fn refusing() -> Result<BpfProgram, String> {
    let mut rules: Rules = refused().map(|call| (call, Vec::new())).collect();
    let kinds = SOCKET_KINDS.iter().map(|kind| rule(0, SeccompCmpOp::Eq, kind.unsigned_abs().into()));
    rules.insert(libc::SYS_socket, kinds.collect::<Result<_, _>>()?);
    let flags = CLONE_FLAGS.iter().map(|flag| u64::from(flag.cast_unsigned()));
    let flags = flags.map(|flag| rule(0, SeccompCmpOp::MaskedEq(flag), flag));
    rules.insert(libc::SYS_clone, flags.collect::<Result<_, _>>()?);
    compile(rules, libc::EPERM)
}

/// The flags of clone3(2) lie in memory, where no filter sees them. Answering that there is no such call makes
/// every libc fall back to clone(2).
fn without_clone3() -> Result<BpfProgram, String> {
    compile(Rules::from([(libc::SYS_clone3, Vec::new())]), libc::ENOSYS)
}

fn rule(argument: u8, operator: SeccompCmpOp, value: u64) -> Result<SeccompRule, String> {
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operator, value)
        .and_then(|condition| SeccompRule::new(vec![condition]))
        .map_err(|error| error.to_string())
}

fn compile(mut rules: Rules, errno: i32) -> Result<BpfProgram, String> {
    if let Some(bit) = OTHER_NUMBERS {
        let others: Rules = rules.iter().map(|(call, conditions)| (call | bit, conditions.clone())).collect();
        rules.extend(others);
    }
    let architecture = TargetArch::try_from(std::env::consts::ARCH).map_err(|error| error.to_string())?;
    SeccompFilter::new(rules, SeccompAction::Allow, SeccompAction::Errno(errno.unsigned_abs()), architecture)
        .and_then(BpfProgram::try_from)
        .map_err(|error| error.to_string())
}
