//! Writing payloads: one growing file per class, synced beside the write-ahead log.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use crc32c::crc32c;
use ringfence_types::Timestamp;

use super::stored::{SEGMENT_HEADER, Segment};
use super::{PayloadClass, segments_of};
use crate::disk::{Faults, allocate_beyond, sync, sync_folder, write_at};
use crate::error::{At, FileError};
use crate::limits::PAYLOAD_CLASS_BYTES_MAX;

/// The longest mark: length and text of the class, number, offset, length, checksum.
pub(crate) const MARK_BYTES_MAX: usize = 1 + PAYLOAD_CLASS_BYTES_MAX + 8 + 8 + 4 + 4;

/// The file a class is being written to.
#[derive(Debug)]
pub(crate) struct ClassFile {
    folder: PathBuf,
    number: u64,
    file: Arc<File>,
    /// The end of what was written.
    tail: u64,
    /// The end of what is allocated.
    allocated: u64,
}

/// Where the payloads of one batch and class were written; stored with the batch, so that the last batch after a crash
/// counts only if its payloads are there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) class: PayloadClass,
    pub(crate) number: u64,
    pub(crate) offset: u64,
    pub(crate) length: u32,
    pub(crate) crc: u32,
}

/// A thread that syncs payload files while the writer syncs the log.
pub(crate) struct Syncer {
    work: Option<SyncSender<Vec<Arc<File>>>>,
    done: Receiver<io::Result<()>>,
    thread: Option<JoinHandle<()>>,
}

// === impl ClassFile ===

impl ClassFile {
    /// A new file after all there are, with `ahead` bytes allocated. What earlier files had allocated ahead is freed.
    pub(crate) fn create(folder: &Path, ahead: u64, faults: &Faults) -> Result<Self, FileError> {
        if !folder.is_dir() {
            fs::create_dir_all(folder).at("create", folder)?;
            if let Some(parent) = folder.parent() {
                sync_folder(parent)?;
            }
        }
        let number = match segments_of(folder)?.last() {
            Some(last) => tidy(&Segment::path(*last, folder), *last)?,
            None => 1,
        };
        Self::at_number(folder, number, ahead, faults)
    }

    fn at_number(folder: &Path, number: u64, ahead: u64, faults: &Faults) -> Result<Self, FileError> {
        let path = Segment::path(number, folder);
        let options = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).clone();
        let file = options.open(&path).at("create", &path)?;
        let allocated = SEGMENT_HEADER as u64 + ahead;
        if let Err(source) = allocate_beyond(faults, &file, 0, allocated) {
            // Nothing is in it yet; left behind it would only be an empty segment.
            let _ = fs::remove_file(&path);
            return Err(source).at("allocate space for", &path);
        }
        sync_folder(folder)?;
        Ok(Self { folder: folder.to_owned(), number, file: Arc::new(file), tail: 0, allocated })
    }

    /// How much can be promised of what is allocated, in bytes.
    pub(crate) fn ahead(&self) -> u64 {
        self.allocated.saturating_sub(self.tail.max(SEGMENT_HEADER as u64))
    }

    /// Appends records that belong to entries from `first_entry` on.
    fn append(
        &mut self,
        class: &PayloadClass,
        records: &[u8],
        first_entry: u64,
        at: Timestamp,
        faults: &Faults,
    ) -> io::Result<Mark> {
        if self.tail == 0 {
            let header = Segment { number: self.number, first_entry, begun: at };
            write_at(faults, &self.file, &header.encode(), 0)?;
            self.tail = SEGMENT_HEADER as u64;
        }
        write_at(faults, &self.file, records, self.tail)?;
        let length = u32::try_from(records.len()).unwrap_or(u32::MAX);
        let mark = Mark {
            class: class.clone(),
            number: self.number,
            offset: self.tail,
            length,
            crc: crc32c(records),
        };
        self.tail += u64::from(length);
        Ok(mark)
    }

    /// Allocates more space ahead.
    pub(crate) fn extend(&mut self, bytes: u64, faults: &Faults) -> io::Result<()> {
        allocate_beyond(faults, &self.file, self.allocated, bytes)?;
        self.allocated += bytes;
        Ok(())
    }

    /// Goes on in a new file once this one has `segment_bytes`, with as much allocated ahead as here; stays if the
    /// disk has no room for that.
    pub(crate) fn rotate(&mut self, segment_bytes: u64, faults: &Faults) -> Result<(), FileError> {
        if self.tail < segment_bytes {
            return Ok(());
        }
        let next = Self::at_number(&self.folder, self.number + 1, self.ahead(), faults)?;
        let old = std::mem::replace(self, next);
        old.file.set_len(old.tail).at("free the unused space of", &Segment::path(old.number, &old.folder))
    }
}

/// Frees what was allocated beyond the length of the last segment, or removes it if nothing was written; the number to
/// go on with.
fn tidy(path: &Path, number: u64) -> Result<u64, FileError> {
    let file = OpenOptions::new().write(true).open(path).at("open", path)?;
    let length = file.metadata().at("inspect", path)?.len();
    if length == 0 {
        fs::remove_file(path).at("remove the empty", path)?;
        return Ok(number);
    }
    file.set_len(length).at("free the unused space of", path)?;
    Ok(number + 1)
}

/// Appends `records` in order and says where they went; what has to be synced is added to `touched`.
pub(crate) fn append_all(
    files: &mut BTreeMap<PayloadClass, ClassFile>,
    records: Vec<(PayloadClass, Vec<u8>)>,
    first_entry: u64,
    at: Timestamp,
    faults: &Faults,
) -> io::Result<(Vec<Mark>, Vec<Arc<File>>)> {
    let mut by_class: BTreeMap<PayloadClass, Vec<u8>> = BTreeMap::new();
    for (class, record) in records {
        by_class.entry(class).or_default().extend_from_slice(&record);
    }
    let mut marks = Vec::with_capacity(by_class.len());
    let mut touched = Vec::with_capacity(by_class.len());
    for (class, bytes) in by_class {
        let Some(file) = files.get_mut(&class) else {
            return Err(io::Error::other("a payload of a class that is not open"));
        };
        marks.push(file.append(&class, &bytes, first_entry, at, faults)?);
        touched.push(Arc::clone(&file.file));
    }
    Ok((marks, touched))
}

/// The bytes that stand for marks behind the entries of a batch.
pub(crate) fn encode_marks(marks: &[Mark]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for mark in marks {
        bytes.push(u8::try_from(mark.class.as_str().len()).unwrap_or_default());
        bytes.extend_from_slice(mark.class.as_str().as_bytes());
        bytes.extend_from_slice(&mark.number.to_le_bytes());
        bytes.extend_from_slice(&mark.offset.to_le_bytes());
        bytes.extend_from_slice(&mark.length.to_le_bytes());
        bytes.extend_from_slice(&mark.crc.to_le_bytes());
    }
    bytes
}

/// Reads marks; `None` when the bytes are none.
pub(crate) fn decode_marks(mut bytes: &[u8]) -> Option<Vec<Mark>> {
    let mut marks = Vec::new();
    while let Some((length, rest)) = bytes.split_first() {
        let (class, rest) = rest.split_at_checked(usize::from(*length))?;
        let (number, rest) = rest.split_first_chunk()?;
        let (offset, rest) = rest.split_first_chunk()?;
        let (length, rest) = rest.split_first_chunk()?;
        let (crc, rest) = rest.split_first_chunk()?;
        marks.push(Mark {
            class: PayloadClass::new(std::str::from_utf8(class).ok()?).ok()?,
            number: u64::from_le_bytes(*number),
            offset: u64::from_le_bytes(*offset),
            length: u32::from_le_bytes(*length),
            crc: u32::from_le_bytes(*crc),
        });
        bytes = rest;
    }
    Some(marks)
}

/// Whether the payloads of a mark are where it says.
pub(crate) fn mark_holds(mark: &Mark, folder: &Path) -> bool {
    let path = Segment::path(mark.number, &folder.join(mark.class.as_str()));
    let Ok(file) = File::open(path) else { return false };
    let enough = file.metadata().is_ok_and(|meta| {
        mark.offset.checked_add(u64::from(mark.length)).is_some_and(|end| end <= meta.len())
    });
    if !enough {
        return false;
    }
    let mut bytes = vec![0; mark.length as usize];
    file.read_exact_at(&mut bytes, mark.offset).is_ok() && crc32c(&bytes) == mark.crc
}

// === impl Syncer ===

impl Syncer {
    pub(crate) fn start(faults: Faults) -> io::Result<Self> {
        let (work, incoming) = sync_channel::<Vec<Arc<File>>>(1);
        let (finished, done) = sync_channel(1);
        let run = move || {
            while let Ok(files) = incoming.recv() {
                let result = files.iter().try_for_each(|file| sync(&faults, file));
                if finished.send(result).is_err() {
                    return;
                }
            }
        };
        let thread = std::thread::Builder::new().name("ledger-payloads".to_owned()).spawn(run)?;
        Ok(Self { work: Some(work), done, thread: Some(thread) })
    }

    /// Starts syncing; [`Syncer::wait`] must follow.
    pub(crate) fn start_sync(&self, files: Vec<Arc<File>>) -> io::Result<()> {
        let sent = self.work.as_ref().map(|work| work.send(files));
        sent.and_then(Result::ok).ok_or_else(|| io::Error::other("the thread that syncs payloads is gone"))
    }

    pub(crate) fn wait(&self) -> io::Result<()> {
        self.done.recv().unwrap_or_else(|_| Err(io::Error::other("the thread that syncs payloads is gone")))
    }
}

impl Drop for Syncer {
    fn drop(&mut self) {
        self.work = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn marks_read_back(numbers in prop::collection::vec((any::<u64>(), any::<u64>(), any::<u32>(), any::<u32>()), 0..5)) {
            let class = PayloadClass::new("180d").unwrap();
            let marks: Vec<Mark> = numbers
                .into_iter()
                .map(|(number, offset, length, crc)| Mark { class: class.clone(), number, offset, length, crc })
                .collect();
            prop_assert_eq!(decode_marks(&encode_marks(&marks)), Some(marks));
        }

        #[test]
        fn no_bytes_make_the_reader_of_marks_panic(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = decode_marks(&bytes);
        }
    }
}
