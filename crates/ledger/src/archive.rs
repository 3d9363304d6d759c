//! A log that is only read.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ringfence_types::Digest;

use crate::check::{check_entry, payload_refs};
use crate::error::{At, FileError, ReadError};
use crate::key::PUBLIC;
use crate::payload::{Payload, PayloadClass, payload_of};
use crate::reader::Reader;
use crate::tree::State;
use crate::wal::{Position, recover};

/// The log in a folder, for reading alone: nothing is written, locked or cut off, and a node may go on writing it
/// meanwhile. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Archive {
    folder: PathBuf,
    size: Arc<AtomicU64>,
}

// === impl Archive ===

impl Archive {
    /// Finds the end of the log in `folder`: behind the last batch that is whole. Blocks.
    ///
    /// # Errors
    /// When it cannot be read, or is damaged where a crash cannot have damaged it.
    pub fn open(folder: &Path) -> Result<Self, ReadError> {
        let archive = Self { folder: folder.to_owned(), size: Arc::default() };
        archive.refresh()?;
        Ok(archive)
    }

    /// Looks for the end again: a node may have written since. Blocks.
    ///
    /// # Errors
    /// As [`Archive::open`].
    pub fn refresh(&self) -> Result<(), ReadError> {
        let known = State::read(&self.folder).map_or(Position::START, |state| state.position);
        let found = recover(&self.wal(), &self.payloads(), known)?;
        self.size.store(found.end.entry, Ordering::Release);
        Ok(())
    }

    /// How many entries it has.
    pub fn size(&self) -> u64 {
        self.size.load(Ordering::Acquire)
    }

    /// Reads entries from `from` on.
    pub fn read(&self, from: u64) -> Reader {
        Reader::new(&self.wal(), Arc::clone(&self.size), from)
    }

    /// The payload of that name that was stored with entry `entry`; `None` when the entry names no such payload. Blocks.
    ///
    /// # Errors
    /// When it cannot be read, or is missing without having been pruned.
    pub fn payload(&self, entry: u64, name: &Digest) -> Result<Option<Payload>, ReadError> {
        payload_in(self.read(entry), &self.payloads(), entry, name)
    }

    /// The newest checkpoint that was signed; `None` when there is none yet.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn checkpoint(&self) -> Result<Option<String>, ReadError> {
        Ok(text_of(&self.folder.join("checkpoint"))?)
    }

    /// The key that signs the log's checkpoints, as `audit verify --key` takes it: as trustworthy as the folder. `None`
    /// when the folder does not say.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn verifier_key(&self) -> Result<Option<String>, ReadError> {
        Ok(text_of(&self.folder.join(PUBLIC))?.map(|text| text.trim_end().to_owned()))
    }

    fn wal(&self) -> PathBuf {
        self.folder.join("wal")
    }

    fn payloads(&self) -> PathBuf {
        self.folder.join("payloads")
    }
}

/// A file's text; `None` when there is none.
fn text_of(path: &Path) -> Result<Option<String>, FileError> {
    match fs::read_to_string(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        text => Ok(Some(text.at("read", path)?)),
    }
}

/// The payload of that name that entry `entry` names, which `reader` stands before.
pub(crate) fn payload_in(
    mut reader: Reader,
    payloads: &Path,
    entry: u64,
    name: &Digest,
) -> Result<Option<Payload>, ReadError> {
    let Some((_, bytes)) = reader.read_next()? else { return Ok(None) };
    let named = check_entry(bytes).ok().and_then(|view| payload_refs(view.payloads?).ok());
    let text = name.to_string();
    let class = named.and_then(|named| {
        let found = named.iter().find(|payload| payload.name == text)?;
        PayloadClass::new(found.class).ok()
    });
    class.map(|class| payload_of(payloads, &class, entry, name)).transpose()
}
