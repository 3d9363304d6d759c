//! The index as a node holds it.

use std::path::{Path, PathBuf};

use parking_lot::Mutex;
use ringfence_ledger::Ledger;
use ringfence_types::{ActionId, ApprovalId, Timestamp};

use crate::counts::Count;
use crate::error::StoreError;
use crate::query::Query;
use crate::reader::IndexReader;
use crate::row::Row;
use crate::rows::Rows;
use crate::spend::{Spend, SpendQuery};
use crate::writer::Writer;

/// The index of the log, followed by one process. Everything here blocks.
pub struct Index {
    writer: Mutex<Writer>,
    reader: IndexReader,
}

/// What following the log did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress {
    /// How many entries were indexed.
    pub indexed: u64,
    /// How many entries the index has now.
    pub size: u64,
    /// Whether more were durable when it began.
    pub behind: bool,
    /// Why it started from the beginning, if it did.
    pub rebuilt: Option<Rebuilt>,
}

/// Why an index is built again.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rebuilt {
    /// It was made for another log, or the log is no longer what it was.
    OtherLog,
    /// Another version of the program made it.
    Version {
        /// Its format.
        found: i64,
    },
    /// The file was damaged.
    Damaged {
        /// Where it was put.
        aside: PathBuf,
    },
}

// === impl Index ===

impl Index {
    /// Opens the index in the file `path`, or makes it. A file that is damaged or of another format is replaced; the
    /// next [`Progress`] says so. The folder must exist, and no other process may write the index.
    ///
    /// # Errors
    /// When the file cannot be opened, made or put aside.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let writer = Writer::open(path)?;
        Ok(Self { writer: Mutex::new(writer), reader: IndexReader::of_own(path) })
    }

    /// Indexes at most [`crate::limits::BATCH_ENTRIES_MAX`] entries that are durable, in one transaction, and says
    /// whether there are more: a caller can do something else in between, or stop. The first step looks whether the
    /// log is the one that was indexed, and starts over when it is not; so does one after damage was met, also by a
    /// question.
    ///
    /// # Errors
    /// When the log cannot be read, has an entry that is none, or the database refuses. Nothing of the step remains
    /// then, and the next one tries again.
    pub fn step(&self, ledger: &Ledger) -> Result<Progress, StoreError> {
        let mut writer = self.writer.lock();
        if self.reader.met_damage() {
            writer.make_anew()?;
        }
        let progress = writer.step(ledger)?;
        if progress.rebuilt.is_some() {
            self.reader.renew();
        }
        Ok(progress)
    }

    /// Indexes everything that is durable now, step by step, letting other threads run in between.
    ///
    /// # Errors
    /// As [`Index::step`]; what earlier steps indexed remains.
    pub fn catch_up(&self, ledger: &Ledger) -> Result<Progress, StoreError> {
        let goal = ledger.durable();
        let mut total = Progress::default();
        loop {
            let step = self.step(ledger)?;
            total.rebuilt = step.rebuilt.or(total.rebuilt);
            total.indexed += step.indexed;
            total.size = step.size;
            if step.size >= goal {
                return Ok(total);
            }
            std::thread::yield_now();
        }
    }

    /// To ask questions while the index follows the log.
    pub fn reader(&self) -> &IndexReader {
        &self.reader
    }

    /// As [`IndexReader::query`].
    ///
    /// # Errors
    /// As [`IndexReader::query`].
    pub fn query(&self, query: &Query) -> Result<Rows, StoreError> {
        self.reader.query(query)
    }

    /// As [`IndexReader::entries_of`].
    ///
    /// # Errors
    /// As [`IndexReader::entries_of`].
    pub fn entries_of(&self, action: ActionId) -> Result<Vec<Row>, StoreError> {
        self.reader.entries_of(action)
    }

    /// As [`IndexReader::entries_of_approval`].
    ///
    /// # Errors
    /// As [`IndexReader::entries_of_approval`].
    pub fn entries_of_approval(&self, approval: ApprovalId) -> Result<Vec<Row>, StoreError> {
        self.reader.entries_of_approval(approval)
    }

    /// As [`IndexReader::counts`].
    ///
    /// # Errors
    /// As [`IndexReader::counts`].
    pub fn counts(
        &self,
        since: Option<Timestamp>,
        until: Option<Timestamp>,
    ) -> Result<Vec<Count>, StoreError> {
        self.reader.counts(since, until)
    }

    /// As [`IndexReader::spend`].
    ///
    /// # Errors
    /// As [`IndexReader::spend`].
    pub fn spend(&self, query: &SpendQuery) -> Result<Spend, StoreError> {
        self.reader.spend(query)
    }
}

impl std::fmt::Debug for Index {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Index").field(&self.reader).finish()
    }
}
