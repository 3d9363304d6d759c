//! The write-ahead log: the truth.
//!
//! `wal/0000000001.wal`, `wal/0000000002.wal`, … Each segment is allocated whole before it is needed, so that a full
//! disk is known before an entry is promised a place. A segment that only holds zeros is a spare.

mod recover;
mod scan;
mod segment;

use std::io;
use std::path::Path;

pub(crate) use recover::{clear_tail, recover};
pub(crate) use scan::{Step, WalScan};
pub(crate) use segment::{Position, Start, WalSegment, segment_path, start_of};

/// The numbers of the files `NUMBER.extension` in a folder, ascending; none when there is no folder.
pub(crate) fn numbered_files(folder: &Path, extension: &str) -> io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    let listing = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(numbers),
        listing => listing?,
    };
    for item in listing {
        let path = item?.path();
        if path.extension().is_some_and(|found| found == extension)
            && let Some(number) = path.file_stem().and_then(|stem| stem.to_str()?.parse().ok())
        {
            numbers.push(number);
        }
    }
    numbers.sort_unstable();
    Ok(numbers)
}
