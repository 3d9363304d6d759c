//! A box around an OCI runtime: the machine's programs for the runtime, and in a folder of it the root of the container,
//! laid out as every other.

use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::mount::{MountFlags, mount};

use super::ground::Ground;
use super::processes::Processes;
use super::sources::Sources;
use super::{Places, at, begin, devices, etc, failed, lay_out, leave_machine, put_trees, wrong};
use crate::inside::found::Found;
use crate::inside::{Setup, limit};
use crate::layer::LayerName;
use crate::limits::{ROOT_BYTES, RUNTIME_STATE_BYTES};
use crate::oci::{self, Bundle, Runtime, bundle};
use crate::root::Root;
use crate::wire::Failure;

/// Files in a runtime's state.
const STATE_FILES: u64 = 4_096;

/// Files in the container's root itself.
const ROOT_FILES: u64 = 16_384;

/// What came of it.
pub(in crate::inside) struct Around {
    /// The open volumes, in the order of the command.
    pub(in crate::inside) volumes: Vec<OwnedFd>,
    /// System calls that the bundle's profile allows, if it has one.
    pub(in crate::inside) calls: Option<usize>,
}

/// Moves this process into a box with a bundle in it.
///
/// # Errors
/// When anything of it cannot be made. Nothing is left out in silence.
pub(in crate::inside) fn enter_around(
    setup: &Setup<'_>,
    root: &Root,
    runtime: &Runtime,
    found: &mut Found,
) -> Result<Around, Failure> {
    let taken = begin(setup)?;
    let machine = Root::system().read_only(&runtime.path, oci::PROGRAM);
    let own = Sources::take(&machine, setup.etc, setup.hidden)?;
    let inner = Sources::take(root, setup.etc, setup.hidden)?;
    let processes = Processes::take(setup);
    let servers = etc::name_servers(setup.order.network);
    let ground = leave_machine(setup.homes)?;
    found.in_force(LayerName::MountNamespace, "");

    lay_out_machine(setup, &ground, &machine, own)?;
    ground.fill(Path::new(oci::ROOTFS));
    let Places { all, volumes, .. } = lay_out(setup, root, &ground, inner, &servers)?;
    for folder in ["/proc", "/dev"].map(Path::new) {
        ground.folder(folder).map_err(|error| at(folder, &error))?;
    }
    ground.fill(Path::new("/"));
    devices::fill(&taken, Path::new("/dev")).map_err(wrong)?;
    processes.put(&ground, Path::new("/"), setup, found);
    let limits = limit::of_container(setup);
    let described = Bundle { kind: runtime.kind, order: setup.order, mounted: &all, limits: &limits };
    let (config, calls) = bundle(&described).map_err(wrong)?;
    let place = Path::new("/oci/config.json");
    ground.file(place, &config).map_err(|error| at(place, &error))?;
    ground.seal().map_err(|error| Failure::setup("making the root read-only", &error))?;

    let by = runtime.describe();
    found.in_force(LayerName::PrivateHome, format!("{} bytes", setup.order.limits.home_bytes));
    found.in_force(LayerName::PrivateRoot, format!("{} entries, by {by}", root.entries.len()));
    found.in_force(LayerName::HiddenPaths, "not in the root");
    Ok(Around { volumes, calls })
}

/// What the runtime itself needs: libraries, devices, a place for its state, and cgroups to look at.
fn lay_out_machine(setup: &Setup<'_>, ground: &Ground, machine: &Root, own: Sources) -> Result<(), Failure> {
    let placed = |path: &'static str| move |error: std::io::Error| at(Path::new(path), &error);
    setup.etc.lay_out(ground, machine, "", |_| false).map_err(placed("/etc"))?;
    put_trees(ground, own)?;
    for path in ["/dev", "/tmp"] {
        ground.folder(Path::new(path)).map_err(placed(path))?;
    }
    ground.scratch(Path::new(oci::STATE), RUNTIME_STATE_BYTES, STATE_FILES).map_err(placed(oci::STATE))?;
    ground.scratch(Path::new(oci::ROOTFS), ROOT_BYTES, ROOT_FILES).map_err(placed(oci::ROOTFS))?;
    // runc and crun refuse to work where they see no cgroups; of this one they see their own, and change nothing.
    ground.folder(Path::new("/sys/fs/cgroup")).map_err(placed("/sys/fs/cgroup"))?;
    let flags = MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    mount("none", "/sys/fs/cgroup", "cgroup2", flags, None).map_err(|error| {
        failed("showing the runtime its cgroup, which takes cgroup v2 and its namespace", error)
    })
}
