//! What waits for one batch to be durable.
//!
//! Every ticket of a batch shares one cell, so that a batch costs one allocation and wakes exactly those who wait for
//! it, however many there are.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Condvar, Mutex};
use ringfence_types::Timestamp;
use tokio::sync::Notify;

use crate::error::Lost;

/// Not decided yet; any other number is the id of the first entry that was lost.
const OPEN: u64 = u64::MAX;
/// Nothing was lost.
const ALL_DURABLE: u64 = u64::MAX - 1;

/// The fate of one batch.
#[derive(Debug)]
pub(crate) struct Batch {
    lost_from: AtomicU64,
    wake: Notify,
    blocked: Mutex<()>,
    unblock: Condvar,
}

/// An entry's place in the log.
#[derive(Debug, Clone)]
#[must_use = "an entry counts only once it is durable"]
pub struct Ticket {
    id: u64,
    at: Timestamp,
    batch: Arc<Batch>,
}

// === impl Batch ===

impl Batch {
    /// Every entry is durable.
    pub(crate) fn durable(&self) {
        self.finish(ALL_DURABLE);
    }

    /// The entries from `id` on are lost; those before are durable.
    pub(crate) fn lost_from(&self, id: u64) {
        self.finish(id);
    }

    /// Every entry is lost, unless their fate was decided before.
    pub(crate) fn lost_if_open(&self) {
        if self.lost_from.load(Ordering::Acquire) == OPEN {
            self.finish(0);
        }
    }

    fn finish(&self, lost_from: u64) {
        self.lost_from.store(lost_from, Ordering::Release);
        self.wake.notify_waiters();
        // Whoever holds the lock has not seen the fate yet and is not asleep yet.
        drop(self.blocked.lock());
        self.unblock.notify_all();
    }

    fn fate(&self, id: u64) -> Option<Result<(), Lost>> {
        match self.lost_from.load(Ordering::Acquire) {
            OPEN => None,
            lost_from if id < lost_from => Some(Ok(())),
            _ => Some(Err(Lost)),
        }
    }
}

impl Default for Batch {
    fn default() -> Self {
        Self {
            lost_from: AtomicU64::new(OPEN),
            wake: Notify::new(),
            blocked: Mutex::new(()),
            unblock: Condvar::new(),
        }
    }
}

// === impl Ticket ===

impl Ticket {
    pub(crate) fn new(id: u64, at: Timestamp, batch: Arc<Batch>) -> Self {
        Self { id, at, batch }
    }

    /// The entry's id: its index in the log.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// When, as it was written.
    pub fn at(&self) -> Timestamp {
        self.at
    }

    /// Whether the entry is durable, or lost, by now.
    pub fn now(&self) -> Option<Result<(), Lost>> {
        self.batch.fate(self.id)
    }

    /// Waits until the entry is durable.
    ///
    /// # Errors
    /// When the log failed before.
    pub async fn durable(&self) -> Result<(), Lost> {
        loop {
            let wake = self.batch.wake.notified();
            tokio::pin!(wake);
            // Registered before looking, so that no wake-up falls between.
            wake.as_mut().enable();
            if let Some(fate) = self.batch.fate(self.id) {
                return fate;
            }
            wake.await;
        }
    }

    /// Waits until the entry is durable, blocking the thread.
    ///
    /// # Errors
    /// When the log failed before.
    pub fn durable_blocking(&self) -> Result<(), Lost> {
        let mut guard = self.batch.blocked.lock();
        loop {
            if let Some(fate) = self.batch.fate(self.id) {
                return fate;
            }
            self.batch.unblock.wait(&mut guard);
        }
    }
}
