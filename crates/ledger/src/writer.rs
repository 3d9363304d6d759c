//! The one thread that writes the log.
//!
//! It takes whatever has arrived, writes it as one batch, syncs, and says so: while it syncs, the next batch gathers.
//! Outcomes, which nobody waits for, do not start a batch of their own at once.
//! What allocates space also happens here, after those who wait have been told.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::disk::{is_full, sync, write_at};
use crate::error::{At, Damage, FileError, ReadError};
use crate::frame::{BATCH_HEADER, BatchHeader, ENTRY_PREFIX, SEGMENT_HEADER, SegmentHeader, split_entry};
use crate::limits::{BATCH_BYTES_MAX, RETRY_MS};
use crate::payload::{ClassFile, PayloadClass, Syncer, append_all, encode_marks};
use crate::queue::Taken;
use crate::shared::Shared;
use crate::wait::Work;
use crate::wal::{Position, Step, WalScan, WalSegment, clear_tail, numbered_files};

/// A buffer that grew beyond this is not kept, in bytes.
const BUFFER_KEPT_MAX: usize = 8 << 20;

pub(crate) struct Writer {
    pub(crate) shared: Arc<Shared>,
    active: WalSegment,
    /// Behind the last entry that is durable.
    good: Position,
    files: BTreeMap<PayloadClass, ClassFile>,
    syncer: Syncer,
    scratch: Vec<u8>,
    pub(crate) next_try: Instant,
    /// How many entries the last batch had, and when it was taken.
    pub(crate) last_count: u32,
    pub(crate) last_start: Instant,
}

// === impl Writer ===

impl Writer {
    /// Opens what is written to next and clears what a crash left behind it.
    pub(crate) fn open(shared: Arc<Shared>, good: Position) -> Result<Self, FileError> {
        let (active, spares) = open_segments(&shared, good)?;
        let syncer = Syncer::start(shared.faults.clone()).at("start a thread for", &shared.payloads)?;
        let writer = Self {
            shared,
            active,
            good,
            files: BTreeMap::new(),
            syncer,
            scratch: Vec::new(),
            next_try: Instant::now(),
            last_count: 0,
            last_start: Instant::now(),
        };
        writer.shared.queue.lock().spares.extend(spares);
        Ok(writer)
    }

    /// Begins an incarnation behind what is durable.
    pub(crate) fn begin(&mut self, last_at: ringfence_types::Timestamp) {
        self.refill_segments();
        let mut queue = self.shared.queue.lock();
        queue.begin(self.good.entry, last_at);
        queue.recount(self.active.usable());
        self.shared.durable.store(self.good.entry, Ordering::Release);
        self.shared.book.begin(queue.incarnation);
        drop(queue);
        self.shared.changed.notify_waiters();
    }

    /// Writes until the log is closed. Should it panic, the log takes nothing more and says so.
    pub(crate) fn run(mut self) {
        let mut buffer = Vec::new();
        loop {
            match self.wait(std::mem::take(&mut buffer)) {
                Work::Closed => return,
                Work::Space => {}
                Work::Entries(taken) => match self.write_taken(taken) {
                    Ok(used) => buffer = used,
                    Err(error) => {
                        if !self.fail(&error) {
                            return;
                        }
                    }
                },
            }
            self.refill();
        }
    }

    fn write_taken(&mut self, mut taken: Taken) -> io::Result<Vec<u8>> {
        let written = self.write_round(&mut taken);
        match written {
            Ok(()) => {
                taken.batch.durable();
                self.shared.queue.lock().recount(self.active.usable());
                let used = std::mem::take(&mut taken.buffer);
                Ok(if used.capacity() > BUFFER_KEPT_MAX { Vec::new() } else { used })
            }
            Err(error) => {
                // What was cut off before the failure is durable.
                self.shared.queue.lock().end();
                taken.batch.lost_from(self.good.entry);
                Err(error)
            }
        }
    }

    /// Payloads and entries are synced side by side; nothing is acknowledged before both are.
    fn write_round(&mut self, taken: &mut Taken) -> io::Result<()> {
        self.files.extend(self.shared.book.opened());
        let records = std::mem::take(&mut taken.records);
        if records.is_empty() {
            return self.write_entries(taken, &[]).map(|end| self.acknowledge(end));
        }
        let faults = &self.shared.faults;
        let (marks, touched) = append_all(&mut self.files, records, taken.first_id, taken.last_at, faults)?;
        self.syncer.start_sync(touched)?;
        let written = self.write_entries(taken, &encode_marks(&marks));
        let synced = self.syncer.wait();
        let end = written?;
        synced?;
        self.acknowledge(end);
        Ok(())
    }

    fn acknowledge(&mut self, end: u64) {
        self.good = Position { segment: self.active.number, offset: self.active.tail, entry: end };
        self.shared.durable.store(end, Ordering::Release);
    }

    /// Writes and syncs the entries, cut where a segment ends; the id behind the last.
    fn write_entries(&mut self, taken: &mut Taken, marks: &[u8]) -> io::Result<u64> {
        let entries_length = taken.buffer.len() - BATCH_HEADER;
        if entries_length <= BATCH_BYTES_MAX && entries_length + marks.len() <= self.space_for_body() {
            let header = BatchHeader::of(taken.first_id, taken.count, &taken.buffer[BATCH_HEADER..], marks);
            taken.buffer[..BATCH_HEADER].copy_from_slice(&header.encode());
            taken.buffer.extend_from_slice(marks);
            self.write_frame(&taken.buffer, taken.first_id)?;
            return Ok(header.end_id());
        }
        self.write_pieces(taken, marks)
    }

    fn write_pieces(&mut self, taken: &Taken, marks: &[u8]) -> io::Result<u64> {
        let mut rest = &taken.buffer[BATCH_HEADER..];
        let mut first_id = taken.first_id;
        let mut marks = marks;
        while !rest.is_empty() {
            let space = self.space_for_body().saturating_sub(marks.len()).min(BATCH_BYTES_MAX);
            let (piece, count, after) = cut(rest, space);
            if count == 0 {
                self.rotate()?;
                continue;
            }
            let header = BatchHeader::of(first_id, count, piece, marks);
            let mut frame = std::mem::take(&mut self.scratch);
            frame.clear();
            for part in [&header.encode(), piece, marks] {
                frame.extend_from_slice(part);
            }
            let written = self.write_frame(&frame, first_id);
            self.scratch = frame;
            written?;
            (rest, marks, first_id) = (after, &[], header.end_id());
        }
        self.scratch = Vec::new();
        Ok(first_id)
    }

    /// What a batch's entries and marks can have of the active segment, in bytes.
    fn space_for_body(&self) -> usize {
        let from = self.active.tail.max(SEGMENT_HEADER as u64) + BATCH_HEADER as u64;
        usize::try_from(self.active.length.saturating_sub(from)).unwrap_or(usize::MAX)
    }

    fn write_frame(&mut self, frame: &[u8], first_id: u64) -> io::Result<()> {
        let faults = &self.shared.faults;
        if self.active.tail == 0 {
            let header = SegmentHeader { number: self.active.number, first_id };
            write_at(faults, &self.active.file, &header.encode(), 0)?;
            self.active.tail = SEGMENT_HEADER as u64;
        }
        write_at(faults, &self.active.file, frame, self.active.tail)?;
        sync(faults, &self.active.file)?;
        self.active.tail += frame.len() as u64;
        Ok(())
    }

    fn rotate(&mut self) -> io::Result<()> {
        let spare = self.shared.queue.lock().spares.pop_front();
        // Nothing is promised that the segments at hand do not have.
        self.active = spare.ok_or_else(|| io::Error::other("no segment is left to write to"))?;
        Ok(())
    }

    /// Brings what is allocated ahead up to its measure.
    fn refill(&mut self) {
        if Instant::now() < self.next_try && self.shared.queue.lock().disk_full {
            return;
        }
        self.files.extend(self.shared.book.opened());
        let enough = self.refill_segments() & self.refill_payloads();
        self.shared.queue.lock().disk_full = !enough;
        self.next_try = Instant::now() + Duration::from_millis(if enough { 0 } else { RETRY_MS });
    }

    /// Whether there is a spare segment.
    fn refill_segments(&mut self) -> bool {
        let last = {
            let queue = self.shared.queue.lock();
            if !queue.spares.is_empty() {
                return true;
            }
            queue.spares.back().map_or(self.active.number, |spare| spare.number)
        };
        let shared = &self.shared;
        match WalSegment::create(&shared.wal, last + 1, shared.segment_bytes, &shared.faults) {
            Ok(spare) => {
                let mut queue = shared.queue.lock();
                queue.spares.push_back(spare);
                queue.recount(self.active.usable());
                true
            }
            Err(error) => {
                tell_no_space(&error);
                false
            }
        }
    }

    /// Whether every class has its space ahead.
    fn refill_payloads(&mut self) -> bool {
        let mut enough = true;
        for (class, file) in &mut self.files {
            let asked = self.shared.book.take_rotation(class);
            let segment_bytes = if asked { 1 } else { self.shared.payload_segment_bytes };
            if let Err(error) = file.rotate(segment_bytes, &self.shared.faults) {
                tell_no_space(&error);
                enough = false;
            }
        }
        for (class, bytes) in self.shared.book.wanted() {
            let Some(file) = self.files.get_mut(&class) else { continue };
            match file.extend(bytes, &self.shared.faults) {
                Ok(()) => self.shared.book.grow(&class, bytes),
                Err(_) => enough = false,
            }
        }
        enough
    }

    /// Ends the incarnation and begins the next as soon as the disk lets it; false when the log is closed before.
    fn fail(&mut self, error: &io::Error) -> bool {
        tracing::error!(%error, durable = self.good.entry, "the log failed: entries that were not durable are lost");
        let shared = Arc::clone(&self.shared);
        shared.book.begin(0);
        shared.changed.notify_waiters();
        loop {
            match self.reopen() {
                Ok(()) => break,
                Err(error) => tracing::error!(%error, "the log cannot be reopened yet"),
            }
            let mut queue = shared.queue.lock();
            if queue.closing {
                return false;
            }
            shared.wake.wait_for(&mut queue, Duration::from_millis(RETRY_MS));
        }
        let last_at = shared.queue.lock().last_at;
        self.begin(last_at);
        tracing::warn!(entries = self.good.entry, "the log was reopened");
        true
    }

    fn reopen(&mut self) -> Result<(), ReadError> {
        self.files.clear();
        self.shared.queue.lock().spares.clear();
        verify_segment(&self.shared, self.good)?;
        let (active, spares) = open_segments(&self.shared, self.good)?;
        self.active = active;
        self.shared.queue.lock().spares.extend(spares);
        Ok(())
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let mut queue = self.shared.queue.lock();
        if queue.alive {
            queue.end();
        }
        drop(queue);
        self.shared.changed.notify_waiters();
    }
}

fn tell_no_space(error: &FileError) {
    if !is_full(&error.source) {
        tracing::warn!(%error, "space for the log cannot be allocated");
    }
}

/// The entries at the start of `bundle` that take at most `space` bytes, how many, and the rest.
fn cut(bundle: &[u8], space: usize) -> (&[u8], u32, &[u8]) {
    let (mut length, mut count, mut rest) = (0, 0, bundle);
    while let Some((entry, after)) = split_entry(rest) {
        if length + ENTRY_PREFIX + entry.len() > space {
            break;
        }
        length += ENTRY_PREFIX + entry.len();
        count += 1;
        rest = after;
    }
    let (piece, rest) = bundle.split_at(length);
    (piece, count, rest)
}

/// The segment to go on with behind `good`, and the spares, all cleared of what a crash left.
fn open_segments(shared: &Shared, good: Position) -> Result<(WalSegment, Vec<WalSegment>), FileError> {
    let numbers = numbered_files(&shared.wal, "wal").at("list", &shared.wal)?;
    // The header of a segment is written with its first batch.
    let tail = if good.offset <= SEGMENT_HEADER as u64 { 0 } else { good.offset };
    let active = if numbers.contains(&good.segment) {
        let active = WalSegment::open(&shared.wal, good.segment, tail)?;
        clear_tail(&active, tail, &shared.faults)?;
        active
    } else {
        WalSegment::create(&shared.wal, good.segment, shared.segment_bytes, &shared.faults)?
    };
    let mut spares = Vec::new();
    for number in numbers.into_iter().filter(|number| *number > good.segment) {
        let spare = WalSegment::open(&shared.wal, number, 0)?;
        clear_tail(&spare, 0, &shared.faults)?;
        spares.push(spare);
    }
    Ok((active, spares))
}

/// Reads the durable part of the active segment again, from the disk and not from memory.
fn verify_segment(shared: &Shared, good: Position) -> Result<(), ReadError> {
    if good == Position::START {
        return Ok(());
    }
    let segment = WalSegment::open(&shared.wal, good.segment, good.offset)?;
    let advice = rustix::fs::Advice::DontNeed;
    let _ = rustix::fs::fadvise(&segment.file, 0, None, advice);
    let mut scan = WalScan::to_segment(&shared.wal, good.segment)?;
    let mut body = Vec::new();
    while scan.position().offset < good.offset && scan.position().segment == good.segment {
        match scan.step()? {
            Step::Batch(header) if scan.body(&header, &mut body)?.is_some() => {}
            _ => break,
        }
    }
    let found = scan.position();
    if (found.offset, found.entry) == (good.offset, good.entry) {
        return Ok(());
    }
    let what = format!("durable entries up to {} can no longer be read", good.entry);
    Err(Damage { file: segment.path, offset: found.offset, entry: found.entry, what }.into())
}
