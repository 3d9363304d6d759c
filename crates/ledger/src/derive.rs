//! Tiles and checkpoints, derived from what is durable.
//!
//! Once a second, and when the log is closed: full tiles as they fill, then the partial ones of the right edge, then the
//! signed checkpoint. From time to time all of it is synced, and a state says from where an opening after a crash has to
//! derive again. What fails here never fails an append: it is tried again from the last state.

use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use ringfence_types::Timestamp;

use crate::durable_file::replace;
use crate::error::{At, Damage, FileError, ReadError};
use crate::key::SigningKey;
use crate::limits::{DERIVE_EVERY_MS, DERIVED_SYNC_ENTRIES, DERIVED_SYNC_SECONDS};
use crate::note::{Checkpoint, NoteError};
use crate::reader::Reader;
use crate::shared::Shared;
use crate::tree::{BUNDLE, Frontier, LEVELS, State, TILE_WIDTH, Tile, TreeFiles, leaf_hash, root_of};
use crate::wal::Position;

/// The name of the checkpoint's file.
pub(crate) const CHECKPOINT: &str = "checkpoint";

/// The newest checkpoint; its lock keeps the tiles it needs where they are.
pub(crate) type Published = Mutex<String>;

pub(crate) struct Deriver {
    shared: Arc<Shared>,
    key: Arc<SigningKey>,
    published: Arc<Published>,
    files: TreeFiles,
    frontier: Frontier,
    /// The entries of the bundle that is being filled.
    bundle: Vec<u8>,
    reader: Reader,
    /// The start of a batch at or before the last full tile.
    anchor: Position,
    /// Up to which size everything is durable.
    synced: u64,
    synced_when: Instant,
    /// Tiles may be there already from before a crash.
    may_exist: bool,
    /// Full tiles whose partial versions are needless once the next checkpoint stands.
    filled: Vec<(&'static str, u64)>,
}

/// What the deriver is asked.
pub(crate) enum Ask {
    /// Derive now, and say when that is done.
    Now(SyncSender<()>),
    /// Derive, sync and end.
    Stop,
}

// === impl Deriver ===

impl Deriver {
    pub(crate) fn new(
        shared: Arc<Shared>,
        key: Arc<SigningKey>,
        published: Arc<Published>,
        state: Option<State>,
    ) -> Self {
        let files = TreeFiles::new(&shared.folder);
        let reader = Reader::new(&shared.wal, Arc::clone(&shared.durable), 0);
        let mut deriver = Self {
            shared,
            key,
            published,
            files,
            frontier: Frontier::default(),
            bundle: Vec::new(),
            reader,
            anchor: Position::START,
            synced: 0,
            synced_when: Instant::now(),
            may_exist: true,
            filled: Vec::new(),
        };
        deriver.reset(state);
        deriver
    }

    /// Goes back to what is known to be on disk.
    fn reset(&mut self, state: Option<State>) {
        let (frontier, position) =
            state.map_or((Frontier::default(), Position::START), |state| (state.frontier, state.position));
        let durable = Arc::clone(&self.shared.durable);
        self.reader = Reader::at(&self.shared.wal, durable, position, frontier.size());
        self.synced = frontier.size();
        self.frontier = frontier;
        self.anchor = position;
        self.bundle.clear();
        self.may_exist = true;
        self.filled.clear();
    }

    /// Derives everything that is durable and checks it against the checkpoint that was published last.
    ///
    /// # Errors
    /// When the log no longer holds what that checkpoint commits to.
    pub(crate) fn catch_up(&mut self) -> Result<(), ReadError> {
        let path = self.shared.folder.join(CHECKPOINT);
        let Some(old) = last_checkpoint(&path, &self.key)? else { return self.round(true) };
        let root = self.derive(Some(old.size))?;
        let root = if let Some(root) = root {
            root
        } else {
            // The checkpoint is older than the state: its root is in the tiles.
            self.write_edge()?;
            root_of(&self.files, self.frontier.size(), old.size)?
        };
        if root != old.root {
            let what = "the entries no longer have the root that the checkpoint commits to".to_owned();
            return Err(Damage { file: path, offset: 0, entry: old.size, what }.into());
        }
        self.round(true)
    }

    /// Derives until told to stop.
    pub(crate) fn run(mut self, asked: &Receiver<Ask>) {
        loop {
            match asked.recv_timeout(Duration::from_millis(DERIVE_EVERY_MS)) {
                Err(RecvTimeoutError::Timeout) => self.attempt(false),
                Ok(Ask::Now(done)) => {
                    self.attempt(false);
                    let _ = done.send(());
                }
                Ok(Ask::Stop) | Err(RecvTimeoutError::Disconnected) => {
                    self.attempt(true);
                    return;
                }
            }
        }
    }

    fn attempt(&mut self, last: bool) {
        if self.shared.durable.load(Ordering::Acquire) == self.frontier.size()
            && !(last && self.is_unsynced())
        {
            return;
        }
        if let Err(error) = self.round(last) {
            tracing::warn!(%error, "tiles and checkpoint are behind the log");
            self.reset(State::read(&self.shared.folder));
        }
    }

    fn is_unsynced(&self) -> bool {
        self.frontier.aligned().size() > self.synced
    }

    fn round(&mut self, last: bool) -> Result<(), ReadError> {
        self.derive(None)?;
        self.write_edge()?;
        let due = self.frontier.size() - self.synced >= DERIVED_SYNC_ENTRIES
            || self.synced_when.elapsed() >= Duration::from_secs(DERIVED_SYNC_SECONDS)
            || last;
        let sync = due && self.is_unsynced();
        if sync {
            self.sync()?;
        }
        self.publish(sync || last)?;
        Ok(())
    }

    /// Hashes what has become durable; the root at size `mark`, if that is passed.
    fn derive(&mut self, mark: Option<u64>) -> Result<Option<[u8; 32]>, ReadError> {
        let mut marked = (mark == Some(self.frontier.size())).then(|| self.frontier.root());
        loop {
            // A borrowed entry keeps the reader busy, so it is copied to where it belongs before anything else.
            let Some((_, entry)) = self.reader.read_next()? else { return Ok(marked) };
            self.bundle.extend_from_slice(&u16::try_from(entry.len()).unwrap_or(u16::MAX).to_be_bytes());
            self.bundle.extend_from_slice(entry);
            let leaf = leaf_hash(entry);
            self.push(leaf)?;
            if mark == Some(self.frontier.size()) {
                marked = Some(self.frontier.root());
            }
        }
    }

    fn push(&mut self, leaf: [u8; 32]) -> Result<(), FileError> {
        let Self { frontier, files, filled, bundle, may_exist, .. } = self;
        frontier.push_leaf(leaf, |level, index, hashes| {
            let level = LEVELS[usize::from(level) & 7];
            if level == LEVELS[0] {
                files.write(Tile { level: BUNDLE, index, width: TILE_WIDTH }, bundle, *may_exist)?;
                filled.push((BUNDLE, index));
                bundle.clear();
            }
            filled.push((level, index));
            files.write(Tile { level, index, width: TILE_WIDTH }, hashes.as_flattened(), *may_exist)
        })?;
        if self.bundle.is_empty() {
            self.anchor = self.reader.batch_start();
        }
        Ok(())
    }

    fn edge(&self) -> impl Iterator<Item = (Tile<'static>, &[u8])> {
        let size = self.frontier.size();
        let tile =
            move |level: usize, word, width| Tile { level: word, index: size >> (8 * (level + 1)), width };
        let levels = self.frontier.levels();
        let leaves = levels.first().map_or(0, Vec::len);
        let bundle = (tile(0, BUNDLE, leaves), self.bundle.as_slice());
        let tiles = levels.iter().zip(LEVELS).enumerate();
        let tiles = tiles
            .map(move |(level, (hashes, word))| (tile(level, word, hashes.len()), hashes.as_flattened()));
        std::iter::once(bundle).chain(tiles).filter(|(tile, _)| tile.width > 0)
    }

    fn write_edge(&self) -> Result<(), FileError> {
        // Never touched again once it is right: somebody may be reading it.
        self.edge().try_for_each(|(tile, bytes)| self.files.write(tile, bytes, true))
    }

    /// Makes everything durable and says so in the state.
    fn sync(&mut self) -> Result<(), FileError> {
        let folder = &self.shared.folder;
        File::open(folder)
            .and_then(|folder| rustix::fs::syncfs(folder).map_err(Into::into))
            .at("sync", folder)?;
        let last_at = self.shared.queue.lock().last_at;
        let state = State { frontier: self.frontier.aligned(), position: self.anchor, last_at };
        state.write(folder)?;
        self.synced = state.frontier.size();
        self.synced_when = Instant::now();
        Ok(())
    }

    fn publish(&mut self, durable: bool) -> Result<(), FileError> {
        let note = self.key.sign(self.frontier.size(), self.frontier.root());
        let mut published = self.published.lock();
        replace(&self.shared.folder.join(CHECKPOINT), note.as_bytes(), durable)?;
        *published = note;
        self.may_exist = false;
        let full = self.filled.iter().map(|(level, index)| Tile { level, index: *index, width: TILE_WIDTH });
        for tile in full.chain(self.edge().map(|(tile, _)| tile)) {
            // Left behind they would only take space.
            if let Err(error) = self.files.remove_partials_but(tile) {
                tracing::debug!(%error, "a partial tile could not be removed");
            }
        }
        drop(published);
        self.filled.clear();
        Ok(())
    }
}

/// What was published last; `None` when nothing was, or a crash left half of it.
fn last_checkpoint(path: &Path, key: &SigningKey) -> Result<Option<Checkpoint>, ReadError> {
    let Ok(note) = fs::read_to_string(path) else { return Ok(None) };
    match Checkpoint::open(&note, key.verifier()) {
        Ok(checkpoint) => Ok(Some(checkpoint)),
        Err(NoteError::Malformed) => {
            tracing::warn!("the last checkpoint cannot be read; it is made anew");
            Ok(None)
        }
        Err(error) => {
            let what = error.to_string();
            Err(Damage { file: path.to_owned(), offset: 0, entry: 0, what }.into())
        }
    }
}

/// Refuses a log that is shorter than what its checkpoint or its tree commits to.
pub(crate) fn refuse_short(
    shared: &Shared,
    key: &SigningKey,
    end: Position,
    state: Option<&State>,
) -> Result<(), ReadError> {
    let path = shared.folder.join(CHECKPOINT);
    let signed = last_checkpoint(&path, key)?.map_or(0, |checkpoint| checkpoint.size);
    let derived = state.map_or(0, |state| state.frontier.size());
    let known = signed.max(derived);
    if end.entry >= known {
        return Ok(());
    }
    let file = crate::wal::segment_path(&shared.wal, end.segment);
    let what = format!("the log ends here, but it had {known} entries: its tail was cut off");
    Err(Damage { file, offset: end.offset, entry: end.entry, what }.into())
}

/// The way to ask the deriver.
pub(crate) fn channel() -> (SyncSender<Ask>, Receiver<Ask>) {
    sync_channel(16)
}

/// The last entry's time that the state knows.
pub(crate) fn last_at(state: Option<&State>) -> Timestamp {
    state.map(|state| state.last_at).unwrap_or_default()
}
