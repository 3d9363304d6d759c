//! What of the machine is shown: each taken as a detached mount, exactly as it was named.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, fstat, openat2};
use rustix::mount::{OpenTreeFlags, open_tree};

use super::Etc;
use super::folder::Folder;
use super::ground::restrict;
use crate::root::{Kind, Root};
use crate::wire::{Failure, Step};

/// All that is taken for one child.
#[derive(Default)]
pub(super) struct Sources {
    pub(super) trees: Vec<Source>,
    /// Links, and small files, as they stand in a folder that is the root.
    pub(super) links: Vec<(PathBuf, PathBuf)>,
    pub(super) files: Vec<(PathBuf, Vec<u8>)>,
}

/// One file or folder of the machine.
pub(super) struct Source {
    pub(super) target: PathBuf,
    pub(super) tree: OwnedFd,
    pub(super) folder: bool,
    pub(super) write: bool,
    /// Paths in the root below which hidden paths of the machine would show.
    pub(super) covers: Vec<PathBuf>,
}

// === impl Sources ===

impl Sources {
    /// All of a root.
    pub(super) fn take(root: &Root, etc: &Etc, hidden: &[PathBuf]) -> Result<Self, Failure> {
        let mut all = Self::ground(root, etc, hidden)?;
        all.trees.extend(Self::listed(root, hidden)?.trees);
        Ok(all)
    }

    /// What it stands on: the machine's system, or a folder that is one.
    pub(super) fn ground(root: &Root, etc: &Etc, hidden: &[PathBuf]) -> Result<Self, Failure> {
        let Folder { mut trees, links, files } = match &root.folder {
            Some(folder) => Folder::take(folder, hidden)?,
            None => Folder::default(),
        };
        if root.system {
            for path in etc.folders() {
                trees.push(take(path, path, false, hidden)?);
            }
        }
        Ok(Self { trees, links, files })
    }

    /// What is listed in it.
    pub(super) fn listed(root: &Root, hidden: &[PathBuf]) -> Result<Self, Failure> {
        let mut trees = Vec::new();
        for entry in &root.entries {
            match &entry.kind {
                Kind::ReadOnly(source) => trees.push(take(source, &entry.target, false, hidden)?),
                Kind::Writable(source) => trees.push(take(source, &entry.target, true, hidden)?),
                Kind::Scratch(_) | Kind::File(_) => {}
            }
        }
        Ok(Self { trees, ..Self::default() })
    }
}

pub(super) fn take(source: &Path, target: &Path, write: bool, hidden: &[PathBuf]) -> Result<Source, Failure> {
    let failed = |error: io::Error| refused(source, &error);
    if hidden.iter().any(|path| path == source) {
        return Err(failed(io::Error::new(
            io::ErrorKind::PermissionDenied,
            "it is hidden from all children",
        )));
    }
    let (tree, folder) = clone_tree(source, write).map_err(failed)?;
    let below = hidden.iter().filter_map(|path| path.strip_prefix(source).ok());
    let covers = below.map(|path| target.join(path)).collect();
    Ok(Source { target: target.to_owned(), tree, folder, write, covers })
}

/// Why a source is not shown.
fn refused(source: &Path, error: &io::Error) -> Failure {
    let text = match error.raw_os_error() {
        Some(libc::ELOOP) => format!(
            "the source {} leads over a symbolic link; name the path that it leads to{}",
            source.display(),
            fs::canonicalize(source).map(|path| format!(", {}", path.display())).unwrap_or_default()
        ),
        _ => format!("the source {}: {error}", source.display()),
    };
    Failure { step: Step::Setup, errno: error.raw_os_error().unwrap_or(0), text }
}

/// What a source is, without a mount of it: the file or folder that was named, whatever stands there later.
pub(in crate::inside) fn held(source: &Path) -> Result<OwnedFd, Failure> {
    place(source).map(|(place, _)| place).map_err(|error| refused(source, &error))
}

/// A file or a folder, and whether it is one, over no link.
fn place(source: &Path) -> io::Result<(OwnedFd, bool)> {
    let resolve = ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let place = openat2(CWD, source, OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), resolve)?;
    let kind = rustix::fs::FileType::from_raw_mode(fstat(&place)?.st_mode);
    if !kind.is_dir() && !kind.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "neither a file nor a folder"));
    }
    Ok((place, kind.is_dir()))
}

/// A detached copy of the mount at a path, with all that is mounted below it.
fn clone_tree(source: &Path, write: bool) -> io::Result<(OwnedFd, bool)> {
    let (place, folder) = place(source)?;
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_EMPTY_PATH
        | OpenTreeFlags::AT_RECURSIVE;
    let tree = open_tree(&place, "", flags)?;
    restrict(&tree, write)?;
    Ok((tree, folder))
}
