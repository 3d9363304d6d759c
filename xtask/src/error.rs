//! What can go wrong with a chore, and the way out.

use std::io;
use std::path::PathBuf;

/// Why a chore was not done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A program that the chore needs is not on this machine.
    #[error("{program} is not installed. Install it with: {install}")]
    Missing {
        /// The program.
        program: &'static str,
        /// The command that installs it.
        install: &'static str,
    },
    /// A program could not be started.
    #[error("{program} does not start: {source}")]
    Start {
        /// The program.
        program: String,
        /// Why.
        source: io::Error,
    },
    /// A program ended badly.
    #[error("`{command}` failed ({status})")]
    Failed {
        /// What was run.
        command: String,
        /// How it ended.
        status: String,
    },
    /// A file or folder could not be used.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Some phases of the tests failed.
    #[error("failed: {0}")]
    Phases(String),
    /// An input broke what must hold.
    #[error("fuzzing found something: {0}")]
    Found(String),
}

/// Adds the path to a failed use of a file.
pub fn at(path: &std::path::Path) -> impl FnOnce(io::Error) -> Error + '_ {
    move |source| Error::File { path: path.to_owned(), source }
}
