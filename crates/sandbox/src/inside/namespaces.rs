//! From fresh namespaces to usable ones: who the user is, what the host is called, since when it is up.

use std::io;

use rustix::time::{ClockId, clock_gettime};

use super::Setup;
use super::found::Found;
use super::identity::{Known, while_dumpable, write_maps};
use crate::driver::Confinement;
use crate::layer::LayerName;
use crate::limits::{INOTIFY_INSTANCES, INOTIFY_WATCHES};
use crate::system::{Namespaces, enter_namespaces};
use crate::wire::Failure;

/// Settles this process in the namespaces that it was made in, and enters those that cannot be made so early.
pub(super) fn settle(setup: &Setup<'_>, found: &mut Found) -> Result<(), Failure> {
    let boxed = setup.order.root.is_some();
    let user = setup.namespaces.has(Namespaces::USER);
    if user {
        let known = match setup.order.confinement {
            Confinement::Container(_) => Known::Root,
            Confinement::Local | Confinement::Restricted if boxed => Known::Agent,
            Confinement::Local | Confinement::Restricted => Known::Itself,
        };
        while_dumpable(|| write_maps(setup.identity, known))
            .map_err(|error| Failure::setup("writing the user map", &error))?;
    }
    for (namespace, name) in [
        (Namespaces::PROCESS, LayerName::ProcessNamespace),
        (Namespaces::IPC, LayerName::IpcNamespace),
        (Namespaces::HOST, LayerName::HostNamespace),
    ] {
        if setup.namespaces.has(namespace) {
            found.in_force(name, "");
        }
    }
    if setup.namespaces.has(Namespaces::HOST) {
        // A name of its own is all the layer gives; without it the copy still says what the machine is called.
        if let Err(error) = rustix::system::sethostname(b"sandbox") {
            found.missing(LayerName::HostNamespace, format!("setting the host name: {error}"));
        }
    }
    if boxed {
        if user {
            let inside = match setup.order.confinement {
                Confinement::Container(_) => "called root inside, without any right",
                Confinement::Local | Confinement::Restricted => "an ordinary user inside",
            };
            let how = match bound_inotify() {
                Ok(()) => inside.to_owned(),
                Err(error) => format!("{inside}; inotify is not bounded: {error}"),
            };
            found.in_force(LayerName::UserNamespace, how);
        }
        enter_late(setup.late, found);
    }
    Ok(())
}

/// The cgroup namespace begins where this process is now, in its own cgroup if it has one; the time namespace is
/// for the program, which is a child of this process.
pub(super) fn enter_late(late: Namespaces, found: &mut Found) {
    if late.has(Namespaces::CGROUP) {
        let entered = enter_namespaces(Namespaces::CGROUP);
        found.record(LayerName::CgroupNamespace, described(entered));
    }
    if late.has(Namespaces::TIME) {
        let entered = enter_namespaces(Namespaces::TIME).and_then(|()| while_dumpable(begin_time));
        found.record(LayerName::TimeNamespace, described(entered));
    }
}

/// What this namespace may take of what the machine counts over all of the node's user.
fn bound_inotify() -> io::Result<()> {
    std::fs::write("/proc/sys/user/max_inotify_instances", INOTIFY_INSTANCES.to_string())?;
    std::fs::write("/proc/sys/user/max_inotify_watches", INOTIFY_WATCHES.to_string())
}

fn described(outcome: io::Result<()>) -> Result<String, String> {
    outcome.map(|()| String::new()).map_err(|error| format!("entering it: {error}"))
}

/// The clocks that count from the machine's start count from now.
fn begin_time() -> io::Result<()> {
    let monotonic = clock_gettime(ClockId::Monotonic).tv_sec;
    let boot = clock_gettime(ClockId::Boottime).tv_sec;
    std::fs::write("/proc/self/timens_offsets", format!("monotonic -{monotonic} 0\nboottime -{boot} 0\n"))
}
