//! Where entries get their place: one lock, no I/O.

use std::collections::VecDeque;
use std::sync::Arc;

use ringfence_types::Timestamp;

use crate::batch::{Batch, Ticket};
use crate::entry::{Digits, Draft, Encoded};
use crate::error::AppendError;
use crate::frame::{BATCH_HEADER, ENTRY_PREFIX};
use crate::limits::{ENTRY_BYTES_MAX, QUEUE_BYTES_MAX};
use crate::payload::{MARK_BYTES_MAX, PayloadClass};
use crate::wal::WalSegment;

/// Which room an entry may use.
#[derive(Debug)]
pub enum RoomFor<'a> {
    /// A new action: only what is not set aside.
    New,
    /// What was set aside for it beforehand.
    Reserved(&'a mut crate::Room),
    /// An operator's entry: also the standing reserve.
    Operator,
}

/// What waits for the writer.
// INVARIANT: `free` >= `reserved`, and the segments hold `free` more bytes of entries and framing however they are cut
// into batches.
#[derive(Debug)]
pub(crate) struct Queue {
    pub(crate) incarnation: u64,
    pub(crate) alive: bool,
    pub(crate) closing: bool,
    pub(crate) next_id: u64,
    pub(crate) last_at: Timestamp,
    /// Room for a batch's header, then the entries as a bundle.
    pub(crate) buffer: Vec<u8>,
    pub(crate) count: u32,
    /// Somebody waits for one of them.
    pub(crate) urgent: bool,
    /// The writer sleeps until it is woken.
    pub(crate) asleep: bool,
    pub(crate) records: Vec<(PayloadClass, Vec<u8>)>,
    pub(crate) batch: Arc<Batch>,
    /// What the entries in the buffer may take at most, framing included, in bytes.
    pub(crate) charged: u64,
    /// What can still be promised or written, in bytes.
    pub(crate) free: u64,
    /// What of it is promised, in bytes.
    pub(crate) reserved: u64,
    /// What of it only operators may use, in bytes.
    pub(crate) operator_reserve: u64,
    pub(crate) spares: VecDeque<WalSegment>,
    /// The system refused more space when it was last asked.
    pub(crate) disk_full: bool,
}

/// What the writer takes from the queue.
#[derive(Debug)]
pub(crate) struct Taken {
    pub(crate) first_id: u64,
    pub(crate) count: u32,
    pub(crate) buffer: Vec<u8>,
    pub(crate) records: Vec<(PayloadClass, Vec<u8>)>,
    pub(crate) batch: Arc<Batch>,
    pub(crate) last_at: Timestamp,
}

impl Drop for Taken {
    /// Whoever waits is told, even if the writer panics.
    fn drop(&mut self) {
        self.batch.lost_if_open();
    }
}

/// What an entry of that length takes at most: with a batch of its own, in bytes.
pub(crate) fn charge(length: usize, payloads: usize) -> u64 {
    (length + ENTRY_PREFIX + BATCH_HEADER + payloads * MARK_BYTES_MAX) as u64
}

// === impl Queue ===

impl Queue {
    /// A queue before its first incarnation.
    pub(crate) fn new(operator_reserve: u64) -> Self {
        Self {
            incarnation: 0,
            alive: false,
            closing: false,
            next_id: 0,
            last_at: Timestamp::default(),
            buffer: vec![0; BATCH_HEADER],
            count: 0,
            urgent: false,
            asleep: false,
            records: Vec::new(),
            batch: Arc::default(),
            charged: 0,
            free: 0,
            reserved: 0,
            operator_reserve,
            spares: VecDeque::new(),
            disk_full: false,
        }
    }

    /// Gives an entry its place. Whether the writer has to be woken: it does not know yet that there is something to do
    /// at once. Nobody waits for what had its room set aside, an outcome; it goes with the next batch, and soon.
    pub(crate) fn append(
        &mut self,
        incarnation: u64,
        encoded: &Encoded,
        draft: &mut Draft,
        room: RoomFor<'_>,
    ) -> Result<(Ticket, bool), AppendError> {
        self.require(incarnation)?;
        let stale = |payload: &crate::SealedPayload| payload.incarnation() != Some(incarnation);
        if draft.payloads.iter().any(stale) {
            return Err(AppendError::Ended);
        }
        let id = self.next_id;
        let digits = Digits::of(id);
        let length = encoded.length(&digits);
        if length > ENTRY_BYTES_MAX {
            return Err(AppendError::TooLarge { bytes: length });
        }
        let waits = !matches!(room, RoomFor::Reserved(_));
        self.take_room(charge(length, draft.payloads.len()), room)?;
        let at = draft.at.max(self.last_at);
        let wake = if waits { !self.urgent } else { self.asleep && self.count == 0 };
        self.urgent |= waits;
        self.buffer.extend_from_slice(&u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes());
        encoded.append_to(&mut self.buffer, &digits, (at > draft.at).then_some(at));
        self.records.extend(draft.payloads.drain(..).map(crate::SealedPayload::into_record));
        self.next_id += 1;
        self.count += 1;
        self.last_at = at;
        Ok((Ticket::new(id, at, Arc::clone(&self.batch)), wake))
    }

    /// Sets room aside.
    pub(crate) fn reserve(&mut self, incarnation: u64, bytes: u64) -> Result<(), AppendError> {
        self.require(incarnation)?;
        if self.for_new() < bytes {
            return Err(self.no_room());
        }
        self.reserved += bytes;
        Ok(())
    }

    /// Gives room back.
    pub(crate) fn release(&mut self, incarnation: u64, bytes: u64) {
        if self.alive && self.incarnation == incarnation {
            self.reserved = self.reserved.saturating_sub(bytes);
        }
    }

    fn require(&self, incarnation: u64) -> Result<(), AppendError> {
        if self.alive && !self.closing && self.incarnation == incarnation {
            Ok(())
        } else {
            Err(AppendError::Ended)
        }
    }

    /// What new actions may use, in bytes.
    pub(crate) fn for_new(&self) -> u64 {
        self.free.saturating_sub(self.reserved).saturating_sub(self.operator_reserve)
    }

    /// Why there is no room: the disk refused more, or more has not been asked for yet.
    fn no_room(&self) -> AppendError {
        if self.disk_full { AppendError::Full } else { AppendError::Overloaded }
    }

    fn take_room(&mut self, charge: u64, room: RoomFor<'_>) -> Result<(), AppendError> {
        match room {
            RoomFor::New if self.charged + charge > QUEUE_BYTES_MAX => return Err(AppendError::Overloaded),
            RoomFor::New if self.for_new() < charge => return Err(self.no_room()),
            RoomFor::Operator if self.free.saturating_sub(self.reserved) < charge => {
                return Err(self.no_room());
            }
            RoomFor::Reserved(room) => {
                room.spend(self.incarnation, charge)?;
                self.reserved = self.reserved.saturating_sub(charge);
            }
            RoomFor::New | RoomFor::Operator => {}
        }
        self.free = self.free.saturating_sub(charge);
        self.charged += charge;
        Ok(())
    }

    /// Takes everything that waits; `buffer` is used again. `None` when nothing waits.
    pub(crate) fn take(&mut self, buffer: Vec<u8>) -> Option<Taken> {
        if self.count == 0 {
            self.buffer_back(buffer);
            return None;
        }
        let count = std::mem::take(&mut self.count);
        self.urgent = false;
        self.charged = 0;
        let mut buffer = buffer;
        buffer.clear();
        buffer.resize(BATCH_HEADER, 0);
        Some(Taken {
            first_id: self.next_id - u64::from(count),
            count,
            buffer: std::mem::replace(&mut self.buffer, buffer),
            records: std::mem::take(&mut self.records),
            batch: std::mem::take(&mut self.batch),
            last_at: self.last_at,
        })
    }

    fn buffer_back(&mut self, buffer: Vec<u8>) {
        if buffer.capacity() > self.buffer.capacity() && self.count == 0 {
            self.buffer = buffer;
            self.buffer.clear();
            self.buffer.resize(BATCH_HEADER, 0);
        }
    }

    /// Counts the room anew, from what the segments really have; `active` is what is left in the one written to.
    pub(crate) fn recount(&mut self, active: u64) {
        let spare: u64 = self.spares.iter().map(WalSegment::usable).sum();
        self.free = (active + spare).saturating_sub(self.charged);
    }

    /// Ends the incarnation: what waits is lost.
    pub(crate) fn end(&mut self) {
        self.alive = false;
        self.reserved = 0;
        self.charged = 0;
        self.count = 0;
        self.urgent = false;
        self.records.clear();
        self.buffer.clear();
        self.buffer.resize(BATCH_HEADER, 0);
        std::mem::take(&mut self.batch).lost_from(0);
    }

    /// Begins the next incarnation behind what is durable.
    pub(crate) fn begin(&mut self, next_id: u64, last_at: Timestamp) {
        self.incarnation += 1;
        self.alive = true;
        self.next_id = next_id;
        self.last_at = self.last_at.max(last_at);
    }
}
