//! What can go wrong with the index, said so that somebody can act on it.

use std::io;
use std::path::{Path, PathBuf};

use ringfence_ledger::ReadError;
use rusqlite::ErrorCode;

/// The index cannot do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// There is no index at that place.
    #[error("there is no index at {}: a node makes it when it runs; without one, the log itself can be searched", path.display())]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// Another version of the program made it.
    #[error(
        "the index at {} has format {found}, this program reads {}: a node of this version rebuilds it when it starts",
        path.display(),
        crate::sql::VERSION
    )]
    Version {
        /// The index.
        path: PathBuf,
        /// Its format.
        found: i64,
    },
    /// The database file is damaged. The node puts it aside and builds it again.
    #[error("the index at {} is damaged (while trying to {doing}: {source}); the node rebuilds it from the log", path.display())]
    Corrupt {
        /// What was tried, as a verb.
        doing: &'static str,
        /// The index.
        path: PathBuf,
        /// What the database said.
        #[source]
        source: rusqlite::Error,
    },
    /// The database refused.
    #[error("cannot {doing} in the index at {}: {source}", path.display())]
    Database {
        /// What was tried, as a verb.
        doing: &'static str,
        /// The index.
        path: PathBuf,
        /// What the database said.
        #[source]
        source: rusqlite::Error,
    },
    /// A file operation failed.
    #[error("cannot {doing} {}: {source}", path.display())]
    File {
        /// What was tried, as a verb.
        doing: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The log cannot be read.
    #[error(transparent)]
    Log(#[from] ReadError),
    /// An entry of the log is not one that can be indexed.
    #[error(
        "entry {id} cannot be indexed: {fault}; `ringfence audit verify` tells whether the log is damaged"
    )]
    Entry {
        /// Which.
        id: u64,
        /// What is wrong with it.
        #[source]
        fault: EntryFault,
    },
    /// The log no longer has an entry that the index knows.
    #[error("the log has no entry {id}, though the index knows it: the index belongs to another log")]
    Gone {
        /// Which.
        id: u64,
    },
}

/// What is wrong with an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EntryFault {
    /// Not one JSON object in canonical form.
    #[error("it is not one canonical JSON object")]
    Malformed,
    /// A member that every entry has is missing.
    #[error("its member `{0}` is missing")]
    Missing(&'static str),
    /// A member is not what it has to be.
    #[error("its member `{0}` is not what it has to be")]
    Member(&'static str),
    /// The entry stands in another place than it says.
    #[error("it says that it is entry {0}")]
    Place(u64),
}

/// Names the operation and the database in a [`rusqlite::Error`].
pub(crate) trait At<T> {
    fn at(self, doing: &'static str, path: &Path) -> Result<T, StoreError>;
}

// === impl StoreError ===

impl StoreError {
    pub(crate) fn database(doing: &'static str, path: &Path, source: rusqlite::Error) -> Self {
        let path = path.to_owned();
        if is_corrupt(&source) {
            Self::Corrupt { doing, path, source }
        } else {
            Self::Database { doing, path, source }
        }
    }

    /// Whether the database file itself is damaged.
    pub fn is_corrupt(&self) -> bool {
        matches!(self, Self::Corrupt { .. })
    }
}

// === impl At ===

impl<T> At<T> for rusqlite::Result<T> {
    fn at(self, doing: &'static str, path: &Path) -> Result<T, StoreError> {
        self.map_err(|source| StoreError::database(doing, path, source))
    }
}

impl<T> At<T> for io::Result<T> {
    fn at(self, doing: &'static str, path: &Path) -> Result<T, StoreError> {
        self.map_err(|source| StoreError::File { doing, path: path.to_owned(), source })
    }
}

/// Damage, and also what only damage explains: a row that is not there, a column of another type, a table that is
/// gone. The schema is ours, so a statement that does not fit it met another one.
fn is_corrupt(error: &rusqlite::Error) -> bool {
    use rusqlite::Error as E;
    match error {
        E::SqliteFailure(failure, _) => matches!(
            failure.code,
            ErrorCode::DatabaseCorrupt
                | ErrorCode::NotADatabase
                | ErrorCode::ConstraintViolation
                | ErrorCode::Unknown
        ),
        E::QueryReturnedNoRows
        | E::InvalidColumnType(..)
        | E::FromSqlConversionFailure(..)
        | E::IntegralValueOutOfRange(..)
        | E::Utf8Error(..)
        | E::SqlInputError { .. } => true,
        _ => false,
    }
}
