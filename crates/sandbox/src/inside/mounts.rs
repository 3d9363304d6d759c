//! What a child's mount namespace shows instead of the machine's files.

use std::io;
use std::path::Path;

use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};

use super::found::Found;
use super::{Setup, devices, kernel_files};
use crate::layer::LayerName;
use crate::system::Namespaces;
use crate::wire::{Failure, Step};

/// Whether mounts cover every hidden path, or why not.
pub(super) type Covered = Result<(), String>;

/// What goes with the mount namespace.
const LAYERS: [LayerName; 3] = [LayerName::PrivateProc, LayerName::ReadOnlyKernel, LayerName::PrivateDevices];

/// Mounts what this child sees; returns whether the hidden paths are covered, or why not.
///
/// # Errors
/// When the home cannot be mounted that all children are to mount theirs on: they would share it.
pub(super) fn prepare(setup: &Setup<'_>, found: &mut Found) -> Result<Covered, Failure> {
    let entered = enter(setup.namespaces);
    let home = entered.clone().and_then(|()| mount_home(setup));
    if let (false, true, Err(why)) = (setup.trial, setup.home == setup.homes, &home) {
        return Err(Failure { step: Step::Setup, errno: 0, text: format!("no private home: {why}") });
    }
    found.record(LayerName::PrivateHome, home);
    if let Err(why) = entered {
        if setup.namespaces.has(Namespaces::MOUNT) {
            found.missing(LayerName::MountNamespace, why.clone());
        }
        for name in LAYERS {
            found.missing(name, why.clone());
        }
        return Ok(Err(why));
    }
    found.in_force(LayerName::MountNamespace, "");
    let covered = hide_all(setup);
    found.record(LayerName::PrivateDevices, devices::mount_all());
    kernel_files::mount_all(setup, found);
    Ok(covered)
}

/// Says of the hidden paths how they are hidden, and looks.
pub(super) fn report_hidden(setup: &Setup<'_>, covered: &Covered, denied: bool, found: &mut Found) {
    let how = match covered {
        Ok(()) => "by mount",
        // Landlock before ABI 9 says nothing about connecting to a socket by its path.
        Err(_) if denied => "by Landlock alone: files cannot be opened, sockets can still be connected to",
        Err(why) => {
            found.missing(LayerName::HiddenPaths, format!("neither by a mount ({why}) nor by Landlock"));
            return;
        }
    };
    match setup.hidden.iter().find(|path| readable(path)) {
        None => found.in_force(LayerName::HiddenPaths, how),
        Some(path) => found.missing(LayerName::HiddenPaths, format!("{} can still be read", path.display())),
    }
}

/// Cuts this namespace off from the one it was copied from.
fn enter(namespaces: Namespaces) -> Result<(), String> {
    if !namespaces.has(Namespaces::MOUNT) {
        return Err("no mount namespace".to_owned());
    }
    // Private, not slave: what is mounted over a hidden path outside must not appear in here.
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
        .map_err(|error| format!("making mounts private: {error}"))
}

fn hide_all(setup: &Setup<'_>) -> Result<(), String> {
    for path in setup.hidden {
        hide(path).map_err(|error| format!("covering {}: {error}", path.display()))?;
    }
    Ok(())
}

/// Covers a folder by an empty one, a file by the null device.
fn hide(path: &Path) -> io::Result<()> {
    if std::fs::symlink_metadata(path)?.is_dir() {
        let flags = MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
        mount("none", path, "tmpfs", flags, c"size=4k,nr_inodes=1,mode=0555")?;
    } else {
        devices::cover(path)?;
    }
    Ok(())
}

/// A home on a file system of its own, which ends with the namespace: nothing to clean up, however it ends.
fn mount_home(setup: &Setup<'_>) -> Result<String, String> {
    let bytes = setup.order.limits.home_bytes;
    let options = std::ffi::CString::new(format!("size={bytes},nr_inodes=65536,mode=0700"));
    let options = options.map_err(|_| "the size has a NUL".to_owned())?;
    mount("none", setup.home, "tmpfs", MountFlags::NOSUID | MountFlags::NODEV, options.as_c_str())
        .map_err(|error| format!("mounting {}: {error}", setup.home.display()))?;
    Ok(format!("{bytes} bytes"))
}

/// Whether anything can be learnt of what is below or in `path`.
fn readable(path: &Path) -> bool {
    match std::fs::read_dir(path) {
        Ok(mut entries) => entries.next().is_some(),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
            std::fs::read(path).is_ok_and(|content| !content.is_empty())
        }
        Err(_) => false,
    }
}
