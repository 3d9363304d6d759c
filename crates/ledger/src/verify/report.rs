//! What verifying found.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::{Damage, FileError, ReadError};
use crate::note::NoteError;

/// Where a log is broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// What is wrong.
    pub what: String,
    /// The first entry that it concerns.
    pub entry: Option<u64>,
    /// In which file it was seen.
    pub file: Option<PathBuf>,
    /// Where in that file, in bytes from its start.
    pub offset: Option<u64>,
}

/// The log could not be verified.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// It is broken.
    #[error("the log is broken: {0}")]
    Broken(#[from] Broken),
    /// A file could not be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// The checkpoint that was kept is not one, or not signed by the key.
    #[error("the checkpoint that was kept cannot be used: {0}")]
    Since(NoteError),
    /// The checkpoint that was kept belongs to another log.
    #[error("the checkpoint that was kept belongs to the log `{kept}`, this is `{found}`")]
    OtherLog {
        /// Its origin.
        kept: String,
        /// The origin of the log at hand.
        found: String,
    },
    /// There is no log there.
    #[error("there is no log in {}: expected its folder `wal`", .0.display())]
    NotALog(PathBuf),
}

/// What was proved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Which log.
    pub origin: String,
    /// How many entries were read.
    pub entries: u64,
    /// How many of them the signed checkpoint commits to.
    pub signed: u64,
    /// The root of the tree over those.
    pub root: [u8; 32],
    /// How many actions have an outcome.
    pub settled: u64,
    /// How many intents have none: in flight, or cut off by a crash.
    pub unsettled: u64,
    /// How many payloads were read and have their names.
    pub payloads: u64,
    /// How many payloads were pruned.
    pub pruned: u64,
    /// Whether payloads were looked at.
    pub payloads_checked: bool,
    /// By whom it is signed, if that was asked.
    pub key: Option<String>,
    /// The size of the checkpoint that was kept, if there was one.
    pub since: Option<u64>,
    /// How many bytes of an unfinished batch stand at the end.
    pub torn_bytes: u64,
    /// How long it took.
    pub took: Duration,
}

// === impl Broken ===

impl Broken {
    pub(crate) fn file(path: PathBuf, offset: u64, what: &str) -> Self {
        Self { what: what.to_owned(), entry: None, file: Some(path), offset: Some(offset) }
    }

    pub(crate) fn entry(id: u64, what: impl Into<String>) -> Self {
        Self { what: what.into(), entry: Some(id), file: None, offset: None }
    }

    pub(crate) fn of_entry(mut self, id: u64) -> Self {
        self.entry = Some(id);
        self
    }

    pub(crate) fn at(mut self, path: &Path, offset: u64) -> Self {
        self.file = Some(path.to_owned());
        self.offset = Some(offset);
        self
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        if let Some(entry) = self.entry {
            write!(f, "; entry {entry}")?;
        }
        if let Some(file) = &self.file {
            write!(f, "; {}", file.display())?;
        }
        if let Some(offset) = self.offset {
            write!(f, ", byte {offset}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Broken {}

impl From<Damage> for Broken {
    fn from(damage: Damage) -> Self {
        Self {
            what: damage.what,
            entry: Some(damage.entry),
            file: Some(damage.file),
            offset: Some(damage.offset),
        }
    }
}

impl From<ReadError> for VerifyError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::File(error) => Self::File(error),
            ReadError::Damaged(damage) => Self::Broken(damage.into()),
        }
    }
}

// === impl Report ===

impl Report {
    /// How many entries a second were verified.
    pub fn entries_per_second(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
        let entries = self.entries as f64;
        entries / self.took.as_secs_f64().max(1e-9)
    }
}

impl fmt::Display for Report {
    /// For people: what holds, and what could not be proved.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "The log {} is whole: {} entries.", self.origin, self.entries)?;
        writeln!(f, "  every entry is in the tree that the checkpoint commits to ({} entries)", self.signed)?;
        if self.entries > self.signed {
            let later = self.entries - self.signed;
            writeln!(f, "  {later} entries came after the checkpoint: only their checksums protect them")?;
        }
        writeln!(f, "  {} actions have their outcome, {} none yet", self.settled, self.unsettled)?;
        if self.payloads_checked {
            writeln!(f, "  {} payloads are there, {} were pruned", self.payloads, self.pruned)?;
        } else {
            writeln!(f, "  payloads were not looked at")?;
        }
        if self.torn_bytes > 0 {
            writeln!(
                f,
                "  {} bytes of an unfinished batch stand at the end: never acknowledged",
                self.torn_bytes
            )?;
        }
        match &self.key {
            Some(key) => writeln!(f, "  signed by {key}")?,
            None => writeln!(f, "  who signed it was not checked: give --key")?,
        }
        match self.since {
            Some(size) => write!(f, "  it continues the checkpoint that was kept, of {size} entries")?,
            None => write!(
                f,
                "  that no history was rewritten was not checked: give --since a checkpoint kept elsewhere"
            )?,
        }
        if self.key.is_none() && self.since.is_none() {
            write!(f, "\nThis proves only that the log agrees with itself.")?;
        }
        Ok(())
    }
}
