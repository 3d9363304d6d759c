//! Checkpoints (C2SP tlog-checkpoint) as signed notes (C2SP signed-note) with Ed25519.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use base64::prelude::{BASE64_STANDARD, Engine as _};

/// The signature type of Ed25519 in signed notes.
pub(crate) const ED25519_TYPE: u8 = 1;

/// How many signatures a note may have, beyond which it is refused.
const SIGNATURES_MAX: usize = 64;

/// The public key of a log. Its text is a verifier key of signed notes: `NAME+HASH+KEY`.
#[derive(Clone, PartialEq, Eq)]
pub struct VerifierKey {
    name: String,
    key: [u8; 32],
}

/// The tree that a log commits to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which log.
    pub origin: String,
    /// How many entries.
    pub size: u64,
    /// The root of the Merkle tree over them (RFC 6962 §2.1).
    pub root: [u8; 32],
}

/// A key, a note or a checkpoint cannot be accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoteError {
    /// Not a verifier key.
    #[error("not a key: expected NAME+HASH+KEY, as `ringfence audit checkpoint` prints it")]
    MalformedKey,
    /// Not a signed note.
    #[error("not a checkpoint: expected a signed note of at least three lines and a signature")]
    Malformed,
    /// Nobody known signed it.
    #[error("the checkpoint of `{origin}` is not signed by `{key}`")]
    Unsigned {
        /// Whose checkpoint it is.
        origin: String,
        /// By whom it should be signed.
        key: String,
    },
    /// The signature is wrong.
    #[error("the signature of `{0}` does not fit the checkpoint: one of them was changed")]
    BadSignature(String),
}

/// The id of a key: the start of SHA-256(name || 0x0A || type || key).
pub(crate) fn key_id(name: &str, key: &[u8; 32]) -> [u8; 4] {
    let text = [name.as_bytes(), b"\n", &[ED25519_TYPE], key].concat();
    let hash = digest(&SHA256, &text);
    let mut id = [0; 4];
    id.copy_from_slice(&hash.as_ref()[..4]);
    id
}

pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from_digit(u32::from(value), 16).unwrap_or_default();
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

// === impl VerifierKey ===

impl VerifierKey {
    pub(crate) fn new(name: &str, key: [u8; 32]) -> Self {
        Self { name: name.to_owned(), key }
    }

    /// The key's name, which is the log's origin.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn id(&self) -> [u8; 4] {
        key_id(&self.name, &self.key)
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = BASE64_STANDARD.encode([&[ED25519_TYPE], self.key.as_slice()].concat());
        write!(f, "{}+{}+{key}", self.name, hexadecimal(&self.id()))
    }
}

impl fmt::Debug for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for VerifierKey {
    type Err = NoteError;

    fn from_str(text: &str) -> Result<Self, NoteError> {
        let mut parts = text.trim().splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(NoteError::MalformedKey);
        };
        let bytes = BASE64_STANDARD.decode(key).map_err(|_| NoteError::MalformedKey)?;
        let key = match bytes.split_first() {
            Some((&ED25519_TYPE, key)) => <[u8; 32]>::try_from(key).ok(),
            _ => None,
        };
        let found = Self { name: name.to_owned(), key: key.ok_or(NoteError::MalformedKey)? };
        let sound = !name.is_empty() && !name.contains(char::is_whitespace) && hexadecimal(&found.id()) == id;
        if sound { Ok(found) } else { Err(NoteError::MalformedKey) }
    }
}

// === impl Checkpoint ===

impl Checkpoint {
    /// The text that is signed.
    pub(crate) fn text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, BASE64_STANDARD.encode(self.root))
    }

    /// Reads a checkpoint without looking at who signed it.
    ///
    /// # Errors
    /// When it is not one.
    pub fn parse(note: &str) -> Result<Self, NoteError> {
        let (text, _) = split_note(note)?;
        let mut lines = text.lines();
        let origin = lines.next().filter(|line| !line.is_empty()).ok_or(NoteError::Malformed)?;
        let size = lines.next().ok_or(NoteError::Malformed)?;
        let number: u64 = size.parse().map_err(|_| NoteError::Malformed)?;
        let root = lines.next().and_then(|line| BASE64_STANDARD.decode(line).ok()?.try_into().ok());
        if number.to_string() != size || lines.any(str::is_empty) {
            return Err(NoteError::Malformed);
        }
        Ok(Self { origin: origin.to_owned(), size: number, root: root.ok_or(NoteError::Malformed)? })
    }

    /// Reads a checkpoint that `key` signed.
    ///
    /// # Errors
    /// When it is not one, or the key did not sign it.
    pub fn open(note: &str, key: &VerifierKey) -> Result<Self, NoteError> {
        let checkpoint = Self::parse(note)?;
        let (text, signatures) = split_note(note)?;
        let mut signed = false;
        for line in signatures.lines().take(SIGNATURES_MAX) {
            let (name, signature) = signature_of(line).ok_or(NoteError::Malformed)?;
            if name == key.name && signature[..4] == key.id() {
                let verifier = UnparsedPublicKey::new(&ED25519, key.key);
                verifier
                    .verify(text.as_bytes(), &signature[4..])
                    .map_err(|_| NoteError::BadSignature(key.name.clone()))?;
                signed = true;
            }
        }
        if signed && checkpoint.origin == key.name {
            return Ok(checkpoint);
        }
        Err(NoteError::Unsigned { origin: checkpoint.origin, key: key.name.clone() })
    }
}

/// The text of a note, its last line break included, and its signatures.
fn split_note(note: &str) -> Result<(&str, &str), NoteError> {
    let blank = note.rfind("\n\n").ok_or(NoteError::Malformed)?;
    let (text, signatures) = (&note[..=blank], &note[blank + 2..]);
    let clean = !note.bytes().any(|byte| byte < 0x20 && byte != b'\n');
    if clean && !signatures.is_empty() && signatures.ends_with('\n') {
        Ok((text, signatures))
    } else {
        Err(NoteError::Malformed)
    }
}

/// The name and the bytes of a signature line: key id, signature.
fn signature_of(line: &str) -> Option<(&str, Vec<u8>)> {
    let (name, signature) = line.strip_prefix("\u{2014} ")?.split_once(' ')?;
    let bytes = BASE64_STANDARD.decode(signature).ok()?;
    (!name.is_empty() && bytes.len() > 4).then_some((name, bytes))
}
