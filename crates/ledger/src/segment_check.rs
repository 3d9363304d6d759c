//! Reading the bytes of one segment of the write-ahead log, wherever they come from.

use std::io::Cursor;

use crate::check::{EntryError, check_entry};
use crate::frame::{Frames, SEGMENT_HEADER, SegmentHeader, Slot, entries};

/// What a segment holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentSummary {
    /// Its number.
    pub number: u64,
    /// The id of its first entry.
    pub first_id: u64,
    /// How many entries stand in sound batches.
    pub entries: u64,
    /// Where the last sound batch ends, in bytes from the start.
    pub end: usize,
    /// Whether anything but zeros follows it.
    pub torn: bool,
}

/// The bytes are not a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SegmentError {
    /// It does not start with a segment's header.
    #[error("not a segment of the log")]
    NotASegment,
    /// An entry in a sound batch is not one.
    #[error("entry {id} is not an entry: {error}")]
    Entry {
        /// Which.
        id: u64,
        /// What is wrong with it.
        error: EntryError,
    },
}

/// Checks the bytes of one segment and every entry in it. Never panics, whatever the bytes are; an entry point for
/// fuzzing.
///
/// # Errors
/// When they are not a segment, or hold what is not an entry.
pub fn check_segment(bytes: &[u8]) -> Result<SegmentSummary, SegmentError> {
    let header = bytes.first_chunk::<SEGMENT_HEADER>().and_then(SegmentHeader::decode);
    let header = header.ok_or(SegmentError::NotASegment)?;
    let start = SEGMENT_HEADER as u64;
    let frames = Frames::new(Cursor::new(bytes), start, bytes.len() as u64);
    let mut frames = frames.map_err(|_| SegmentError::NotASegment)?;
    let mut body = Vec::new();
    let mut next_id = header.first_id;
    // Reading from memory cannot fail.
    while let Ok(Slot::Batch(batch)) = frames.slot() {
        if batch.first_id != next_id || !frames.body(&batch, &mut body).unwrap_or(false) {
            break;
        }
        let bundle = body.get(..batch.entries_length as usize).unwrap_or(&[]);
        for (id, entry) in (batch.first_id..).zip(entries(bundle)) {
            check_entry(entry.unwrap_or_default()).map_err(|error| SegmentError::Entry { id, error })?;
        }
        next_id = batch.end_id();
    }
    let end = usize::try_from(frames.offset()).unwrap_or(bytes.len());
    let torn = bytes.get(end..).is_some_and(|rest| rest.iter().any(|byte| *byte != 0));
    Ok(SegmentSummary {
        number: header.number,
        first_id: header.first_id,
        entries: next_id - header.first_id,
        end,
        torn,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::frame::BatchHeader;

    /// A segment of `batches` batches of one entry each.
    fn segment(batches: u64) -> Vec<u8> {
        let mut bytes = SegmentHeader { number: 1, first_id: 5 }.encode().to_vec();
        for id in 5..5 + batches {
            let entry = format!(
                "{{\"at\":\"2026-11-21T09:30:00.000000Z\",\"id\":{id},\"kind\":\"run\",\"node\":\"n\",\"v\":1}}"
            );
            let length = u16::try_from(entry.len()).unwrap().to_be_bytes();
            let body = [length.as_slice(), entry.as_bytes()].concat();
            bytes.extend(BatchHeader::of(id, 1, &body, b"").encode());
            bytes.extend(body);
        }
        bytes
    }

    #[test]
    fn a_segment_is_summed_up() {
        let mut bytes = segment(3);
        let end = bytes.len();
        bytes.resize(end + 500, 0);
        let summary = check_segment(&bytes).unwrap();
        assert_eq!((summary.first_id, summary.entries, summary.end, summary.torn), (5, 3, end, false));
        bytes[end + 100] = 1;
        assert!(check_segment(&bytes).unwrap().torn);
    }

    proptest! {
        #[test]
        fn a_damaged_segment_never_panics_and_never_gains_entries(
            batches in 0_u64..5,
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        ) {
            let mut bytes = segment(batches);
            for (at, byte) in changes {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            if let Ok(summary) = check_segment(&bytes) {
                prop_assert!(summary.entries <= batches);
            }
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let headed = [SegmentHeader { number: 1, first_id: u64::MAX - 3 }.encode().as_slice(), &bytes].concat();
            let _ = (check_segment(&bytes), check_segment(&headed));
        }
    }
}
