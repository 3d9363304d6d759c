//! What the appenders, the writer and the deriver share.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use parking_lot::{Condvar, Mutex};
use ringfence_types::NodeName;
use tokio::sync::Notify;

use crate::disk::Faults;
use crate::payload::Book;
use crate::queue::Queue;

pub(crate) struct Shared {
    pub(crate) node: NodeName,
    /// The folder of the log.
    pub(crate) folder: PathBuf,
    pub(crate) wal: PathBuf,
    pub(crate) payloads: PathBuf,
    pub(crate) segment_bytes: u64,
    pub(crate) payload_segment_bytes: u64,
    pub(crate) faults: Faults,
    pub(crate) queue: Mutex<Queue>,
    /// Wakes the writer.
    pub(crate) wake: Condvar,
    /// Wakes whoever waits for an incarnation to end or begin.
    pub(crate) changed: Notify,
    /// How many entries are durable.
    pub(crate) durable: Arc<AtomicU64>,
    pub(crate) book: Arc<Book>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ledger").field("folder", &self.folder).finish_non_exhaustive()
    }
}
