//! Reading entries.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::{Damage, ReadError};
use crate::frame::split_entry;
use crate::wal::{Position, Step, WalScan};

/// An entry of the log.
#[derive(Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its index in the log.
    pub id: u64,
    /// Its canonical JSON.
    pub bytes: Vec<u8>,
}

/// Reads durable entries in order. At the end it gives `None`; asked again later, it goes on with what has become
/// durable since.
pub struct Reader {
    scan: Option<WalScan>,
    folder: std::path::PathBuf,
    durable: Arc<AtomicU64>,
    body: Vec<u8>,
    at: usize,
    end: usize,
    next_id: u64,
    /// How many entries were durable when the scan was opened: what it has buffered beyond is not to be trusted.
    fresh_to: u64,
    /// Where to begin, if that is known.
    start: Option<Position>,
    batch_start: Position,
}

// === impl Reader ===

impl Reader {
    pub(crate) fn new(wal: &Path, durable: Arc<AtomicU64>, from: u64) -> Self {
        let folder = wal.to_owned();
        Self {
            scan: None,
            folder,
            durable,
            body: Vec::new(),
            at: 0,
            end: 0,
            next_id: from,
            fresh_to: 0,
            start: None,
            batch_start: Position::START,
        }
    }

    /// Starts with entry `from`, in the batch at `position` or a later one.
    pub(crate) fn at(wal: &Path, durable: Arc<AtomicU64>, position: Position, from: u64) -> Self {
        Self { start: Some(position), ..Self::new(wal, durable, from) }
    }

    /// Where the batch begins that the last entry came from.
    pub(crate) fn batch_start(&self) -> Position {
        self.batch_start
    }

    /// The id of the entry that comes next.
    pub fn next_id(&self) -> u64 {
        self.next_id
    }

    /// The next durable entry, borrowed; `None` when there is none yet.
    ///
    /// # Errors
    /// When the log cannot be read or is damaged here.
    pub fn read_next(&mut self) -> Result<Option<(u64, &[u8])>, ReadError> {
        if self.next_id >= self.durable.load(Ordering::Acquire) {
            return Ok(None);
        }
        if self.at == self.end {
            self.load()?;
        }
        // `load` has checked that the body is a bundle.
        let taken = split_entry(&self.body[self.at..self.end]);
        let Some((entry, rest)) = taken else { return Ok(None) };
        self.at = self.end - rest.len();
        let id = self.next_id;
        self.next_id += 1;
        Ok(Some((id, entry)))
    }

    /// Reads the batch that holds the next entry, and stands before it.
    fn load(&mut self) -> Result<(), ReadError> {
        let scan = match self.scan.take() {
            Some(scan) if self.next_id < self.fresh_to => scan,
            stale => {
                self.fresh_to = self.durable.load(Ordering::Acquire);
                match stale.map(|scan| scan.position()).or(self.start) {
                    Some(position) => WalScan::at(&self.folder, position)?,
                    None => WalScan::to_entry(&self.folder, self.next_id)?,
                }
            }
        };
        let scan = self.scan.insert(scan);
        let mut position;
        let header = loop {
            let step = scan.step()?;
            position = scan.position();
            match step {
                Step::Batch(header) if header.end_id() <= self.next_id => scan.skip(&header)?,
                Step::Batch(header) => break scan.body(&header, &mut self.body)?.map(|()| header),
                Step::End(_) => break None,
            }
        };
        self.batch_start = position;
        let header = header.filter(|header| (header.first_id..header.end_id()).contains(&self.next_id));
        let Some(header) = header else {
            let what = "an entry that was durable is gone".to_owned();
            let file = scan.path();
            self.scan = None;
            return Err(Damage { file, offset: position.offset, entry: self.next_id, what }.into());
        };
        self.at = 0;
        self.end = header.entries_length as usize;
        for _ in header.first_id..self.next_id {
            if let Some((_, rest)) = split_entry(&self.body[self.at..self.end]) {
                self.at = self.end - rest.len();
            }
        }
        Ok(())
    }
}

impl Iterator for Reader {
    type Item = Result<Entry, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        let read = self.read_next().transpose()?;
        Some(read.map(|(id, bytes)| Entry { id, bytes: bytes.to_vec() }))
    }
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Reader(next {})", self.next_id)
    }
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Entry({}, {} bytes)", self.id, self.bytes.len())
    }
}
