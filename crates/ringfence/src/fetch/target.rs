//! Where a file goes.

use std::borrow::Cow;
use std::collections::hash_map::RandomState;
use std::ffi::CString;
use std::fs::File;
use std::hash::{BuildHasher as _, Hasher as _};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use ringfence_types::Digest;
use rustix::fs::{AtFlags, Mode, OFlags, ResolveFlags, mkdirat, open, openat2, renameat, unlinkat};
use rustix::io::Errno;

use crate::failure::Failure;

/// How names that a stranger gave are resolved: inside of the folder, over no link.
const BENEATH: ResolveFlags =
    ResolveFlags::BENEATH.union(ResolveFlags::NO_SYMLINKS).union(ResolveFlags::NO_MAGICLINKS);

/// What the name of a file that is not whole ends with. The rest of it is ours, and short: whose name it will have may be as
/// long as names can be.
const UNFINISHED: &str = ".unfinished";

/// Bytes of the longest name that a folder takes.
const NAME_BYTES_MAX: usize = 255;

/// Digits of a digest that tell names apart which begin alike.
const DIGITS: usize = 32;

/// Where a file goes.
pub enum Target {
    /// Standard output.
    Standard,
    /// A file that somebody named.
    Named(PathBuf),
    /// Under a name that a stranger gave, in a folder that somebody named.
    Beneath(OwnedFd, String),
}

/// A folder that files are fetched into.
pub struct Folder(OwnedFd);

/// A file that is being fetched. Dropped before it is whole, nothing is left of it.
pub struct Arriving {
    file: File,
    /// Its folder and its names, until it has the right one; none for standard output.
    place: Option<(OwnedFd, CString, CString)>,
}

// === impl Target ===

impl Target {
    /// What `-o` says.
    pub fn of(text: &str) -> Self {
        if text == "-" { Self::Standard } else { Self::Named(PathBuf::from(text)) }
    }

    pub(super) fn open(self) -> Result<Arriving, Failure> {
        match self {
            Self::Standard => {
                let file = File::from(rustix::io::dup(rustix::stdio::stdout()).map_err(io::Error::from)?);
                Ok(Arriving { file, place: None })
            }
            Self::Named(path) => {
                let opened = named(&path);
                opened.map_err(|error| Failure::no(format!("cannot write {}: {error}", path.display())))
            }
            Self::Beneath(folder, name) => {
                let opened = beneath(folder, &name);
                opened.map_err(|error| Failure::no(format!("cannot write {}: {error}", crate::safe(&name))))
            }
        }
    }
}

fn named(path: &Path) -> io::Result<Arriving> {
    let name = path.file_name().ok_or_else(|| io::Error::other("it names no file"))?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let folder = open(folder, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    Arriving::create(folder, name.as_encoded_bytes())
}

/// Makes the folders of a name and the file in the last of them.
fn beneath(folder: OwnedFd, name: &str) -> io::Result<Arriving> {
    let mut parts: Vec<&str> = name.split('/').collect();
    if parts.iter().any(|part| matches!(*part, "" | "." | "..") || part.contains('\0')) {
        return Err(io::Error::other("it leads out of the folder"));
    }
    let last = parts.pop().unwrap_or_default();
    let mut here = folder;
    for part in parts {
        let part = &*short(part);
        match mkdirat(&here, part, Mode::RWXU | Mode::RGRP | Mode::XGRP | Mode::ROTH | Mode::XOTH) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        here = openat2(&here, part, flags, Mode::empty(), BENEATH)?;
    }
    Arriving::create(here, short(last).as_bytes())
}

/// A name that a folder takes: where what is escaped in it has made it too long, its begin and a part of its digest. A
/// backslash stands before that as before nothing else in such names, so that no other name comes to the same.
fn short(name: &str) -> Cow<'_, str> {
    if name.len() <= NAME_BYTES_MAX {
        return Cow::Borrowed(name);
    }
    let digest = Digest::of(name.as_bytes()).to_string();
    let rest = format!("\\~{}", &digest[..DIGITS]);
    let begin = &name[..name.floor_char_boundary(NAME_BYTES_MAX - rest.len())];
    Cow::Owned(format!("{}{rest}", begin.trim_end_matches('\\')))
}

/// A name that nobody else gives, for a file that is not whole.
fn unfinished() -> String {
    // Its keys are random, and others each time.
    let random = RandomState::new().build_hasher().finish();
    format!(".{random:016x}{UNFINISHED}")
}

// === impl Folder ===

impl Folder {
    /// The folder, made if it is not there.
    pub fn open(path: &Path) -> Result<Self, Failure> {
        let cannot =
            |error: io::Error| Failure::no(format!("cannot use the folder {}: {error}", path.display()));
        std::fs::create_dir_all(path).map_err(cannot)?;
        let folder = open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
        folder.map(Self).map_err(|error| cannot(error.into()))
    }

    /// A file in it, under a name that a stranger gave.
    pub fn file(&self, name: &str) -> Result<Target, Failure> {
        Ok(Target::Beneath(self.0.try_clone()?, name.to_owned()))
    }
}

// === impl Arriving ===

impl Arriving {
    fn create(folder: OwnedFd, name: &[u8]) -> io::Result<Self> {
        let name = CString::new(name).map_err(io::Error::other)?;
        if name.as_bytes().len() > NAME_BYTES_MAX {
            return Err(Errno::NAMETOOLONG.into());
        }
        let unfinished = CString::new(unfinished()).map_err(io::Error::other)?;
        // Made here or nowhere: what stands there already is not written through.
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::RUSR | Mode::WUSR | Mode::RGRP | Mode::ROTH;
        let file = openat2(&folder, unfinished.as_c_str(), flags, mode, BENEATH)?;
        Ok(Self { file: File::from(file), place: Some((folder, unfinished, name)) })
    }

    pub(super) fn file(&mut self) -> &mut File {
        &mut self.file
    }

    /// Gives it its name.
    pub(super) fn finish(mut self) -> Result<(), Failure> {
        let Some((folder, unfinished, name)) = self.place.take() else { return Ok(()) };
        let renamed = renameat(folder.as_fd(), unfinished.as_c_str(), folder.as_fd(), name.as_c_str());
        renamed.map_err(|error| {
            let _ = unlinkat(&folder, unfinished.as_c_str(), AtFlags::empty());
            let name = crate::safe(&name.to_string_lossy());
            Failure::no(format!("cannot write {name}: {}", io::Error::from(error)))
        })
    }
}

impl Drop for Arriving {
    fn drop(&mut self) {
        if let Some((folder, unfinished, _)) = &self.place {
            let _ = unlinkat(folder, unfinished.as_c_str(), AtFlags::empty());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn no_name_leads_out_of_the_folder_and_no_link_is_followed() {
        let scene = tempfile::tempdir().unwrap();
        let (into, outside) = (scene.path().join("into"), scene.path().join("outside"));
        std::fs::create_dir(&outside).unwrap();
        std::fs::write(outside.join("kept"), "kept").unwrap();
        let folder = Folder::open(&into).unwrap();
        symlink(&outside, into.join("link")).unwrap();
        symlink(outside.join("kept"), into.join("file")).unwrap();
        symlink(outside.join("kept"), into.join("other.unfinished")).unwrap();
        for name in ["../outside/x", "/etc/x", "a/../../x", "", ".", "..", "a//b", "a/", "link/x", "x\0y"] {
            assert!(folder.file(name).unwrap().open().is_err(), "{name:?}");
        }
        for name in ["a/b/c", "file", "other", "odd\\xff\\n"] {
            let mut arriving = folder.file(name).unwrap().open().unwrap();
            arriving.file().write_all(b"new").unwrap();
            assert!(!into.join("a/b/c").exists(), "it is not whole");
            arriving.finish().unwrap();
            assert_eq!(std::fs::read(into.join(name)).unwrap(), b"new", "{name}");
            let _ = std::fs::remove_dir_all(into.join("a"));
        }
        assert_eq!(std::fs::read(outside.join("kept")).unwrap(), b"kept");
        assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 1);
        drop(folder.file("given-up").unwrap().open().unwrap());
        let left = std::fs::read_dir(&into).unwrap().map(|entry| entry.unwrap().file_name());
        assert!(left.map(|name| name.to_string_lossy().into_owned()).all(|name| !name.contains("given-up")));
    }

    #[test]
    fn names_as_long_as_a_folder_takes_arrive_and_longer_ones_cut_and_apart() {
        let scene = tempfile::tempdir().unwrap();
        let folder = Folder::open(scene.path()).unwrap();
        let escaped = "\\u{202e}".repeat(60);
        let long = [
            "n".repeat(245),
            "n".repeat(255),
            format!("{escaped}a"),
            format!("{escaped}b"),
            format!("{}/{}", "\\\\".repeat(150), "ü".repeat(200)),
        ];
        for name in &long {
            let mut arriving = folder.file(name).unwrap().open().unwrap();
            arriving.file().write_all(name.as_bytes()).unwrap();
            arriving.finish().unwrap();
        }
        let content = |name: &str| std::fs::read_to_string(scene.path().join(name)).unwrap();
        for name in &long {
            let parts: Vec<_> = name.split('/').map(short).collect();
            assert!(parts.iter().all(|part| part.len() <= NAME_BYTES_MAX), "{parts:?}");
            assert_eq!(content(&parts.join("/")), *name);
        }
        assert!(short(&long[2]).starts_with("\\u{202e}\\u{202e}") && short(&long[2]).contains("\\~"));
        assert_eq!(std::fs::read_dir(scene.path()).unwrap().count(), 5, "nothing unfinished is left");
        // What a person names has its own name or none.
        assert!(Target::Named(scene.path().join("n".repeat(256))).open().is_err());
        assert_eq!(std::fs::read_dir(scene.path()).unwrap().count(), 5);
    }
}
