//! Asking the index.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;
use ringfence_types::{ActionId, ApprovalId, Timestamp};
use rusqlite::{Connection, OptionalExtension, params};

use crate::counts::{self, Count};
use crate::database;
use crate::error::{At, StoreError};
use crate::limits::{READERS_KEPT_MAX, STORY_ROWS_MAX};
use crate::mark::Mark;
use crate::query::Query;
use crate::row::Row;
use crate::rows::{self, Rows};
use crate::spend::{self, Spend, SpendQuery};
use crate::sql;

/// Asks the index, whoever writes it. Cheap to clone. Everything here blocks.
#[derive(Clone)]
pub struct IndexReader {
    shared: Arc<Shared>,
}

struct Shared {
    path: PathBuf,
    /// Connections that are not in use; none for a database that was replaced since.
    kept: Mutex<Vec<Connection>>,
    /// Grows when the database is replaced.
    generation: AtomicU64,
    /// Somebody met damage in the present database.
    damaged: AtomicBool,
}

/// A connection in use; given back when dropped.
pub(crate) struct Borrowed {
    shared: Arc<Shared>,
    generation: u64,
    connection: Option<Connection>,
}

// === impl IndexReader ===

impl IndexReader {
    /// Opens an index that another process may be writing.
    ///
    /// # Errors
    /// When there is none, or it is not one that this version reads.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let reader = Self::of_own(path);
        reader.borrow()?;
        Ok(reader)
    }

    /// For the process that made it.
    pub(crate) fn of_own(path: &Path) -> Self {
        let shared = Shared {
            path: path.to_owned(),
            kept: Mutex::new(Vec::new()),
            generation: AtomicU64::new(0),
            damaged: AtomicBool::new(false),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Lets go of the database that was replaced.
    pub(crate) fn renew(&self) {
        self.shared.generation.fetch_add(1, Ordering::AcqRel);
        self.shared.kept.lock().clear();
    }

    /// Whether a question met damage since this was asked last.
    pub(crate) fn met_damage(&self) -> bool {
        self.shared.damaged.swap(false, Ordering::AcqRel)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.shared.path
    }

    pub(crate) fn borrow(&self) -> Result<Borrowed, StoreError> {
        let generation = self.shared.generation.load(Ordering::Acquire);
        let kept = self.shared.kept.lock().pop();
        let connection = match kept {
            Some(connection) => connection,
            None => database::open_to_read(&self.shared.path)?,
        };
        Ok(Borrowed { shared: Arc::clone(&self.shared), generation, connection: Some(connection) })
    }

    /// How many entries the index has.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn size(&self) -> Result<u64, StoreError> {
        self.with(|connection| {
            Mark::read(connection).at("read how far it is", self.path()).map(|mark| mark.size)
        })
    }

    /// The entries that the query asks for and that are in the index now, oldest first. They are read page by page,
    /// so an answer of any length takes little memory.
    ///
    /// # Errors
    /// When the database cannot be read; so may every step of the iterator.
    pub fn query(&self, query: &Query) -> Result<Rows, StoreError> {
        let range = self.with(|connection| self.range(connection, query.since, query.until))?;
        Ok(Rows::new(self.clone(), query.clone(), range))
    }

    /// The story of an action: its entries, and those of the approval it asked for or spent. Oldest first, at most
    /// [`STORY_ROWS_MAX`].
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn entries_of(&self, action: ActionId) -> Result<Vec<Row>, StoreError> {
        self.story(&sql::of_action(), &action.to_string())
    }

    /// Everything about a request for approval: who asked, who answered, what it was spent on. Oldest first, at most
    /// [`STORY_ROWS_MAX`].
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn entries_of_approval(&self, approval: ApprovalId) -> Result<Vec<Row>, StoreError> {
        self.story(&sql::of_approval(), &approval.to_string())
    }

    /// How many entries there are of each kind and decision, from `since` on and before `until`.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn counts(
        &self,
        since: Option<Timestamp>,
        until: Option<Timestamp>,
    ) -> Result<Vec<Count>, StoreError> {
        self.with(|connection| {
            let range = self.range(connection, since, until)?;
            counts::read(connection, range).at("count entries", self.path())
        })
    }

    /// What model calls came to, from one moment of the index.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn spend(&self, query: &SpendQuery) -> Result<Spend, StoreError> {
        self.with(|connection| spend::read(connection, query).at("add up what was spent", self.path()))
    }

    fn story(&self, sql: &str, id: &str) -> Result<Vec<Row>, StoreError> {
        self.with(|connection| {
            let read = || {
                let mut statement = connection.prepare_cached(sql)?;
                let found = statement.query_map(params![id, STORY_ROWS_MAX], rows::row)?;
                found.collect::<rusqlite::Result<_>>()
            };
            read().at("read entries", self.path())
        })
    }

    fn with<T>(&self, read: impl FnOnce(&Connection) -> Result<T, StoreError>) -> Result<T, StoreError> {
        self.borrow()?.with(read)
    }

    /// The ids of the entries that are in the index and within the time. Ids are the order of time.
    fn range(
        &self,
        connection: &Connection,
        since: Option<Timestamp>,
        until: Option<Timestamp>,
    ) -> Result<(u64, u64), StoreError> {
        let read = || {
            let size = Mark::read(connection)?.size;
            let from = since.map_or(Ok(0), |at| first_at(connection, size, at))?;
            let to = until.map_or(Ok(size), |at| first_at(connection, size, at))?;
            Ok::<_, rusqlite::Error>((from, to))
        };
        read().at("find entries by their time", self.path())
    }
}

impl std::fmt::Debug for IndexReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("IndexReader").field(&self.shared.path).finish()
    }
}

/// The first of `size` entries that was written at `at` or later; `size` if there is none.
fn first_at(connection: &Connection, size: u64, at: Timestamp) -> rusqlite::Result<u64> {
    let mut statement = connection.prepare_cached(sql::AT_OF)?;
    let (mut low, mut high) = (0, size);
    while low < high {
        let middle = u64::midpoint(low, high);
        let found: Option<u64> = statement.query_row([middle], |row| row.get(0)).optional()?;
        if found.ok_or(rusqlite::Error::QueryReturnedNoRows)? < at.as_micros() {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    Ok(low)
}

// === impl Borrowed ===

impl Borrowed {
    pub(crate) fn with<T>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let result = match &self.connection {
            Some(connection) => read(connection),
            // It is taken out only by dropping.
            None => Err(StoreError::Missing { path: self.shared.path.clone() }),
        };
        let is_damage = result.as_ref().is_err_and(StoreError::is_corrupt);
        if is_damage && self.is_current() {
            self.shared.damaged.store(true, Ordering::Release);
        }
        result
    }

    fn is_current(&self) -> bool {
        self.generation == self.shared.generation.load(Ordering::Acquire)
    }
}

impl Drop for Borrowed {
    fn drop(&mut self) {
        let mut kept = self.shared.kept.lock();
        if self.is_current() && kept.len() < READERS_KEPT_MAX {
            kept.extend(self.connection.take());
        }
    }
}
