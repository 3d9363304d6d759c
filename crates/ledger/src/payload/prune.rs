//! Removing payloads that were kept long enough.
//!
//! Whole segments go, oldest first; the log itself, and so every proof, stays as it is. A marker says up to which entry
//! payloads are gone, so that a pruned payload is told from a missing one.

use std::fs;
use std::io;
use std::path::Path;
use std::time::UNIX_EPOCH;

use ringfence_types::Timestamp;

use super::read::ClassIndex;
use super::stored::Segment;
use super::{PayloadClass, segments_of};
use crate::durable_file::replace;
use crate::error::{At, Damage, FileError, ReadError};

const MARKER: &str = "pruned";

/// What was pruned; worth an entry in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pruned {
    /// How many segments were removed.
    pub segments: u64,
    /// How many bytes they had.
    pub bytes: u64,
    /// The payloads of this class that belong to entries before this one are gone.
    pub before_entry: u64,
}

/// Removes the segments of a class in which everything was written before `before`. The one being written to stays.
///
/// `active_from` is an entry that no payload outside the segment being written to belongs to; `is_open` says that there
/// is such a segment.
pub(crate) fn prune(
    payloads: &Path,
    class: &PayloadClass,
    before: Timestamp,
    active_from: u64,
    is_open: bool,
) -> Result<Pruned, ReadError> {
    let index = ClassIndex::read(payloads, class.as_str())?;
    let active = if is_open { segments_of(index.folder())?.last().copied() } else { None };
    let mut old = Vec::new();
    for (position, segment) in index.segments.iter().enumerate() {
        let next = index.segments.get(position + 1);
        if Some(segment.number) == active || end_of(*segment, next, index.folder())? >= before {
            break;
        }
        old.push(*segment);
    }
    let kept = index.segments.get(old.len());
    let before_entry = match (old.last(), kept) {
        (None, _) => index.pruned_before,
        (Some(_), Some(kept)) => kept.first_entry,
        (Some(_), None) => active_from,
    };
    let mut pruned = Pruned { segments: 0, bytes: 0, before_entry };
    if !old.is_empty() {
        // First the marker: a crash between must not make what is left to remove look like damage.
        replace(&index.folder().join(MARKER), before_entry.to_string().as_bytes(), true)?;
    }
    for segment in old {
        let path = Segment::path(segment.number, index.folder());
        pruned.bytes += fs::metadata(&path).at("inspect", &path)?.len();
        pruned.segments += 1;
        fs::remove_file(&path).at("remove", &path)?;
    }
    Ok(pruned)
}

/// Whether the last segment of a class was begun before `before`.
pub(crate) fn is_begun_before(
    payloads: &Path,
    class: &PayloadClass,
    before: Timestamp,
) -> Result<bool, ReadError> {
    let index = ClassIndex::read(payloads, class.as_str())?;
    Ok(index.segments.last().is_some_and(|segment| segment.begun < before))
}

/// By when everything in a segment was written: when the next one was begun, else when the file was last written to.
fn end_of(segment: Segment, next: Option<&Segment>, folder: &Path) -> Result<Timestamp, FileError> {
    if let Some(next) = next {
        return Ok(next.begun);
    }
    let path = Segment::path(segment.number, folder);
    let modified = fs::metadata(&path).and_then(|meta| meta.modified()).at("inspect", &path)?;
    let micros = modified.duration_since(UNIX_EPOCH).unwrap_or_default().as_micros();
    Ok(Timestamp::from_micros(u64::try_from(micros).unwrap_or(u64::MAX)))
}

/// The payloads of entries before this one are gone.
pub(crate) fn pruned_before(folder: &Path) -> Result<u64, ReadError> {
    let path = folder.join(MARKER);
    let text = match fs::read_to_string(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        text => text.at("read", &path)?,
    };
    text.parse().map_err(|_| {
        let what = "not the number of an entry".to_owned();
        Damage { file: path, offset: 0, entry: 0, what }.into()
    })
}
