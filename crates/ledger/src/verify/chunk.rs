//! Checking one bundle's worth of entries, on any thread.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use ringfence_types::EntryKind;

use super::report::{Broken, VerifyError};
use super::source::Chunk;
use crate::check::{check_entry, payload_refs};
use crate::error::FileError;
use crate::frame::entries;
use crate::note::Checkpoint;
use crate::tree::{BUNDLE, Hash, LEVELS, TILE_WIDTH, Tile, TreeFiles, leaf_hash, tile_root};

/// What the entries of a chunk say, as far as it concerns others.
#[derive(Debug)]
pub(crate) struct Checked {
    pub(crate) first_id: u64,
    pub(crate) leaves: Vec<Hash>,
    /// The root over a full chunk.
    pub(crate) root: Option<Hash>,
    pub(crate) first_at: String,
    pub(crate) last_at: String,
    pub(crate) actions: Vec<(u64, EntryKind, Box<str>)>,
    pub(crate) payloads: Vec<(u64, Box<str>, Box<str>)>,
}

/// Checks chunks on `threads` threads; the results are in the order of the chunks.
pub(crate) fn check_all(
    chunks: &[Chunk],
    folder: &Path,
    signed: u64,
    threads: usize,
) -> Vec<Result<Checked, VerifyError>> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        while let Some((index, chunk)) = {
            let index = next.fetch_add(1, Ordering::Relaxed);
            chunks.get(index).map(|chunk| (index, chunk))
        } {
            done.push((index, check(chunk, folder, signed)));
        }
        done
    };
    let mut results = std::thread::scope(|scope| {
        let helpers: Vec<_> = (1..threads.max(1)).map(|_| scope.spawn(work)).collect();
        let mut results = work();
        for helper in helpers {
            match helper.join() {
                Ok(done) => results.extend(done),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        results
    });
    results.sort_unstable_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, checked)| checked).collect()
}

fn check(chunk: &Chunk, folder: &Path, signed: u64) -> Result<Checked, VerifyError> {
    let mut checked = Checked {
        first_id: chunk.first_id,
        leaves: Vec::with_capacity(chunk.count),
        root: None,
        first_at: String::new(),
        last_at: String::new(),
        actions: Vec::new(),
        payloads: Vec::new(),
    };
    for (id, entry) in (chunk.first_id..).zip(entries(&chunk.bundle)) {
        checked.entry(id, entry.unwrap_or_default())?;
    }
    if checked.leaves.len() == TILE_WIDTH {
        checked.root = Some(tile_root(&checked.leaves));
    }
    compare(chunk, &checked.leaves, folder, signed)?;
    Ok(checked)
}

// === impl Checked ===

impl Checked {
    fn entry(&mut self, id: u64, entry: &[u8]) -> Result<(), Broken> {
        let broken = |what: &str| Broken::entry(id, what);
        let view = check_entry(entry).map_err(|error| broken(&error.to_string()))?;
        if view.id != id {
            return Err(Broken::entry(
                id,
                format!("the entry in this place says that it is entry {}", view.id),
            ));
        }
        if view.at < self.last_at.as_str() {
            return Err(broken("log time runs backwards here"));
        }
        if self.leaves.is_empty() {
            view.at.clone_into(&mut self.first_at);
        }
        if self.last_at != view.at {
            view.at.clone_into(&mut self.last_at);
        }
        if matches!(view.kind, EntryKind::Intent | EntryKind::Outcome) {
            let action = view.action.ok_or_else(|| broken("an intent or outcome that names no action"))?;
            self.actions.push((id, view.kind, action.into()));
        }
        if let Some(payloads) = view.payloads {
            let refs = payload_refs(payloads).map_err(|error| broken(&error.to_string()))?;
            self.payloads.extend(refs.iter().map(|found| (id, found.class.into(), found.name.into())));
        }
        self.leaves.push(leaf_hash(entry));
        Ok(())
    }
}

/// The bundle and the tile of leaves must say what the log says, as far as the checkpoint reaches.
fn compare(chunk: &Chunk, leaves: &[Hash], folder: &Path, signed: u64) -> Result<(), VerifyError> {
    let width =
        usize::try_from(signed.saturating_sub(chunk.first_id)).unwrap_or(usize::MAX).min(leaves.len());
    if width == 0 {
        return Ok(());
    }
    let files = TreeFiles::new(folder);
    let index = chunk.first_id / TILE_WIDTH as u64;
    let tile = Tile { level: LEVELS[0], index, width };
    if let Some((bytes, path)) = read_tile(&files, tile, folder, signed)? {
        same_prefix(&bytes, leaves[..width].as_flattened(), 32, tile, &path)?;
    }
    let bundle = Tile { level: BUNDLE, ..tile };
    let Some((bytes, path)) = read_tile(&files, bundle, folder, signed)? else { return Ok(()) };
    let length: usize = entries(&chunk.bundle).take(width).flatten().map(|entry| entry.len() + 2).sum();
    if bytes.get(..length) == Some(&chunk.bundle[..length]) && (width < TILE_WIDTH || bytes.len() == length) {
        return Ok(());
    }
    Err(first_difference(&bytes, &chunk.bundle[..length], chunk.first_id).at_file(&path))
}

/// A tile; `None` when a running node has replaced it since the checkpoint was read.
pub(crate) fn read_tile(
    files: &TreeFiles,
    tile: Tile<'_>,
    folder: &Path,
    signed: u64,
) -> Result<Option<(Vec<u8>, std::path::PathBuf)>, VerifyError> {
    match files.read(tile) {
        Ok(read) => Ok(Some(read)),
        Err(FileError { source, path, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
            let note = fs::read_to_string(folder.join(crate::derive::CHECKPOINT)).unwrap_or_default();
            let moved_on = Checkpoint::parse(&note).is_ok_and(|checkpoint| checkpoint.size != signed);
            if moved_on && tile.width < TILE_WIDTH {
                return Ok(None);
            }
            Err(Broken::file(path, 0, "a tile that the checkpoint needs is missing").into())
        }
        Err(error) => Err(error.into()),
    }
}

/// Compares hashes, `size` bytes each.
pub(crate) fn same_prefix(
    found: &[u8],
    expected: &[u8],
    size: usize,
    tile: Tile<'_>,
    path: &Path,
) -> Result<(), VerifyError> {
    let full = tile.width == TILE_WIDTH && found.len() != expected.len();
    if found.get(..expected.len()) == Some(expected) && !full {
        return Ok(());
    }
    let at = found.iter().zip(expected).position(|(left, right)| left != right);
    let at = at.unwrap_or(found.len().min(expected.len()));
    let what = format!("hash {} of the tile is not that of the entries", at / size);
    let broken = Broken::file(path.to_owned(), at as u64, &what);
    let first = tile.index * TILE_WIDTH as u64 + (at / size) as u64;
    Err(if tile.level == LEVELS[0] { broken.of_entry(first) } else { broken }.into())
}

struct Difference {
    offset: usize,
    id: u64,
}

// === impl Difference ===

impl Difference {
    fn at_file(self, path: &Path) -> VerifyError {
        let what = "the bundle does not hold the entries of the log";
        Broken::file(path.to_owned(), self.offset as u64, what).of_entry(self.id).into()
    }
}

fn first_difference(found: &[u8], expected: &[u8], first_id: u64) -> Difference {
    let offset = found.iter().zip(expected).position(|(left, right)| left != right);
    let offset = offset.unwrap_or(found.len().min(expected.len()));
    let mut end = 0;
    let before = entries(expected).flatten().take_while(|entry| {
        end += entry.len() + 2;
        end <= offset
    });
    Difference { offset, id: first_id + before.count() as u64 }
}
