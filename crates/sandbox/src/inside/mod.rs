//! The inside of a sandbox, from the copied process to the program's first instruction.
//!
//! The order matters: mounts need capabilities, so they come before those are dropped; Landlock forbids mounts,
//! so it comes after them; seccomp forbids what the others need, so it comes last.

mod capabilities;
mod catch;
mod confine;
mod container;
mod descendants;
mod devices;
mod execute;
mod filesystem;
mod first;
mod found;
mod gate;
mod guard;
mod home;
mod identity;
mod kernel_files;
mod limit;
mod mounts;
mod namespaces;
mod netlink;
mod network;
mod restricted;
mod routes;
mod seccomp;
mod still;
mod threads;
mod tree;
mod unseen;
mod waiting;

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Signal, set_parent_process_death_signal};
use rustix::time::Timespec;

use self::container::Container;
pub(crate) use self::descendants::{descendants, strays};
pub(crate) use self::identity::{Identity, Known, while_dumpable, write_maps};
use self::restricted::Cage;
#[cfg(test)]
pub(crate) use self::seccomp::ask_filter;
pub(crate) use self::seccomp::{Filters, Rule, Step, Told, told};
pub(crate) use self::tree::Etc;
use self::tree::{Begun, Places};
pub(crate) use self::waiting::wait;
use crate::cgroup::Joinable;
use crate::driver::Confinement;
use crate::inside::found::Found;
use crate::layer::{Layer, LayerName, LayerState};
use crate::root::Root;
use crate::system::{self, Namespaces};
use crate::wire::{Failure, Order, Report, send};

/// Everything the first process of a sandbox needs to know.
pub(crate) struct Setup<'a> {
    /// What to run.
    pub(crate) order: &'a Order,
    /// Whether to set everything up, report and end, instead of running it.
    pub(crate) trial: bool,
    /// The namespaces it is made in.
    pub(crate) namespaces: Namespaces,
    /// Those that can only be entered later.
    pub(crate) late: Namespaces,
    /// Its cgroup, if it gets one.
    pub(crate) cgroup: Option<&'a Joinable>,
    /// What of the system a root of its own shows.
    pub(crate) etc: &'a Etc,
    /// Layers that this machine is known to refuse.
    pub(crate) refused: &'a [Layer],
    /// Canonical paths to hide, none inside another.
    pub(crate) hidden: &'a [PathBuf],
    /// The folder that all homes of this spawner are in.
    pub(crate) homes: &'a Path,
    /// This child's home: `homes` itself below a mount of its own, or a folder in it.
    pub(crate) home: &'a Path,
    /// Whose process this is, outside.
    pub(crate) identity: Identity,
    /// Compiled system call filters.
    pub(crate) filters: &'a Filters,
    /// Open files (soft limit) that the node was started with.
    pub(crate) open_files: u64,
}

/// Descriptors of the first process: the program's three, and the way to report.
pub(crate) struct Descriptors {
    pub(crate) input: OwnedFd,
    pub(crate) output: OwnedFd,
    pub(crate) error: OwnedFd,
    pub(crate) report: OwnedFd,
}

/// Tells a first process that has no process namespace to end everything below it, and itself.
pub(crate) const END_SIGNAL: Signal = Signal::USR1;

/// Tells a first process to pass on the signal that is its value: to the program's process group, or, when it stops
/// or continues and the value is negative, to everything in the sandbox.
pub(crate) const PASS_SIGNAL: Signal = Signal::USR2;

/// Layers in force, and what to hand out: sockets, then volumes.
struct Prepared {
    layers: Vec<Layer>,
    handed: Vec<OwnedFd>,
    container: Option<Container>,
    cage: Option<Cage>,
}

/// The life of the first process of a sandbox. It never returns to the spawner's code, whose memory it copied.
pub(crate) fn live(setup: &Setup<'_>, descriptors: Descriptors) -> ! {
    let life = AssertUnwindSafe(|| match prepare(setup, &descriptors) {
        Ok(prepared) => first::run(setup, descriptors, prepared),
        Err(failure) => {
            // A spawner that has gone reads no report, and there is nobody else to tell.
            let _ = send(&descriptors.report, &Report::Failed(failure).encode(), &[]);
            1
        }
    });
    system::exit_now(catch_unwind(life).unwrap_or(70))
}

/// Puts every layer in place and says which are.
fn prepare(setup: &Setup<'_>, descriptors: &Descriptors) -> Result<Prepared, Failure> {
    let Descriptors { input, output, error, report } = descriptors;
    begin(setup, report, &[input, output, error])?;
    let mut found = Found::new(setup.refused);
    namespaces::settle(setup, &mut found)?;
    let sockets = match setup.order.confinement {
        Confinement::Restricted => Vec::new(),
        _ => network::prepare(setup.order.network, setup.namespaces, &mut found)?,
    };
    enclose(setup, descriptors, found, sockets, None)
}

/// What comes after the namespaces and the network in them: what the child sees, and may still do. Of a root of its own the
/// beginning may be there.
fn enclose(
    setup: &Setup<'_>,
    descriptors: &Descriptors,
    mut found: Found,
    sockets: Vec<OwnedFd>,
    begun: Option<Begun>,
) -> Result<Prepared, Failure> {
    let mut handed = sockets;
    let (mut container, mut cage) = (None, None);
    match (&setup.order.root, &setup.order.confinement) {
        (Some(root), Confinement::Container(runtime)) => {
            let (volumes, made) = container::close(setup, root, runtime, descriptors, &mut found)?;
            handed.extend(volumes);
            container = Some(made);
        }
        (Some(root), Confinement::Restricted) => cage = Some(restricted::close(setup, root, &mut found)?),
        (Some(root), Confinement::Local) => handed.extend(close_box(setup, root, begun, &mut found)?),
        (None, _) => close_server(setup, &mut found)?,
    }
    if found.is_in_force(LayerName::ProcessNamespace) {
        found.in_force(LayerName::SureEnd, "by the process namespace");
    }
    let layers = found.into_layers();
    match lacking(setup.order, &layers) {
        Some(failure) => Err(failure),
        None => Ok(Prepared { layers, handed, container, cage }),
    }
}

/// A child on the machine's files, with some of them hidden.
fn close_server(setup: &Setup<'_>, found: &mut Found) -> Result<(), Failure> {
    let covered = mounts::prepare(setup, found)?;
    give_up_rights(setup, found)?;
    let denied = filesystem::restrict(setup, covered.is_ok(), found);
    mounts::report_hidden(setup, &covered, denied, found);
    seccomp::refuse(setup.filters, found);
    Ok(())
}

/// A child in a root of its own; its volumes.
fn close_box(
    setup: &Setup<'_>,
    root: &Root,
    begun: Option<Begun>,
    found: &mut Found,
) -> Result<Vec<OwnedFd>, Failure> {
    let Places { writable, volumes, .. } = tree::enter(setup, root, begun, found)?;
    give_up_rights(setup, found)?;
    confine::restrict(&writable, found);
    seccomp::allow(setup.filters, setup.order.network, found);
    Ok(volumes)
}

fn give_up_rights(setup: &Setup<'_>, found: &mut Found) -> Result<(), Failure> {
    limit::apply(setup).map_err(|error| Failure::setup("setting limits", &error))?;
    capabilities::drop_all(found);
    rustix::thread::set_no_new_privs(true)
        .map_err(|error| Failure::setup("setting no_new_privs", &error.into()))?;
    found.in_force(LayerName::NoNewPrivileges, "");
    Ok(())
}

/// The first required layer that is missing.
fn lacking(order: &Order, layers: &[Layer]) -> Option<Failure> {
    let missing = |name: &&LayerName| !layers.iter().any(|layer| layer.name == **name && layer.in_force());
    let name = order.required.iter().find(missing)?;
    let why = layers.iter().find(|layer| layer.name == *name).map(|layer| match &layer.state {
        LayerState::Missing(why) | LayerState::InForce(why) => why.as_str(),
    });
    Some(Failure::layer(*name, why.unwrap_or("not ordered")))
}

/// What is the same for every first process: it ends with the spawner, is in its cgroup, and holds nothing but what it
/// was given.
fn begin(setup: &Setup<'_>, report: &OwnedFd, program: &[&OwnedFd]) -> Result<(), Failure> {
    let failed = |what: &'static str| move |error: io::Error| Failure::setup(what, &error);
    system::block_signals();
    die_with_spawner(setup, report).map_err(failed("binding the sandbox to the spawner"))?;
    if let Some(cgroup) = setup.cgroup {
        cgroup.join().map_err(failed("entering the cgroup"))?;
    }
    close_the_rest(report, program).map_err(failed("closing descriptors"))
}

/// Ends this process when the spawner ends, also when that happened before this call.
fn die_with_spawner(setup: &Setup<'_>, report: &OwnedFd) -> io::Result<()> {
    // With a process namespace the kernel ends everything below its first process. Without one, this process
    // must live on for the moment it takes to do that itself.
    let signal = if setup.namespaces.has(Namespaces::PROCESS) { Signal::KILL } else { END_SIGNAL };
    set_parent_process_death_signal(Some(signal))?;
    let mut polled = [PollFd::new(report, PollFlags::empty())];
    poll(&mut polled, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }))?;
    if polled[0].revents().contains(PollFlags::HUP) {
        return Err(io::Error::new(io::ErrorKind::BrokenPipe, "the spawner has gone"));
    }
    Ok(())
}

/// Keeps these descriptors and null on 0, 1 and 2: neither the node's standard error nor the control socket lives on in
/// here.
fn close_the_rest(report: &OwnedFd, program: &[&OwnedFd]) -> io::Result<()> {
    let null = File::options().read(true).write(true).open("/dev/null")?;
    rustix::stdio::dup2_stdin(&null)?;
    rustix::stdio::dup2_stdout(&null)?;
    rustix::stdio::dup2_stderr(&null)?;
    let mut keep: Vec<i32> = program.iter().map(|kept| kept.as_raw_fd()).collect();
    keep.push(report.as_raw_fd());
    keep.extend([0, 1, 2, null.as_raw_fd()]);
    system::close_all_but(&keep)
}
