//! Answers on the disk, as far as those who serve agents see them: nobody waits for a file who has not asked for it.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use ringfence_types::{Digest, Timestamp};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio_util::sync::CancellationToken;

use super::shelf::{Bounds, Put, Shelf};
use super::{Answer, Place, file};
use crate::Limits;

/// A shelf, and the thread that alone puts something there.
#[derive(Debug)]
pub(super) struct Disk {
    shelf: Arc<Shelf>,
    /// The thread ends when this goes and everything in it is done.
    jobs: SyncSender<Job>,
    /// Bytes that wait to be written.
    waiting: Arc<AtomicU64>,
    waiting_bytes_max: u64,
    /// Files that are read at once: each stands in memory whole.
    reads: Semaphore,
    /// Cancelled once it is known what stands there from before.
    looked: CancellationToken,
}

/// What the thread is to do.
#[derive(Debug)]
enum Job {
    Put { answer: Answer, bytes_max: u64 },
    Sweep { now: Timestamp, config: Digest, bytes_max: u64 },
}

/// The thread's own part.
struct Worker {
    shelf: Arc<Shelf>,
    waiting: Arc<AtomicU64>,
    looked: CancellationToken,
    /// After an error the disk is left alone for so long.
    pause: Duration,
    paused: Option<Instant>,
}

// === impl Disk ===

impl Disk {
    /// Takes up what stands in a folder, in the background.
    ///
    /// # Errors
    /// When there can be no more threads.
    pub(super) fn start(folder: &Path, limits: &Limits, now: Timestamp) -> io::Result<Self> {
        let bounds = Bounds {
            files: limits.model_cache_files,
            free_bytes: limits.model_cache_free_bytes,
            file_bytes: limits.message_bytes as u64 + file::OVERHEAD,
        };
        let (shelf, waiting) = (Arc::new(Shelf::new(folder, bounds)), Arc::new(AtomicU64::new(0)));
        let (jobs, queue) = sync_channel(limits.model_cache_waiting);
        let looked = CancellationToken::new();
        let mut worker = Worker {
            shelf: Arc::clone(&shelf),
            waiting: Arc::clone(&waiting),
            looked: looked.clone(),
            pause: limits.model_cache_pause,
            paused: None,
        };
        std::thread::Builder::new().name("kept-answers".into()).spawn(move || worker.work(&queue, now))?;
        Ok(Self {
            shelf,
            jobs,
            waiting,
            waiting_bytes_max: limits.model_cache_waiting_bytes,
            reads: Semaphore::new(limits.model_cache_reads),
            looked,
        })
    }

    /// Whether it is worth asking for an answer.
    pub(super) fn has(&self, place: &Place) -> bool {
        self.shelf.has(place)
    }

    /// Waits until it is known what stands there from before.
    pub(super) async fn looked(&self) {
        self.looked.cancelled().await;
    }

    /// The turn to read a file.
    pub(super) async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        self.reads.acquire().await.ok()
    }

    /// The answer that stands there.
    pub(super) async fn get(&self, place: &Place, now: Timestamp) -> Option<Answer> {
        let (shelf, place) = (Arc::clone(&self.shelf), *place);
        tokio::task::spawn_blocking(move || shelf.get(&place, now)).await.ok().flatten()
    }

    /// Has an answer kept, unless too many wait already.
    pub(super) fn put(&self, answer: Answer, bytes_max: u64) {
        let bytes = file::bytes_of(&answer);
        let before = self.waiting.fetch_add(bytes, Ordering::Relaxed);
        let fits = before.saturating_add(bytes) <= self.waiting_bytes_max;
        if !fits || self.jobs.try_send(Job::Put { answer, bytes_max }).is_err() {
            self.waiting.fetch_sub(bytes, Ordering::Relaxed);
        }
    }

    /// Has removed what is over. What does not get its turn now gets it the next time.
    pub(super) fn sweep(&self, now: Timestamp, config: Digest, bytes_max: u64) {
        if !self.shelf.is_empty() {
            let _ = self.jobs.try_send(Job::Sweep { now, config, bytes_max });
        }
    }
}

// === impl Worker ===

impl Worker {
    fn work(&mut self, queue: &Receiver<Job>, now: Timestamp) {
        let found = self.shelf.look(now);
        self.looked.cancel();
        self.note(found);
        while let Ok(job) = queue.recv() {
            self.job(job);
        }
    }

    fn job(&mut self, job: Job) {
        let rests = self.paused.is_some_and(|until| Instant::now() < until);
        match job {
            Job::Put { answer, bytes_max } => {
                let put = if rests { Ok(Put::DiskIsShort) } else { self.shelf.put(&answer, bytes_max) };
                self.waiting.fetch_sub(file::bytes_of(&answer), Ordering::Relaxed);
                self.note(put.map(|_| ()));
            }
            Job::Sweep { .. } if rests => {}
            Job::Sweep { now, config, bytes_max } => {
                let swept = self.shelf.sweep(now, config, bytes_max);
                self.note(swept);
            }
        }
    }

    /// Leaves the disk alone for a while after an error. No agent hears of it: its answer was given.
    fn note(&mut self, done: io::Result<()>) {
        if let Err(error) = done {
            tracing::warn!(%error, "answers of models are not kept on the disk for now; `cache/` in the data folder is theirs");
            self.paused = Some(Instant::now() + self.pause);
        }
    }
}
