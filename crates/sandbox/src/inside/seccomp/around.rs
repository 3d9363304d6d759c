//! What nothing in a box around an OCI runtime may ask of the kernel, the runtime included: neither it nor its container has
//! any use for it. What the program itself may ask is the runtime's to filter, by our list.

use seccompiler::{BpfProgram, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompRule};

use super::{Rules, compile};

/// Refused whatever the arguments.
const REFUSED: [i64; 27] = [
    // The user's key rings are shared with the node.
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    // Large and often broken parts of the kernel.
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    // Files by handle go around every path.
    libc::SYS_open_by_handle_at,
    libc::SYS_name_to_handle_at,
    // The machine itself.
    libc::SYS_kexec_load,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_syslog,
    libc::SYS_vhangup,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_fanotify_init,
    libc::SYS_lookup_dcookie,
];

/// Where a mode stands among the arguments.
const MODES: &[(i64, u8)] = &[
    (libc::SYS_fchmod, 1),
    (libc::SYS_fchmodat, 2),
    (super::allowed::FCHMODAT2, 2),
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
pub(super) const COUNT: usize = REFUSED.len();

/// The filters: what is refused, and what is said not to be there.
pub(super) fn programs() -> Result<Vec<BpfProgram>, String> {
    let mut rules: Rules = REFUSED.iter().map(|call| (*call, Vec::new())).collect();
    #[cfg(target_arch = "x86_64")]
    rules
        .extend([libc::SYS_kexec_file_load, libc::SYS_iopl, libc::SYS_ioperm].map(|call| (call, Vec::new())));
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
