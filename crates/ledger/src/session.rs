//! The right to append to one incarnation of the log.

use std::sync::Arc;

use parking_lot::MutexGuard;

use crate::batch::Ticket;
use crate::entry::{Draft, Encoded};
use crate::error::{AppendError, SealError};
use crate::limits::ENTRY_BYTES_MAX;
use crate::payload::{Book, PayloadClass, SealedPayload};
use crate::queue::{Queue, RoomFor, charge};
use crate::shared::Shared;

/// The right to append to one incarnation of the log. When the log fails, every session of it is over; what an
/// appender knows must then be rebuilt from what is durable, and only the next session takes entries again.
#[derive(Debug, Clone)]
pub struct Session {
    shared: Arc<Shared>,
    incarnation: u64,
}

/// Room in the log that was set aside: what it holds can be written when the disk is full. Dropping it gives it back.
#[derive(Debug)]
pub struct Room {
    shared: Arc<Shared>,
    incarnation: u64,
    bytes: u64,
}

// === impl Session ===

impl Session {
    pub(crate) fn new(shared: Arc<Shared>, incarnation: u64) -> Self {
        Self { shared, incarnation }
    }

    /// Which incarnation this is; it grows by one each time the log failed and was reopened.
    pub fn incarnation(&self) -> u64 {
        self.incarnation
    }

    /// Whether the incarnation has ended.
    pub fn is_over(&self) -> bool {
        let queue = self.shared.queue.lock();
        !queue.alive || queue.incarnation != self.incarnation
    }

    /// Waits until the incarnation has ended.
    pub async fn over(&self) {
        loop {
            let changed = self.shared.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if self.is_over() {
                return;
            }
            changed.await;
        }
    }

    /// The id that the next entry gets.
    ///
    /// # Errors
    /// When the session is over.
    pub fn next_id(&self) -> Result<u64, AppendError> {
        self.live().map(|queue| queue.next_id)
    }

    fn live(&self) -> Result<MutexGuard<'_, Queue>, AppendError> {
        let queue = self.shared.queue.lock();
        let live = queue.alive && !queue.closing && queue.incarnation == self.incarnation;
        if live { Ok(queue) } else { Err(AppendError::Ended) }
    }

    /// Gives an entry its place in the log; the order of calls is the order of entries. Never waits for the disk.
    ///
    /// # Errors
    /// When the session is over, there is no room, or the draft cannot be an entry. Nothing is written then, and an
    /// error cannot make a later entry fail.
    pub fn append(&self, mut draft: Draft, room: RoomFor<'_>) -> Result<Ticket, AppendError> {
        let encoded = Encoded::new(&self.shared.node, &draft)?;
        // A draft that is refused is dropped after the lock.
        let (ticket, wake) = self.shared.queue.lock().append(self.incarnation, &encoded, &mut draft, room)?;
        if wake {
            self.shared.wake.notify_one();
        }
        Ok(ticket)
    }

    /// Sets room aside for `entries` entries of at most `bytes` bytes each, with one payload each.
    ///
    /// # Errors
    /// When the session is over or the disk has no such room.
    pub fn reserve(&self, entries: u32, bytes: usize) -> Result<Room, AppendError> {
        let bytes = u64::from(entries) * charge(bytes.min(ENTRY_BYTES_MAX), 1);
        self.shared.queue.lock().reserve(self.incarnation, bytes)?;
        Ok(Room { shared: Arc::clone(&self.shared), incarnation: self.incarnation, bytes })
    }

    /// Gives a payload its name and takes room for it. The first payload of a class makes its folder and file, which
    /// waits for the disk; see [`Session::open_class`].
    ///
    /// # Errors
    /// When the session is over, the payload is too long or there is no room: then the entry can still be written
    /// without it.
    pub fn seal(&self, class: &PayloadClass, content: &[u8]) -> Result<SealedPayload, SealError> {
        let sealed = SealedPayload::new(class, content)?;
        let taken = self.take_payload_room(class, sealed.record_length());
        if taken != Ok(()) {
            self.shared.wake.notify_one();
        }
        taken.map(|()| sealed.with_room(Arc::clone(&self.shared.book), self.incarnation))
    }

    /// Makes the folder and the first file of a class, so that no later call waits for the disk.
    ///
    /// # Errors
    /// As [`Session::seal`].
    pub fn open_class(&self, class: &PayloadClass) -> Result<(), SealError> {
        self.take_payload_room(class, 0)
    }

    fn take_payload_room(&self, class: &PayloadClass, bytes: u64) -> Result<(), SealError> {
        // The book hears of the end a moment later than the queue.
        if self.is_over() {
            return Err(SealError::Ended);
        }
        let open = || Book::open_class(&self.shared.payloads, class, &self.shared.faults);
        self.shared.book.take(class, bytes, self.incarnation, open)
    }
}

// === impl Room ===

impl Room {
    /// What is left, framing included, in bytes.
    pub fn left(&self) -> u64 {
        self.bytes
    }

    /// Takes `needed` bytes out.
    pub(crate) fn spend(&mut self, incarnation: u64, needed: u64) -> Result<(), AppendError> {
        if self.incarnation != incarnation {
            return Err(AppendError::Ended);
        }
        self.bytes =
            self.bytes.checked_sub(needed).ok_or(AppendError::RoomTooSmall { needed, left: self.bytes })?;
        Ok(())
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.shared.queue.lock().release(self.incarnation, self.bytes);
    }
}
