//! The few operations on files whose failure matters, in one place so that tests can make them fail.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use rustix::fs::{FallocateFlags, fallocate, fdatasync};

use crate::error::{At, FileError};

/// Failures on purpose; empty unless the feature `faults` is on.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    #[cfg(feature = "faults")]
    planned: std::sync::Arc<planned::Planned>,
}

#[cfg(feature = "faults")]
mod planned {
    use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

    #[derive(Debug, Default)]
    pub(super) struct Planned {
        pub(super) syncs: AtomicU64,
        pub(super) writes: AtomicU64,
        pub(super) allocations: AtomicBool,
        pub(super) synced: AtomicU64,
        pub(super) sync_delay_us: AtomicU64,
    }

    /// Takes one from a counter that stops at zero; whether there was one.
    pub(super) fn take(counter: &AtomicU64) -> bool {
        counter.fetch_update(Ordering::AcqRel, Ordering::Acquire, |left| left.checked_sub(1)).is_ok()
    }
}

#[cfg(feature = "faults")]
impl Faults {
    /// The next `count` syncs fail.
    pub fn fail_syncs(&self, count: u64) {
        self.planned.syncs.store(count, std::sync::atomic::Ordering::Release);
    }

    /// The next `count` writes fail, half done.
    pub fn fail_writes(&self, count: u64) {
        self.planned.writes.store(count, std::sync::atomic::Ordering::Release);
    }

    /// While `full`, no space can be allocated.
    pub fn disk_full(&self, full: bool) {
        self.planned.allocations.store(full, std::sync::atomic::Ordering::Release);
    }

    /// Every sync takes at least this long.
    pub fn slow_syncs(&self, delay: std::time::Duration) {
        let micros = u64::try_from(delay.as_micros()).unwrap_or(u64::MAX);
        self.planned.sync_delay_us.store(micros, std::sync::atomic::Ordering::Release);
    }

    /// How many syncs were done.
    pub fn syncs_done(&self) -> u64 {
        self.planned.synced.load(std::sync::atomic::Ordering::Acquire)
    }
}

#[cfg_attr(
    not(feature = "faults"),
    expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "empty without the feature")
)]
impl Faults {
    fn on_sync(&self) -> io::Result<()> {
        #[cfg(feature = "faults")]
        {
            use std::sync::atomic::Ordering;
            let delay = self.planned.sync_delay_us.load(Ordering::Acquire);
            if delay > 0 {
                std::thread::sleep(std::time::Duration::from_micros(delay));
            }
            if planned::take(&self.planned.syncs) {
                return Err(rustix::io::Errno::IO.into());
            }
            self.planned.synced.fetch_add(1, Ordering::AcqRel);
        }
        Ok(())
    }

    /// How many of `length` bytes are written before the failure; `None` for no failure.
    fn on_write(&self, length: usize) -> Option<usize> {
        #[cfg(feature = "faults")]
        if planned::take(&self.planned.writes) {
            return Some(length / 2);
        }
        let _ = length;
        None
    }

    fn on_allocate(&self) -> io::Result<()> {
        #[cfg(feature = "faults")]
        if self.planned.allocations.load(std::sync::atomic::Ordering::Acquire) {
            return Err(rustix::io::Errno::NOSPC.into());
        }
        Ok(())
    }
}

/// Writes all of `bytes` at `offset`.
pub(crate) fn write_at(faults: &Faults, file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    if let Some(written) = faults.on_write(bytes.len()) {
        file.write_all_at(&bytes[..written], offset)?;
        return Err(rustix::io::Errno::IO.into());
    }
    file.write_all_at(bytes, offset)
}

/// Waits until what was written to the file is on the disk.
pub(crate) fn sync(faults: &Faults, file: &File) -> io::Result<()> {
    faults.on_sync()?;
    fdatasync(file).map_err(io::Error::from)
}

/// Makes sure of `length` bytes of disk from `offset`, growing the file to hold them.
pub(crate) fn allocate(faults: &Faults, file: &File, offset: u64, length: u64) -> io::Result<()> {
    faults.on_allocate()?;
    fallocate(file, FallocateFlags::empty(), offset, length).map_err(io::Error::from)
}

/// Makes sure of `length` bytes of disk from `offset`, leaving the file's length as it is.
pub(crate) fn allocate_beyond(faults: &Faults, file: &File, offset: u64, length: u64) -> io::Result<()> {
    faults.on_allocate()?;
    fallocate(file, FallocateFlags::KEEP_SIZE, offset, length).map_err(io::Error::from)
}

/// Whether the system says that there is no space.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(
        rustix::io::Errno::from_io_error(error),
        Some(rustix::io::Errno::NOSPC | rustix::io::Errno::DQUOT)
    )
}

/// Makes a new or renamed file's place in its folder durable.
pub(crate) fn sync_folder(path: &Path) -> Result<(), FileError> {
    File::open(path).and_then(|folder| folder.sync_all()).at("sync the folder", path)
}
