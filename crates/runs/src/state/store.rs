//! What agents keep, on disk: sealed versions, and an index that says which there are.
//!
//! A version counts when the index names it, and the index is replaced at once: whatever a crash leaves is the versions as
//! they were, or with one more. One run or operator at a time changes an agent's; see [`super::Turns`].

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Read};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use ringfence_types::{AgentName, Digest, RunId, Timestamp, WorkspaceName};

use super::error::StateError;
use super::index::{Index, StateVersion};
use super::keys::Key;
use super::pack::{Packed, pack};
use super::seal::{Opener, Place, Sealer, damaged};
use super::unpack::unpack;
use crate::limits::STATE_VERSIONS_MAX;
use crate::sparing::Sparing;

/// The name of a version that is being written.
const UNFINISHED: &str = "unfinished";

/// The end of the name of a version's file.
const VERSION: &str = ".state";

/// What agents keep.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    /// In `WORKSPACE/AGENT`.
    states: PathBuf,
    /// The keys, by workspace.
    keys: PathBuf,
}

/// What is said of a new version.
#[derive(Debug, Clone)]
pub(crate) struct Left {
    pub at: Timestamp,
    pub run: Option<RunId>,
    pub why: String,
    pub from: Option<u64>,
}

/// Whose it is.
pub(crate) type Whose<'a> = (&'a WorkspaceName, &'a AgentName);

// === impl Store ===

impl Store {
    pub(crate) fn new(states: PathBuf, keys: PathBuf) -> Self {
        Self { states, keys }
    }

    /// The versions of an agent's, oldest first.
    pub(crate) fn versions(&self, whose: Whose<'_>) -> Result<Vec<StateVersion>, StateError> {
        Ok(Index::read(&self.folder(whose))?.versions)
    }

    /// Every agent that keeps or kept something.
    pub(crate) fn all(&self) -> Vec<(WorkspaceName, AgentName)> {
        let mut all = Vec::new();
        for (workspace, folder) in crate::runs::folders(&self.states) {
            let Ok(workspace) = WorkspaceName::new(&workspace) else { continue };
            let agents = crate::runs::folders(&folder).into_iter();
            let agents = agents.filter_map(|(agent, _)| AgentName::new(&agent).ok());
            all.extend(agents.map(|agent| (workspace.clone(), agent)));
        }
        all.sort();
        all
    }

    /// Fills an empty folder with the newest version, if there is one: which.
    pub(crate) fn fill(&self, whose: Whose<'_>, root: &OwnedFd) -> Result<Option<StateVersion>, StateError> {
        let index = Index::read(&self.folder(whose))?;
        let Some(newest) = index.versions.last() else { return Ok(None) };
        let mut snapshot = self.open(whose, newest)?;
        let unpacked = unpack(root, &mut snapshot).and_then(|_| snapshot.verify());
        unpacked.map(|()| Some(newest.clone())).map_err(|cause| of_version(newest.number, cause))
    }

    /// Keeps what is in a folder as the newest version.
    pub(crate) fn keep(
        &self,
        whose: Whose<'_>,
        root: OwnedFd,
        most: u64,
        left: Left,
    ) -> Result<(StateVersion, Packed), StateError> {
        let fill = |sealer: &mut BufWriter<Sealer<Sparing>>| pack(root, sealer, most);
        self.write(whose, left, fill)
    }

    /// Makes an earlier version the newest, under a number of its own.
    pub(crate) fn restore(
        &self,
        whose: Whose<'_>,
        number: u64,
        at: Timestamp,
    ) -> Result<StateVersion, StateError> {
        let mut snapshot = self.version(whose, Some(number))?;
        let earlier = &snapshot.version;
        let left = Left { at, run: earlier.run, why: "restored".to_owned(), from: Some(number) };
        let packed = Packed { names: earlier.names, bytes: earlier.bytes, left_out: 0 };
        let copied = self.write(whose, left, |sealer| {
            io::copy(&mut snapshot, sealer)?;
            snapshot.verify()?;
            Ok(packed)
        });
        match copied {
            Err(StateError::System(cause)) => Err(of_version(number, cause)),
            copied => copied.map(|(version, _)| version),
        }
    }

    /// How many files of versions an agent has.
    pub(crate) fn count(&self, whose: Whose<'_>) -> Result<u64, StateError> {
        let folder = self.folder(whose);
        if !folder.is_dir() {
            return Err(StateError::Nothing(whose.0.clone(), whose.1.clone()));
        }
        Ok(version_files(&folder).len() as u64)
    }

    /// Removes all versions of an agent's: how many there were. Their numbers are not used again.
    pub(crate) fn clear(&self, whose: Whose<'_>) -> Result<u64, StateError> {
        let folder = self.folder(whose);
        if !folder.is_dir() {
            return Err(StateError::Nothing(whose.0.clone(), whose.1.clone()));
        }
        let files = version_files(&folder);
        // Also of one whose index cannot be read: this is the way out of that.
        let next = Index::read(&folder).map_or(0, |index| index.next);
        let next = files.iter().map(|(number, _)| number + 1).chain([next, 1]).max().unwrap_or(1);
        Index { versions: Vec::new(), next }.write(&folder)?;
        files.iter().try_for_each(|(_, path)| fs::remove_file(path))?;
        Ok(files.len() as u64)
    }

    /// A version, or the newest.
    pub(crate) fn version(&self, whose: Whose<'_>, number: Option<u64>) -> Result<Snapshot, StateError> {
        let index = Index::read(&self.folder(whose))?;
        let newest = index.versions.last();
        let newest = newest.ok_or_else(|| StateError::Nothing(whose.0.clone(), whose.1.clone()))?;
        let version = match number {
            None => newest,
            Some(number) => index.find(number).ok_or_else(|| {
                let known: Vec<_> = index.versions.iter().map(|known| known.number.to_string()).collect();
                StateError::NoVersion { version: number, known: known.join(", ") }
            })?,
        };
        self.open(whose, version)
    }

    fn open(&self, whose: Whose<'_>, version: &StateVersion) -> Result<Snapshot, StateError> {
        let key = self.key(whose.0)?.ok_or_else(|| self.no_key(whose.0))?;
        let path = version_path(&self.folder(whose), version.number);
        let file = File::open(path).map_err(|cause| of_version(version.number, cause))?;
        let opener = Opener::new(BufReader::new(file), &key, place(whose, version.number));
        let opener = opener.map_err(|cause| of_version(version.number, cause))?;
        Ok(Snapshot { opener, version: version.clone() })
    }

    /// Writes a version and names it in the index.
    fn write(
        &self,
        whose: Whose<'_>,
        left: Left,
        fill: impl FnOnce(&mut BufWriter<Sealer<Sparing>>) -> io::Result<Packed>,
    ) -> Result<(StateVersion, Packed), StateError> {
        let folder = self.folder(whose);
        if !folder.is_dir() {
            DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
            // Its own name, and those of the folders above it.
            folder.ancestors().skip(1).take(3).try_for_each(|above| File::open(above)?.sync_all())?;
        }
        let mut index = Index::read(&folder)?;
        let key = Key::to_seal_with(&self.keys, whose.0, index.versions.is_empty())?;
        let key = key.ok_or_else(|| self.no_key(whose.0))?;
        let number = index.next;
        let written = write_version(&folder, &key, place(whose, number), fill);
        if written.is_err() {
            // What is half written takes room from others.
            let _ = fs::remove_file(folder.join(UNFINISHED));
        }
        let (packed, digest) = written?;
        let Left { at, run, why, from } = left;
        let version =
            StateVersion { number, at, run, why, from, bytes: packed.bytes, names: packed.names, digest };
        index.versions.push(version.clone());
        index.next = number + 1;
        let too_many = index.versions.len().saturating_sub(STATE_VERSIONS_MAX);
        index.versions.drain(..too_many);
        index.write(&folder)?;
        remove_unnamed(&folder, &index);
        Ok((version, packed))
    }

    fn key(&self, workspace: &WorkspaceName) -> io::Result<Option<Key>> {
        Key::read(&self.keys, workspace)
    }

    fn no_key(&self, workspace: &WorkspaceName) -> StateError {
        StateError::NoKey(self.keys.join(workspace.as_str()).display().to_string())
    }

    fn folder(&self, whose: Whose<'_>) -> PathBuf {
        self.states.join(whose.0.as_str()).join(whose.1.as_str())
    }
}

/// A version that is being read: its archive.
pub(crate) struct Snapshot {
    opener: Opener<BufReader<File>>,
    version: StateVersion,
}

// === impl Snapshot ===

impl Snapshot {
    /// Which it is.
    pub(crate) fn number(&self) -> u64 {
        self.version.number
    }

    /// Reads what is left of it; whether all of it is the file that the index names, and not another that is sealed as well.
    pub(crate) fn verify(self) -> io::Result<()> {
        if self.opener.finish()? == self.version.digest {
            return Ok(());
        }
        Err(damaged("it is not the file that was kept"))
    }
}

impl Read for Snapshot {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.opener.read(into)
    }
}

fn write_version(
    folder: &Path,
    key: &Key,
    place: Place,
    fill: impl FnOnce(&mut BufWriter<Sealer<Sparing>>) -> io::Result<Packed>,
) -> io::Result<(Packed, Digest)> {
    let unfinished = folder.join(UNFINISHED);
    let path = version_path(folder, place.version);
    let options = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).clone();
    let sealer = Sealer::new(Sparing::new(options.open(&unfinished)?), key, place)?;
    // Records are small, pieces large.
    let mut out = BufWriter::with_capacity(64 << 10, sealer);
    let packed = fill(&mut out)?;
    let sealer = out.into_inner().map_err(io::IntoInnerError::into_error)?;
    let (file, digest) = sealer.finish()?;
    file.into_inner().sync_all()?;
    fs::rename(&unfinished, path)?;
    File::open(folder)?.sync_all()?;
    Ok((packed, digest))
}

/// Removes versions that the index does not name: too old, or left by a crash before it named them.
fn remove_unnamed(folder: &Path, index: &Index) {
    for (number, path) in version_files(folder) {
        if index.find(number).is_none() {
            // What cannot be removed now is tried again with the next version.
            let _ = fs::remove_file(path);
        }
    }
}

fn version_files(folder: &Path) -> Vec<(u64, PathBuf)> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let number = |path: &Path| path.file_name()?.to_str()?.strip_suffix(VERSION)?.parse().ok();
    entries.filter_map(|entry| Some((number(&entry.path())?, entry.path()))).collect()
}

fn version_path(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{number}{VERSION}"))
}

fn place(whose: Whose<'_>, version: u64) -> Place {
    Place { workspace: whose.0.clone(), agent: whose.1.clone(), version }
}

/// What went wrong with a version: the file, or the room for what is in it.
fn of_version(version: u64, cause: io::Error) -> StateError {
    match cause.kind() {
        io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof | io::ErrorKind::NotFound => {
            StateError::Damaged { version, cause }
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => StateError::NoRoom { version, cause },
        _ => StateError::System(cause),
    }
}
