//! How a payload looks on disk.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crc32c::crc32c;
use ringfence_types::{Digest, Timestamp};

use super::Book;
use crate::error::{At, FileError, SealError};
use crate::limits::{PAYLOAD_BYTES_MAX, PAYLOAD_CLASS_BYTES_MAX};

/// The length of a payload's own header, in bytes: version, algorithm, two of zero, length, nonce.
pub(crate) const STORED_HEADER: usize = 24;
/// The length of what frames a stored payload in its segment, in bytes: magic, length, name.
pub(crate) const RECORD_HEADER: usize = 40;
/// The length of a payload segment's header, in bytes.
pub(crate) const SEGMENT_HEADER: usize = 64;

const RECORD_MAGIC: &[u8; 4] = b"\x02RP\x03";
const SEGMENT_MAGIC: &[u8; 8] = b"\x01RFPAY\r\n";
const VERSION: u8 = 1;
/// In the clear. Ciphers get numbers of their own.
const ALGORITHM_CLEAR: u8 = 0;

/// What is kept equally long: a name of lowercase letters, digits, `-`, `_` and `.`, starting with a letter or digit.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PayloadClass(Arc<str>);

/// The text cannot name a payload class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a payload class is named by up to {PAYLOAD_CLASS_BYTES_MAX} letters, digits, `-`, `_`, `@` and `.`, \
     starting with a letter or digit"
)]
pub struct PayloadClassError;

/// A payload that has its name and its room, ready to go with an entry. Dropped unused, it gives the room back.
pub struct SealedPayload {
    class: PayloadClass,
    name: Digest,
    size: u32,
    record: Vec<u8>,
    room: Option<Charge>,
}

/// Room taken from the book of one incarnation.
struct Charge {
    book: Arc<Book>,
    incarnation: u64,
}

/// The header of a payload segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Segment {
    /// Segments of a class are numbered upwards; pruning and failures leave gaps.
    pub(crate) number: u64,
    /// No payload in it belongs to an entry before this one.
    pub(crate) first_entry: u64,
    /// When it was begun.
    pub(crate) begun: Timestamp,
}

// === impl PayloadClass ===

impl PayloadClass {
    /// Takes a text as a class.
    ///
    /// # Errors
    /// When it is empty, too long or has characters a class cannot have.
    pub fn new(text: &str) -> Result<Self, PayloadClassError> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.@".contains(&byte);
        let sound = text.len() <= PAYLOAD_CLASS_BYTES_MAX
            && text.starts_with(|first: char| first.is_ascii_alphanumeric())
            && text.bytes().all(allowed);
        if sound { Ok(Self(text.into())) } else { Err(PayloadClassError) }
    }

    /// The class as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PayloadClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl fmt::Display for PayloadClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

// === impl SealedPayload ===

impl SealedPayload {
    /// Everything but the room.
    pub(crate) fn new(class: &PayloadClass, content: &[u8]) -> Result<Self, SealError> {
        if content.len() > PAYLOAD_BYTES_MAX {
            return Err(SealError::TooLarge { bytes: content.len() });
        }
        let mut nonce = [0; 16];
        aws_lc_rs::rand::fill(&mut nonce).map_err(|_| SealError::System("no random bytes".to_owned()))?;
        let size = u32::try_from(content.len()).unwrap_or(u32::MAX);
        let mut record = vec![0; RECORD_HEADER + STORED_HEADER + content.len()];
        let stored = &mut record[RECORD_HEADER..];
        stored[0] = VERSION;
        stored[1] = ALGORITHM_CLEAR;
        stored[4..8].copy_from_slice(&size.to_le_bytes());
        stored[8..24].copy_from_slice(&nonce);
        stored[STORED_HEADER..].copy_from_slice(content);
        let name = Digest::of(stored);
        let stored_length = size.saturating_add(u32::try_from(STORED_HEADER).unwrap_or_default());
        record[..4].copy_from_slice(RECORD_MAGIC);
        record[4..8].copy_from_slice(&stored_length.to_le_bytes());
        record[8..40].copy_from_slice(name.as_bytes());
        Ok(Self { class: class.clone(), name, size, record, room: None })
    }

    pub(crate) fn with_room(mut self, book: Arc<Book>, incarnation: u64) -> Self {
        self.room = Some(Charge { book, incarnation });
        self
    }

    /// The class it is kept in.
    pub fn class(&self) -> &PayloadClass {
        &self.class
    }

    /// The SHA-256 of what is stored.
    pub fn name(&self) -> Digest {
        self.name
    }

    /// The length of the content, in bytes.
    pub fn size(&self) -> u32 {
        self.size
    }

    pub(crate) fn record_length(&self) -> u64 {
        self.record.len() as u64
    }

    pub(crate) fn incarnation(&self) -> Option<u64> {
        self.room.as_ref().map(|charge| charge.incarnation)
    }

    /// Takes the bytes to be written; the room is used up.
    pub(crate) fn into_record(mut self) -> (PayloadClass, Vec<u8>) {
        self.room = None;
        (self.class.clone(), std::mem::take(&mut self.record))
    }
}

impl Drop for SealedPayload {
    fn drop(&mut self) {
        if let Some(charge) = self.room.take() {
            charge.book.give_back(&self.class, self.record_length(), charge.incarnation);
        }
    }
}

impl fmt::Debug for SealedPayload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealedPayload({}, {} bytes)", self.class, self.size)
    }
}

/// The length of the stored payload and its name, from the header of a record; `None` when it is none.
pub(crate) fn decode_record(header: &[u8; RECORD_HEADER]) -> Option<(usize, Digest)> {
    let length = u32::from_le_bytes([header[4], header[5], header[6], header[7]]) as usize;
    let mut name = [0; 32];
    name.copy_from_slice(&header[8..]);
    let sound =
        &header[..4] == RECORD_MAGIC && (STORED_HEADER..=STORED_HEADER + PAYLOAD_BYTES_MAX).contains(&length);
    sound.then(|| (length, Digest::from_bytes(name)))
}

/// The content of a stored payload; `None` when its header is not one this version reads.
pub(crate) fn content_of(stored: &[u8]) -> Option<&[u8]> {
    let (header, content) = stored.split_at_checked(STORED_HEADER)?;
    let length = u32::from_le_bytes([header[4], header[5], header[6], header[7]]) as usize;
    let sound = header[0] == VERSION && header[1] == ALGORITHM_CLEAR && header[2..4] == [0, 0];
    (sound && length == content.len()).then_some(content)
}

// === impl Segment ===

impl Segment {
    pub(crate) fn encode(self) -> [u8; SEGMENT_HEADER] {
        let mut bytes = [0; SEGMENT_HEADER];
        bytes[..8].copy_from_slice(SEGMENT_MAGIC);
        bytes[8] = VERSION;
        bytes[16..24].copy_from_slice(&self.number.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.first_entry.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.begun.as_micros().to_le_bytes());
        let crc = crc32c(&bytes[..60]);
        bytes[60..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    pub(crate) fn decode(bytes: &[u8; SEGMENT_HEADER]) -> Option<Self> {
        let number = |from: usize| {
            let mut value = [0; 8];
            value.copy_from_slice(&bytes[from..from + 8]);
            u64::from_le_bytes(value)
        };
        let sound = &bytes[..8] == SEGMENT_MAGIC
            && bytes[8] == VERSION
            && bytes[60..] == crc32c(&bytes[..60]).to_le_bytes();
        sound.then(|| Self {
            number: number(16),
            first_entry: number(24),
            begun: Timestamp::from_micros(number(32)),
        })
    }

    pub(crate) fn path(number: u64, class_folder: &Path) -> PathBuf {
        class_folder.join(format!("{number:010}.seg"))
    }
}

/// The numbers of the segments in a class's folder, ascending; none when there is no folder.
pub(crate) fn segments_of(class_folder: &Path) -> Result<Vec<u64>, FileError> {
    crate::wal::numbered_files(class_folder, "seg").at("list", class_folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_payloads_have_different_names() {
        let class = PayloadClass::new("180d").unwrap();
        let [one, two] = [(); 2].map(|()| SealedPayload::new(&class, b"same").unwrap());
        assert_ne!(one.name(), two.name());
        let (_, record) = one.into_record();
        let (length, name) = decode_record(record[..RECORD_HEADER].try_into().unwrap()).unwrap();
        assert_eq!(length, record.len() - RECORD_HEADER);
        assert_eq!(name, Digest::of(&record[RECORD_HEADER..]));
        assert_eq!(content_of(&record[RECORD_HEADER..]), Some(b"same".as_slice()));
    }

    #[test]
    fn a_class_cannot_leave_its_folder() {
        for bad in ["", ".", "..", "../x", "a/b", "-a", ".a", "a b"] {
            assert_eq!(PayloadClass::new(bad), Err(PayloadClassError), "{bad:?}");
        }
        assert!(PayloadClass::new("team.a_b-c@d").is_ok());
    }
}
