//! Which log was indexed, and how far.
//!
//! The index remembers the key of the log, the hash of the last entry it has, and the newest root that the log had
//! published for entries that are in the index. A log that differs in any of them is another log.

use ringfence_ledger::{Checkpoint, InclusionProof, Ledger};
use ringfence_types::Digest;
use rusqlite::{Connection, params};

use crate::error::StoreError;
use crate::sql;

/// What the index remembers of the log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Mark {
    /// The key that signs its checkpoints.
    pub(crate) key: String,
    /// How many entries are in the index.
    pub(crate) size: u64,
    /// The hash of the last of them (RFC 6962 §2.1).
    pub(crate) last_hash: Vec<u8>,
    /// A size of the tree up to `size`; zero when none is known yet.
    pub(crate) root_size: u64,
    /// The root at that size.
    pub(crate) root: Vec<u8>,
}

// === impl Mark ===

impl Mark {
    pub(crate) fn read(connection: &Connection) -> rusqlite::Result<Self> {
        connection.prepare_cached(sql::READ_LOG)?.query_row([], |row| {
            Ok(Self {
                key: row.get(0)?,
                size: row.get(1)?,
                last_hash: row.get(2)?,
                root_size: row.get(3)?,
                root: row.get(4)?,
            })
        })
    }

    pub(crate) fn write(&self, connection: &Connection) -> rusqlite::Result<()> {
        let values = params![self.key, self.size, self.last_hash, self.root_size, self.root];
        connection.prepare_cached(sql::WRITE_LOG)?.execute(values).map(drop)
    }

    /// Takes over a published root, if the index has all the entries under it.
    pub(crate) fn advance(&mut self, checkpoint: Option<&Checkpoint>) {
        if let Some(checkpoint) = checkpoint
            && (self.root_size + 1..=self.size).contains(&checkpoint.size)
        {
            self.root_size = checkpoint.size;
            self.root = checkpoint.root.to_vec();
        }
    }

    /// Whether this is the log that was indexed. An index of nothing fits every log.
    pub(crate) fn fits(&self, ledger: &Ledger) -> Result<bool, StoreError> {
        if self.size == 0 {
            return Ok(true);
        }
        if self.key != ledger.verifier_key().to_string() || self.size > ledger.durable() {
            return Ok(false);
        }
        Ok(hash_of(ledger, self.size - 1)?.is_some_and(|hash| hash.as_bytes()[..] == self.last_hash)
            && self.root_fits(ledger)?)
    }

    fn root_fits(&self, ledger: &Ledger) -> Result<bool, StoreError> {
        let Some(last) = self.root_size.checked_sub(1) else { return Ok(true) };
        // A log whose tree has not grown that far yet cannot be asked; its last entry was.
        let Some(proof) = ledger.prove(last)? else { return Ok(true) };
        let leaf = hash_of(ledger, last)?;
        let root = leaf.and_then(|leaf| root_before(leaf, &proof));
        Ok(root.is_some_and(|root| root.as_bytes()[..] == self.root))
    }
}

/// The hash of an entry (RFC 6962 §2.1).
pub(crate) fn leaf_hash(entry: &[u8]) -> Digest {
    Digest::of(&[&[0], entry].concat())
}

fn hash_of(ledger: &Ledger, id: u64) -> Result<Option<Digest>, StoreError> {
    Ok(ledger.read(id)?.read_next()?.map(|(_, entry)| leaf_hash(entry)))
}

/// The root of the tree that ends with the proof's entry. The siblings to the left of the entry's path are the same
/// in every tree that holds it (RFC 6962 §2.1.1), and in the tree that ends with it there are no others.
fn root_before(leaf: Digest, proof: &InclusionProof) -> Option<Digest> {
    let size = Checkpoint::parse(&proof.checkpoint).ok()?.size;
    let (mut index, mut last) = (proof.index, size.checked_sub(1)?);
    let mut root = leaf;
    for sibling in &proof.hashes {
        // RFC 9162 §2.1.3.2: which side the sibling is on.
        if index % 2 == 1 || index == last {
            root = Digest::of(&[&[1], sibling.as_slice(), root.as_bytes()].concat());
            while index % 2 == 0 && index != 0 {
                index /= 2;
                last /= 2;
            }
        }
        index /= 2;
        last /= 2;
    }
    (last == 0).then_some(root)
}
