//! Where what runs left is kept: by content, once for each workspace.
//!
//! A file stands in the folder of its run under its digest, and under the same name in a folder of the workspace; both are
//! names of one file. What no run has any more has one name left, and is removed.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use ringfence_types::{Digest, Hasher};

use crate::limits::{COPY_BYTES, FILE_BYTES, SYNC_EACH_MAX};
use crate::sparing::Sparing;

/// The name of the folder with them: of a run, and of a workspace.
pub(crate) const FOLDER: &str = "artifacts";

/// The name of a file that is not there yet.
const UNFINISHED: &str = "unfinished";

/// The shelf of one run.
pub(crate) struct Shelf {
    /// The run's own.
    own: PathBuf,
    /// Of all runs of its workspace.
    shared: PathBuf,
    /// What was put there.
    put: Vec<PathBuf>,
    /// Bytes of the disk that are taken by it.
    taken: u64,
}

/// Why a file is not kept.
#[derive(Debug)]
pub(crate) enum PutError {
    /// It has more bytes than there may be.
    TooMuch,
    /// It cannot be read.
    Read(io::Error),
    /// There is no room for it, or no folder.
    Write(io::Error),
}

// === impl Shelf ===

impl Shelf {
    /// The shelf of the run with this folder.
    pub(crate) fn of(run: &Path) -> Self {
        let shared = run.parent().unwrap_or(run).join(FOLDER);
        Self { own: run.join(FOLDER), shared, put: Vec::new(), taken: 0 }
    }

    /// Keeps a file of at most so many bytes: how many it has, and their digest.
    pub(crate) fn put(&mut self, mut file: File, most: u64) -> Result<(u64, Digest), PutError> {
        if self.put.is_empty() {
            for folder in [&self.own, &self.shared] {
                let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
                made.map_err(PutError::Write)?;
            }
        }
        let unfinished = self.own.join(UNFINISHED);
        let kept = copy(&mut file, &unfinished, most);
        let kept = kept.and_then(|(bytes, digest)| {
            let path = self.take_in(&unfinished, &digest).map_err(PutError::Write)?;
            self.put.push(path);
            Ok((bytes, digest))
        });
        if kept.is_err() {
            // Where nothing was written, nothing is there.
            let _ = fs::remove_file(&unfinished);
        }
        kept
    }

    /// Gives a whole file its name; one that is there already under it takes its place.
    fn take_in(&mut self, unfinished: &Path, digest: &Digest) -> io::Result<PathBuf> {
        let (own, shared) = (self.own.join(digest.to_string()), self.shared.join(digest.to_string()));
        if own.exists() || fs::hard_link(&shared, &own).is_ok() {
            fs::remove_file(unfinished)?;
        } else {
            fs::rename(unfinished, &own)?;
            self.taken += on_disk(&fs::symlink_metadata(&own)?);
            // Where that cannot be, the next run with the same file keeps one of its own.
            let _ = fs::hard_link(&own, &shared);
        }
        Ok(own)
    }

    /// Bytes of the disk that are taken by what was put here, and was not there already.
    pub(crate) fn taken(&self) -> u64 {
        self.taken
    }

    /// Makes everything durable that was put here.
    pub(crate) fn sync(&self) -> io::Result<()> {
        if self.put.is_empty() {
            return Ok(());
        }
        let own = File::open(&self.own)?;
        if self.put.len() > SYNC_EACH_MAX {
            rustix::fs::syncfs(&own)?;
        } else {
            self.put.iter().try_for_each(|path| File::open(path)?.sync_all())?;
        }
        let above = self.own.ancestors().skip(1).take(2);
        std::iter::once(self.own.as_path()).chain(above).try_for_each(|folder| File::open(folder)?.sync_all())
    }

    /// Takes everything back, because nothing says what it is.
    pub(crate) fn clear(&self) {
        // What stays is removed with the run's folder.
        let _ = fs::remove_dir_all(&self.own);
    }
}

/// Bytes that are free when a file is gone. Also an empty one takes some: of those there could be any number otherwise.
pub(crate) fn on_disk(file: &fs::Metadata) -> u64 {
    (file.blocks() * 512).saturating_add(FILE_BYTES)
}

fn copy(from: &mut File, to: &Path, most: u64) -> Result<(u64, Digest), PutError> {
    let options = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).clone();
    let mut to = Sparing::new(options.open(to).map_err(PutError::Write)?);
    let (mut hasher, mut buffer, mut bytes) = (Hasher::new(), vec![0; COPY_BYTES], 0_u64);
    loop {
        let read = from.read(&mut buffer).map_err(PutError::Read)?;
        if read == 0 {
            return Ok((bytes, hasher.finish()));
        }
        bytes += read as u64;
        if bytes > most {
            return Err(PutError::TooMuch);
        }
        hasher.update(&buffer[..read]);
        to.write_all(&buffer[..read]).map_err(PutError::Write)?;
    }
}

/// Opens what a run left, if it is what it was: it is read to its end once before it is given out.
pub(crate) fn open_kept(run: &Path, digest: &Digest) -> io::Result<File> {
    let mut file = File::open(run.join(FOLDER).join(digest.to_string()))?;
    let (mut hasher, mut buffer) = (Hasher::new(), vec![0; COPY_BYTES]);
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            read => hasher.update(&buffer[..read]),
        }
    }
    if hasher.finish() != *digest {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it is not what the log says it is"));
    }
    file.rewind()?;
    Ok(file)
}

/// Removes what no run of a workspace has any more.
pub(crate) fn forget_unused(workspace: &Path) {
    for entry in fs::read_dir(workspace.join(FOLDER)).into_iter().flatten().flatten() {
        // A run that takes it in at this moment has a name of its own for it.
        if entry.metadata().is_ok_and(|metadata| metadata.nlink() == 1) {
            let _ = fs::remove_file(entry.path());
        }
    }
}
