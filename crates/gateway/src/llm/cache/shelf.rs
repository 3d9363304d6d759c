//! Answers in files, one each, named by the digest of their key.
//!
//! A shelf may lose what it holds, at any time: nothing is synced, and what cannot be read is removed. It never gives out
//! anything else than what was put there for that key. All of this blocks.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use parking_lot::Mutex;
use ringfence_types::{Digest, Timestamp};
use rustix::fs::{OFlags, statvfs};

use super::lru::Lru;
use super::{Answer, Key, Place, file};

/// What file systems give out at a time, in bytes: a file takes whole ones.
const BLOCK: u64 = 4_096;

/// What a file is called while it is written.
const UNFINISHED: &str = "new";

/// A folder with answers. What is there is known from its index, without a look at the disk.
#[derive(Debug)]
pub(super) struct Shelf {
    folder: PathBuf,
    bounds: Bounds,
    // INVARIANT: an answer is in here only while its file is on the disk, or was just removed by others.
    index: Mutex<Lru<Standing>>,
}

/// What a shelf keeps to beside its bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// Files at most.
    pub(super) files: usize,
    /// Bytes that have to stay free on the disk: the log needs them more.
    pub(super) free_bytes: u64,
    /// Bytes of one file at most.
    pub(super) file_bytes: u64,
}

/// An answer that has a file.
#[derive(Debug)]
struct Standing {
    config: Digest,
    until: Timestamp,
}

/// What came of putting an answer on a shelf.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Put {
    Kept,
    /// It alone is too large.
    TooLarge,
    /// The disk has not enough room left.
    DiskIsShort,
}

// === impl Shelf ===

impl Shelf {
    /// A shelf of which nothing is known yet.
    pub(super) fn new(folder: &Path, bounds: Bounds) -> Self {
        Self { folder: folder.to_path_buf(), bounds, index: Mutex::default() }
    }

    /// Finds what stands there from before, and removes whatever is not as it was written.
    ///
    /// # Errors
    /// When the folder cannot be read. It is no error that there is none.
    pub(super) fn look(&self, now: Timestamp) -> io::Result<()> {
        match fs::symlink_metadata(&self.folder) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
            Ok(metadata) if !metadata.is_dir() => return Err(ErrorKind::NotADirectory.into()),
            Ok(_) => fs::set_permissions(&self.folder, Permissions::from_mode(0o700))?,
        }
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                continue;
            }
            let head = head_of(&entry.path()).filter(|(head, _)| now < head.until);
            match head.filter(|_| found.len() < self.bounds.files) {
                Some(known) => found.push(known),
                None => remove(&entry.path())?,
            }
        }
        // When they were used is not known any more: what ends first makes room first.
        found.sort_unstable_by_key(|(head, _)| head.until);
        let mut index = self.index.lock();
        for (head, bytes) in found {
            index.insert(head.key, Standing { config: head.config, until: head.until }, whole_blocks(bytes));
        }
        Ok(())
    }

    /// Whether an answer seems to stand there: a look at the index, no more.
    pub(super) fn has(&self, place: &Place) -> bool {
        self.index.lock().contains(&place.key)
    }

    /// Whether nothing stands there.
    pub(super) fn is_empty(&self) -> bool {
        self.index.lock().len() == 0
    }

    /// The answer that stands there. What cannot be read or is not as it was written is removed.
    pub(super) fn get(&self, place: &Place, now: Timestamp) -> Option<Answer> {
        self.index.lock().touch(&place.key)?;
        let bytes = read(&self.path(&place.key), self.bounds.file_bytes);
        let answer = bytes.ok().and_then(|bytes| file::read(bytes, &place.key));
        let answer = answer.filter(|answer| answer.config == place.config && place.allows(answer.until, now));
        if answer.is_none() {
            // What cannot even be removed is tried again with the next call, and not given out then either.
            let _ = self.remove(&place.key);
        }
        answer
    }

    /// Puts an answer there; those that were not used for longest make room.
    ///
    /// # Errors
    /// When the disk does not take it.
    pub(super) fn put(&self, answer: &Answer, bytes_max: u64) -> io::Result<Put> {
        let length = file::bytes_of(answer);
        let bytes = whole_blocks(length);
        if bytes > bytes_max / 4 || length > self.bounds.file_bytes {
            return Ok(Put::TooLarge);
        }
        self.make_folder()?;
        if self.free_bytes()? < self.bounds.free_bytes.saturating_add(bytes) {
            return Ok(Put::DiskIsShort);
        }
        self.remove(&answer.key)?;
        self.trim(bytes_max - bytes, self.bounds.files.saturating_sub(1))?;
        self.write(&answer.key, &file::write(answer))?;
        let standing = Standing { config: answer.config, until: answer.until };
        self.index.lock().insert(answer.key, standing, bytes);
        Ok(Put::Kept)
    }

    /// Removes what is too old, what another configuration decided, and what is too much; everything when the disk has
    /// not enough room left for the log.
    ///
    /// # Errors
    /// When a file cannot be removed.
    pub(super) fn sweep(&self, now: Timestamp, config: Digest, bytes_max: u64) -> io::Result<()> {
        let is_over = |standing: &Standing| now >= standing.until || standing.config != config;
        let over = self.index.lock().keys_where(is_over);
        for key in over {
            self.remove(&key)?;
        }
        self.trim(bytes_max, self.bounds.files)?;
        if self.is_empty() {
            return Ok(());
        }
        match self.free_bytes() {
            Ok(free) if free >= self.bounds.free_bytes => Ok(()),
            // Somebody removed the folder.
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => self.trim(0, 0),
        }
    }

    fn trim(&self, bytes_max: u64, files_max: usize) -> io::Result<()> {
        loop {
            let oldest = {
                let index = self.index.lock();
                let fits = index.bytes() <= bytes_max && index.len() <= files_max;
                index.oldest().filter(|_| !fits)
            };
            let Some(oldest) = oldest else { return Ok(()) };
            self.remove(&oldest)?;
        }
    }

    /// Removes an answer. One whose file is still there still counts.
    fn remove(&self, key: &Key) -> io::Result<()> {
        remove(&self.path(key))?;
        self.index.lock().remove(key);
        Ok(())
    }

    /// Writes a file so that there is the whole of it or nothing, unless the machine stops.
    fn write(&self, key: &Key, bytes: &[u8]) -> io::Result<()> {
        let path = self.path(key);
        let unfinished = path.with_extension(UNFINISHED);
        remove(&unfinished)?;
        let written = create(&unfinished)
            .and_then(|mut file| file.write_all(bytes))
            .and_then(|()| fs::rename(&unfinished, &path));
        if written.is_err() {
            let _ = remove(&unfinished);
        }
        written
    }

    fn make_folder(&self) -> io::Result<()> {
        match DirBuilder::new().mode(0o700).create(&self.folder) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                let metadata = fs::symlink_metadata(&self.folder)?;
                if metadata.is_dir() { Ok(()) } else { Err(ErrorKind::NotADirectory.into()) }
            }
            made => made,
        }
    }

    fn free_bytes(&self) -> io::Result<u64> {
        let disk = statvfs(&self.folder)?;
        Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
    }

    fn path(&self, key: &Key) -> PathBuf {
        self.folder.join(key.0.to_string())
    }
}

/// What the beginning of a file says, and how long the file is; `None` for one that is not as it was written.
fn head_of(path: &Path) -> Option<(file::Head, u64)> {
    let name: Digest = path.file_name()?.to_str()?.parse().ok()?;
    let file = open(path).ok()?;
    let length = file.metadata().ok()?.len();
    let mut bytes = Vec::new();
    file.take(file::HEAD_BYTES).read_to_end(&mut bytes).ok()?;
    let head = file::Head::read(&bytes)?;
    (head.key.0 == name && head.file_bytes() == Some(length)).then_some((head, length))
}

fn read(path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
    let file = open(path)?;
    let length = file.metadata()?.len().min(bytes_max);
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
    file.take(bytes_max.saturating_add(1)).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Opens a file, and nothing else: no link, and nothing that lets its reader wait.
fn open(path: &Path) -> io::Result<File> {
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(ErrorKind::InvalidInput.into()) }
}

fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// Removes a file. It is no error that there is none.
fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

fn whole_blocks(bytes: u64) -> u64 {
    bytes.div_ceil(BLOCK).saturating_mul(BLOCK)
}

#[cfg(test)]
#[path = "shelf_tests.rs"]
mod tests;
