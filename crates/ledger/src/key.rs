//! The key that signs the log's checkpoints.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use aws_lc_rs::rand;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use ringfence_types::{Digest, NodeName};

use crate::disk::sync_folder;
use crate::error::{At, FileError, OpenError};
use crate::note::{Checkpoint, ED25519_TYPE, VerifierKey, hexadecimal};
use crate::wal::{Start, numbered_files, start_of};

/// What a key's text starts with; the format of Go's `note` package.
const PREFIX: &str = "PRIVATE+KEY+";

/// The file with the public half: what a verifier needs, and may go to anybody.
pub(crate) const PUBLIC: &str = "key.pub";

/// Signs checkpoints. `Debug` shows the public half.
pub(crate) struct SigningKey {
    pair: Ed25519KeyPair,
    verifier: VerifierKey,
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SigningKey({})", self.verifier)
    }
}

// === impl SigningKey ===

impl SigningKey {
    /// The key of the log in `folder`; a new one if there is none.
    pub(crate) fn open(folder: &Path, node: &NodeName) -> Result<Self, OpenError> {
        let key = Self::read_or_make(folder, node)?;
        let path = folder.join(PUBLIC);
        let text = format!("{}\n", key.verifier);
        if fs::read_to_string(&path).ok().as_deref() != Some(&text) {
            fs::write(&path, text).at("write", &path)?;
        }
        Ok(key)
    }

    fn read_or_make(folder: &Path, node: &NodeName) -> Result<Self, OpenError> {
        let path = folder.join("key");
        let refuse = |what| OpenError::Key { path: path.clone(), what };
        match fs::read_to_string(&path) {
            Ok(text) => {
                let mode = fs::metadata(&path).at("inspect", &path)?.permissions().mode();
                if mode & 0o077 != 0 {
                    return Err(refuse("others can read it: make it readable by its owner only (chmod 600)"));
                }
                Self::parse(&text).ok_or_else(|| refuse("it is not a signing key"))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if was_begun(&folder.join("wal"))? {
                    return Err(refuse("it is gone, but the log it signed is there: restore it"));
                }
                let seed = new_seed().ok_or_else(|| refuse("the system gave no random bytes"))?;
                let key = Self::new(node, &seed).ok_or_else(|| refuse("it cannot be made"))?;
                key.save(&path, &seed)?;
                Ok(key)
            }
            Err(source) => Err(source).at("read", &path).map_err(OpenError::File),
        }
    }

    /// A new log's key. Two nodes of one name are two logs: the name ends with the start of the key's digest.
    fn new(node: &NodeName, seed: &[u8; 32]) -> Option<Self> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).ok()?;
        let public: [u8; 32] = pair.public_key().as_ref().try_into().ok()?;
        let name = format!("ringfence.dev/{node}-{}", &Digest::of(&public).to_string()[..8]);
        Some(Self { pair, verifier: VerifierKey::new(&name, public) })
    }

    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.trim_end().strip_prefix(PREFIX)?.splitn(3, '+');
        let (name, id, key) = (parts.next()?, parts.next()?, parts.next()?);
        let bytes = BASE64_STANDARD.decode(key).ok()?;
        let (kind, seed) = bytes.split_first()?;
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).ok()?;
        let public: [u8; 32] = pair.public_key().as_ref().try_into().ok()?;
        let verifier = VerifierKey::new(name, public);
        let sound = *kind == ED25519_TYPE && hexadecimal(&verifier.id()) == id;
        sound.then_some(Self { pair, verifier })
    }

    fn save(&self, path: &Path, seed: &[u8; 32]) -> Result<(), FileError> {
        let key = BASE64_STANDARD.encode([&[ED25519_TYPE], seed.as_slice()].concat());
        let text = format!("{PREFIX}{}+{}+{key}\n", self.verifier.name(), hexadecimal(&self.verifier.id()));
        let options = OpenOptions::new().write(true).create_new(true).mode(0o600).clone();
        let mut file = options.open(path).at("create", path)?;
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).at("write", path)?;
        path.parent().map_or(Ok(()), sync_folder)
    }

    /// The public half.
    pub(crate) fn verifier(&self) -> &VerifierKey {
        &self.verifier
    }

    /// The signed checkpoint of a tree.
    pub(crate) fn sign(&self, size: u64, root: [u8; 32]) -> String {
        let checkpoint = Checkpoint { origin: self.verifier.name().to_owned(), size, root };
        let text = checkpoint.text();
        let signature = self.pair.sign(text.as_bytes());
        let bytes = [self.verifier.id().as_slice(), signature.as_ref()].concat();
        format!("{text}\n\u{2014} {} {}\n", self.verifier.name(), BASE64_STANDARD.encode(bytes))
    }
}

/// Whether the log has any entries.
fn was_begun(wal: &Path) -> Result<bool, FileError> {
    let first = numbered_files(wal, "wal").at("list", wal)?.first().copied();
    first.map_or(Ok(false), |first| Ok(start_of(wal, first)? != Start::Spare))
}

fn new_seed() -> Option<[u8; 32]> {
    let mut seed = [0; 32];
    rand::fill(&mut seed).ok()?;
    Some(seed)
}
