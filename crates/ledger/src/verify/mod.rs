//! Checking a whole log: no node, no network, nothing is written.
//!
//! The write-ahead log is read once. Every entry is checked and hashed; bundles, tiles and checkpoint must say the same.
//! Entries are in order, log time does not run backwards, every outcome has its intent and no action two, and the
//! payloads that were not pruned are there and have their names. What is right in itself can still be another history:
//! only a key says who signed, and only a checkpoint kept elsewhere says that nothing was rewritten.

mod actions;
mod chunk;
mod fold;
mod payloads;
mod report;
mod source;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

pub use report::{Broken, Report, VerifyError};

use crate::derive::CHECKPOINT;
use crate::error::At;
use crate::note::{Checkpoint, VerifierKey};
use fold::Fold;
use source::Source;

/// How to verify.
#[derive(Debug, Clone)]
pub struct VerifyOptions {
    /// Who must have signed.
    pub key: Option<VerifierKey>,
    /// The text of a checkpoint that was kept elsewhere.
    pub since: Option<String>,
    /// Whether to read the payloads.
    pub payloads: bool,
    /// How many threads hash.
    pub threads: usize,
    /// Counts the entries that were checked, for whoever watches.
    pub checked: Arc<AtomicU64>,
}

impl Default for VerifyOptions {
    fn default() -> Self {
        let threads = std::thread::available_parallelism().map_or(2, usize::from);
        Self { key: None, since: None, payloads: true, threads, checked: Arc::default() }
    }
}

/// What the tree must lead to.
#[derive(Debug, Clone)]
pub(crate) struct Signed {
    pub(crate) path: PathBuf,
    pub(crate) checkpoint: Checkpoint,
    pub(crate) since: Option<Checkpoint>,
}

/// How often a log is read again that a node has gone on writing meanwhile.
const READINGS_MAX: u32 = 10;

/// Verifies the log in `folder`. Works on a copy, and while a node writes to it.
///
/// # Errors
/// When the log is broken, says where; when it cannot be read.
pub fn verify(folder: &Path, options: &VerifyOptions) -> Result<Report, VerifyError> {
    let started = Instant::now();
    if !folder.join("wal").is_dir() {
        return Err(VerifyError::NotALog(folder.to_owned()));
    }
    let mut readings = 1;
    loop {
        let checkpoint = fs::read(folder.join(CHECKPOINT)).ok();
        match read_once(folder, options) {
            Ok(report) => return Ok(Report { took: started.elapsed(), ..report }),
            // What stands for a part of a tile is replaced as the log grows: read between two states, it fits neither.
            // A log that nobody writes is read once.
            Err(VerifyError::Broken(_))
                if readings < READINGS_MAX && fs::read(folder.join(CHECKPOINT)).ok() != checkpoint =>
            {
                readings += 1;
            }
            Err(error) => return Err(error),
        }
    }
}

fn read_once(folder: &Path, options: &VerifyOptions) -> Result<Report, VerifyError> {
    // Before the log: a node that is writing has everything that its checkpoint commits to.
    let signed = signed(folder, options)?;
    let mut source = Source::new(folder, signed.checkpoint.size)?;
    let mut fold = Fold::new(folder, &signed, options);
    options.checked.store(0, Ordering::Relaxed);
    while let Some(chunks) = source.next_chunks()? {
        let checked = chunk::check_all(&chunks, folder, signed.checkpoint.size, options.threads);
        for checked in checked {
            let checked = checked?;
            options.checked.fetch_add(checked.leaves.len() as u64, Ordering::Relaxed);
            fold.add(checked)?;
        }
    }
    let mut report = fold.finish(&source)?;
    report.key = options.key.as_ref().map(ToString::to_string);
    report.torn_bytes = source.torn_bytes();
    Ok(report)
}

fn signed(folder: &Path, options: &VerifyOptions) -> Result<Signed, VerifyError> {
    let path = folder.join(CHECKPOINT);
    let note = match fs::read_to_string(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(Broken::file(path, 0, "the checkpoint is missing").into());
        }
        Err(error) if error.kind() == std::io::ErrorKind::InvalidData => {
            return Err(Broken::file(path, 0, "the checkpoint is not text").into());
        }
        note => note.at("read", &path)?,
    };
    let open = |note: &str| match &options.key {
        Some(key) => Checkpoint::open(note, key),
        None => Checkpoint::parse(note),
    };
    let checkpoint = open(&note).map_err(|error| Broken::file(path.clone(), 0, &error.to_string()))?;
    let since = options.since.as_deref().map(open).transpose().map_err(VerifyError::Since)?;
    if let Some(since) = &since {
        if since.origin != checkpoint.origin {
            return Err(VerifyError::OtherLog { kept: since.origin.clone(), found: checkpoint.origin });
        }
        if since.size > checkpoint.size {
            let what = format!(
                "the log commits to {} entries, but the checkpoint that was kept to {}: its end was cut off",
                checkpoint.size, since.size
            );
            return Err(Broken::file(path, 0, &what).into());
        }
    }
    Ok(Signed { path, checkpoint, since })
}
