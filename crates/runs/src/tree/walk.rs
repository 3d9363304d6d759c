//! From name to name through a folder, depth first, holding one descriptor a level.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{Dir, FileType};

use super::found::Found;
use crate::limits::{DEPTH_MAX, PATH_BYTES_MAX};

/// What comes next. The walk's path is that of what it tells.
pub(crate) enum Step {
    /// A folder; what is in it comes next, and then [`Step::Leave`].
    Enter(Found),
    /// The end of a folder.
    Leave,
    /// A regular file.
    File(Found),
    /// A symbolic link.
    Link(Found),
    /// Something that is none of these, and what.
    Other(FileType),
    /// A name that cannot be looked at or entered, and why.
    Unreadable(io::Error),
    /// A folder that is too deep, or whose path is too long.
    TooDeep,
    /// There are more names than are looked at; the end.
    TooMany,
}

/// A walk through a folder.
pub(crate) struct Walk {
    levels: Vec<Level>,
    /// Of what was told last, from the folder on.
    path: Vec<u8>,
    /// Names that may still be looked at.
    left: u64,
    /// Whether a folder that cannot be listed is given the mode for it.
    opens: bool,
}

struct Level {
    folder: OwnedFd,
    names: Dir,
    /// How long the path to it is.
    path_bytes: usize,
}

// === impl Walk ===

impl Walk {
    /// As [`Walk::new`], changing nothing: what cannot be listed as it is, is told to be so.
    pub(crate) fn only_looking(root: OwnedFd, names_max: u64) -> io::Result<Self> {
        Ok(Self { opens: false, ..Self::new(root, names_max)? })
    }

    /// Through the folder of this descriptor, over so many names at most.
    pub(crate) fn new(root: OwnedFd, names_max: u64) -> io::Result<Self> {
        let level = Level { names: Dir::read_from(&root)?, folder: root, path_bytes: 0 };
        Ok(Self { levels: vec![level], path: Vec::new(), left: names_max, opens: true })
    }

    /// The path of what was told last, in the names' own bytes.
    pub(crate) fn path(&self) -> &[u8] {
        &self.path
    }

    /// The last name of it.
    pub(crate) fn name(&self) -> &[u8] {
        self.path.rsplit(|byte| *byte == b'/').next().unwrap_or(&self.path)
    }

    /// What comes next; `None` at the end.
    pub(crate) fn next(&mut self) -> io::Result<Option<Step>> {
        loop {
            let Some(level) = self.levels.last_mut() else { return Ok(None) };
            self.path.truncate(level.path_bytes);
            let Some(entry) = level.names.read() else {
                self.levels.pop();
                return Ok((!self.levels.is_empty()).then_some(Step::Leave));
            };
            let entry = entry?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            if !self.path.is_empty() {
                self.path.push(b'/');
            }
            self.path.extend_from_slice(name.to_bytes());
            let Some(left) = self.left.checked_sub(1) else {
                self.levels.clear();
                return Ok(Some(Step::TooMany));
            };
            self.left = left;
            let found = Found::look(level.folder.as_fd(), name);
            return Ok(Some(self.told(found)));
        }
    }

    fn told(&mut self, found: io::Result<Found>) -> Step {
        let found = match found {
            Ok(found) => found,
            Err(error) => return Step::Unreadable(error),
        };
        match found.kind() {
            FileType::RegularFile => Step::File(found),
            FileType::Symlink => Step::Link(found),
            FileType::Directory if self.levels.len() >= DEPTH_MAX || self.path.len() > PATH_BYTES_MAX => {
                Step::TooDeep
            }
            FileType::Directory => match self.enter(&found) {
                Ok(()) => Step::Enter(found),
                Err(error) => Step::Unreadable(error),
            },
            other => Step::Other(other),
        }
    }

    fn enter(&mut self, found: &Found) -> io::Result<()> {
        let folder = if self.opens { found.open_folder()? } else { found.open_folder_as_it_is()? };
        let names = Dir::read_from(&folder)?;
        let path_bytes = self.path.len();
        self.levels.push(Level { folder, names, path_bytes });
        Ok(())
    }
}
