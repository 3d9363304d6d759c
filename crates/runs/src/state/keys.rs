//! The keys that snapshots are sealed with: one for each workspace, in a file of its own.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use ringfence_types::WorkspaceName;

use super::seal::damaged;

/// Bytes of a key.
const KEY_BYTES: usize = 32;

/// What a key's file starts with.
const PREFIX: &str = "RINGFENCE-STATE-KEY-1 ";

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

    /// Makes one. Durable when this returns: what is sealed with it must not be lost with it.
    pub(super) fn make(folder: &Path, workspace: &WorkspaceName) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let key = Self::random()?;
        let digits = digits(&key.0);
        let unfinished = folder.join(format!(".{workspace}.new"));
        let options = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).clone();
        let mut file = options.open(&unfinished)?;
        file.write_all(format!("{PREFIX}{digits}\n").as_bytes())?;
        file.sync_all()?;
        fs::rename(&unfinished, path(folder, workspace))?;
        // The folder, and its own name in those above it.
        folder.ancestors().take(3).try_for_each(|folder| File::open(folder)?.sync_all())?;
        Ok(key)
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(…)")
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
}
