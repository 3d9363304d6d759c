//! What nothing in a box around an OCI runtime may ask of the kernel, the runtime included: neither it nor its container has
//! any use for it. What the program itself may ask is the runtime's to filter, by our list.

use seccompiler::{BpfProgram, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompRule};

use super::refused::{USELESS, USELESS_X86};
use super::{Rules, compile};

/// Where a mode stands among the arguments.
const MODES: &[(i64, u8)] = &[
    (libc::SYS_fchmod, 1),
    (libc::SYS_fchmodat, 2),
    (super::arguments::FCHMODAT2, 2),
    (libc::SYS_mkdirat, 2),
    (libc::SYS_mknodat, 2),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_chmod, 1),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_creat, 1),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_mkdir, 1),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_mknod, 1),
];

/// Where the flags of an open stand; the mode comes after them.
const OPENS: &[(i64, u8)] = &[
    (libc::SYS_openat, 2),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_open, 1),
];

/// The mode lies in memory: there is no such call.
const UNKNOWN: [i64; 1] = [libc::SYS_openat2];

/// How many are refused.
pub(super) const COUNT: usize = USELESS.len();

/// The filters: what is refused, and what is said not to be there.
pub(super) fn programs() -> Result<Vec<BpfProgram>, String> {
    let useless = USELESS.iter().chain(USELESS_X86);
    let mut rules: Rules = useless.map(|call| (*call, Vec::new())).collect();
    for (call, mode) in MODES {
        rules.insert(*call, either(|bit| vec![has(*mode, bit)])?);
    }
    for (call, flags) in OPENS {
        let made = |makes: i32| move |bit| vec![has(*flags, makes), has(*flags + 1, bit)];
        let mut all = either(made(libc::O_CREAT))?;
        all.extend(either(made(libc::O_TMPFILE))?);
        rules.insert(*call, all);
    }
    let unknown = UNKNOWN.iter().map(|call| (*call, Vec::new())).collect();
    Ok(vec![compile(rules, libc::EPERM)?, compile(unknown, libc::ENOSYS)?])
}

type Condition = Result<SeccompCondition, String>;

/// One rule for each of the bits that give a program the rights of its owner or group.
fn either(conditions: impl Fn(i32) -> Vec<Condition>) -> Result<Vec<SeccompRule>, String> {
    let rule = |bit: u32| {
        let conditions = conditions(bit.cast_signed()).into_iter().collect::<Result<_, _>>()?;
        SeccompRule::new(conditions).map_err(|error| error.to_string())
    };
    [libc::S_ISUID, libc::S_ISGID].into_iter().map(rule).collect()
}

fn has(argument: u8, bits: i32) -> Condition {
    let bits = u64::from(bits.cast_unsigned());
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, SeccompCmpOp::MaskedEq(bits), bits)
        .map_err(|error| error.to_string())
}
