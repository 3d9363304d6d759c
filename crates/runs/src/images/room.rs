//! What an image may still take.

use std::io;
use std::os::fd::AsFd;

use crate::limits::{DISK_LEFT_BYTES, IMAGE_BYTES_MAX, IMAGE_ENTRY_BYTES, IMAGE_FILES_MAX};
use crate::sparing::Floor;

/// What an image may still take of the disk.
#[derive(Debug)]
pub(super) struct Room {
    pub(super) bytes: u64,
    pub(super) files: u64,
    pub(super) disk: Floor,
}

// === impl Room ===

impl Default for Room {
    fn default() -> Self {
        Self { bytes: IMAGE_BYTES_MAX, files: IMAGE_FILES_MAX, disk: Floor::leaving(DISK_LEFT_BYTES) }
    }
}

impl Room {
    /// Counts one more file, folder or link on this disk.
    pub(super) fn entry(&mut self, disk: impl AsFd) -> io::Result<()> {
        self.files = self.files.checked_sub(1).ok_or_else(|| full("files"))?;
        self.disk.take(disk, IMAGE_ENTRY_BYTES)
    }

    /// Counts the bytes of a file before they are written.
    pub(super) fn content(&mut self, bytes: u64) -> io::Result<()> {
        self.bytes = self.bytes.checked_sub(bytes).ok_or_else(|| full("bytes"))?;
        Ok(())
    }
}

pub(super) fn full(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::FileTooLarge, format!("it has more {what} than are taken"))
}
