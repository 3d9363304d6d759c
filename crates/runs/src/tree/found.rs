//! What stands under one name.

use std::ffi::CStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{FileType, Mode, OFlags, Stat, fstat, open, openat2, readlinkat};

use super::BENEATH;

/// What stands under a name: held, so that it stays what it was looked at as, and neither read nor entered yet.
pub(crate) struct Found {
    held: OwnedFd,
    pub stat: Stat,
}

// === impl Found ===

impl Found {
    /// What stands in a folder under a name, of whatever kind; a link itself and not where it leads.
    pub(crate) fn look(folder: BorrowedFd<'_>, name: &CStr) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let held = openat2(folder, name, flags, Mode::empty(), BENEATH)?;
        let stat = fstat(&held)?;
        Ok(Self { held, stat })
    }

    pub(crate) fn kind(&self) -> FileType {
        FileType::from_raw_mode(self.stat.st_mode)
    }

    /// Its permissions, without set-user-ID, set-group-ID and sticky.
    pub(crate) fn permissions(&self) -> u32 {
        self.stat.st_mode & 0o777
    }

    /// Bytes of a regular file, holes included.
    pub(crate) fn length(&self) -> u64 {
        u64::try_from(self.stat.st_size).unwrap_or(0)
    }

    /// What two names of one file have in common; `None` for a file with one name.
    pub(crate) fn identity(&self) -> Option<(u64, u64)> {
        (self.stat.st_nlink > 1).then_some((self.stat.st_dev, self.stat.st_ino))
    }

    /// The regular file, to be read, whatever its mode says: it belongs to whoever reads it here.
    pub(crate) fn open_file(&self) -> io::Result<File> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        self.open(flags, 0o400).map(File::from)
    }

    /// The regular file, to be read, if its mode lets it be: that stays as it is.
    pub(crate) fn open_file_as_it_is(&self) -> io::Result<File> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        Ok(File::from(open(self.itself(), flags, Mode::empty())?))
    }

    /// The folder, to be listed, if its mode lets it be: that stays as it is.
    pub(crate) fn open_folder_as_it_is(&self) -> io::Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(open(self.itself(), flags, Mode::empty())?)
    }

    /// The folder, to be listed, whatever its mode says.
    pub(crate) fn open_folder(&self) -> io::Result<OwnedFd> {
        if self.permissions() & 0o500 != 0o500 {
            // It could be listed, and what is in it not looked at.
            set_mode(self.held.as_fd(), self.permissions() | 0o500)?;
        }
        self.open(OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, 0o500)
    }

    fn open(&self, flags: OFlags, needed: u32) -> io::Result<OwnedFd> {
        let path = self.itself();
        match open(&path, flags, Mode::empty()) {
            Err(rustix::io::Errno::ACCESS) => {
                set_mode(self.held.as_fd(), self.permissions() | needed)?;
                Ok(open(&path, flags, Mode::empty())?)
            }
            opened => Ok(opened?),
        }
    }

    /// Where a symbolic link leads, as it says itself.
    pub(crate) fn target(&self) -> io::Result<Vec<u8>> {
        Ok(readlinkat(&self.held, c"", Vec::new())?.into_bytes())
    }

    /// The very thing that is held, as a path.
    fn itself(&self) -> String {
        held_path(self.held.as_fd())
    }
}

/// The folder of this path, to be listed: the last name of it is no link.
pub(crate) fn real_folder(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(open(path, flags, Mode::empty())?)
}

/// What a descriptor holds, as a path that leads nowhere else.
pub(crate) fn held_path(held: BorrowedFd<'_>) -> String {
    format!("/proc/self/fd/{}", held.as_raw_fd())
}

/// Sets the permissions of what is held, which need not be open for reading.
pub(crate) fn set_mode(held: BorrowedFd<'_>, mode: u32) -> io::Result<()> {
    Ok(rustix::fs::chmod(held_path(held), Mode::from_raw_mode(mode))?)
}

/// When it was last changed.
pub(crate) fn seconds(stat: &Stat) -> (i64, u32) {
    (stat.st_mtime, u32::try_from(stat.st_mtime_nsec).unwrap_or(0))
}

/// Whether this is the name of something in a folder, and of nothing elsewhere.
pub(crate) fn is_single_name(name: &[u8]) -> bool {
    !matches!(name, b"" | b"." | b"..") && !name.iter().any(|byte| matches!(byte, b'/' | 0))
}

/// A kind of file that is no file, in words.
pub(crate) fn kind_in_words(kind: FileType) -> &'static str {
    match kind {
        FileType::Symlink => "it is a symbolic link",
        FileType::Fifo => "it is a fifo",
        FileType::Socket => "it is a socket",
        FileType::CharacterDevice | FileType::BlockDevice => "it is a device",
        _ => "it is no file",
    }
}
