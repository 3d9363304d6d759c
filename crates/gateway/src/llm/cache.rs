//! Answers kept for calls that ask exactly the same.
//!
//! Opt-in for each model. A call that is answered from here is decided and recorded like every other; it costs nothing.
//! The key holds everything that could make another answer right: whose call it is, the configuration that decides, and
//! the whole request but for what means nothing to a model.
//!
//! Answers stand in memory and, beyond that and over restarts, in files under the data folder; both are bounded by the
//! configuration. What is not kept is no error: the provider is asked.

mod disk;
mod file;
mod lru;
mod memory;
mod place;
mod shelf;

use std::path::Path;
use std::sync::OnceLock;

use bytes::Bytes;
use ringfence_types::{Digest, Timestamp};

use self::disk::Disk;
use self::memory::Memory;
pub(crate) use self::place::{Key, Place, place};
use crate::Limits;
use crate::targets::CacheBounds;

/// The folder in the data folder.
const FOLDER: &str = "cache";

/// Answers in memory and on the disk.
#[derive(Debug, Default)]
pub(crate) struct Cache {
    memory: Memory,
    /// Nothing before [`Cache::keep_under`].
    disk: OnceLock<Disk>,
}

/// An answer that is kept.
#[derive(Clone, PartialEq, Eq)]
struct Answer {
    key: Key,
    /// The configuration that decided; by another it is never given out.
    config: Digest,
    until: Timestamp,
    body: Bytes,
}

// === impl Cache ===

impl Cache {
    /// Keeps answers under this data folder too, from now on.
    pub(crate) fn keep_under(&self, data: &Path, limits: &Limits, now: Timestamp) {
        match Disk::start(&data.join(FOLDER), limits, now) {
            Ok(disk) => drop(self.disk.set(disk)),
            Err(error) => tracing::warn!(%error, "answers of models are kept in memory only"),
        }
    }

    /// Waits until it is known what is on the disk from before.
    pub(crate) async fn looked(&self) {
        if let Some(disk) = self.disk.get() {
            disk.looked().await;
        }
    }

    /// The answer that is kept there.
    pub(crate) async fn get(&self, place: &Place, now: Timestamp, bounds: CacheBounds) -> Option<Bytes> {
        if let Some(body) = self.memory.get(place, now) {
            return Some(body);
        }
        let disk = self.disk.get().filter(|disk| place.on_disk && disk.has(place))?;
        let _turn = disk.turn().await?;
        // Whoever had the turn before may have asked for the same.
        if let Some(body) = self.memory.get(place, now) {
            return Some(body);
        }
        let answer = disk.get(place, now).await?;
        let body = answer.body.clone();
        self.memory.put(answer, bounds.memory);
        Some(body)
    }

    /// Keeps an answer, as far as there is room.
    pub(crate) fn put(&self, place: &Place, body: Bytes, now: Timestamp, bounds: CacheBounds) {
        let answer = Answer::new(place, body, now);
        if let Some(disk) = self.disk.get().filter(|_| place.on_disk && bounds.disk > 0) {
            disk.put(answer.clone(), bounds.disk);
        }
        self.memory.put(answer, bounds.memory);
    }

    /// Forgets what is too old, what another configuration decided, and what is too much.
    pub(crate) fn sweep(&self, now: Timestamp, config: Digest, bounds: CacheBounds) {
        self.memory.sweep(now, config, bounds.memory);
        if let Some(disk) = self.disk.get() {
            disk.sweep(now, config, bounds.disk);
        }
    }
}

// === impl Answer ===

impl Answer {
    fn new(place: &Place, body: Bytes, now: Timestamp) -> Self {
        Self { key: place.key, config: place.config, until: now.after(place.ttl), body }
    }
}

impl std::fmt::Debug for Answer {
    /// Never what was said.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Answer({:?}, {} bytes, until {})", self.key, self.body.len(), self.until)
    }
}

#[cfg(test)]
#[path = "cache/tests.rs"]
mod tests;
