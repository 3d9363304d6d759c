//! Server-sent events (HTML Living Standard, "Server-sent events") as model APIs use them: a reader that keeps the bytes
//! of each event as they came, and a writer.
//!
//! The reader takes pieces of any size. What it gives out, put one after the other, is the stream byte for byte, so that
//! a gateway can read every event and forward most of them untouched. An event within one piece is not copied.

mod fields;
mod reader;

use bytes::{BufMut, Bytes, BytesMut};
use smol_str::SmolStr;

pub use reader::Reader;

/// One block of a stream, up to and including the blank line that ends it.
#[derive(Clone, PartialEq, Eq)]
pub struct Event {
    /// What the `event` field says.
    pub name: Option<SmolStr>,
    /// The `data` fields, with a line feed between every two of them.
    pub data: Bytes,
    /// All its bytes as they came: other fields, comments and the blank line included.
    pub raw: Bytes,
}

/// An event is larger than the bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an event of the stream has more than {bytes_max} bytes")]
pub struct TooLarge {
    /// The bound.
    pub bytes_max: usize,
}

// === impl Event ===

impl Event {
    /// Whether there is nothing to tell a client, as the standard has it: a comment that keeps the connection open, or
    /// fields without data.
    pub fn is_empty(&self) -> bool {
        self.data.is_empty()
    }
}

impl std::fmt::Debug for Event {
    /// Sizes, never contents.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Event({} bytes of data, {} bytes)", self.data.len(), self.raw.len())
    }
}

/// An event with this data. Line breaks within it become several `data` fields; those in the name are left out.
pub fn event(name: Option<&str>, data: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(data.len() + name.map_or(0, str::len) + 24);
    if let Some(name) = name {
        out.put_slice(b"event: ");
        out.extend(name.bytes().filter(|byte| !matches!(byte, b'\n' | b'\r')));
        out.put_u8(b'\n');
    }
    let mut rest = data;
    loop {
        let end = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
        out.put_slice(b"data: ");
        out.put_slice(&rest[..end.unwrap_or(rest.len())]);
        out.put_u8(b'\n');
        let Some(end) = end else { break };
        let both = rest[end..].starts_with(b"\r\n");
        rest = &rest[end + 1 + usize::from(both)..];
    }
    out.put_u8(b'\n');
    out.freeze()
}

#[cfg(test)]
mod tests;
