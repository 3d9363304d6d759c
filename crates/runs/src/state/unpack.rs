//! From an archive to a folder. Nothing is made outside of it, whatever the archive says.

use std::ffi::{CStr, CString};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt as _;

use rustix::fs::{
    AtFlags, CWD, Mode, OFlags, Timespec, Timestamps, fstat, futimens, linkat, mkdirat, openat, openat2,
    symlinkat,
};
use rustix::io::Errno;

use super::archive::{About, Extent, MAGIC, Tag, bytes, number, read_name};
use super::pack::Packed;
use super::seal::damaged;
use crate::limits::{COPY_BYTES, DEPTH_MAX, NAMES_MAX};
use crate::tree::{BENEATH, is_single_name, set_mode};

/// A folder that is being filled.
struct Level {
    folder: OwnedFd,
    about: About,
}

/// Fills an empty folder with what an archive holds.
///
/// # Errors
/// When the archive is damaged or there is no room. What is there already stays: the folder is worth nothing then.
pub(super) fn unpack(root: &OwnedFd, from: &mut impl Read) -> io::Result<Packed> {
    if bytes(from)? != *MAGIC {
        return Err(damaged("it is no archive of this version"));
    }
    let mut unpacker =
        Unpacker { root, levels: Vec::new(), packed: Packed::default(), buffer: vec![0; COPY_BYTES] };
    while unpacker.record(from)? {}
    Ok(unpacker.packed)
}

struct Unpacker<'a> {
    root: &'a OwnedFd,
    levels: Vec<Level>,
    packed: Packed,
    buffer: Vec<u8>,
}

// === impl Unpacker ===

impl Unpacker<'_> {
    /// Takes one record; whether there are more.
    fn record(&mut self, from: &mut impl Read) -> io::Result<bool> {
        match Tag::read(from)? {
            Tag::Enter => self.enter(from)?,
            Tag::Leave => self.leave()?,
            Tag::File => self.file(from)?,
            Tag::Link => {
                let (name, target) = (self.name(from)?, read_name(from)?);
                let target = CString::new(target).map_err(|_| damaged("it has a link with a NUL"))?;
                symlinkat(target.as_c_str(), self.here(), name.as_c_str())?;
            }
            Tag::Again => {
                let (name, path) = (self.name(from)?, read_name(from)?);
                self.link(&name, &path)?;
            }
            Tag::End => {
                if number(from)? != self.packed.names || !self.levels.is_empty() {
                    return Err(damaged("it is not whole"));
                }
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The folder that is being filled.
    fn here(&self) -> BorrowedFd<'_> {
        self.levels.last().map_or(self.root.as_fd(), |level| level.folder.as_fd())
    }

    fn name(&mut self, from: &mut impl Read) -> io::Result<CString> {
        let name = read_name(from)?;
        self.packed.names += 1;
        if !is_single_name(&name) || self.packed.names > NAMES_MAX {
            return Err(damaged("it has a name that nothing in a folder has, or too many of them"));
        }
        CString::new(name).map_err(|_| damaged("it has a name with a NUL"))
    }

    fn enter(&mut self, from: &mut impl Read) -> io::Result<()> {
        let (name, about) = (self.name(from)?, About::read(from)?);
        if self.levels.len() >= DEPTH_MAX {
            return Err(damaged("its folders are too deep"));
        }
        // It is given its own mode when everything is in it.
        mkdirat(self.here(), name.as_c_str(), Mode::RWXU)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let folder = openat2(self.here(), name.as_c_str(), flags, Mode::empty(), BENEATH)?;
        self.levels.push(Level { folder, about });
        Ok(())
    }

    fn leave(&mut self) -> io::Result<()> {
        let Level { folder, about } =
            self.levels.pop().ok_or_else(|| damaged("it leaves more folders than it enters"))?;
        finish(folder.as_fd(), about)
    }

    fn file(&mut self, from: &mut impl Read) -> io::Result<()> {
        let (name, about, length) = (self.name(from)?, About::read(from)?, number(from)?);
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = File::from(openat(self.here(), name.as_c_str(), flags, Mode::RUSR | Mode::WUSR)?);
        // What is not written is a hole.
        file.set_len(length)?;
        while let Some(Extent { offset, length: part }) = Extent::read(from)? {
            let end = offset.checked_add(u64::from(part)).filter(|end| *end <= length);
            if end.is_none() {
                return Err(damaged("a file in it is longer than it says"));
            }
            let part = self
                .buffer
                .get_mut(..part as usize)
                .ok_or_else(|| damaged("it has a part that is too long"))?;
            from.read_exact(part)?;
            file.write_all_at(part, offset)?;
            self.packed.bytes += part.len() as u64;
        }
        finish(file.as_fd(), about)
    }

    /// Gives a file one more name. The path of the first leads over folders that were made here, and over no link.
    fn link(&self, name: &CString, path: &[u8]) -> io::Result<()> {
        let held = reach(self.root, path)?;
        let itself = crate::tree::held_path(held.as_fd());
        Ok(linkat(CWD, itself.as_str(), self.here(), name.as_c_str(), AtFlags::SYMLINK_FOLLOW)?)
    }
}

/// What stands under a path beneath a folder, over no link. Name by name: a path may be longer than the system takes at once.
fn reach(root: &OwnedFd, path: &[u8]) -> io::Result<OwnedFd> {
    let mut here: Option<OwnedFd> = None;
    for name in path.split(|byte| *byte == b'/') {
        if !is_single_name(name) {
            return Err(damaged("it has a path that leads elsewhere"));
        }
        let name = CString::new(name).map_err(|_| damaged("it has a path with a NUL"))?;
        here = Some(enter(here.as_ref().unwrap_or(root).as_fd(), &name)?);
    }
    here.ok_or_else(|| damaged("it has no path where there has to be one"))
}

/// What stands under a name in a folder, also where the folder has its own mode already and lets nobody in.
fn enter(folder: BorrowedFd<'_>, name: &CStr) -> io::Result<OwnedFd> {
    let open = || {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        openat2(folder, name, flags, Mode::empty(), BENEATH)
    };
    match open() {
        Err(Errno::ACCESS) => {
            let mode = fstat(folder)?.st_mode & 0o777;
            set_mode(folder, mode | 0o100)?;
            let opened = open();
            set_mode(folder, mode)?;
            Ok(opened?)
        }
        opened => Ok(opened?),
    }
}

/// Gives what was made its mode and time.
fn finish(made: BorrowedFd<'_>, about: About) -> io::Result<()> {
    let changed = Timespec { tv_sec: about.seconds, tv_nsec: about.nanoseconds.into() };
    futimens(made, &Timestamps { last_access: changed, last_modification: changed })?;
    set_mode(made, about.mode)
}
