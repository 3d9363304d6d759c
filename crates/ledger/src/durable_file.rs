//! Replacing a small file at once.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::disk::sync_folder;
use crate::error::{At, FileError};

/// Replaces the file so that readers see the old bytes or the new ones. With `durable` it is on the disk afterwards.
pub(crate) fn replace(path: &Path, bytes: &[u8], durable: bool) -> Result<(), FileError> {
    let temporary = path.with_extension("new");
    let options = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).clone();
    let mut file = options.open(&temporary).at("create", &temporary)?;
    file.write_all(bytes).at("write", &temporary)?;
    if durable {
        file.sync_all().at("sync", &temporary)?;
    }
    drop(file);
    fs::rename(&temporary, path).at("replace", path)?;
    match path.parent() {
        Some(folder) if durable => sync_folder(folder),
        _ => Ok(()),
    }
}
