//! The keys that snapshots are sealed with: one for each workspace, in a file of its own.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use parking_lot::Mutex;
use ringfence_types::WorkspaceName;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

use super::seal::damaged;

/// Bytes of a key.
const KEY_BYTES: usize = 32;

/// What a key's file starts with.
const PREFIX: &str = "RINGFENCE-STATE-KEY-1 ";

/// Held while it is looked for a key to seal with, or one is made.
static MAKING: Mutex<()> = Mutex::new(());

/// A workspace's key. `Debug` shows nothing of it.
pub(super) struct Key([u8; KEY_BYTES]);

// === impl Key ===

impl Key {
    pub(super) fn random() -> io::Result<Self> {
        let mut key = [0; KEY_BYTES];
        aws_lc_rs::rand::fill(&mut key).map_err(|_| io::Error::other("the system gave no random bytes"))?;
        Ok(Self(key))
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The key of a workspace; `None` where there is none yet.
    pub(super) fn read(folder: &Path, workspace: &WorkspaceName) -> io::Result<Option<Self>> {
        let path = path(folder, workspace);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        if fs::metadata(&path)?.permissions().mode() & 0o077 != 0 {
            let what = format!("others can read the key {}; `chmod 600` it", path.display());
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, what));
        }
        let key = text.trim_end().strip_prefix(PREFIX).and_then(read_digits);
        key.map(|key| Some(Self(key))).ok_or_else(|| damaged(&format!("{} is no key", path.display())))
    }

    /// The key to seal with; made where there is none yet and `may_make` says so. What is sealed must not be lost with its key:
    /// nobody here has it before it is durable.
    pub(super) fn to_seal_with(
        folder: &Path,
        workspace: &WorkspaceName,
        may_make: bool,
    ) -> io::Result<Option<Self>> {
        let _alone = MAKING.lock();
        match Self::read(folder, workspace)? {
            None if may_make => Self::make(folder, workspace).map(Some),
            there => Ok(there),
        }
    }

    /// Makes one, unless somebody else was faster: then it is that one. Durable when this returns.
    fn make(folder: &Path, workspace: &WorkspaceName) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let (key, own) = (Self::random()?, Self::random()?);
        // A name that no other maker has.
        let unfinished = folder.join(format!(".{workspace}.{}.new", digits(&own.0)));
        let placed = key.write(&unfinished).and_then(|()| place(&unfinished, &path(folder, workspace)));
        if !matches!(placed, Ok(true)) {
            // It is nobody's.
            let _ = fs::remove_file(&unfinished);
        }
        let placed = placed?;
        // The folder, and its own name in those above it.
        folder.ancestors().take(3).try_for_each(|folder| File::open(folder)?.sync_all())?;
        if placed {
            return Ok(key);
        }
        Self::read(folder, workspace)?.ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Writes a new file, whole and on the disk.
    fn write(&self, path: &Path) -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(format!("{PREFIX}{}\n", digits(&self.0)).as_bytes())?;
        file.sync_all()
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(…)")
    }
}

/// Gives a file its name; whether it got it, and nothing had it before.
fn place(unfinished: &Path, path: &Path) -> io::Result<bool> {
    let placed = match renameat_with(CWD, unfinished, CWD, path, RenameFlags::NOREPLACE) {
        // A file system that cannot do that at once: a second name, and then not the first.
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
            fs::hard_link(unfinished, path).and_then(|()| fs::remove_file(unfinished))
        }
        other => other.map_err(io::Error::from),
    };
    match placed {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        other => other.map(|()| true),
    }
}

fn path(folder: &Path, workspace: &WorkspaceName) -> PathBuf {
    folder.join(workspace.as_str())
}

fn digits(key: &[u8]) -> String {
    key.iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .filter_map(|digit| char::from_digit(digit.into(), 16))
        .collect()
}

fn read_digits(text: &str) -> Option<[u8; KEY_BYTES]> {
    let mut key = [0; KEY_BYTES];
    if text.len() != 2 * KEY_BYTES || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    for (index, byte) in key.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * index..2 * index + 2)?, 16).ok()?;
    }
    Some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_its_owners_alone_and_comes_back_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let keys = folder.path().join("keys");
        let workspace = WorkspaceName::new("research").unwrap();
        assert!(Key::read(&keys, &workspace).unwrap().is_none());
        let key = Key::make(&keys, &workspace).unwrap();
        assert_eq!(Key::read(&keys, &workspace).unwrap().unwrap().bytes(), key.bytes());
        assert_eq!(fs::metadata(path(&keys, &workspace)).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(!format!("{key:?}").contains(char::is_numeric));
        fs::set_permissions(path(&keys, &workspace), fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(Key::read(&keys, &workspace).unwrap_err().kind(), io::ErrorKind::PermissionDenied);
        fs::write(path(&keys, &workspace), "else").unwrap();
        fs::set_permissions(path(&keys, &workspace), fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(Key::read(&keys, &workspace).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }

    #[test]
    fn whoever_makes_a_key_at_once_with_others_has_the_one_that_is_there() {
        const MAKERS: usize = 8;
        let folder = tempfile::tempdir().unwrap();
        for number in 0..50 {
            let workspace = WorkspaceName::new(&format!("lab{number}")).unwrap();
            let begin = std::sync::Barrier::new(MAKERS);
            let make = || {
                begin.wait();
                Key::make(folder.path(), &workspace).unwrap().0
            };
            let made: Vec<_> = std::thread::scope(|scope| {
                let making: Vec<_> = (0..MAKERS).map(|_| scope.spawn(make)).collect();
                making.into_iter().map(|one| one.join().unwrap()).collect()
            });
            let kept = Key::read(folder.path(), &workspace).unwrap().unwrap();
            assert!(made.iter().all(|made| *made == kept.0), "a key that is used is one that is kept");
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 50, "nothing else is left");
    }

    #[test]
    fn a_key_that_cannot_be_read_is_not_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        let workspace = WorkspaceName::new("research").unwrap();
        fs::write(path(folder.path(), &workspace), "else").unwrap();
        fs::set_permissions(path(folder.path(), &workspace), fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(Key::make(folder.path(), &workspace).unwrap_err().kind(), io::ErrorKind::InvalidData);
        assert_eq!(fs::read_to_string(path(folder.path(), &workspace)).unwrap(), "else");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
