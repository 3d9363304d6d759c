//! What an image may still take.

use std::io;
use std::os::fd::AsFd;

use crate::limits::{DISK_LEFT_BYTES, DISK_LEFT_FILES, IMAGE_BYTES_MAX, IMAGE_ENTRY_BYTES, IMAGE_FILES_MAX};
use crate::sparing::Floor;

/// What an image may still take of the disk.
#[derive(Debug)]
pub(super) struct Room {
    pub(super) bytes: u64,
    pub(super) files: u64,
    /// Bytes of archives, unpacked, with all that is thrown away of them.
    pub(super) archives: u64,
    pub(super) disk: Floor,
}

// === impl Room ===

impl Default for Room {
    fn default() -> Self {
        Self {
            bytes: IMAGE_BYTES_MAX,
            files: IMAGE_FILES_MAX,
            // At most what is in them, and their own headers: half a kilobyte and names for each file.
            archives: IMAGE_BYTES_MAX + IMAGE_FILES_MAX * IMAGE_ENTRY_BYTES,
            disk: Floor::leaving(DISK_LEFT_BYTES).and_files(DISK_LEFT_FILES),
        }
    }
}

impl Room {
    /// Counts one more file, folder or link on this disk.
    pub(super) fn entry(&mut self, disk: impl AsFd) -> io::Result<()> {
        self.files = self.files.checked_sub(1).ok_or_else(|| full("files"))?;
        self.disk.take(disk, IMAGE_ENTRY_BYTES)
    }

    /// Counts bytes that an archive holds, whether they are written or thrown away.
    pub(super) fn content(&mut self, bytes: u64) -> io::Result<()> {
        self.bytes = self.bytes.checked_sub(bytes).ok_or_else(|| full("bytes"))?;
        Ok(())
    }
}

pub(super) fn full(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::FileTooLarge, format!("it has more {what} than are taken"))
}
