//! System calls that are refused whatever their arguments.

/// Nothing in any sandbox has a use for these, a runtime that makes one included.
pub(super) const USELESS: [i64; 27] = [
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

/// These change what a sandbox is made of, or reach into other processes.
pub(super) const REACHING: [i64; 20] = [
    // Mounts: what is covered stays covered.
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_open_tree,
    libc::SYS_move_mount,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    // Namespaces: no new capabilities by way of a user namespace.
    libc::SYS_unshare,
    libc::SYS_setns,
    // Other processes' memory and descriptors.
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_pidfd_getfd,
    libc::SYS_process_madvise,
    libc::SYS_kcmp,
    // What the machine is called.
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
];

/// As [`USELESS`], where they exist.
#[cfg(target_arch = "x86_64")]
pub(super) const USELESS_X86: &[i64] = &[libc::SYS_kexec_file_load, libc::SYS_iopl, libc::SYS_ioperm];
#[cfg(not(target_arch = "x86_64"))]
pub(super) const USELESS_X86: &[i64] = &[];

/// As [`REACHING`], where they exist.
#[cfg(target_arch = "x86_64")]
const REACHING_X86: &[i64] = &[libc::SYS_modify_ldt];
#[cfg(not(target_arch = "x86_64"))]
const REACHING_X86: &[i64] = &[];

/// All that programs are refused.
pub(super) fn refused() -> impl Iterator<Item = i64> {
    [&USELESS[..], USELESS_X86, &REACHING, REACHING_X86].into_iter().flatten().copied()
}
