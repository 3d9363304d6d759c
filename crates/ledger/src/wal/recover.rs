//! Finding the end of the log after a crash.

use std::path::Path;

use ringfence_types::Timestamp;

use super::scan::{End, Step, WalScan};
use super::segment::{Position, Start, WalSegment, data_end, segment_path, start_of};
use crate::check::check_entry;
use crate::disk::{Faults, sync, write_at};
use crate::error::{At, Damage, FileError, ReadError};
use crate::frame::{BATCH_HEADER, BatchHeader, SEGMENT_HEADER, entries};
use crate::payload::{decode_marks, mark_holds};

/// What was found.
#[derive(Debug)]
pub(crate) struct Recovered {
    /// Behind the last batch that counts.
    pub(crate) end: Position,
    /// When the last entry was written, if one was read.
    pub(crate) last_at: Option<Timestamp>,
    /// How many bytes of a batch that was never acknowledged stand behind it.
    pub(crate) torn_bytes: u64,
}

/// Walks from `from` to the end. The last batch counts only if its payloads are there: it was not acknowledged before
/// they were.
///
/// # Errors
/// When something that was once durable is damaged or gone.
pub(crate) fn recover(wal: &Path, payloads: &Path, from: Position) -> Result<Recovered, ReadError> {
    if matches!(start_of(wal, from.segment)?, Start::Spare | Start::Absent | Start::Garbage)
        && from == Position::START
    {
        return fresh(wal);
    }
    let mut scan = WalScan::at(wal, from)?;
    let mut body = Vec::new();
    let mut last: Option<(Position, BatchHeader)> = None;
    let mut last_at = None;
    let mut before_last_at = None;
    let end = loop {
        let position = scan.position();
        let header = match scan.step()? {
            Step::Batch(header) => header,
            Step::End(end) => break end,
        };
        // The step may have entered the next segment.
        let position = if scan.position().segment == position.segment { position } else { scan.position() };
        if scan.body(&header, &mut body)?.is_none() {
            let torn_bytes = header.frame_length();
            break End { position, torn_bytes };
        }
        before_last_at = last_at;
        last_at = last_entry_at(&header, &body).or(last_at);
        last = Some((position, header));
    };
    if let Some((position, header)) = last
        && !payloads_hold(&header, &body_of(wal, position, &header)?, payloads)
    {
        let torn_bytes = header.frame_length() + end.torn_bytes;
        return Ok(Recovered { end: position, last_at: before_last_at, torn_bytes });
    }
    Ok(Recovered { end: end.position, last_at, torn_bytes: end.torn_bytes })
}

/// A log whose first segment was never begun.
fn fresh(wal: &Path) -> Result<Recovered, ReadError> {
    let numbers = super::numbered_files(wal, "wal").at("list", wal)?;
    for number in numbers.into_iter().filter(|number| *number > 1) {
        if matches!(start_of(wal, number)?, Start::Begins(_)) {
            let what = format!("the first segment is gone, but segment {number} is there");
            return Err(Damage { file: segment_path(wal, 1), offset: 0, entry: 0, what }.into());
        }
    }
    let path = segment_path(wal, 1);
    let mut torn_bytes = 0;
    if path.exists() {
        let file = std::fs::File::open(&path).at("open", &path)?;
        let length = file.metadata().at("inspect", &path)?.len();
        let frames = crate::frame::Frames::new(file, 0, length).at("read", &path)?;
        let (later, written_end) = frames.look_behind(0).at("read", &path)?;
        if let Some(offset) = later {
            let what = format!("the start of the segment is damaged, but a batch follows at byte {offset}");
            return Err(Damage { file: path, offset: 0, entry: 0, what }.into());
        }
        torn_bytes = written_end;
    }
    Ok(Recovered { end: Position::START, last_at: None, torn_bytes })
}

fn body_of(wal: &Path, position: Position, header: &BatchHeader) -> Result<Vec<u8>, ReadError> {
    let mut body = Vec::new();
    WalScan::at(wal, position)?.body(header, &mut body)?;
    Ok(body)
}

fn payloads_hold(header: &BatchHeader, body: &[u8], payloads: &Path) -> bool {
    let marks = body.get(header.entries_length as usize..).and_then(decode_marks);
    marks.is_some_and(|marks| marks.iter().all(|mark| mark_holds(mark, payloads)))
}

fn last_entry_at(header: &BatchHeader, body: &[u8]) -> Option<Timestamp> {
    let bundle = body.get(..header.entries_length as usize)?;
    let last = entries(bundle).last()??;
    check_entry(last).ok()?.at.parse().ok()
}

/// Zeroes everything behind `tail`, so that nothing of a batch that was never acknowledged can come back to life.
/// The space stays allocated.
pub(crate) fn clear_tail(segment: &WalSegment, tail: u64, faults: &Faults) -> Result<(), FileError> {
    let zeros = vec![0; 1 << 20];
    let from = if tail <= SEGMENT_HEADER as u64 { 0 } else { tail };
    let file = segment.file.try_clone().at("open", &segment.path)?;
    let written = data_end(&file, from, segment.length);
    let frames = crate::frame::Frames::new(file, from, written).at("read", &segment.path)?;
    let (_, written_end) = frames.look_behind(u64::MAX).at("read", &segment.path)?;
    // A header's worth more, so that no piece of one is left.
    let end = (written_end + BATCH_HEADER as u64).min(segment.length);
    let mut at = from;
    while at < end {
        let length = usize::try_from(end - at).unwrap_or(usize::MAX).min(zeros.len());
        write_at(faults, &segment.file, &zeros[..length], at).at("clear the tail of", &segment.path)?;
        at += length as u64;
    }
    sync(faults, &segment.file).at("sync", &segment.path)
}
