//! The entries, cut where bundles are.

use std::path::{Path, PathBuf};

use super::VerifyError;
use crate::frame::split_entry;
use crate::payload::{decode_marks, mark_holds};
use crate::tree::TILE_WIDTH;
use crate::wal::{Position, Step, WalScan};

/// How many chunks are handed out at once.
const CHUNKS: usize = 64;

/// Up to a bundle of entries.
#[derive(Debug, Default)]
pub(crate) struct Chunk {
    pub(crate) first_id: u64,
    pub(crate) count: usize,
    /// As C2SP tlog-tiles bundles them.
    pub(crate) bundle: Vec<u8>,
}

/// Reads the write-ahead log.
pub(crate) struct Source {
    scan: Option<WalScan>,
    payloads: PathBuf,
    signed: u64,
    pending: Chunk,
    body: Vec<u8>,
    torn_bytes: u64,
    end: Position,
    path: PathBuf,
}

// === impl Source ===

impl Source {
    pub(crate) fn new(folder: &Path, signed: u64) -> Result<Self, VerifyError> {
        let wal = folder.join("wal");
        let path = crate::wal::segment_path(&wal, 1);
        let begun = matches!(crate::wal::start_of(&wal, 1)?, crate::wal::Start::Begins(_));
        let scan = if begun {
            Some(WalScan::at(&wal, Position::START)?)
        } else {
            // Nothing may have been written; whether anything should have been, the caller knows.
            crate::wal::recover(&wal, &folder.join("payloads"), Position::START)?;
            None
        };
        Ok(Self {
            scan,
            payloads: folder.join("payloads"),
            signed,
            pending: Chunk::default(),
            body: Vec::new(),
            torn_bytes: 0,
            end: Position::START,
            path,
        })
    }

    /// Bytes of an unfinished batch behind the end.
    pub(crate) fn torn_bytes(&self) -> u64 {
        self.torn_bytes
    }

    /// Where the log ends, once it was read to its end.
    pub(crate) fn end(&self) -> (&Path, Position) {
        (&self.path, self.end)
    }

    /// The next chunks; only the last of a log may be short. `None` at its end.
    pub(crate) fn next_chunks(&mut self) -> Result<Option<Vec<Chunk>>, VerifyError> {
        let mut chunks = Vec::with_capacity(CHUNKS);
        while chunks.len() < CHUNKS {
            if !self.read_batch(&mut chunks)? {
                let last = std::mem::take(&mut self.pending);
                chunks.extend((last.count > 0).then_some(last));
                break;
            }
        }
        Ok((!chunks.is_empty()).then_some(chunks))
    }

    /// Reads one batch; false at the end.
    fn read_batch(&mut self, chunks: &mut Vec<Chunk>) -> Result<bool, VerifyError> {
        let Some(scan) = &mut self.scan else { return Ok(false) };
        let step = scan.step()?;
        let start = scan.position();
        let path = scan.path();
        let read = match step {
            Step::Batch(header) => scan.body(&header, &mut self.body)?.map(|()| header),
            Step::End(end) => {
                self.torn_bytes = end.torn_bytes;
                None
            }
        };
        let Some(header) = read else {
            if let Step::Batch(header) = step {
                self.torn_bytes = header.frame_length();
            }
            (self.path, self.end, self.scan) = (path, start, None);
            return Ok(false);
        };
        let (bundle, marks) = self.body.split_at(header.entries_length as usize);
        let unsigned = header.end_id() > self.signed;
        if unsigned && !payloads_hold(marks, &self.payloads) && matches!(scan.step()?, Step::End(_)) {
            // A crash came between the two syncs: nothing of this batch was acknowledged.
            self.torn_bytes = header.frame_length();
            (self.path, self.end, self.scan) = (path, start, None);
            return Ok(false);
        }
        cut(&mut self.pending, header.first_id, bundle, chunks);
        Ok(true)
    }
}

fn payloads_hold(marks: &[u8], payloads: &Path) -> bool {
    decode_marks(marks).is_some_and(|marks| marks.iter().all(|mark| mark_holds(mark, payloads)))
}

/// Adds entries to the pending chunk and hands over each that becomes full.
fn cut(pending: &mut Chunk, first_id: u64, bundle: &[u8], chunks: &mut Vec<Chunk>) {
    let (mut id, mut rest) = (first_id, bundle);
    while let Some((_, after)) = split_entry(rest) {
        if pending.count == 0 {
            pending.first_id = id;
        }
        pending.bundle.extend_from_slice(&rest[..rest.len() - after.len()]);
        pending.count += 1;
        id += 1;
        rest = after;
        if pending.count == TILE_WIDTH {
            let room = Vec::with_capacity(pending.bundle.len() * 9 / 8);
            chunks.push(std::mem::replace(pending, Chunk { first_id: id, count: 0, bundle: room }));
        }
    }
}
