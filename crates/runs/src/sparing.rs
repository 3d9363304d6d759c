//! Writing without taking the last of the disk: the log and whatever else is there have a use for it.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;

use crate::limits::{DISK_SPARED_BYTES, DISK_SPARED_FILES, LOOK_AT_DISK_BYTES};

/// How much of a disk is left to others. It is looked at now and then.
#[derive(Debug)]
pub(crate) struct Floor {
    spared: u64,
    /// Files that there is still room for.
    spared_files: u64,
    /// Bytes that may be written until it is looked again.
    left: u64,
}

/// A file that is written as long as there is room beyond what is spared.
pub(crate) struct Sparing {
    file: File,
    floor: Floor,
}

// === impl Floor ===

impl Floor {
    /// So many bytes stay free.
    pub(crate) fn leaving(spared: u64) -> Self {
        Self { spared, spared_files: DISK_SPARED_FILES, left: 0 }
    }

    /// So many more files can be made by others, where the disk says how many.
    pub(crate) fn and_files(self, spared_files: u64) -> Self {
        Self { spared_files, ..self }
    }

    /// Counts bytes that are written next to the disk of this file or folder.
    ///
    /// # Errors
    /// When the disk has too little left for that.
    pub(crate) fn take(&mut self, disk: impl AsFd, bytes: u64) -> io::Result<()> {
        if self.left < bytes {
            let disk = rustix::fs::fstatvfs(disk)?;
            let free = disk.f_bavail.saturating_mul(disk.f_frsize);
            if free < self.spared.saturating_add(bytes) {
                let spared = ringfence_types::format_size(self.spared);
                let what = format!("the disk has less than {spared} left, which are not used for this");
                return Err(io::Error::new(io::ErrorKind::StorageFull, what));
            }
            if disk.f_files > 0 && disk.f_favail < self.spared_files {
                let what = format!(
                    "the disk has room for less than {} more files, which are left to others",
                    self.spared_files
                );
                return Err(io::Error::new(io::ErrorKind::StorageFull, what));
            }
            self.left = LOOK_AT_DISK_BYTES.max(bytes);
        }
        self.left -= bytes;
        Ok(())
    }

    /// Writes as much as may be written at once.
    pub(crate) fn write(&mut self, file: &mut File, bytes: &[u8]) -> io::Result<usize> {
        let most = usize::try_from(LOOK_AT_DISK_BYTES).map_or(bytes.len(), |most| bytes.len().min(most));
        self.take(&*file, most as u64)?;
        file.write(&bytes[..most])
    }
}

// === impl Sparing ===

impl Sparing {
    pub(crate) fn new(file: File) -> Self {
        Self { file, floor: Floor::leaving(DISK_SPARED_BYTES) }
    }

    pub(crate) fn into_inner(self) -> File {
        self.file
    }
}

impl Write for Sparing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.floor.write(&mut self.file, bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_files_of_a_disk_are_not_taken_where_it_says_how_many_there_can_be() {
        let folder = tempfile::tempdir().unwrap();
        let disk = File::open(folder.path()).unwrap();
        let says = rustix::fs::fstatvfs(&disk).unwrap().f_files > 0;
        let taken = Floor::leaving(0).and_files(u64::MAX).take(&disk, 1);
        assert_eq!(taken.is_err_and(|error| error.kind() == io::ErrorKind::StorageFull), says);
        assert!(Floor::leaving(0).and_files(0).take(&disk, 1).is_ok());
    }
}
