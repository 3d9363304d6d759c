//! From the step that failed to words that name the cause and the way out.

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::time::Duration;

use crate::error::SpawnError;
use crate::layer::LayerName;
use crate::wire::{Failure, Order, Step};

/// What of an order errors name: no argument, and no value but the PATH's.
#[derive(Debug)]
pub(crate) struct Named {
    program: OsString,
    directory: Option<PathBuf>,
    path: String,
    hold: Duration,
}

// === impl Named ===

impl Named {
    pub(crate) fn of(order: &Order) -> Self {
        let path = order.environment.iter().rev().find(|(name, _)| name == "PATH");
        Self {
            program: order.program.clone(),
            directory: order.directory.clone(),
            path: path.map(|(_, value)| value.to_string_lossy().into_owned()).unwrap_or_default(),
            hold: order.hold.unwrap_or_default(),
        }
    }
}

/// The error for a failed start.
pub(crate) fn explain(failure: Failure, named: &Named) -> SpawnError {
    let source = || io::Error::from_raw_os_error(failure.errno);
    let program = || named.program.to_string_lossy().into_owned();
    match failure.step {
        Step::Setup => SpawnError::Setup(failure.text),
        Step::Required => match u8::try_from(failure.errno).ok().and_then(LayerName::from_code) {
            Some(name) => SpawnError::LayerMissing { name, reason: failure.text },
            None => SpawnError::Setup(failure.text),
        },
        Step::Held => SpawnError::HeldTooLong { after: named.hold },
        Step::Directory => SpawnError::WorkingDirectory {
            path: named.directory.clone().unwrap_or_default(),
            source: source(),
        },
        Step::Interpreter => SpawnError::NoInterpreter { program: program() },
        Step::Exec => match source().kind() {
            io::ErrorKind::NotFound if named.program.as_bytes().contains(&b'/') => {
                SpawnError::NoSuchFile { program: program() }
            }
            io::ErrorKind::NotFound => SpawnError::NotFound { program: program(), path: named.path.clone() },
            io::ErrorKind::PermissionDenied => {
                SpawnError::NotExecutable { program: program(), source: source() }
            }
            _ => SpawnError::Exec { program: program(), source: source() },
        },
    }
}
