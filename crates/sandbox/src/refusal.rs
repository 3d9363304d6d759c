//! From the step that failed to words that name the cause and the way out.

use std::io;
use std::os::unix::ffi::OsStrExt;

use crate::command::Command;
use crate::error::SpawnError;
use crate::layer::LayerName;
use crate::wire::{Failure, Step};

/// The error for a failed start, where `path` is the child's PATH.
pub(crate) fn explain(failure: Failure, command: &Command, path: &str) -> SpawnError {
    let source = || io::Error::from_raw_os_error(failure.errno);
    let program = || command.program.to_string_lossy().into_owned();
    match failure.step {
        Step::Setup => SpawnError::Setup(failure.text),
        Step::Required => match u8::try_from(failure.errno).ok().and_then(LayerName::from_code) {
            Some(name) => SpawnError::LayerMissing { name, reason: failure.text },
            None => SpawnError::Setup(failure.text),
        },
        Step::Directory => SpawnError::WorkingDirectory {
            path: command.directory.clone().unwrap_or_default(),
            source: source(),
        },
        Step::Interpreter => SpawnError::NoInterpreter { program: program() },
        Step::Exec => match source().kind() {
            io::ErrorKind::NotFound if command.program.as_bytes().contains(&b'/') => {
                SpawnError::NoSuchFile { program: program() }
            }
            io::ErrorKind::NotFound => SpawnError::NotFound { program: program(), path: path.to_owned() },
            io::ErrorKind::PermissionDenied => {
                SpawnError::NotExecutable { program: program(), source: source() }
            }
            _ => SpawnError::Exec { program: program(), source: source() },
        },
    }
}
