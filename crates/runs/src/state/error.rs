//! Why what an agent keeps cannot be had.

use std::io;

use ringfence_kernel::LedgerUnavailable;
use ringfence_types::{AgentName, RunId, WorkspaceName};

/// Why what an agent keeps between runs cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// It keeps nothing.
    #[error("{0}/{1} keeps nothing between runs")]
    Nothing(WorkspaceName, AgentName),
    /// There is no such version.
    #[error("there is no version {version} of it; there are: {known}")]
    NoVersion {
        /// Which.
        version: u64,
        /// Those that there are.
        known: String,
    },
    /// A run has it.
    #[error("{0} holds it, and has it until it ends")]
    Held(RunId),
    /// Another operator has it at this moment.
    #[error("it is being changed at this moment; try again")]
    Busy,
    /// It was changed by somebody else, or its key is not the one that it was sealed with.
    #[error("version {version} does not verify: {cause}")]
    Damaged {
        /// Which.
        version: u64,
        /// What is wrong.
        cause: io::Error,
    },
    /// Its key is gone.
    #[error("the key that it is sealed with is gone: put {0} back")]
    NoKey(String),
    /// It does not fit.
    #[error("version {version} has more than there is room for: {cause}")]
    NoRoom {
        /// Which.
        version: u64,
        /// What the system said.
        cause: io::Error,
    },
    /// The log cannot take what was to be done.
    #[error("{0}")]
    Unrecorded(LedgerUnavailable),
    /// The disk or the system.
    #[error("{0}")]
    System(#[from] io::Error),
}
