//! What can go wrong, said so that somebody can act on it.

use std::io;
use std::path::{Path, PathBuf};

/// A file operation failed.
#[derive(Debug, thiserror::Error)]
#[error("cannot {doing} {}: {source}", path.display())]
pub struct FileError {
    /// What was tried, as a verb.
    pub doing: &'static str,
    /// On which file or folder.
    pub path: PathBuf,
    /// What the system said.
    #[source]
    pub source: io::Error,
}

/// The log is damaged at one place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} is damaged at byte {offset} (entry {entry}): {what}", file.display())]
pub struct Damage {
    /// Which file.
    pub file: PathBuf,
    /// Where in it, in bytes from its start.
    pub offset: u64,
    /// The first entry that the damage concerns.
    pub entry: u64,
    /// What is wrong there.
    pub what: String,
}

/// The log cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another process writes it.
    #[error(
        "the log at {} is in use by another node (process {holder}); stop it first, or give this node a \
         directory of its own with --data",
        path.display()
    )]
    InUse {
        /// The log's folder.
        path: PathBuf,
        /// The process that holds it, or `unknown`.
        holder: String,
    },
    /// An option is out of its range.
    #[error("{0}")]
    Options(String),
    /// A file operation failed.
    #[error(transparent)]
    File(#[from] FileError),
    /// What was once synced is no longer there or no longer right.
    #[error(
        "{0}; the node will not continue a damaged log: restore it from a copy, or move it away to start anew"
    )]
    Damaged(#[from] Damage),
    /// The signing key cannot be used.
    #[error("the key in {} cannot be used: {what}", path.display())]
    Key {
        /// The key's file.
        path: PathBuf,
        /// Why not.
        what: &'static str,
    },
}

/// Entries cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// A file operation failed.
    #[error(transparent)]
    File(#[from] FileError),
    /// What was once synced is no longer there or no longer right.
    #[error(transparent)]
    Damaged(#[from] Damage),
}

/// An entry cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AppendError {
    /// The session's incarnation of the log is over: what is known must be rebuilt from what is durable.
    #[error("the log failed and was reopened: this session is over")]
    Ended,
    /// The disk has no room that is not set aside.
    #[error("the disk is full: room for the entry is not available")]
    Full,
    /// More waits to be written than the disk keeps up with.
    #[error("the log cannot keep up: too much is waiting to be written")]
    Overloaded,
    /// Longer than an entry can be.
    #[error("an entry has {bytes} bytes; at most {} are allowed", crate::limits::ENTRY_BYTES_MAX)]
    TooLarge {
        /// Its length.
        bytes: usize,
    },
    /// The room that was set aside does not hold it.
    #[error("an entry takes {needed} bytes of room; {left} are set aside")]
    RoomTooSmall {
        /// What it takes, its framing included.
        needed: u64,
        /// What is left in the room.
        left: u64,
    },
    /// The body has a member that only the log sets.
    #[error("the member `{0}` of an entry is set by the log")]
    MemberTaken(&'static str),
    /// The body cannot be an entry.
    #[error("the entry is not acceptable: {0}")]
    Malformed(&'static str),
}

/// A payload cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// The session's incarnation of the log is over.
    #[error("the log failed and was reopened: this session is over")]
    Ended,
    /// The disk has no room for it.
    #[error("the disk is full: room for a payload is not available")]
    Full,
    /// Longer than a payload can be.
    #[error("a payload has {bytes} bytes; at most {} are allowed", crate::limits::PAYLOAD_BYTES_MAX)]
    TooLarge {
        /// Its length.
        bytes: usize,
    },
    /// One class more than there may be.
    #[error("more than {} payload classes", crate::limits::PAYLOAD_CLASSES_MAX)]
    TooManyClasses,
    /// The operating system gave no random bytes or no file.
    #[error("cannot store payloads: {0}")]
    System(String),
}

/// The entry was given a place but never became durable: the log failed before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the entry was lost: the log failed before it was durable")]
pub struct Lost;

/// Names the operation and the file in an [`io::Error`].
pub(crate) trait At<T> {
    fn at(self, doing: &'static str, path: &Path) -> Result<T, FileError>;
}

// === impl OpenError ===

impl From<ReadError> for OpenError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::File(error) => Self::File(error),
            ReadError::Damaged(damage) => Self::Damaged(damage),
        }
    }
}

// === impl At ===

impl<T> At<T> for io::Result<T> {
    fn at(self, doing: &'static str, path: &Path) -> Result<T, FileError> {
        self.map_err(|source| FileError { doing, path: path.to_owned(), source })
    }
}

impl<T> At<T> for rustix::io::Result<T> {
    fn at(self, doing: &'static str, path: &Path) -> Result<T, FileError> {
        self.map_err(|errno| FileError { doing, path: path.to_owned(), source: errno.into() })
    }
}
