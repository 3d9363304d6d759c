//! Entries as objects.

use ringfence_json::{Limits, Object, parse};

/// An entry as it stands in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryText {
    /// Its index in the log.
    pub id: u64,
    /// Its members.
    pub object: Object,
}

/// Reads an entry's canonical JSON; `None` when it is none, which a log that verifies does not have.
pub fn entry_object(bytes: &[u8]) -> Option<Object> {
    parse(bytes, &Limits::default()).ok()?.into_object()
}
