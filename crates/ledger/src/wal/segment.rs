//! One file of the write-ahead log.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::disk::{Faults, allocate, sync_folder};
use crate::error::{At, FileError};
use crate::frame::{BATCH_HEADER, ENTRY_PREFIX, SEGMENT_HEADER, SegmentHeader};
use crate::limits::ENTRY_BYTES_MAX;

/// A place in the write-ahead log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Position {
    /// The segment's number.
    pub(crate) segment: u64,
    /// In bytes from its start.
    pub(crate) offset: u64,
    /// The id of the entry that stands there, or will.
    pub(crate) entry: u64,
}

/// A segment that is written to, or will be.
#[derive(Debug)]
pub(crate) struct WalSegment {
    pub(crate) number: u64,
    pub(crate) file: File,
    pub(crate) path: PathBuf,
    /// The end of what was written; zero for a spare.
    pub(crate) tail: u64,
    /// Its length, all of it allocated.
    pub(crate) length: u64,
}

/// The path of the segment of that number.
pub(crate) fn segment_path(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{number:010}.wal"))
}

// === impl Position ===

impl Position {
    /// The start of a log.
    pub(crate) const START: Self = Self { segment: 1, offset: SEGMENT_HEADER as u64, entry: 0 };
}

// === impl WalSegment ===

impl WalSegment {
    /// A spare of `length` bytes, allocated and durable. A file left by an attempt that ran out of space is reused.
    pub(crate) fn create(
        folder: &Path,
        number: u64,
        length: u64,
        faults: &Faults,
    ) -> Result<Self, FileError> {
        let path = segment_path(folder, number);
        let options =
            OpenOptions::new().read(true).write(true).create(true).truncate(true).mode(0o600).clone();
        let file = options.open(&path).at("create", &path)?;
        let allocated = allocate(faults, &file, 0, length).and_then(|()| file.sync_all());
        if let Err(source) = allocated {
            // Half a segment must not hold space that others need, nor look like a log that ends here.
            let _ = fs::remove_file(&path);
            return Err(source).at("allocate space for", &path);
        }
        sync_folder(folder)?;
        Ok(Self { number, file, path, tail: 0, length })
    }

    /// An existing segment, written up to `tail`.
    pub(crate) fn open(folder: &Path, number: u64, tail: u64) -> Result<Self, FileError> {
        let path = segment_path(folder, number);
        let file = OpenOptions::new().read(true).write(true).open(&path).at("open", &path)?;
        let length = file.metadata().at("inspect", &path)?.len();
        Ok(Self { number, file, path, tail, length })
    }

    /// What entries and their framing can certainly have of the space that is left, in bytes. The end of a segment that
    /// is too short for the longest entry does not count, because the next entry may be that one.
    pub(crate) fn usable(&self) -> u64 {
        let waste = (ENTRY_BYTES_MAX + ENTRY_PREFIX + BATCH_HEADER) as u64;
        let from = self.tail.max(SEGMENT_HEADER as u64);
        self.length.saturating_sub(from).saturating_sub(waste)
    }
}

/// The end of what was ever written to a file, as far as the file system knows; at most `length`. What is allocated and
/// was never written need not be read to know that it is zero.
pub(crate) fn data_end(file: &File, from: u64, length: u64) -> u64 {
    let mut end = from;
    while end < length {
        let data = match rustix::fs::seek(file, rustix::fs::SeekFrom::Data(end)) {
            Ok(data) => data,
            // Nothing is behind.
            Err(rustix::io::Errno::NXIO) => return end,
            Err(_) => return length,
        };
        match rustix::fs::seek(file, rustix::fs::SeekFrom::Hole(data)) {
            Ok(hole) if hole > end => end = hole,
            _ => return length,
        }
    }
    length
}

/// What the start of a segment says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Start {
    /// Nothing was written to it.
    Spare,
    /// It begins with that entry.
    Begins(u64),
    /// Its header is damaged, or half written.
    Garbage,
    /// There is no such segment.
    Absent,
}

/// Reads the header of the segment of that number.
pub(crate) fn start_of(folder: &Path, number: u64) -> Result<Start, FileError> {
    let path = segment_path(folder, number);
    let file = match File::open(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Start::Absent),
        file => file.at("open", &path)?,
    };
    let length = file.metadata().at("inspect", &path)?.len();
    let mut bytes = [0; SEGMENT_HEADER];
    if length < SEGMENT_HEADER as u64 {
        return Ok(if length == 0 { Start::Spare } else { Start::Garbage });
    }
    file.read_exact_at(&mut bytes, 0).at("read", &path)?;
    if bytes == [0; SEGMENT_HEADER] {
        return Ok(Start::Spare);
    }
    let header = SegmentHeader::decode(&bytes).filter(|header| header.number == number);
    Ok(header.map_or(Start::Garbage, |header| Start::Begins(header.first_id)))
}
