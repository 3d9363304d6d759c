//! One node per log.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};

use crate::error::{At, OpenError};

/// Holds the folder for this process, until dropped or until the process ends in whatever way.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

// === impl Lock ===

impl Lock {
    pub(crate) fn take(folder: &Path) -> Result<Self, OpenError> {
        let path = folder.join("lock");
        let options =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).clone();
        let mut file = options.open(&path).at("open", &path)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                let mut holder = String::new();
                let _ = file.take(32).read_to_string(&mut holder);
                let known = !holder.is_empty() && holder.bytes().all(|byte| byte.is_ascii_digit());
                let holder = if known { holder } else { "unknown".to_owned() };
                return Err(OpenError::InUse { path: folder.to_owned(), holder });
            }
            Err(errno) => return Err(errno).at("lock", &path).map_err(OpenError::File),
        }
        // Only for people; a full disk must not keep a node from starting.
        let _ = file
            .set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| write!(file, "{}", std::process::id()));
        Ok(Self { _file: file })
    }
}
