//! The bytes of the write-ahead log.
//!
//! A segment starts with a header of 64 bytes and holds batches; what is not written yet is zero. A batch is a header
//! of 32 bytes, its entries as C2SP tlog-tiles bundles them (a big-endian 16-bit length before each), and the places of
//! the payloads that were stored with it. All other numbers are little-endian.
//!
//! A batch is written only after the one before it was synced. So a sound batch proves that everything before it was
//! durable, and damage before it cannot be the trace of a crash. No entry can hold what looks like a header: the magic
//! has bytes that JSON escapes.

use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};

use crc32c::{crc32c, crc32c_append};

/// The length of a segment's header, in bytes.
pub(crate) const SEGMENT_HEADER: usize = 64;
/// The length of a batch's header, in bytes.
pub(crate) const BATCH_HEADER: usize = 32;
/// What frames one entry, in bytes.
pub(crate) const ENTRY_PREFIX: usize = 2;
/// No batch is longer than this: its entries and the places of its payloads, in bytes.
pub(crate) const BODY_BYTES_MAX: usize = 32 << 20;

const SEGMENT_MAGIC: &[u8; 8] = b"\x01RFWAL\r\n";
const BATCH_MAGIC: &[u8; 4] = b"\x02RF\x03";
const VERSION: u32 = 1;
/// To go back over a header, or forward.
const HEADER_STEP: i64 = 32;
const BUFFER: usize = 256 << 10;

/// What stands at the start of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    /// Segments are numbered from 1, without gaps.
    pub(crate) number: u64,
    /// The id of its first entry.
    pub(crate) first_id: u64,
}

/// What stands before a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BatchHeader {
    /// The id of its first entry.
    pub(crate) first_id: u64,
    /// How many entries it has; at least one.
    pub(crate) count: u32,
    /// The length of the entries, in bytes.
    pub(crate) entries_length: u32,
    /// The length of what follows them, in bytes.
    pub(crate) marks_length: u32,
    /// CRC-32C of all that.
    pub(crate) crc: u32,
}

/// What a place in a segment holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Slot {
    /// A header, sound in itself.
    Batch(BatchHeader),
    /// Nothing was written here, or the segment ends.
    Empty,
    /// Something that is no header.
    Garbage,
}

fn number<const N: usize>(bytes: &[u8], from: usize) -> [u8; N] {
    let mut value = [0; N];
    if let Some(found) = bytes.get(from..from + N) {
        value.copy_from_slice(found);
    }
    value
}

// === impl SegmentHeader ===

impl SegmentHeader {
    pub(crate) fn encode(self) -> [u8; SEGMENT_HEADER] {
        let mut bytes = [0; SEGMENT_HEADER];
        bytes[..8].copy_from_slice(SEGMENT_MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.number.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.first_id.to_le_bytes());
        let crc = crc32c(&bytes[..60]);
        bytes[60..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// `None` when the bytes are not a header.
    pub(crate) fn decode(bytes: &[u8; SEGMENT_HEADER]) -> Option<Self> {
        let sound = &bytes[..8] == SEGMENT_MAGIC
            && bytes[8..12] == VERSION.to_le_bytes()
            && bytes[60..] == crc32c(&bytes[..60]).to_le_bytes();
        sound.then(|| Self {
            number: u64::from_le_bytes(number(bytes, 16)),
            first_id: u64::from_le_bytes(number(bytes, 24)),
        })
    }
}

// === impl BatchHeader ===

impl BatchHeader {
    /// The header of a batch with this body.
    pub(crate) fn of(first_id: u64, count: u32, entries: &[u8], marks: &[u8]) -> Self {
        Self {
            first_id,
            count,
            // Bodies are bounded far below 4 GiB.
            entries_length: u32::try_from(entries.len()).unwrap_or(u32::MAX),
            marks_length: u32::try_from(marks.len()).unwrap_or(u32::MAX),
            crc: crc32c_append(crc32c(entries), marks),
        }
    }

    pub(crate) fn encode(self) -> [u8; BATCH_HEADER] {
        let mut bytes = [0; BATCH_HEADER];
        bytes[..4].copy_from_slice(BATCH_MAGIC);
        bytes[4..8].copy_from_slice(&self.entries_length.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.first_id.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.count.to_le_bytes());
        bytes[20..24].copy_from_slice(&self.marks_length.to_le_bytes());
        bytes[24..28].copy_from_slice(&self.crc.to_le_bytes());
        let crc = crc32c(&bytes[..28]);
        bytes[28..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// `None` when the bytes are not a header.
    pub(crate) fn decode(bytes: &[u8; BATCH_HEADER]) -> Option<Self> {
        if &bytes[..4] != BATCH_MAGIC || bytes[28..] != crc32c(&bytes[..28]).to_le_bytes() {
            return None;
        }
        let header = Self {
            first_id: u64::from_le_bytes(number(bytes, 8)),
            count: u32::from_le_bytes(number(bytes, 16)),
            entries_length: u32::from_le_bytes(number(bytes, 4)),
            marks_length: u32::from_le_bytes(number(bytes, 20)),
            crc: u32::from_le_bytes(number(bytes, 24)),
        };
        let fits = header.body_length() <= BODY_BYTES_MAX as u64
            && u64::from(header.count) * ENTRY_PREFIX as u64 <= u64::from(header.entries_length);
        (fits && header.count > 0 && header.first_id.checked_add(u64::from(header.count)).is_some())
            .then_some(header)
    }

    /// The length of entries and marks, in bytes.
    pub(crate) fn body_length(&self) -> u64 {
        u64::from(self.entries_length) + u64::from(self.marks_length)
    }

    /// The length of the whole batch, in bytes.
    pub(crate) fn frame_length(&self) -> u64 {
        BATCH_HEADER as u64 + self.body_length()
    }

    /// The id after its last entry.
    pub(crate) fn end_id(&self) -> u64 {
        self.first_id + u64::from(self.count)
    }

    /// Whether this is the body the header was made for.
    pub(crate) fn fits_body(&self, body: &[u8]) -> bool {
        let entries_length = self.entries_length as usize;
        body.len() as u64 == self.body_length()
            && crc32c(body) == self.crc
            && entries(&body[..entries_length]).try_fold(0_u32, |count, entry| entry.map(|_| count + 1))
                == Some(self.count)
    }
}

/// The entries of a bundle in order; `None`, and then no more, where the bytes are not a bundle.
pub(crate) fn entries(bundle: &[u8]) -> impl Iterator<Item = Option<&[u8]>> {
    let mut rest = bundle;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let taken = split_entry(rest);
        rest = taken.map_or(&[], |(_, after)| after);
        Some(taken.map(|(entry, _)| entry))
    })
}

/// The first entry of a bundle, and what follows it.
pub(crate) fn split_entry(bundle: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bundle.split_first_chunk::<ENTRY_PREFIX>()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))
}

/// Reads the batches of one segment, wherever its bytes are.
pub(crate) struct Frames<R> {
    reader: BufReader<R>,
    offset: u64,
    length: u64,
}

// === impl Frames ===

impl<R: Read + Seek> Frames<R> {
    /// Starts at `offset` of a segment of `length` bytes.
    pub(crate) fn new(mut source: R, offset: u64, length: u64) -> io::Result<Self> {
        source.seek(SeekFrom::Start(offset))?;
        Ok(Self { reader: BufReader::with_capacity(BUFFER, source), offset, length })
    }

    /// Where the next batch would stand, in bytes from the start of the segment.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// Looks at what stands here, without going on.
    pub(crate) fn slot(&mut self) -> io::Result<Slot> {
        let mut bytes = [0; BATCH_HEADER];
        if self.length.saturating_sub(self.offset) < BATCH_HEADER as u64 {
            return self.rest_of_segment();
        }
        self.reader.read_exact(&mut bytes)?;
        self.reader.seek_relative(-HEADER_STEP)?;
        if bytes == [0; BATCH_HEADER] {
            return Ok(Slot::Empty);
        }
        let fits = |header: &BatchHeader| header.frame_length() <= self.length - self.offset;
        Ok(BatchHeader::decode(&bytes).filter(fits).map_or(Slot::Garbage, Slot::Batch))
    }

    /// Less than a header is left: it must never have been written.
    fn rest_of_segment(&mut self) -> io::Result<Slot> {
        let mut rest = Vec::new();
        let left = self.length.saturating_sub(self.offset);
        self.reader.by_ref().take(left).read_to_end(&mut rest)?;
        self.reader.seek_relative(-i64::try_from(rest.len()).unwrap_or_default())?;
        Ok(if rest.iter().all(|byte| *byte == 0) { Slot::Empty } else { Slot::Garbage })
    }

    /// Reads the body of the batch that stands here and goes on behind it; false, standing still, when the bytes are
    /// not those the header was made for.
    pub(crate) fn body(&mut self, header: &BatchHeader, body: &mut Vec<u8>) -> io::Result<bool> {
        self.reader.seek_relative(HEADER_STEP)?;
        body.clear();
        self.reader.by_ref().take(header.body_length()).read_to_end(body)?;
        if header.fits_body(body) {
            self.offset += header.frame_length();
            return Ok(true);
        }
        let back = HEADER_STEP + i64::try_from(body.len()).unwrap_or_default();
        self.reader.seek_relative(-back)?;
        Ok(false)
    }

    /// Goes on behind the batch that stands here, without looking at its body.
    pub(crate) fn skip(&mut self, header: &BatchHeader) -> io::Result<()> {
        self.reader.seek_relative(i64::try_from(header.frame_length()).unwrap_or_default())?;
        self.offset += header.frame_length();
        Ok(())
    }

    /// Reads on to the end of the segment and returns the offset of the first sound header of a batch with a higher
    /// first id than `than`, and the end of what is not zero.
    pub(crate) fn look_behind(mut self, than: u64) -> io::Result<(Option<u64>, u64)> {
        let mut window: Vec<u8> = Vec::new();
        let mut written_end = self.offset;
        let mut window_at = self.offset;
        loop {
            let left = self.length.saturating_sub(window_at + window.len() as u64);
            let chunk = self.reader.fill_buf()?;
            let chunk = &chunk[..chunk.len().min(usize::try_from(left).unwrap_or(usize::MAX))];
            if chunk.is_empty() {
                return Ok((None, written_end));
            }
            let chunk_length = chunk.len();
            if is_zero(&window) && is_zero(chunk) {
                // Most of a segment was never written.
                window_at += (window.len() + chunk_length) as u64;
                window.clear();
                self.reader.consume(chunk_length);
                continue;
            }
            window.extend_from_slice(chunk);
            self.reader.consume(chunk_length);
            if let Some(last) = window.iter().rposition(|byte| *byte != 0) {
                written_end = written_end.max(window_at + last as u64 + 1);
            }
            if let Some(found) = find_header(&window, than) {
                return Ok((Some(window_at + found as u64), written_end));
            }
            let keep = window.len().min(BATCH_HEADER - 1);
            window_at += (window.len() - keep) as u64;
            window.drain(..window.len() - keep);
        }
    }
}

fn is_zero(bytes: &[u8]) -> bool {
    // By memcmp, which is quick in every build: a start after a crash looks at a whole segment.
    const ZEROS: [u8; 4096] = [0; 4096];
    bytes.chunks(ZEROS.len()).all(|chunk| chunk == &ZEROS[..chunk.len()])
}

fn find_header(window: &[u8], than: u64) -> Option<usize> {
    let candidates = window.windows(BATCH_HEADER).enumerate();
    candidates
        .filter(|(_, bytes)| bytes[0] == BATCH_MAGIC[0])
        .find(|(_, bytes)| {
            BatchHeader::decode(&number(bytes, 0)).is_some_and(|header| header.first_id > than)
        })
        .map(|(index, _)| index)
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use proptest::prelude::*;

    use super::*;

    fn bundle(entries: &[Vec<u8>]) -> Vec<u8> {
        let prefixed = |entry: &Vec<u8>| {
            let length = u16::try_from(entry.len()).unwrap().to_be_bytes();
            [length.as_slice(), entry].concat()
        };
        entries.iter().flat_map(prefixed).collect()
    }

    proptest! {
        #[test]
        fn a_batch_reads_back_and_no_other_byte_passes(
            list in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 1..6),
            marks in prop::collection::vec(any::<u8>(), 0..20),
            flip in any::<prop::sample::Index>(),
            bit in 0_u8..8,
        ) {
            let body = bundle(&list);
            let header = BatchHeader::of(7, u32::try_from(list.len()).unwrap(), &body, &marks);
            let mut bytes = [header.encode().as_slice(), &body, &marks].concat();
            let read = |bytes: &[u8]| {
                let mut frames = Frames::new(Cursor::new(bytes), 0, bytes.len() as u64).unwrap();
                let mut body = Vec::new();
                match frames.slot().unwrap() {
                    Slot::Batch(header) => frames.body(&header, &mut body).unwrap().then_some((header, body)),
                    _ => None,
                }
            };
            let expected = [body.as_slice(), &marks].concat();
            prop_assert_eq!(read(&bytes), Some((header, expected)));
            let at = flip.index(bytes.len());
            bytes[at] ^= 1 << bit;
            prop_assert_eq!(read(&bytes), None);
        }

        #[test]
        fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), offset in 0_u64..400) {
            let mut frames = Frames::new(Cursor::new(&bytes), offset, bytes.len() as u64).unwrap();
            let _ = frames.slot();
            let _ = entries(&bytes).count();
            let _ = frames.look_behind(0);
        }
    }

    #[test]
    fn a_later_batch_is_found_behind_damage() {
        let body = bundle(&[b"x".to_vec()]);
        let batch = |id| [BatchHeader::of(id, 1, &body, b"").encode().as_slice(), &body].concat();
        let mut segment = [batch(3), batch(4)].concat();
        segment.resize(1 << 20, 0);
        let length = segment.len() as u64;
        segment[5] ^= 1;
        let frames = Frames::new(Cursor::new(&segment), 0, length).unwrap();
        let second = batch(3).len() as u64;
        assert_eq!(frames.look_behind(3).unwrap(), (Some(second), second * 2));
        let frames = Frames::new(Cursor::new(&segment), 0, length).unwrap();
        assert_eq!(frames.look_behind(4).unwrap(), (None, second * 2));
    }
}
