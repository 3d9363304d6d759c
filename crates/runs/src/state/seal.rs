//! Snapshots at rest: AES-256-GCM in pieces, each bound to where it belongs.
//!
//! A file is `RFSTATE1`, a salt of 32 bytes, then pieces of 256 KiB, the last one shorter or as long, each with its tag of 16
//! bytes behind it. Each file has a key of its own, made of the workspace's key and the salt (HKDF-SHA-256, RFC 5869). The
//! nonce of a piece is its number; what is authenticated with it is every field that says where it belongs, each with its
//! length before it: so no piece can be moved, left out, put in twice or taken from another file.

use std::io::{self, Read, Write};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, MAX_TAG_LEN, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use ringfence_types::{AgentName, Digest, Hasher, WorkspaceName};

use super::keys::Key;

/// What a file starts with.
const MAGIC: &[u8; 8] = b"RFSTATE1";

/// What the keys of files are for.
const PURPOSE: &[u8] = b"ringfence state snapshot 1";

/// Bytes of a piece.
const PIECE_BYTES: usize = 256 * 1_024;

const SALT_BYTES: usize = 32;
const TAG_BYTES: usize = MAX_TAG_LEN;

/// Where a snapshot belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub workspace: WorkspaceName,
    pub agent: AgentName,
    pub version: u64,
}

/// Seals what is written to it.
pub(super) struct Sealer<W> {
    out: W,
    pieces: Pieces,
    /// What is not sealed yet: it may be the last piece.
    open: Vec<u8>,
    /// Of what was written out.
    digest: Hasher,
}

/// Opens what was sealed, as it is read.
pub(super) struct Opener<R> {
    from: R,
    pieces: Pieces,
    /// What was opened and not read yet.
    open: Vec<u8>,
    at: usize,
    /// What comes after the piece that was opened last.
    ahead: Vec<u8>,
    is_over: bool,
    digest: Hasher,
}

/// The key of one file, and how far it is.
struct Pieces {
    key: LessSafeKey,
    place: Place,
    number: u64,
}

// === impl Pieces ===

impl Pieces {
    fn new(key: &Key, salt: &[u8], place: Place) -> io::Result<Self> {
        let failed = |_| io::Error::other("no key can be made for this snapshot");
        let prk = Salt::new(HKDF_SHA256, salt).extract(key.bytes());
        let info = [PURPOSE];
        let unbound: UnboundKey = prk.expand(&info, &AES_256_GCM).map_err(failed)?.into();
        Ok(Self { key: LessSafeKey::new(unbound), place, number: 0 })
    }

    /// The nonce of the next piece and what is authenticated with it.
    fn next(&mut self, is_last: bool) -> (Nonce, Aad<Vec<u8>>) {
        let mut nonce = [0; NONCE_LEN];
        nonce[NONCE_LEN - 8..].copy_from_slice(&self.number.to_be_bytes());
        let mut bound = Vec::new();
        for field in [
            MAGIC.as_slice(),
            self.place.workspace.as_str().as_bytes(),
            self.place.agent.as_str().as_bytes(),
            &self.place.version.to_be_bytes(),
            &self.number.to_be_bytes(),
            &[u8::from(is_last)],
        ] {
            bound.extend_from_slice(&(field.len() as u64).to_be_bytes());
            bound.extend_from_slice(field);
        }
        self.number += 1;
        (Nonce::assume_unique_for_key(nonce), Aad::from(bound))
    }
}

// === impl Sealer ===

impl<W: Write> Sealer<W> {
    pub(super) fn new(mut out: W, key: &Key, place: Place) -> io::Result<Self> {
        let mut salt = [0; SALT_BYTES];
        aws_lc_rs::rand::fill(&mut salt).map_err(|_| io::Error::other("the system gave no random bytes"))?;
        let mut digest = Hasher::new();
        for part in [MAGIC.as_slice(), &salt] {
            out.write_all(part)?;
            digest.update(part);
        }
        let pieces = Pieces::new(key, &salt, place)?;
        Ok(Self { out, pieces, open: Vec::with_capacity(PIECE_BYTES + TAG_BYTES), digest })
    }

    /// Seals the last piece: what was written to, and the digest of all of it.
    pub(super) fn finish(mut self) -> io::Result<(W, Digest)> {
        self.seal(true)?;
        Ok((self.out, self.digest.finish()))
    }

    fn seal(&mut self, is_last: bool) -> io::Result<()> {
        let (nonce, bound) = self.pieces.next(is_last);
        let sealed = self.pieces.key.seal_in_place_append_tag(nonce, bound, &mut self.open);
        sealed.map_err(|_| io::Error::other("a piece of the snapshot cannot be sealed"))?;
        self.out.write_all(&self.open)?;
        self.digest.update(&self.open);
        self.open.clear();
        Ok(())
    }
}

impl<W: Write> Write for Sealer<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // A full piece waits until there is more: the last one is sealed as such.
        if self.open.len() == PIECE_BYTES && !bytes.is_empty() {
            self.seal(false)?;
        }
        let taken = bytes.len().min(PIECE_BYTES - self.open.len());
        self.open.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

// === impl Opener ===

impl<R: Read> Opener<R> {
    pub(super) fn new(mut from: R, key: &Key, place: Place) -> io::Result<Self> {
        let mut start = [0; MAGIC.len() + SALT_BYTES];
        from.read_exact(&mut start)?;
        let (magic, salt) = start.split_at(MAGIC.len());
        if magic != MAGIC {
            return Err(damaged("it is no snapshot of this version"));
        }
        let mut digest = Hasher::new();
        digest.update(&start);
        let pieces = Pieces::new(key, salt, place)?;
        let mut opener =
            Self { from, pieces, open: Vec::new(), at: 0, ahead: Vec::new(), is_over: false, digest };
        opener.ahead = opener.fetch()?;
        Ok(opener)
    }

    /// The digest of everything, once it was read to its end.
    pub(super) fn finish(mut self) -> io::Result<Digest> {
        io::copy(&mut self, &mut io::sink())?;
        Ok(self.digest.finish())
    }

    /// The next piece as it is sealed; empty at the end.
    fn fetch(&mut self) -> io::Result<Vec<u8>> {
        let mut piece = Vec::with_capacity(PIECE_BYTES + TAG_BYTES);
        (&mut self.from).take((PIECE_BYTES + TAG_BYTES) as u64).read_to_end(&mut piece)?;
        self.digest.update(&piece);
        Ok(piece)
    }

    /// Opens the next piece.
    fn advance(&mut self) -> io::Result<()> {
        let next = self.fetch()?;
        let mut piece = std::mem::replace(&mut self.ahead, next);
        let is_last = self.ahead.is_empty();
        let (nonce, bound) = self.pieces.next(is_last);
        let opened = self.pieces.key.open_in_place(nonce, bound, &mut piece);
        let length = opened.map_err(|_| damaged("it was changed, or is another's"))?.len();
        piece.truncate(length);
        (self.open, self.at, self.is_over) = (piece, 0, is_last);
        Ok(())
    }
}

impl<R: Read> Read for Opener<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.at == self.open.len() && !self.is_over {
            self.advance()?;
        }
        let length = into.len().min(self.open.len() - self.at);
        into[..length].copy_from_slice(&self.open[self.at..self.at + length]);
        self.at += length;
        Ok(length)
    }
}

pub(super) fn damaged(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(agent: &str, version: u64) -> Place {
        let workspace = WorkspaceName::new("research").unwrap();
        Place { workspace, agent: AgentName::new(agent).unwrap(), version }
    }

    fn content(length: usize) -> Vec<u8> {
        (0..251).cycle().take(length).collect()
    }

    fn sealed(key: &Key, content: &[u8], place: Place) -> (Vec<u8>, Digest) {
        let mut sealer = Sealer::new(Vec::new(), key, place).unwrap();
        sealer.write_all(content).unwrap();
        sealer.finish().unwrap()
    }

    fn opened(key: &Key, sealed: &[u8], place: Place) -> io::Result<Vec<u8>> {
        let mut opener = Opener::new(sealed, key, place)?;
        let mut content = Vec::new();
        opener.read_to_end(&mut content)?;
        assert_eq!(opener.finish()?, Digest::of(sealed));
        Ok(content)
    }

    #[test]
    fn what_was_sealed_opens_with_its_key_in_its_place_and_nowhere_else() {
        let key = Key::random().unwrap();
        for length in [0, 1, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, 3 * PIECE_BYTES] {
            let content = content(length);
            let (bytes, digest) = sealed(&key, &content, place("assistant", 7));
            assert_eq!(digest, Digest::of(&bytes));
            assert!(
                length < 64 || !bytes.windows(16).any(|part| part == &content[..16]),
                "it stands in the clear"
            );
            assert_eq!(opened(&key, &bytes, place("assistant", 7)).unwrap(), content);
            assert!(opened(&key, &bytes, place("assistant", 8)).is_err(), "another version");
            assert!(opened(&key, &bytes, place("assistan", 7)).is_err(), "another agent");
            assert!(opened(&Key::random().unwrap(), &bytes, place("assistant", 7)).is_err(), "another key");
        }
    }

    #[test]
    fn whatever_is_changed_moved_or_cut_off_is_noticed() {
        let key = Key::random().unwrap();
        let content = content(2 * PIECE_BYTES + 5);
        let (bytes, _) = sealed(&key, &content, place("assistant", 1));
        let start = MAGIC.len() + SALT_BYTES;
        let piece = PIECE_BYTES + TAG_BYTES;
        for at in [0, MAGIC.len(), start, start + piece - 1, start + piece, bytes.len() - 1] {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert!(opened(&key, &changed, place("assistant", 1)).is_err(), "byte {at}");
        }
        for length in [0, 10, start, start + 1, start + piece, start + 2 * piece, bytes.len() - 1] {
            assert!(opened(&key, &bytes[..length], place("assistant", 1)).is_err(), "{length} bytes");
        }
        let (first, rest) = (&bytes[start..start + piece], &bytes[start + piece..]);
        let (second, last) = rest.split_at(piece);
        for order in [[second, first, last], [first, first, last], [first, second, &[]], [second, last, &[]]]
        {
            let moved = [&bytes[..start], order[0], order[1], order[2]].concat();
            assert!(opened(&key, &moved, place("assistant", 1)).is_err());
        }
        assert!(
            opened(&key, &[bytes.as_slice(), b"x"].concat(), place("assistant", 1)).is_err(),
            "more behind it"
        );
    }
}
