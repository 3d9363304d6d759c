//! A root of the child's own: a small file system in memory, and in it what was listed.
//!
//! The order matters: what the root stands on is laid out first, as it is the same for all children of a kind; what was
//! listed is taken while the machine's files can still be named; then these are left for good; then it is put in its
//! place, where no path can lead back to them.

mod around;
mod etc;
mod folder;
mod ground;
mod processes;
mod sources;

use std::ffi::CString;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::Mode;
use rustix::mount::{MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_change, unmount};
use rustix::process::{pivot_root, umask};

pub(super) use self::around::{Around, enter_around};
pub(crate) use self::etc::Etc;
use self::ground::Ground;
use self::processes::Processes;
pub(super) use self::sources::held;
use self::sources::{Source, Sources};
use super::devices::Devices;
use super::found::Found;
use super::{Setup, devices};
use crate::layer::LayerName;
use crate::limits::ROOT_BYTES;
use crate::root::{Kind, Root};
use crate::system::Namespaces;
use crate::volume::Volume;
use crate::wire::{Failure, Step};

/// Places in a root.
#[derive(Default)]
pub(super) struct Places {
    /// Those that the child may change.
    pub(super) writable: Vec<PathBuf>,
    /// All that something was put in, and whether it may be changed.
    pub(super) all: Vec<(PathBuf, bool)>,
    /// The open volumes, in the order of the command.
    pub(super) volumes: Vec<OwnedFd>,
}

/// A root of which only what was not listed is there yet. The machine's files are not left.
pub(super) struct Begun(Ground);

/// Moves this process into the root that was ordered, the beginning of which may be there; returns the places that the child may change.
///
/// # Errors
/// When the root cannot be made as it was ordered. Nothing is left out in silence.
pub(super) fn enter(
    setup: &Setup<'_>,
    root: &Root,
    begun: Option<Begun>,
    found: &mut Found,
) -> Result<Places, Failure> {
    let Begun(ground) = match begun {
        Some(begun) => begun,
        None => Begun::new(setup, root, found)?,
    };
    let listed = Sources::listed(root, setup.hidden)?;
    leave(&ground)?;
    found.in_force(LayerName::MountNamespace, "");

    let places = put_parts(setup, root, &ground, listed)?;
    found.in_force(LayerName::PrivateHome, format!("{} bytes", setup.order.limits.home_bytes));
    ground.seal().map_err(|error| Failure::setup("making the root read-only", &error))?;
    found.in_force(LayerName::PrivateRoot, format!("{} entries", root.entries.len()));
    found.in_force(LayerName::HiddenPaths, "not in the root");
    Ok(places)
}

// === impl Begun ===

impl Begun {
    /// Begins a root: what it has of the system, its devices and its processes are put in their places.
    ///
    /// # Errors
    /// When the root cannot be made as it was ordered.
    pub(super) fn new(setup: &Setup<'_>, root: &Root, found: &mut Found) -> Result<Self, Failure> {
        let devices = begin(setup)?;
        let sources = Sources::ground(root, setup.etc, setup.hidden)?;
        let processes = Processes::take(setup);
        let servers = etc::name_servers(setup.order.network);
        let ground = make_ground(setup.homes)?;
        put_files(setup, root, &ground, &sources, &servers)?;
        put_trees(&ground, sources)?;
        found.record(
            LayerName::PrivateDevices,
            ground
                .folder(Path::new("/dev"))
                .map_err(|error| error.to_string())
                .and_then(|_| devices::fill(&devices, &setup.homes.join("dev"))),
        );
        processes.put(&ground, setup.homes, setup, found);
        Ok(Self(ground))
    }
}

/// Cuts the mounts off from the machine's, and takes its devices.
fn begin(setup: &Setup<'_>) -> Result<Devices, Failure> {
    if !setup.namespaces.has(Namespaces::MOUNT) {
        let why = "it takes a mount namespace, which this machine refuses";
        return Err(Failure::layer(LayerName::PrivateRoot, why));
    }
    // Files that are made here are for the agent to read, whatever the node's mask is.
    umask(Mode::WGRP | Mode::WOTH);
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
        .map_err(|error| Failure::layer(LayerName::PrivateRoot, format!("making mounts private: {error}")))?;
    devices::take().map_err(|why| wrong(format!("the devices of the root: {why}")))
}

/// An empty root, with nothing of the machine behind it.
fn leave_machine(place: &Path) -> Result<Ground, Failure> {
    let ground = make_ground(place)?;
    leave(&ground)?;
    Ok(ground)
}

/// An empty file system in memory, for a root.
fn make_ground(place: &Path) -> Result<Ground, Failure> {
    let options = CString::new(format!("size={ROOT_BYTES},nr_inodes=16384,mode=0755")).unwrap_or_default();
    mount("none", place, "tmpfs", MountFlags::NOSUID | MountFlags::NODEV, options.as_c_str())
        .map_err(|error| failed("making the root", error))?;
    Ground::at(place).map_err(|error| Failure::setup("opening the root", &error))
}

/// Leaves the machine's files for good.
fn leave(ground: &Ground) -> Result<(), Failure> {
    ground.enter().map_err(|error| Failure::setup("entering the root", &error))?;
    // With both names the same, the old root lies on top of the new one and is taken off.
    pivot_root(".", ".").map_err(|error| failed("changing the root", error))?;
    unmount(".", UnmountFlags::DETACH).map_err(|error| failed("leaving the machine's files", error))?;
    std::env::set_current_dir("/").map_err(|error| Failure::setup("entering the root", &error))
}

fn lay_out(
    setup: &Setup<'_>,
    root: &Root,
    ground: &Ground,
    sources: Sources,
    name_servers: &str,
) -> Result<Places, Failure> {
    put_files(setup, root, ground, &sources, name_servers)?;
    put_parts(setup, root, ground, sources)
}

/// Makes the links and small files of a root.
fn put_files(
    setup: &Setup<'_>,
    root: &Root,
    ground: &Ground,
    sources: &Sources,
    name_servers: &str,
) -> Result<(), Failure> {
    for (target, leads_to) in &sources.links {
        ground.link(target, leads_to).map_err(|error| at(target, &error))?;
    }
    for (target, content) in &sources.files {
        ground.file(target, content).map_err(|error| at(target, &error))?;
    }
    let has = |path: &str| {
        let path = Path::new(path);
        let mut own =
            sources.files.iter().map(|(own, _)| own).chain(sources.links.iter().map(|(own, _)| own));
        own.any(|own| own == path)
    };
    setup
        .etc
        .lay_out(ground, root, name_servers, has)
        .map_err(|error| Failure::setup("putting /etc in the root", &error))
}

/// Puts everything else in its place, and opens the volumes.
fn put_parts(setup: &Setup<'_>, root: &Root, ground: &Ground, sources: Sources) -> Result<Places, Failure> {
    let mut places = Places::default();
    for (target, what) in in_order(setup, root, sources) {
        let write = put(ground, &target, what)?;
        if write {
            places.writable.push(target.clone());
        }
        places.all.push((target, write));
    }
    for volume in &setup.order.volumes {
        let open = ground.open_folder(&volume.target);
        places.volumes.push(open.map_err(|error| at(&volume.target, &error))?);
    }
    Ok(places)
}

/// What is put in a place of the root.
enum Part<'a> {
    /// A file or folder of the machine.
    Tree(Source),
    /// A folder in memory, of so many bytes.
    Scratch(u64),
    /// One that the node opens too.
    Volume(&'a Volume),
    /// A file with this content.
    File(&'a [u8]),
}

/// All parts, what lies in another after it: put there before, it would be covered.
fn in_order<'a>(setup: &Setup<'a>, root: &'a Root, sources: Sources) -> Vec<(PathBuf, Part<'a>)> {
    let trees = sources.trees.into_iter().map(|source| (source.target.clone(), Part::Tree(source)));
    let home = (root.home.clone(), Part::Scratch(setup.order.limits.home_bytes));
    let made = root.entries.iter().filter_map(|entry| match &entry.kind {
        Kind::Scratch(bytes) => Some((entry.target.clone(), Part::Scratch(*bytes))),
        Kind::File(content) => Some((entry.target.clone(), Part::File(content))),
        Kind::ReadOnly(_) | Kind::Writable(_) => None,
    });
    let volumes = setup.order.volumes.iter().map(|volume| (volume.target.clone(), Part::Volume(volume)));
    let mut all: Vec<_> = trees.chain([home]).chain(made).chain(volumes).collect();
    all.sort_by_key(|(target, _)| target.components().count());
    all
}

/// Puts the files of the machine in their places.
fn put_trees(ground: &Ground, sources: Sources) -> Result<(), Failure> {
    let mut trees = sources.trees;
    trees.sort_by_key(|tree| tree.target.components().count());
    for source in trees {
        let target = source.target.clone();
        put(ground, &target, Part::Tree(source))?;
    }
    Ok(())
}

/// Puts a part in its place; whether the child may change it.
fn put(ground: &Ground, target: &Path, what: Part<'_>) -> Result<bool, Failure> {
    let failed = |error: std::io::Error| at(target, &error);
    match what {
        Part::Tree(Source { tree, folder, write, covers, .. }) => {
            ground.attach(&tree, target, folder).map_err(failed)?;
            for covered in covers {
                ground.cover(&covered).map_err(|error| at(&covered, &error))?;
            }
            Ok(write)
        }
        Part::Scratch(bytes) => {
            // A file takes memory also when it is empty: as many as pages, within reason.
            let files = (bytes / 4_096).clamp(1_024, 262_144);
            ground.scratch(target, bytes, files).map(|()| true).map_err(failed)
        }
        Part::Volume(volume) => {
            ground.scratch(target, volume.bytes, volume.files()).map(|()| true).map_err(failed)
        }
        Part::File(content) => ground.file(target, content).map(|()| false).map_err(failed),
    }
}

fn at(target: &Path, error: &std::io::Error) -> Failure {
    Failure::setup(format!("putting {} in the root", target.display()), error)
}

fn failed(what: &'static str, error: rustix::io::Errno) -> Failure {
    Failure::setup(what, &error.into())
}

fn wrong(text: String) -> Failure {
    Failure { step: Step::Setup, errno: 0, text }
}
