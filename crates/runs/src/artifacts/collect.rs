//! From what a run left to what is kept of it.

use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;

use ringfence_json::Object;
use ringfence_types::{Digest, format_size};

use super::Shelf;
use super::shelf::PutError;
use crate::limits::{
    ARTIFACT_NAMES_BYTES_MAX, ARTIFACTS_MAX, BLOCK_BYTES, DEPTH_MAX, LEFT_OUT_MAX, LEFT_OUT_NAME_BYTES,
    NAMES_MAX,
};
use crate::tree::{Found, Step, Walk, kind_in_words, shown, shown_bytes};

/// What was collected.
#[derive(Debug, Default)]
pub(crate) struct Collected {
    /// What is kept: `name`, `bytes`, `sha256`; by name.
    pub files: Vec<Object>,
    /// Bytes of these.
    pub bytes: u64,
    /// Bytes of the disk that they take.
    pub disk_bytes: u64,
    /// What is not, and why, as far as it is named.
    pub left_out: Vec<Object>,
    /// How many names that were.
    pub left_out_count: u64,
}

/// What is still to be kept.
struct Collector<'a> {
    shelf: &'a mut Shelf,
    files: Vec<(String, u64, Digest)>,
    left_out: Vec<Object>,
    left_out_count: u64,
    /// What files with several names hold: they are read once.
    known: HashMap<(u64, u64), (u64, Digest)>,
    /// Bytes that may still be kept.
    left: u64,
    /// The same in all, for the reason.
    most: u64,
    names_left: usize,
}

/// Keeps the regular files in a folder, so many bytes of them at most. Only what is at rest there: nobody writes any more.
pub(crate) fn collect(root: OwnedFd, shelf: &mut Shelf, most: u64) -> io::Result<Collected> {
    let mut collector = Collector {
        shelf,
        files: Vec::new(),
        left_out: Vec::new(),
        left_out_count: 0,
        known: HashMap::new(),
        left: in_blocks(most),
        most,
        names_left: ARTIFACT_NAMES_BYTES_MAX,
    };
    let mut walk = Walk::new(root, NAMES_MAX)?;
    while let Some(step) = walk.next()? {
        match step {
            Step::Enter(_) | Step::Leave => {}
            Step::File(found) => collector.file(walk.path(), &found),
            Step::Link(_) => collector.leave_out(walk.path(), "it is a symbolic link"),
            Step::Other(kind) => collector.leave_out(walk.path(), kind_in_words(kind)),
            Step::Unreadable(error) => {
                collector.leave_out(walk.path(), &format!("it cannot be read: {error}"));
            }
            Step::TooDeep => {
                collector.leave_out(walk.path(), &format!("it is more than {DEPTH_MAX} folders deep"));
            }
            Step::TooMany => {
                let why = format!("it and what comes after it are more than {NAMES_MAX} names");
                collector.leave_out(walk.path(), &why);
            }
        }
    }
    collector.done()
}

// === impl Collector ===

impl Collector<'_> {
    fn file(&mut self, path: &[u8], found: &Found) {
        let name = shown(path);
        if self.files.len() >= ARTIFACTS_MAX {
            return self.leave_out(path, &format!("there are more than {ARTIFACTS_MAX} files"));
        }
        if name.len() > self.names_left {
            return self.leave_out(path, "the names of all files are too long together");
        }
        let known = found.identity().and_then(|identity| self.known.get(&identity).copied());
        let kept = match known {
            Some(known) => Ok(known),
            None => self.read(found),
        };
        match kept {
            Ok((bytes, digest)) => {
                self.names_left -= name.len();
                self.files.push((name, bytes, digest));
            }
            Err(why) => self.leave_out(path, &why),
        }
    }

    fn read(&mut self, found: &Found) -> Result<(u64, Digest), String> {
        let too_much = || format!("with it, there are more than {}", format_size(self.most));
        // A file may say that it is long and hold nothing.
        if in_blocks(found.length()) > self.left {
            return Err(too_much());
        }
        let file = found.open_file().map_err(|error| format!("it cannot be read: {error}"))?;
        let (bytes, digest) = self.shelf.put(file, self.left).map_err(|error| match error {
            PutError::TooMuch => too_much(),
            PutError::Read(error) => format!("it cannot be read: {error}"),
            PutError::Write(error) => format!("it cannot be kept: {error}"),
        })?;
        self.left = self.left.saturating_sub(in_blocks(bytes));
        if let Some(identity) = found.identity() {
            self.known.insert(identity, (bytes, digest));
        }
        Ok((bytes, digest))
    }

    fn leave_out(&mut self, path: &[u8], why: &str) {
        self.left_out_count += 1;
        if self.left_out.len() < LEFT_OUT_MAX {
            let name = shown_bytes(path, LEFT_OUT_NAME_BYTES);
            self.left_out.push(Object::new().with("name", name).with("why", why));
        }
    }

    fn done(mut self) -> io::Result<Collected> {
        self.shelf.sync()?;
        self.files.sort_unstable();
        let bytes = self.files.iter().map(|(_, bytes, _)| bytes).sum();
        let object = |(name, bytes, digest): (String, u64, Digest)| {
            Object::new().with("name", name).with("bytes", bytes).with("sha256", digest.to_string())
        };
        Ok(Collected {
            files: self.files.into_iter().map(object).collect(),
            bytes,
            disk_bytes: self.shelf.taken(),
            left_out: self.left_out,
            left_out_count: self.left_out_count,
        })
    }
}

/// Bytes in whole blocks, as the disk and the run's own folder have them: many small files take more than they hold.
fn in_blocks(bytes: u64) -> u64 {
    bytes.div_ceil(BLOCK_BYTES).saturating_mul(BLOCK_BYTES)
}
