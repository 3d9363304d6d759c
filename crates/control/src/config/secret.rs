//! Secrets that the configuration names and never holds.

use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};

use smol_str::SmolStr;

use crate::limits::SECRET_BYTES_MAX;

/// Where a secret is kept: `env:NAME` or `file:PATH`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum SecretSource {
    /// An environment variable of the node.
    Environment(SmolStr),
    /// A file; a line break at its end is not part of the secret.
    File(PathBuf),
}

/// A secret in the clear. Its `Debug` shows nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

/// The text names no place where a secret is kept. The text itself is not repeated: it may be one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a secret cannot stand in the configuration itself")]
pub struct SecretSourceError;

/// A secret that cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The variable is not set, or empty.
    #[error("the environment variable {0} is not set")]
    NotSet(SmolStr),
    /// The file cannot be read.
    #[error("cannot read the secret in {path}: {cause}")]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        cause: std::io::Error,
    },
    /// Empty, too long, not text, or with characters that no header can carry.
    #[error(
        "the secret in {0} is empty, longer than {SECRET_BYTES_MAX} bytes, or not one line of printable text"
    )]
    Unusable(String),
}

// === impl SecretSource ===

impl SecretSource {
    /// Reads `env:NAME` or `file:PATH`, a relative path from `folder`.
    ///
    /// # Errors
    /// When it is anything else.
    pub fn parse(text: &str, folder: &Path) -> Result<Self, SecretSourceError> {
        if let Some(name) = text.strip_prefix("env:") {
            let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
            let is_name = !name.is_empty() && name.bytes().all(fits);
            return is_name.then(|| Self::Environment(name.into())).ok_or(SecretSourceError);
        }
        match text.strip_prefix("file:") {
            Some(path) if !path.is_empty() => Ok(Self::File(folder.join(path))),
            _ => Err(SecretSourceError),
        }
    }

    /// Fetches the secret.
    ///
    /// # Errors
    /// When it is not there, or cannot be sent in a header.
    pub fn resolve(&self) -> Result<Secret, SecretError> {
        let text = match self {
            Self::Environment(name) => std::env::var(name.as_str())
                .ok()
                .filter(|text| !text.is_empty())
                .ok_or_else(|| SecretError::NotSet(name.clone()))?,
            Self::File(path) => read_file(path)?,
        };
        let printable = |byte: u8| byte == b'\t' || (byte >= 0x20 && byte != 0x7f);
        if text.is_empty() || text.len() > SECRET_BYTES_MAX || !text.bytes().all(printable) {
            return Err(SecretError::Unusable(self.to_string()));
        }
        Ok(Secret(text))
    }
}

impl fmt::Display for SecretSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Environment(name) => write!(f, "env:{name}"),
            Self::File(path) => write!(f, "file:{}", path.display()),
        }
    }
}

fn read_file(path: &Path) -> Result<String, SecretError> {
    let unreadable = |cause| SecretError::Unreadable { path: path.to_path_buf(), cause };
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let mut text = String::new();
    // One byte more than allowed is enough to know that it is too long.
    let bound = u64::try_from(SECRET_BYTES_MAX).unwrap_or(u64::MAX).saturating_add(2);
    file.take(bound).read_to_string(&mut text).map_err(unreadable)?;
    let end =
        text.strip_suffix('\n').map_or(text.len(), |line| line.strip_suffix('\r').unwrap_or(line).len());
    text.truncate(end);
    Ok(text)
}

// === impl Secret ===

impl Secret {
    /// The secret itself, for the one request it goes into.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_named_and_never_written() {
        let folder = Path::new("/etc/ringfence");
        let parse = |text| SecretSource::parse(text, folder);
        assert_eq!(parse("env:KEY_1"), Ok(SecretSource::Environment("KEY_1".into())));
        assert_eq!(parse("file:key"), Ok(SecretSource::File("/etc/ringfence/key".into())));
        assert_eq!(parse("file:/run/key"), Ok(SecretSource::File("/run/key".into())));
        for bad in ["sk-verysecret", "env:", "env:A B", "file:", "ENV:X", ""] {
            let error = parse(bad).unwrap_err().to_string();
            assert!(bad.is_empty() || !error.contains(bad));
        }
    }

    #[test]
    fn a_file_gives_its_line_and_nothing_more() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let resolve = |content: &[u8]| {
            std::fs::write(&path, content).unwrap();
            SecretSource::File(path.clone()).resolve()
        };
        assert_eq!(resolve(b"hunter2\n").unwrap().reveal(), "hunter2");
        assert_eq!(resolve(b"hunter2\r\n").unwrap().reveal(), "hunter2");
        assert_eq!(format!("{:?}", resolve(b"hunter2").unwrap()), "Secret(…)");
        let long = vec![b'x'; SECRET_BYTES_MAX + 1];
        for bad in [&b""[..], b"\n", b"two\nlines", b"\xff", &long] {
            let error = resolve(bad).unwrap_err().to_string();
            assert!(!error.contains("two"), "{error}");
        }
        assert!(SecretSource::File(folder.path().join("none")).resolve().is_err());
    }
}
