//! A `/dev` of the child's own: what programs expect there, and no disk.

use std::fs::create_dir;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::mount::{
    MountFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags, mount, move_mount, open_tree, unmount,
};

use crate::limits::{SHARED_MEMORY_BYTES, TERMINALS};
use crate::system::mount_restrict_device;

/// Devices that hold nothing of the machine. `/dev/tty` is the child's own terminal, if it opens one.
pub(super) const HARMLESS: [&str; 6] =
    ["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty"];

const LINKS: [(&str, &str); 4] = [
    ("/proc/self/fd", "/dev/fd"),
    ("/proc/self/fd/0", "/dev/stdin"),
    ("/proc/self/fd/1", "/dev/stdout"),
    ("/proc/self/fd/2", "/dev/stderr"),
];

/// Devices of the machine, each as a detached mount.
pub(super) struct Devices(Vec<(&'static str, OwnedFd)>);

/// Replaces `/dev`; on an error it is as it was.
pub(super) fn mount_all() -> Result<String, String> {
    let devices = take()?;
    mount(
        "none",
        "/dev",
        "tmpfs",
        MountFlags::NOSUID | MountFlags::NOEXEC,
        c"size=64k,nr_inodes=64,mode=0755",
    )
    .map_err(|error| format!("mounting /dev: {error}"))?;
    let filled = fill(&devices, Path::new("/dev"));
    if filled.is_err() {
        // A half-filled /dev would break programs in ways that nobody can explain.
        let _ = unmount("/dev", UnmountFlags::DETACH);
    }
    filled
}

/// Takes the harmless devices, while the machine's `/dev` can still be named.
pub(super) fn take() -> Result<Devices, String> {
    sources().map(Devices).map_err(|error| format!("taking the devices: {error}"))
}

/// Fills an empty folder that is or will be `/dev`.
pub(super) fn fill(devices: &Devices, folder: &Path) -> Result<String, String> {
    put(&devices.0, folder).map_err(|error| format!("filling /dev: {error}"))?;
    // Terminals are a convenience: some machines give no devpts to a user namespace.
    Ok(if mount_terminals(folder).is_ok() { String::new() } else { "without terminals".to_owned() })
}

fn sources() -> io::Result<Vec<(&'static str, OwnedFd)>> {
    let mut sources = Vec::new();
    for path in HARMLESS {
        match take_one(path) {
            Ok(device) => sources.push((path, device)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(sources)
}

/// A device of the machine as a detached mount. It is the machine's own: whoever has the node's user id may use it, and
/// must not change its mode, which would be changed for everybody.
fn take_one(path: &str) -> io::Result<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let device = open_tree(CWD, path, flags)?;
    mount_restrict_device(device.as_fd())?;
    Ok(device)
}

/// Covers a file by the null device, which can be read and written here and not changed.
pub(super) fn cover(path: impl AsRef<Path>) -> io::Result<()> {
    let null = take_one("/dev/null")?;
    Ok(move_mount(&null, "", CWD, path.as_ref(), MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?)
}

/// Where what is at this path below `/dev` is, while that is still this folder.
fn within(folder: &Path, path: &str) -> PathBuf {
    folder.join(path.strip_prefix("/dev/").unwrap_or(path))
}

fn put(sources: &[(&'static str, OwnedFd)], folder: &Path) -> io::Result<()> {
    for (path, source) in sources {
        let place = within(folder, path);
        mknodat(CWD, &place, FileType::RegularFile, Mode::RUSR, 0)?;
        move_mount(source, "", CWD, &place, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?;
    }
    for (target, link) in LINKS {
        symlink(target, within(folder, link))?;
    }
    let shared = folder.join("shm");
    create_dir(&shared)?;
    // A file takes memory also when it is empty.
    let files = SHARED_MEMORY_BYTES / 4_096;
    let options = std::ffi::CString::new(format!("size={SHARED_MEMORY_BYTES},nr_inodes={files},mode=1777"))?;
    mount("none", &shared, "tmpfs", MountFlags::NOSUID | MountFlags::NODEV, options.as_c_str())?;
    Ok(())
}

fn mount_terminals(folder: &Path) -> io::Result<()> {
    let terminals = folder.join("pts");
    create_dir(&terminals)?;
    let flags = MountFlags::NOSUID | MountFlags::NOEXEC;
    // The machine has so many for everybody together.
    let options = std::ffi::CString::new(format!("newinstance,ptmxmode=0666,mode=0620,max={TERMINALS}"))?;
    mount("devpts", &terminals, "devpts", flags, options.as_c_str())?;
    symlink("pts/ptmx", folder.join("ptmx"))
}
