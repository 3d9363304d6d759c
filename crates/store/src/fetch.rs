//! The bytes of the entries that rows name.

use ringfence_ledger::{Ledger, Reader};

use crate::error::StoreError;
use crate::limits::FETCH_FORWARD_MAX;

/// Gets entries from the log by their ids. Rows come in the order of ids, so it reads on where the next one is near.
#[derive(Debug)]
pub struct Fetcher<'a> {
    ledger: &'a Ledger,
    reader: Option<Reader>,
}

// === impl Fetcher ===

impl<'a> Fetcher<'a> {
    /// Gets entries from that log.
    pub fn new(ledger: &'a Ledger) -> Self {
        Self { ledger, reader: None }
    }

    /// The canonical JSON of entry `id`.
    ///
    /// # Errors
    /// When the log cannot be read or has no such entry.
    pub fn fetch(&mut self, id: u64) -> Result<Vec<u8>, StoreError> {
        let near = self.reader.take().filter(|reader| {
            id.checked_sub(reader.next_id()).is_some_and(|distance| distance <= FETCH_FORWARD_MAX)
        });
        let mut reader = match near {
            Some(reader) => reader,
            None => self.ledger.read(id)?,
        };
        while reader.next_id() < id {
            if reader.read_next()?.is_none() {
                return Err(StoreError::Gone { id });
            }
        }
        let Some((_, entry)) = reader.read_next()? else { return Err(StoreError::Gone { id }) };
        let entry = entry.to_vec();
        self.reader = Some(reader);
        Ok(entry)
    }
}
