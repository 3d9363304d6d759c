//! The bytes of a segment, written a second time from its description (`crates/ledger/src/frame.rs`), so that the two check
//! each other.

use crc32c::{crc32c, crc32c_append};

const HEADER: usize = 64;
const BATCH: usize = 32;

/// The header of a segment.
pub fn header(number: u64, first_id: u64) -> Vec<u8> {
    let mut bytes = [b"\x01RFWAL\r\n".as_slice(), &[1, 0, 0, 0, 0, 0, 0, 0]].concat();
    bytes.extend(number.to_le_bytes());
    bytes.extend(first_id.to_le_bytes());
    bytes.resize(HEADER, 0);
    checksum(&mut bytes, HEADER);
    bytes
}

/// A batch of these entries, without payloads.
pub fn batch(first_id: u64, entries: &[&[u8]]) -> Vec<u8> {
    let mut body = Vec::new();
    for entry in entries {
        let length = u16::try_from(entry.len()).expect("an entry is at most 65,535 bytes");
        body.extend(length.to_be_bytes());
        body.extend(*entry);
    }
    let count = u32::try_from(entries.len()).expect("inputs are small");
    let length = u32::try_from(body.len()).expect("inputs are small");
    let mut bytes = b"\x02RF\x03".to_vec();
    bytes.extend(length.to_le_bytes());
    bytes.extend(first_id.to_le_bytes());
    bytes.extend(count.to_le_bytes());
    bytes.extend(0_u32.to_le_bytes());
    bytes.extend(crc32c(&body).to_le_bytes());
    bytes.resize(BATCH, 0);
    checksum(&mut bytes, BATCH);
    bytes.extend(body);
    bytes
}

/// The same bytes with checksums that fit, as far as they can be followed as a segment.
pub fn mend(data: &[u8]) -> Vec<u8> {
    let mut bytes = data.to_vec();
    if bytes.len() < HEADER {
        return bytes;
    }
    checksum(&mut bytes, HEADER);
    let mut at = HEADER;
    while let Some((entries, end)) = extent(&bytes, at) {
        let body = &bytes[at + BATCH..end];
        let crc = crc32c_append(crc32c(&body[..entries]), &body[entries..]);
        bytes[at + 24..at + 28].copy_from_slice(&crc.to_le_bytes());
        checksum(&mut bytes[at..], BATCH);
        at = end;
    }
    bytes
}

/// The entries of a sound segment.
pub fn entries(sound: &[u8]) -> Vec<&[u8]> {
    let mut found = Vec::new();
    let mut at = HEADER;
    while let Some((entries, end)) = extent(sound, at) {
        let mut rest = &sound[at + BATCH..at + BATCH + entries];
        while let [high, low, after @ ..] = rest {
            let (entry, more) = after.split_at(usize::from(u16::from_be_bytes([*high, *low])));
            found.push(entry);
            rest = more;
        }
        at = end;
    }
    found
}

/// The length of a batch's entries and its end, if it lies within the bytes.
fn extent(bytes: &[u8], at: usize) -> Option<(usize, usize)> {
    let head = bytes.get(at..at + BATCH)?;
    let length = |from: usize| Some(u32::from_le_bytes(head.get(from..from + 4)?.try_into().ok()?) as usize);
    let (entries, marks) = (length(4)?, length(20)?);
    let end = at + BATCH + entries + marks;
    (head.starts_with(b"\x02RF\x03") && end <= bytes.len()).then_some((entries, end))
}

/// Ends a header of that length with the checksum of what stands before.
fn checksum(bytes: &mut [u8], length: usize) {
    let crc = crc32c(&bytes[..length - 4]);
    bytes[length - 4..length].copy_from_slice(&crc.to_le_bytes());
}
