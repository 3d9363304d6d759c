//! The log as a node holds it.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::SyncSender;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use ringfence_types::{Digest, NodeName, Timestamp};
use tokio::sync::Notify;

use crate::archive::payload_in;
use crate::derive::{self, Ask, Deriver, Published};
use crate::disk::{Faults, is_full, sync_folder};
use crate::error::{At, OpenError, ReadError};
use crate::key::SigningKey;
use crate::limits::{
    ENTRY_BYTES_MAX, OPERATOR_RESERVE_BYTES, PAYLOAD_SEGMENT_AGE_MICROS, PAYLOAD_SEGMENT_BYTES_DEFAULT,
    SEGMENT_BYTES_DEFAULT, SEGMENT_BYTES_MAX, SEGMENT_BYTES_MIN,
};
use crate::lock::Lock;
use crate::note::VerifierKey;
use crate::payload::{Book, Payload, PayloadClass, Pruned, classes_of, is_begun_before, prune};
use crate::queue::{Queue, charge};
use crate::reader::Reader;
use crate::session::Session;
use crate::shared::Shared;
use crate::tree::{InclusionProof, State, proof_from};
use crate::wal::{Position, recover};
use crate::writer::Writer;

/// How to open a log.
#[derive(Debug, Clone)]
pub struct Options {
    /// Who writes it; every entry's `node`.
    pub node: NodeName,
    /// The size of a segment of the write-ahead log, in bytes; between [`SEGMENT_BYTES_MIN`] and [`SEGMENT_BYTES_MAX`].
    /// Two of them are allocated from the start.
    pub segment_bytes: u64,
    /// The size at which a payload segment is followed by another, in bytes.
    pub payload_segment_bytes: u64,
    /// Failures on purpose, for tests.
    pub faults: Faults,
}

/// What opening found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovery {
    /// How many entries the log has.
    pub size: u64,
    /// How many bytes of a batch that was never acknowledged were removed from the end.
    pub torn_bytes: u64,
    /// How long opening took.
    pub took: Duration,
}

/// What room the log has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// The disk is full, and what is left beside what is set aside does not hold the longest entry: new actions are
    /// refused, or will be soon.
    pub full: bool,
    /// What new actions may use before more is allocated, in bytes.
    pub for_new: u64,
    /// What is set aside for outcomes, in bytes.
    pub reserved: u64,
    /// What only operators' entries may use, in bytes.
    pub for_operators: u64,
}

/// The log. Cheap to clone; the last clone that is dropped closes it.
#[derive(Debug, Clone)]
pub struct Ledger {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    shared: Arc<Shared>,
    key: Arc<SigningKey>,
    published: Arc<Published>,
    ask: SyncSender<Ask>,
    threads: Mutex<Option<Threads>>,
    /// Held until the log is closed: another node may open it while a clone of this still reads.
    lock: Mutex<Option<Lock>>,
}

#[derive(Debug)]
struct Threads {
    writer: JoinHandle<()>,
    deriver: JoinHandle<()>,
}

// === impl Options ===

impl Options {
    /// The defaults for a node of that name.
    pub fn new(node: NodeName) -> Self {
        Self {
            node,
            segment_bytes: SEGMENT_BYTES_DEFAULT,
            payload_segment_bytes: PAYLOAD_SEGMENT_BYTES_DEFAULT,
            faults: Faults::default(),
        }
    }
}

// === impl Ledger ===

impl Ledger {
    /// Opens the log in `folder`, making it if there is none: takes it for this process, removes what a crash left of a
    /// batch that was never acknowledged, and starts the threads that write and derive. Blocks.
    ///
    /// # Errors
    /// When another process holds the log, when it is damaged where a crash cannot have damaged it, or when the disk
    /// refuses.
    pub fn open(folder: &Path, options: Options) -> Result<(Self, Recovery), OpenError> {
        let started = Instant::now();
        if !(SEGMENT_BYTES_MIN..=SEGMENT_BYTES_MAX).contains(&options.segment_bytes) {
            let range = format!("segment_bytes must be between {SEGMENT_BYTES_MIN} and {SEGMENT_BYTES_MAX}");
            return Err(OpenError::Options(range));
        }
        let shared = Arc::new(prepare(folder, options)?);
        let lock = Lock::take(folder)?;
        let key = Arc::new(SigningKey::open(folder, &shared.node)?);
        let published = Arc::new(Published::default());
        let (end, torn_bytes, deriver, writer) = recover_all(&shared, &key, &published)?;
        let (ask, asked) = derive::channel();
        let threads = Threads {
            writer: spawn("ledger-writer", folder, move || writer.run())?,
            deriver: spawn("ledger-tiles", folder, move || deriver.run(&asked))?,
        };
        let recovery = Recovery { size: end.entry, torn_bytes, took: started.elapsed() };
        let inner = Inner {
            shared,
            key,
            published,
            ask,
            threads: Mutex::new(Some(threads)),
            lock: Mutex::new(Some(lock)),
        };
        Ok((Self { inner: Arc::new(inner) }, recovery))
    }

    fn shared(&self) -> &Arc<Shared> {
        &self.inner.shared
    }

    /// How many entries have a place: the id that the next one gets.
    pub fn size(&self) -> u64 {
        self.shared().queue.lock().next_id
    }

    /// How many entries are durable.
    pub fn durable(&self) -> u64 {
        self.shared().durable.load(Ordering::Acquire)
    }

    /// When the last entry was written, in log time; log time before the first entry is 1970.
    pub fn last_at(&self) -> Timestamp {
        self.shared().queue.lock().last_at
    }

    /// Who writes the log.
    pub fn node(&self) -> &NodeName {
        &self.shared().node
    }

    /// The right to append to the present incarnation; `None` while the log is being reopened, and once it is closed.
    pub fn session(&self) -> Option<Session> {
        let queue = self.shared().queue.lock();
        let live = queue.alive && !queue.closing;
        live.then(|| Session::new(Arc::clone(self.shared()), queue.incarnation))
    }

    /// As [`Ledger::session`], waiting while the log is being reopened; `None` once it is closed.
    pub async fn next_session(&self) -> Option<Session> {
        loop {
            let changed = self.shared().changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if let Some(session) = self.session() {
                return Some(session);
            }
            if self.shared().queue.lock().closing {
                return None;
            }
            changed.await;
        }
    }

    /// Reads durable entries from `from` on.
    ///
    /// # Errors
    /// None now; reading reports its own.
    pub fn read(&self, from: u64) -> Result<Reader, ReadError> {
        Ok(Reader::new(&self.shared().wal, Arc::clone(&self.shared().durable), from))
    }

    /// The payload of that name that was stored with entry `entry`; `None` when the entry names no such payload. Blocks.
    ///
    /// # Errors
    /// When it cannot be read, or is missing without having been pruned.
    pub fn payload(&self, entry: u64, name: &Digest) -> Result<Option<Payload>, ReadError> {
        payload_in(self.read(entry)?, &self.shared().payloads, entry, name)
    }

    /// Removes the payloads of a class that were written before `before`, in whole segments; proofs are not touched.
    /// What the present segment holds goes the next time. Blocks.
    ///
    /// # Errors
    /// When the disk refuses or a segment is damaged.
    pub fn prune(&self, class: &PayloadClass, before: Timestamp) -> Result<Pruned, ReadError> {
        let shared = self.shared();
        let is_open = shared.book.is_open(class);
        let pruned = prune(&shared.payloads, class, before, self.durable(), is_open)?;
        // A slow class must not keep everything in one segment for ever.
        let a_day_ago = self.last_at().as_micros().saturating_sub(PAYLOAD_SEGMENT_AGE_MICROS);
        let old = before.max(Timestamp::from_micros(a_day_ago));
        if is_begun_before(&shared.payloads, class, old)? {
            shared.book.ask_rotation(class);
            shared.wake.notify_one();
        }
        Ok(pruned)
    }

    /// The classes that have payloads, or had.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn payload_classes(&self) -> Result<Vec<PayloadClass>, ReadError> {
        let folder = &self.shared().payloads;
        Ok(classes_of(folder).at("list", folder)?)
    }

    /// The newest signed checkpoint: what somebody else can keep, to check the log against later. At most a second
    /// old; [`Ledger::derive`] makes it new.
    pub fn checkpoint(&self) -> String {
        self.inner.published.lock().clone()
    }

    /// The key that signs checkpoints.
    pub fn verifier_key(&self) -> &VerifierKey {
        self.inner.key.verifier()
    }

    /// Brings tiles and checkpoint up to what is durable now. Blocks.
    pub fn derive(&self) {
        let (done, wait) = std::sync::mpsc::sync_channel(1);
        if self.inner.ask.send(Ask::Now(done)).is_ok() {
            let _ = wait.recv();
        }
    }

    /// Proves that an entry is in the tree of the newest checkpoint; `None` when that does not reach it yet. Blocks.
    ///
    /// # Errors
    /// When tiles cannot be read.
    pub fn prove(&self, id: u64) -> Result<Option<InclusionProof>, ReadError> {
        let checkpoint = self.inner.published.lock();
        Ok(proof_from(&self.shared().folder, &checkpoint, id)?)
    }

    /// What room there is.
    pub fn space(&self) -> Space {
        let queue = self.shared().queue.lock();
        Space {
            full: queue.disk_full && queue.for_new() < charge(ENTRY_BYTES_MAX, 0),
            for_new: queue.for_new(),
            reserved: queue.reserved,
            for_operators: queue.operator_reserve,
        }
    }

    /// Writes what waits, brings tiles and checkpoint up to date, and ends the threads. Later appends are refused; other
    /// clones can still read. Blocks.
    pub fn close(&self) {
        self.inner.close();
    }
}

// === impl Inner ===

impl Inner {
    /// The writer ends first, so that the deriver sees everything.
    fn close(&self) {
        self.shared.queue.lock().closing = true;
        self.shared.wake.notify_all();
        let mut threads = self.threads.lock();
        let Some(Threads { writer, deriver }) = threads.take() else { return };
        let written = writer.join();
        let _ = self.ask.send(Ask::Stop);
        if written.and(deriver.join()).is_err() {
            tracing::error!("a thread of the log panicked");
        }
        drop(self.lock.lock().take());
        self.shared.changed.notify_waiters();
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.close();
    }
}

fn spawn(
    name: &str,
    folder: &Path,
    run: impl FnOnce() + Send + 'static,
) -> Result<JoinHandle<()>, OpenError> {
    let spawned = std::thread::Builder::new().name(name.to_owned()).spawn(run);
    spawned.at("start a thread for", folder).map_err(OpenError::File)
}

/// Finds the end of the log, derives the tree up to it, and only then opens the log for writing.
fn recover_all(
    shared: &Arc<Shared>,
    key: &Arc<SigningKey>,
    published: &Arc<Published>,
) -> Result<(Position, u64, Deriver, Writer), OpenError> {
    let state = State::read(&shared.folder);
    let from = state.as_ref().map_or(Position::START, |state| state.position);
    let found = recover(&shared.wal, &shared.payloads, from)?;
    derive::refuse_short(shared, key, found.end, state.as_ref())?;
    shared.durable.store(found.end.entry, Ordering::Release);
    let last_at = found.last_at.unwrap_or_default().max(derive::last_at(state.as_ref()));
    shared.queue.lock().last_at = last_at;
    let mut deriver = Deriver::new(Arc::clone(shared), Arc::clone(key), Arc::clone(published), state);
    match deriver.catch_up() {
        // Tiles can wait for space; the log itself has its own.
        Err(ReadError::File(error)) if is_full(&error.source) => {
            tracing::warn!(%error, "tiles and checkpoint are behind the log");
            deriver = Deriver::new(
                Arc::clone(shared),
                Arc::clone(key),
                Arc::clone(published),
                State::read(&shared.folder),
            );
        }
        done => done?,
    }
    let mut writer = Writer::open(Arc::clone(shared), found.end)?;
    writer.begin(last_at);
    Ok((found.end, found.torn_bytes, deriver, writer))
}

/// Makes the folders.
fn prepare(folder: &Path, options: Options) -> Result<Shared, OpenError> {
    let (wal, payloads) = (folder.join("wal"), folder.join("payloads"));
    for path in [&wal, &payloads] {
        if !path.is_dir() {
            fs::create_dir_all(path).at("create", path)?;
            sync_folder(folder)?;
        }
    }
    let reserve = OPERATOR_RESERVE_BYTES.min(options.segment_bytes / 4);
    Ok(Shared {
        node: options.node,
        folder: folder.to_owned(),
        wal,
        payloads,
        segment_bytes: options.segment_bytes,
        payload_segment_bytes: options.payload_segment_bytes,
        faults: options.faults,
        queue: Mutex::new(Queue::new(reserve)),
        wake: Condvar::new(),
        changed: Notify::new(),
        durable: Arc::new(AtomicU64::new(0)),
        book: Arc::new(Book::default()),
    })
}
