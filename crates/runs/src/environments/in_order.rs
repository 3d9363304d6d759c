//! Through what a build left, in the order of its names: bounded in names, in bytes of paths and in levels, with two descriptors
//! at most however deep it is, and given up when nobody waits for it any more.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;

use rustix::fs::{Dir, FileType};
use tokio_util::sync::CancellationToken;

use crate::limits::{DEPTH_MAX, ENVIRONMENT_FILES_MAX, ENVIRONMENT_PATHS_BYTES_MAX};
use crate::tree::{Found, real_folder, shown_bytes};

/// Bytes of a path that leads to anything: PATH_MAX of Linux, without the zero at its end.
const PATH_BYTES_MAX: usize = 4_095;

/// Bytes of a path that are shown: in words of an error, of which not many are told.
const SHOWN_BYTES: usize = 100;

/// A way through a folder. Whatever is wrong on it ends it.
pub(super) struct InOrder<'s> {
    root: OwnedFd,
    /// The folders that were entered and not left.
    levels: Vec<Level>,
    /// Of what was told last, from the folder on.
    path: Vec<u8>,
    names_left: u64,
    path_bytes_left: usize,
    stop: &'s CancellationToken,
}

/// What is still to be told of a folder, the last name first.
struct Level {
    names: Vec<CString>,
    /// How long the path to it is.
    path_bytes: usize,
}

// === impl InOrder ===

impl<'s> InOrder<'s> {
    /// Through this folder, which is no link.
    pub(super) fn through(folder: &Path, stop: &'s CancellationToken) -> io::Result<Self> {
        let mut way = Self {
            root: real_folder(folder)?,
            levels: Vec::new(),
            path: Vec::new(),
            names_left: ENVIRONMENT_FILES_MAX,
            path_bytes_left: ENVIRONMENT_PATHS_BYTES_MAX,
            stop,
        };
        let names = Dir::read_from(&way.root)?;
        way.enter(names)?;
        Ok(way)
    }

    /// The path of what was told last, in the names' own bytes.
    pub(super) fn path(&self) -> &[u8] {
        &self.path
    }

    /// The same, fit to be printed.
    pub(super) fn shown(&self) -> String {
        shown_bytes(&self.path, SHOWN_BYTES)
    }

    /// What comes next, and `None` at the end. What is in a folder comes behind it.
    pub(super) fn next(&mut self) -> io::Result<Option<Found>> {
        going_on(self.stop)?;
        let name = loop {
            let Some(level) = self.levels.last_mut() else { return Ok(None) };
            self.path.truncate(level.path_bytes);
            match level.names.pop() {
                Some(name) => break name,
                None => drop(self.levels.pop()),
            }
        };
        if !self.path.is_empty() {
            self.path.push(b'/');
        }
        self.path.extend_from_slice(name.to_bytes());
        let looked = self.look();
        looked.map(Some).map_err(|error| {
            if self.stop.is_cancelled() {
                return error;
            }
            io::Error::other(format!("{error}, at {}", self.shown()))
        })
    }

    fn look(&mut self) -> io::Result<Found> {
        let path = CString::new(self.path.as_slice())?;
        let found = Found::look(self.root.as_fd(), &path)?;
        if found.kind() == FileType::Directory {
            if self.levels.len() >= DEPTH_MAX {
                return Err(io::Error::other(format!("it is more than {DEPTH_MAX} folders deep")));
            }
            self.enter(Dir::new(found.open_folder_as_it_is()?)?)?;
        }
        Ok(found)
    }

    /// Reads all names of a folder, as long as there may be more.
    fn enter(&mut self, mut entries: Dir) -> io::Result<()> {
        let (path_bytes, mut names) = (self.path.len(), Vec::new());
        while let Some(entry) = entries.read() {
            going_on(self.stop)?;
            let name = entry?.file_name().to_owned();
            if !matches!(name.to_bytes(), b"." | b"..") {
                self.count(path_bytes + usize::from(path_bytes > 0) + name.count_bytes())?;
                names.push(name);
            }
        }
        names.sort_unstable_by(|one, other| other.cmp(one));
        self.levels.push(Level { names, path_bytes });
        Ok(())
    }

    /// Counts one more, whose path is so long.
    fn count(&mut self, bytes: usize) -> io::Result<()> {
        if bytes > PATH_BYTES_MAX {
            return Err(io::Error::other(format!("it holds a path of more than {PATH_BYTES_MAX} bytes")));
        }
        let names = self.names_left.checked_sub(1);
        self.names_left = names
            .ok_or_else(|| io::Error::other(format!("there are more than {ENVIRONMENT_FILES_MAX} files")))?;
        self.path_bytes_left = self.path_bytes_left.checked_sub(bytes).ok_or_else(|| {
            let most = ENVIRONMENT_PATHS_BYTES_MAX >> 20;
            io::Error::other(format!("the paths of all files take more than {most} MiB"))
        })?;
        Ok(())
    }
}

/// # Errors
/// When nobody waits for it any more. That says nothing of what was looked at.
pub(super) fn going_on(stop: &CancellationToken) -> io::Result<()> {
    if stop.is_cancelled() { Err(io::Error::other("it was called off")) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use rustix::fs::{AtFlags, CWD, Mode, OFlags, linkat, mkdirat, openat};

    use super::*;
    use crate::tree::remove_tree;

    fn walked(folder: &Path) -> Result<Vec<String>, String> {
        let stop = CancellationToken::new();
        let mut way = InOrder::through(folder, &stop).unwrap();
        let mut paths = Vec::new();
        while way.next().map_err(|error| error.to_string())?.is_some() {
            paths.push(way.shown());
        }
        Ok(paths)
    }

    /// Makes so many folders of names of so many bytes in one another; the last one.
    fn deep(folder: &Path, levels: usize, bytes: usize) -> OwnedFd {
        let name = vec![0xff; bytes];
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let top = openat(CWD, folder, flags, Mode::empty()).unwrap();
        (0..levels).fold(top, |at, _| {
            mkdirat(&at, name.as_slice(), Mode::RWXU).unwrap();
            openat(&at, name.as_slice(), flags, Mode::empty()).unwrap()
        })
    }

    #[test]
    fn names_come_in_their_order_and_what_is_in_a_folder_behind_it() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b", "a", "a/z", "a/b", "a/b/c", "a.b"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        fs::write(folder.path().join("a/b/c/file"), "").unwrap();
        let order = ["a", "a/b", "a/b/c", "a/b/c/file", "a/z", "a.b", "b"];
        assert_eq!(walked(folder.path()).unwrap(), order);
    }

    #[test]
    fn what_is_deep_or_long_is_refused_by_its_first_name_and_holds_few_descriptors() {
        let folder = tempfile::tempdir().unwrap();
        deep(folder.path(), DEPTH_MAX - 1, 1);
        let (stop, mut most) = (CancellationToken::new(), 0);
        let mut way = InOrder::through(folder.path(), &stop).unwrap();
        while way.next().unwrap().is_some() {
            let held = fs::read_dir("/proc/self/fd").unwrap().flatten();
            let inside = held.filter_map(|fd| fs::read_link(fd.path()).ok());
            most = most.max(inside.filter(|path| path.starts_with(folder.path())).count());
        }
        // The folder itself; what was told last is closed again.
        assert_eq!(most, 1);
        for (levels, bytes, said) in [
            (3_000, 1, "it is more than 64 folders deep"),
            (17, 250, "it holds a path of more than 4095 bytes"),
        ] {
            let folder = tempfile::tempdir().unwrap();
            deep(folder.path(), levels, bytes);
            let told = walked(folder.path()).unwrap_err();
            assert!(told.starts_with(said) && told.len() < 600, "{told}");
            remove_tree(folder.path()).unwrap();
        }
    }

    #[test]
    fn the_bytes_of_all_paths_are_bounded_however_the_names_are_written() {
        let folder = tempfile::tempdir().unwrap();
        let at = deep(folder.path(), 15, 250);
        let each = 15 * 251 + 249;
        let most = ENVIRONMENT_PATHS_BYTES_MAX / each;
        let name = |number: usize| [vec![0xff; 243], format!("{number:06}").into_bytes()].concat();
        fs::write(folder.path().join("one"), "").unwrap();
        for number in 0..=most {
            linkat(CWD, folder.path().join("one"), &at, name(number), AtFlags::empty()).unwrap();
        }
        let told = walked(folder.path()).unwrap_err();
        assert!(told.starts_with("the paths of all files take more than 64 MiB"), "{told}");
    }

    #[test]
    fn it_is_given_up_when_nobody_waits_any_more() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a"), "").unwrap();
        let stop = CancellationToken::new();
        let mut way = InOrder::through(folder.path(), &stop).unwrap();
        stop.cancel();
        let told = way.next().err().map(|error| error.to_string());
        assert_eq!(told.as_deref(), Some("it was called off"));
        assert!(InOrder::through(folder.path(), &stop).is_err());
    }
}
