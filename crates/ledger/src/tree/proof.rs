//! Inclusion proofs (RFC 6962 §2.1.1) from the tiles, as C2SP tlog-proof texts.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use base64::prelude::{BASE64_STANDARD, Engine as _};

use super::files::{LEVELS, TILE_WIDTH, Tile, TreeFiles};
use super::hash::{Hash, empty_root, leaf_hash, node_hash, tile_root};
use crate::error::FileError;
use crate::note::{Checkpoint, NoteError, VerifierKey};

const FIRST_LINE: &str = "c2sp.org/tlog-proof@v1";

/// A proof that an entry is in the log that a checkpoint commits to. Its text is a C2SP tlog-proof.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InclusionProof {
    /// The entry's id.
    pub index: u64,
    /// From the leaf's sibling up to the root's child.
    pub hashes: Vec<[u8; 32]>,
    /// The signed checkpoint.
    pub checkpoint: String,
}

/// The proof does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProofError {
    /// The text is not a tlog-proof.
    #[error("not a proof: expected the text of a C2SP tlog-proof")]
    Malformed,
    /// The checkpoint is not one, or not signed by the key.
    #[error(transparent)]
    Checkpoint(#[from] NoteError),
    /// The hashes do not lead from the entry to the root.
    #[error("the proof does not hold: the hashes do not lead from this entry to the checkpoint's root")]
    Wrong,
}

/// The root of the first `size` leaves.
pub(crate) fn root_of(files: &TreeFiles, tree_size: u64, size: u64) -> Result<Hash, FileError> {
    if size == 0 { Ok(empty_root()) } else { subtree(files, tree_size, 0, size) }
}

/// The path from the leaf `index` to the root of a tree of `size` leaves, leaf's sibling first.
pub(crate) fn path_of(files: &TreeFiles, size: u64, index: u64) -> Result<Vec<Hash>, FileError> {
    let (mut low, mut high) = (0, size);
    let mut path = Vec::new();
    while high - low > 1 {
        let middle = low + split(high - low);
        if index < middle {
            path.push(subtree(files, size, middle, high)?);
            high = middle;
        } else {
            path.push(subtree(files, size, low, middle)?);
            low = middle;
        }
    }
    path.reverse();
    Ok(path)
}

/// The proof for entry `id` in the log in `folder` under that checkpoint; `None` when it does not reach it.
pub(crate) fn proof_from(
    folder: &Path,
    checkpoint: &str,
    id: u64,
) -> Result<Option<InclusionProof>, FileError> {
    let size = Checkpoint::parse(checkpoint).map_or(0, |checkpoint| checkpoint.size);
    if id >= size {
        return Ok(None);
    }
    let hashes = path_of(&TreeFiles::new(folder), size, id)?;
    Ok(Some(InclusionProof { index: id, hashes, checkpoint: checkpoint.to_owned() }))
}

/// The largest power of two below `width`, which is at least 2.
fn split(width: u64) -> u64 {
    1 << (width - 1).ilog2()
}

/// The hash over leaves `low..high`, which is a subtree of the tree.
fn subtree(files: &TreeFiles, tree_size: u64, low: u64, high: u64) -> Result<Hash, FileError> {
    let width = high - low;
    if !width.is_power_of_two() {
        let middle = low + split(width);
        let left = subtree(files, tree_size, low, middle)?;
        return Ok(node_hash(&left, &subtree(files, tree_size, middle, high)?));
    }
    // A perfect subtree is 1 to 128 neighbours in one tile.
    let bits = width.trailing_zeros();
    let level = bits / 8;
    let first = low >> (8 * level);
    let count = 1_usize << (bits % 8);
    let index = first / TILE_WIDTH as u64;
    let at_level = tree_size >> (8 * level);
    let in_tile = (at_level - index * TILE_WIDTH as u64).min(TILE_WIDTH as u64);
    let width = usize::try_from(in_tile).unwrap_or(TILE_WIDTH);
    let hashes = files.hashes(Tile { level: LEVELS[level as usize & 7], index, width })?;
    let from = usize::try_from(first % TILE_WIDTH as u64).unwrap_or_default();
    Ok(tile_root(hashes.get(from..from + count).unwrap_or(&[])))
}

/// The root to which a path leads (RFC 9162 §2.1.3.2); `None` when its length does not fit.
fn climb(index: u64, size: u64, leaf: Hash, path: &[Hash]) -> Option<Hash> {
    if index >= size {
        return None;
    }
    let (mut node, mut last, mut hash) = (index, size - 1, leaf);
    for sibling in path {
        if last == 0 {
            return None;
        }
        if node & 1 == 1 || node == last {
            hash = node_hash(sibling, &hash);
            while node & 1 == 0 && node != 0 {
                (node, last) = (node >> 1, last >> 1);
            }
        } else {
            hash = node_hash(&hash, sibling);
        }
        (node, last) = (node >> 1, last >> 1);
    }
    (last == 0).then_some(hash)
}

// === impl InclusionProof ===

impl InclusionProof {
    /// Checks that `entry`, the bytes of an entry, is in the log that `key` signed for.
    ///
    /// # Errors
    /// When it does not hold.
    pub fn verify(&self, entry: &[u8], key: &VerifierKey) -> Result<Checkpoint, ProofError> {
        let checkpoint = Checkpoint::open(&self.checkpoint, key)?;
        let root = climb(self.index, checkpoint.size, leaf_hash(entry), &self.hashes);
        if root == Some(checkpoint.root) { Ok(checkpoint) } else { Err(ProofError::Wrong) }
    }
}

impl fmt::Display for InclusionProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{FIRST_LINE}\nindex {}", self.index)?;
        for hash in &self.hashes {
            writeln!(f, "{}", BASE64_STANDARD.encode(hash))?;
        }
        write!(f, "\n{}", self.checkpoint)
    }
}

impl FromStr for InclusionProof {
    type Err = ProofError;

    fn from_str(text: &str) -> Result<Self, ProofError> {
        let (head, checkpoint) = text.split_once("\n\n").ok_or(ProofError::Malformed)?;
        let mut lines = head.lines().peekable();
        if lines.next() != Some(FIRST_LINE) {
            return Err(ProofError::Malformed);
        }
        if lines.peek().is_some_and(|line| line.starts_with("extra ")) {
            lines.next();
        }
        let index = lines.next().and_then(|line| line.strip_prefix("index ")?.parse().ok());
        let hash = |line: &str| BASE64_STANDARD.decode(line).ok()?.try_into().ok();
        let hashes: Option<Vec<Hash>> = lines.map(hash).collect();
        Ok(Self {
            index: index.ok_or(ProofError::Malformed)?,
            hashes: hashes.filter(|hashes| hashes.len() <= 64).ok_or(ProofError::Malformed)?,
            checkpoint: checkpoint.to_owned(),
        })
    }
}
