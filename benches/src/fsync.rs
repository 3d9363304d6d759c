//! What the disk's own sync costs, measured between the rounds of whatever else is measured.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::failure::Failure;
use crate::histogram::Times;

/// What is written before each sync, in bytes.
const BLOCK: usize = 4096;

/// Blocks written before the file begins anew.
const BLOCKS: u64 = 4096;

/// How long syncs took.
#[derive(Clone, Debug, Default)]
pub struct Syncs {
    /// Of blocks that were not written before: the file system has to note them down as well.
    pub new: Times,
    /// Of the same blocks a second time. Entries of the log share blocks, so its syncs are of both kinds.
    pub again: Times,
}

/// A file on the file system of the data that is measured.
pub struct Probe {
    file: File,
    next: u64,
    syncs: Syncs,
}

// === impl Syncs ===

impl Syncs {
    /// Counts all of another.
    pub fn add(&mut self, other: &Self) {
        self.new.add(&other.new);
        self.again.add(&other.again);
    }
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
        Ok(Self { file, next: 0, syncs: Syncs::default() })
    }

    /// Writes and syncs so many blocks, one after the other, each twice.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn sample(&mut self, count: u32) -> Result<(), Failure> {
        for _ in 0..count {
            let at = self.next % BLOCKS * BLOCK as u64;
            self.syncs.new.record(write(&self.file, at)?);
            self.syncs.again.record(write(&self.file, at)?);
            self.next += 1;
        }
        Ok(())
    }

    /// What it has measured since it was last asked.
    pub fn take(&mut self) -> Syncs {
        std::mem::take(&mut self.syncs)
    }

    /// What it has measured.
    pub fn syncs(&self) -> &Syncs {
        &self.syncs
    }
}

fn write(file: &File, at: u64) -> Result<Duration, Failure> {
    let started = Instant::now();
    file.write_all_at(&[1; BLOCK], at)?;
    rustix::fs::fdatasync(file)?;
    Ok(started.elapsed())
}
