//! `/proc` and `/sys`: the child's own processes, and no switch of the kernel.
//!
//! The files below `/proc/sys` are guarded by the user id alone: root without any capability can write them,
//! and `core_pattern` among them runs programs outside. So they are made read-only.

use std::ffi::CStr;
use std::io;

use rustix::mount::{MountFlags, mount, mount_bind_recursive};

use super::Setup;
use super::found::Found;
use crate::layer::LayerName;
use crate::system::{Namespaces, mount_read_only};

const SWITCHES: [&CStr; 7] =
    [c"/proc/sys", c"/proc/sysrq-trigger", c"/proc/irq", c"/proc/bus", c"/proc/fs", c"/proc/acpi", c"/sys"];

/// Mounts a fresh `/proc` and makes the kernel's switches read-only.
pub(super) fn mount_all(setup: &Setup<'_>, found: &mut Found) {
    let fresh = if setup.namespaces.has(Namespaces::PROCESS) {
        mount_proc()
    } else {
        Err("no process namespace".to_owned())
    };
    found.record(LayerName::PrivateProc, fresh);
    found.record(
        LayerName::ReadOnlyKernel,
        SWITCHES.into_iter().try_for_each(protect).map(|()| String::new()),
    );
}

fn mount_proc() -> Result<String, String> {
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    mount("proc", "/proc", "proc", flags, None).map_err(|error| format!("mounting /proc: {error}"))?;
    Ok(String::new())
}

fn protect(path: &CStr) -> Result<(), String> {
    let outcome = match mount_bind_recursive(path, path) {
        // Not every kernel has every one of them.
        Err(rustix::io::Errno::NOENT) => return Ok(()),
        Err(error) => Err(io::Error::from(error)),
        Ok(()) => mount_read_only(path),
    };
    outcome.map_err(|error| format!("making {} read-only: {error}", path.to_string_lossy()))
}
