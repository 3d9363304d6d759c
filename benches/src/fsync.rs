//! What the disk's own sync costs, measured between the rounds of whatever else is measured.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Instant;

use crate::failure::Failure;
use crate::histogram::Times;

/// What is written before each sync, in bytes.
const BLOCK: usize = 4096;

/// Blocks written before the file begins anew.
const BLOCKS: u64 = 4096;

/// A file on the file system of the data that is measured.
pub struct Probe {
    file: File,
    next: u64,
    times: Times,
}

// === impl Probe ===

impl Probe {
    /// A probe in a folder.
    ///
    /// # Errors
    /// When there is no room for its file.
    pub fn new(folder: &Path) -> Result<Self, Failure> {
        let file = tempfile::tempfile_in(folder)?;
        let length = BLOCKS * BLOCK as u64;
        rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, length)?;
        Ok(Self { file, next: 0, times: Times::default() })
    }

    /// Writes and syncs so many blocks, one after the other.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn sample(&mut self, count: u32) -> Result<(), Failure> {
        for _ in 0..count {
            let started = Instant::now();
            self.file.write_all_at(&[1; BLOCK], self.next % BLOCKS * BLOCK as u64)?;
            rustix::fs::fdatasync(&self.file)?;
            self.times.record(started.elapsed());
            self.next += 1;
        }
        Ok(())
    }

    /// What it has measured.
    pub fn times(&self) -> &Times {
        &self.times
    }
}
