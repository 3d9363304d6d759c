//! A folder that is filled from a stranger's archive: every path is resolved beneath it, and what is there is replaced.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{
    AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags, fchmod, fstat, linkat, mkdirat, openat2, statat,
    symlinkat, unlinkat,
};

use super::room::Room;
use crate::limits::{IMAGE_DEPTH_MAX, IMAGE_PATH_BYTES_MAX};

/// The folder.
pub(super) struct Place(OwnedFd);

// === impl Place ===

impl Place {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        Ok(Self(rustix::fs::open(path, flags, Mode::empty())?))
    }

    /// A folder; one that is there keeps what it holds.
    pub(super) fn folder(&self, path: &Path, mode: u32, room: &mut Room) -> io::Result<()> {
        let names = names(path)?;
        let Some((name, above)) = names.split_last() else { return Ok(()) };
        let parent = self.folders(above, room)?;
        if kind(&parent, name)? != Some(FileType::Directory) {
            remove(&parent, name, IMAGE_DEPTH_MAX)?;
            self.make(&parent, name, 0o700)?;
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let folder = rustix::fs::openat(&parent, name.as_os_str(), flags, Mode::empty())?;
        // It can be filled and removed again, whatever it says.
        Ok(fchmod(folder, Mode::from_raw_mode(mode & 0o777 | 0o700))?)
    }

    /// A new file.
    pub(super) fn file(&self, path: &Path, mode: u32, room: &mut Room) -> io::Result<File> {
        let (parent, name) = self.cleared(path, room)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        // No program of an image has the rights of its owner.
        let mode = Mode::from_raw_mode(mode & 0o777 | 0o400);
        let file = rustix::fs::openat(&parent, name.as_os_str(), flags, Mode::from_raw_mode(0o600))?;
        fchmod(&file, mode)?;
        Ok(File::from(file))
    }

    /// A symbolic link. It leads where it says, for whoever follows it inside.
    pub(super) fn link(&self, path: &Path, leads_to: &Path, room: &mut Room) -> io::Result<()> {
        if leads_to.as_os_str().len() > IMAGE_PATH_BYTES_MAX {
            return Err(too_long());
        }
        let (parent, name) = self.cleared(path, room)?;
        Ok(symlinkat(leads_to, &parent, name.as_os_str())?)
    }

    /// Another name for a file that is there.
    pub(super) fn same(&self, path: &Path, other: &Path, room: &mut Room) -> io::Result<()> {
        let names = names(other)?;
        let (there, above) = names.split_last().ok_or(io::ErrorKind::InvalidInput)?;
        let from = self.resolved(above)?;
        if kind(&from, there)? != Some(FileType::RegularFile) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "a hard link to something that is no file",
            ));
        }
        if path == other {
            return Ok(());
        }
        let (parent, name) = self.cleared(path, room)?;
        Ok(linkat(&from, there.as_os_str(), &parent, name.as_os_str(), AtFlags::empty())?)
    }

    /// Removes what lower layers put there; nothing there is nothing to do.
    pub(super) fn remove(&self, path: &Path) -> io::Result<()> {
        let names = names(path)?;
        let Some((name, above)) = names.split_last() else { return Ok(()) };
        match self.resolved(above) {
            Ok(parent) => remove(&parent, name, IMAGE_DEPTH_MAX),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Removes what lower layers put in a folder.
    pub(super) fn empty(&self, path: &Path) -> io::Result<()> {
        match self.resolved(&names(path)?) {
            Ok(folder) => remove_all(&folder, IMAGE_DEPTH_MAX),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// The folder above, and the name, at which nothing is any more.
    fn cleared(&self, path: &Path, room: &mut Room) -> io::Result<(OwnedFd, OsString)> {
        let names = names(path)?;
        let (name, above) = names.split_last().ok_or(io::ErrorKind::InvalidInput)?;
        let parent = self.folders(above, room)?;
        remove(&parent, name, IMAGE_DEPTH_MAX)?;
        Ok((parent, name.clone()))
    }

    /// A folder, made with those above it where they are not there.
    fn folders(&self, names: &[OsString], room: &mut Room) -> io::Result<OwnedFd> {
        match self.resolved(names) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            other => return other,
        }
        let (name, above) = names.split_last().ok_or(io::ErrorKind::NotFound)?;
        let parent = self.folders(above, room)?;
        // An archive need not name it, and so it has not been counted.
        room.entry(&self.0)?;
        self.make(&parent, name, 0o755)?;
        self.resolved(names)
    }

    /// Makes a folder, unless it would be too deep.
    // INVARIANT: no folder in this one is deeper than [`IMAGE_DEPTH_MAX`]: none is made but here, and none is moved.
    fn make(&self, parent: &OwnedFd, name: &OsStr, mode: u32) -> io::Result<()> {
        if self.depth(parent)? >= IMAGE_DEPTH_MAX {
            return Err(too_long());
        }
        Ok(mkdirat(parent, name, Mode::from_raw_mode(mode))?)
    }

    /// How deep a folder in this one is, as it stands on the disk: names do not tell, because links lead far down.
    fn depth(&self, folder: &OwnedFd) -> io::Result<usize> {
        let (top, flags) = (identity(&self.0)?, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC);
        let mut above: Option<OwnedFd> = None;
        for depth in 0..=IMAGE_DEPTH_MAX {
            let at = above.as_ref().unwrap_or(folder);
            if identity(at)? == top {
                return Ok(depth);
            }
            above = Some(rustix::fs::openat(at, c"..", flags, Mode::empty())?);
        }
        Err(too_long())
    }

    /// A folder that is there. Links on the way lead within the folder, as they do for whoever has it as his root.
    fn resolved(&self, names: &[OsString]) -> io::Result<OwnedFd> {
        let path: PathBuf = names.iter().collect();
        let path = if names.is_empty() { Path::new(".") } else { &path };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        Ok(openat2(&self.0, path, flags, Mode::empty(), resolve)?)
    }
}

impl AsFd for Place {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// The names on a path, none of which leads up.
fn names(path: &Path) -> io::Result<Vec<OsString>> {
    if path.as_os_str().len() > IMAGE_PATH_BYTES_MAX || path.as_os_str().as_bytes().contains(&0) {
        return Err(too_long());
    }
    let mut names = Vec::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => names.push(name.to_owned()),
            Component::RootDir | Component::CurDir => {}
            Component::ParentDir | Component::Prefix(_) => {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "a path that holds `..`"));
            }
        }
    }
    if names.len() > IMAGE_DEPTH_MAX { Err(too_long()) } else { Ok(names) }
}

fn too_long() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "a path that is too long or too deep")
}

/// What tells a folder from every other.
fn identity(folder: &OwnedFd) -> io::Result<(u64, u64)> {
    let found = fstat(folder)?;
    Ok((found.st_dev, found.st_ino))
}

fn kind(parent: &OwnedFd, name: &OsStr) -> io::Result<Option<FileType>> {
    match statat(parent, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(found) => Ok(Some(FileType::from_raw_mode(found.st_mode))),
        Err(rustix::io::Errno::NOENT) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn remove(parent: &OwnedFd, name: &OsStr, depth: usize) -> io::Result<()> {
    match kind(parent, name)? {
        None => Ok(()),
        Some(FileType::Directory) => {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let folder = rustix::fs::openat(parent, name, flags, Mode::empty())?;
            remove_all(&folder, depth)?;
            Ok(unlinkat(parent, name, AtFlags::REMOVEDIR)?)
        }
        Some(_) => Ok(unlinkat(parent, name, AtFlags::empty())?),
    }
}

fn remove_all(folder: &OwnedFd, depth: usize) -> io::Result<()> {
    let Some(depth) = depth.checked_sub(1) else { return Err(too_long()) };
    let mut names = Vec::new();
    for entry in Dir::read_from(folder)? {
        let entry = entry?;
        let name = OsStr::from_bytes(entry.file_name().to_bytes()).to_owned();
        if name != "." && name != ".." {
            names.push(name);
        }
    }
    names.iter().try_for_each(|name| remove(folder, name, depth))
}
