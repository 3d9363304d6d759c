//! Writing without taking the last of the disk: the log and whatever else is there have a use for it.

use std::fs::File;
use std::io::{self, Write};

use crate::limits::{DISK_SPARED_BYTES, LOOK_AT_DISK_BYTES};

/// A file that is written as long as there is room beyond what is spared.
pub(crate) struct Sparing {
    file: File,
    /// Bytes that may be written until it is looked again.
    left: u64,
}

// === impl Sparing ===

impl Sparing {
    pub(crate) fn new(file: File) -> Self {
        Self { file, left: 0 }
    }

    pub(crate) fn into_inner(self) -> File {
        self.file
    }

    /// Looks how much room there is.
    fn look(&mut self) -> io::Result<()> {
        let disk = rustix::fs::fstatvfs(&self.file)?;
        let free = disk.f_bavail.saturating_mul(disk.f_frsize);
        if free < DISK_SPARED_BYTES {
            let spared = ringfence_types::format_size(DISK_SPARED_BYTES);
            let what = format!("the disk has less than {spared} left, which are not used for this");
            return Err(io::Error::new(io::ErrorKind::StorageFull, what));
        }
        self.left = LOOK_AT_DISK_BYTES;
        Ok(())
    }
}

impl Write for Sparing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.left == 0 {
            self.look()?;
        }
        let most = bytes.len().min(usize::try_from(self.left).unwrap_or(bytes.len()));
        let written = self.file.write(&bytes[..most])?;
        self.left -= written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
