//! Finding payloads again.

use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use ringfence_types::Digest;

use super::prune::pruned_before;
use super::stored::{RECORD_HEADER, SEGMENT_HEADER, Segment, content_of, decode_record};
use super::{PayloadClass, segments_of};
use crate::error::{At, Damage, FileError, ReadError};

/// What became of a payload.
#[derive(Clone, PartialEq, Eq)]
pub enum Payload {
    /// Its content.
    Content(Vec<u8>),
    /// It was kept as long as it had to be, and removed.
    Pruned,
}

impl std::fmt::Debug for Payload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Content(bytes) => write!(f, "Content({} bytes)", bytes.len()),
            Self::Pruned => f.write_str("Pruned"),
        }
    }
}

/// A class's segments that have been begun, ascending.
#[derive(Debug, Clone, Default)]
pub(crate) struct ClassIndex {
    pub(crate) segments: Vec<Segment>,
    /// The payloads of entries before this one are pruned.
    pub(crate) pruned_before: u64,
    folder: PathBuf,
}

/// The records of one segment in order.
pub(crate) struct Records {
    reader: BufReader<File>,
    pub(crate) path: PathBuf,
    pub(crate) offset: u64,
}

/// A payload as it is stored.
pub(crate) struct Record {
    pub(crate) name: Digest,
    pub(crate) stored: Vec<u8>,
    pub(crate) offset: u64,
}

// === impl ClassIndex ===

impl ClassIndex {
    /// Reads the headers of a class's segments.
    pub(crate) fn read(payloads: &Path, class: &str) -> Result<Self, ReadError> {
        let folder = payloads.join(class);
        let mut segments = Vec::new();
        for number in segments_of(&folder)? {
            segments.extend(header_of(&folder, number)?);
        }
        Ok(Self { segments, pruned_before: pruned_before(&folder)?, folder })
    }

    /// The segment that holds the payloads of an entry: the last that was begun at or before it.
    pub(crate) fn segment_for(&self, entry: u64) -> Option<Segment> {
        self.segments.iter().rfind(|segment| segment.first_entry <= entry).copied()
    }

    pub(crate) fn records(&self, segment: Segment) -> Result<Records, FileError> {
        Records::open(Segment::path(segment.number, &self.folder))
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }
}

/// The header of a segment; `None` when it was never begun, or has been pruned just now.
fn header_of(folder: &Path, number: u64) -> Result<Option<Segment>, ReadError> {
    let path = Segment::path(number, folder);
    let mut file = match File::open(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file.at("open", &path)?,
    };
    let mut bytes = [0; SEGMENT_HEADER];
    match file.read_exact(&mut bytes) {
        // Begun and never finished: nothing in it was acknowledged.
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        read => read.at("read", &path)?,
    }
    let segment = Segment::decode(&bytes).filter(|segment| segment.number == number);
    segment.map(Some).ok_or_else(|| {
        let what = "not the header of a payload segment".to_owned();
        Damage { file: path, offset: 0, entry: 0, what }.into()
    })
}

// === impl Records ===

impl Records {
    fn open(path: PathBuf) -> Result<Self, FileError> {
        let mut file = File::open(&path).at("open", &path)?;
        let offset = SEGMENT_HEADER as u64;
        io::Seek::seek(&mut file, io::SeekFrom::Start(offset)).at("read", &path)?;
        Ok(Self { reader: BufReader::with_capacity(128 << 10, file), path, offset })
    }

    /// Goes on to the record of that name; `None` when it does not come before the end, or before something that is no
    /// record.
    pub(crate) fn find(&mut self, wanted: &Digest) -> io::Result<Option<Record>> {
        loop {
            let mut header = [0; RECORD_HEADER];
            if !fill(&mut self.reader, &mut header)? {
                return Ok(None);
            }
            let Some((length, name)) = decode_record(&header) else { return Ok(None) };
            let offset = self.offset;
            self.offset += (RECORD_HEADER + length) as u64;
            if name != *wanted {
                self.reader.seek_relative(i64::try_from(length).unwrap_or_default())?;
                continue;
            }
            let mut stored = vec![0; length];
            return Ok(fill(&mut self.reader, &mut stored)?.then_some(Record { name, stored, offset }));
        }
    }
}

/// Reads exactly that much; false at the end.
fn fill(reader: &mut impl Read, bytes: &mut [u8]) -> io::Result<bool> {
    match reader.read_exact(bytes) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        read => read.map(|()| true),
    }
}

/// The payload of that class and name that was stored with an entry.
pub(crate) fn payload_of(
    payloads: &Path,
    class: &PayloadClass,
    entry: u64,
    name: &Digest,
) -> Result<Payload, ReadError> {
    let index = ClassIndex::read(payloads, class.as_str())?;
    if entry < index.pruned_before {
        return Ok(Payload::Pruned);
    }
    let missing = |file: PathBuf, offset, what: &str| Damage { file, offset, entry, what: what.to_owned() };
    let Some(segment) = index.segment_for(entry) else {
        return Err(missing(index.folder, 0, "the segment of the entry's payload is gone").into());
    };
    let mut records = index.records(segment)?;
    let found = records.find(name).at("read", &records.path)?;
    let Some(record) = found else {
        return Err(missing(records.path, records.offset, "the entry's payload is not in its segment").into());
    };
    match content_of(&record.stored).filter(|_| Digest::of(&record.stored) == record.name) {
        Some(content) => Ok(Payload::Content(content.to_vec())),
        None => Err(missing(records.path, record.offset, "the payload does not have its name").into()),
    }
}

/// The names of the classes there are.
pub(crate) fn classes_of(payloads: &Path) -> io::Result<Vec<PayloadClass>> {
    let listing = match fs::read_dir(payloads) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        listing => listing?,
    };
    let mut classes = Vec::new();
    for item in listing {
        classes.extend(item?.file_name().to_str().and_then(|name| PayloadClass::new(name).ok()));
    }
    classes.sort();
    Ok(classes)
}
