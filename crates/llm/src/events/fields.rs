//! The fields of one event.

use std::ops::Range;

use bytes::{BufMut, Bytes, BytesMut};
use smol_str::SmolStr;

use super::Event;

/// Reads one block; a byte order mark is skipped where the stream starts.
pub(super) fn read(raw: Bytes, at_start: bool) -> Event {
    let mut name = None;
    let mut data = Data::None;
    let mark = if at_start && raw.starts_with("\u{feff}".as_bytes()) { 3 } else { 0 };
    let mut at = mark;
    while at < raw.len() {
        let rest = &raw[at..];
        let length = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')).unwrap_or(rest.len());
        let line = at..at + length;
        // A line feed that ends a line break begun before is an empty line more, which says nothing.
        at = line.end + 1;
        let (field, value) = split(&raw, line);
        match &raw[field] {
            b"data" => data.add(&raw, value),
            b"event" => {
                let text = String::from_utf8_lossy(&raw[value]);
                name = (!text.is_empty()).then(|| SmolStr::from(text));
            }
            // A comment, or a field that only reconnecting needs.
            _ => {}
        }
    }
    let data = match data {
        Data::None => Bytes::new(),
        Data::One(range) => raw.slice(range),
        Data::Joined(bytes) => bytes.freeze(),
    };
    Event { name, data, raw }
}

/// The name of the field and its value, without the one space that may follow the colon.
fn split(raw: &[u8], line: Range<usize>) -> (Range<usize>, Range<usize>) {
    let Some(colon) = raw[line.clone()].iter().position(|byte| *byte == b':') else {
        return (line.clone(), line.end..line.end);
    };
    let colon = line.start + colon;
    let space = usize::from(raw[colon + 1..line.end].starts_with(b" "));
    (line.start..colon, colon + 1 + space..line.end)
}

/// Nearly every event has one `data` field, which then needs no copy.
enum Data {
    None,
    One(Range<usize>),
    Joined(BytesMut),
}

// === impl Data ===

impl Data {
    fn add(&mut self, raw: &[u8], value: Range<usize>) {
        let mut joined = match std::mem::replace(self, Self::None) {
            Self::None => {
                *self = Self::One(value);
                return;
            }
            Self::One(first) => BytesMut::from(&raw[first]),
            Self::Joined(joined) => joined,
        };
        joined.put_u8(b'\n');
        joined.put_slice(&raw[value]);
        *self = Self::Joined(joined);
    }
}
