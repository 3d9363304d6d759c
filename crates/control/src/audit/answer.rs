//! What the books answer, and why they cannot.

use std::path::PathBuf;

use ringfence_ledger::ReadError;
use ringfence_store::StoreError;

use super::read::EntryText;

/// The log cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum BooksError {
    /// See there.
    #[error(transparent)]
    Log(#[from] ReadError),
    /// Nothing there.
    #[error("there is no log in {}", .0.display())]
    NoLog(PathBuf),
    /// Nothing was signed yet.
    #[error("the log has no signed checkpoint yet; a node signs one within a second of its first entry")]
    NoCheckpoint,
    /// There is no index, and nothing else can tell.
    #[error(
        "what was spent is added up by the node's index, and there is none; the node's own messages say why"
    )]
    NoIndex,
    /// The index is being built.
    #[error(
        "the index of the log is being built: {indexed} of {durable} entries so far; ask again in a moment"
    )]
    Behind {
        /// Entries it has.
        indexed: u64,
        /// Entries there are.
        durable: u64,
    },
    /// The index cannot be used.
    #[error(transparent)]
    Index(#[from] StoreError),
    /// An entry that is no JSON.
    #[error("entry {0} of the log cannot be read; `ringfence audit verify` says more")]
    Entry(u64),
}

/// Some entries, and where to go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The entries asked for, in the order of the log.
    pub entries: Vec<EntryText>,
    /// From which entry to ask again; `None` at the end.
    pub next: Option<u64>,
    /// The first entry that was not looked at.
    pub reached: u64,
}

/// The newest entries asked for, and where to go on towards the beginning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Newest {
    /// The entries asked for, in the order of the log.
    pub entries: Vec<EntryText>,
    /// Before which entry to ask again; `None` at the beginning.
    pub previous: Option<u64>,
}
