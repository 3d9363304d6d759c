//! `/proc` in a root of the child's own: its own processes, and no switch of the kernel.

use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_set_string, fsmount, fsopen,
};

use super::ground::Ground;
use crate::inside::found::Found;
use crate::inside::{Setup, devices};
use crate::layer::LayerName;
use crate::system::Namespaces;

/// What root outside can read though it is nobody in here: the machine's memory, keys and timers.
const MACHINE: [&str; 9] = [
    "/proc/kcore",
    "/proc/keys",
    "/proc/kpagecgroup",
    "/proc/kpagecount",
    "/proc/kpageflags",
    "/proc/pagetypeinfo",
    "/proc/slabinfo",
    "/proc/timer_list",
    "/proc/vmallocinfo",
];

/// A `/proc` of this process's namespace, detached, and how it hides processes; or why there is none.
pub(super) struct Processes(Result<(OwnedFd, &'static str), String>);

// === impl Processes ===

impl Processes {
    /// Makes it, while the machine's own `/proc` is in sight: without, the kernel gives none to a user namespace.
    pub(super) fn take(setup: &Setup<'_>) -> Self {
        if !setup.namespaces.has(Namespaces::PROCESS) {
            return Self(Err("no process namespace: there is no /proc".to_owned()));
        }
        Self(
            mount(true)
                .or_else(|_| mount(false))
                .map_err(|error| format!("making /proc: {error}; there is none")),
        )
    }

    /// Puts it in its place, which this process sees below `root`; all of it is read-only.
    pub(super) fn put(self, ground: &Ground, root: &Path, setup: &Setup<'_>, found: &mut Found) {
        let put = self.0.and_then(|(tree, how)| {
            let attached = ground.attach(&tree, Path::new("/proc"), true);
            attached.map_err(|error| format!("mounting /proc: {error}; there is none"))?;
            if setup.identity.user() == 0 {
                cover_machine(root)?;
            }
            Ok(how.to_owned())
        });
        // Where nothing is there, nothing can be changed either.
        let what = if put.is_ok() { "all of /proc; no /sys" } else { "neither /proc nor /sys is there" };
        found.in_force(LayerName::ReadOnlyKernel, what);
        found.record(LayerName::PrivateProc, put);
    }
}

fn mount(hide: bool) -> rustix::io::Result<(OwnedFd, &'static str)> {
    let context = fsopen("proc", FsOpenFlags::FSOPEN_CLOEXEC)?;
    if hide {
        fsconfig_set_string(&context, "hidepid", "2")?;
    }
    fsconfig_create(&context)?;
    let attributes = MountAttrFlags::MOUNT_ATTR_RDONLY
        | MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV
        | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    let tree = fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)?;
    Ok((tree, if hide { "hidepid" } else { "" }))
}

fn cover_machine(root: &Path) -> Result<(), String> {
    for path in MACHINE {
        let place = root.join(path.trim_start_matches('/'));
        // Not every kernel has every one of them.
        if place.exists() {
            devices::cover(&place).map_err(|error| format!("covering {path}: {error}"))?;
        }
    }
    Ok(())
}
