//! The right edge of the tree: all that is needed to go on, and to know the root.

use super::files::TILE_WIDTH;
use super::hash::{Hash, empty_root, node_hash, tile_root};

/// The hashes of the tile that is being filled at each level, lowest first.
// INVARIANT: every level has less than a full tile; the level above holds one hash for each tile filled below.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Frontier {
    levels: Vec<Vec<Hash>>,
    size: u64,
}

// === impl Frontier ===

impl Frontier {
    /// The edge of a tree of `size` leaves, lowest level first; `None` when the widths do not fit the size.
    pub(crate) fn from_levels(size: u64, levels: Vec<Vec<Hash>>) -> Option<Self> {
        let width = |level: usize| match size.checked_shr(u32::try_from(level * 8).ok()?) {
            Some(tiles) => usize::try_from(tiles % TILE_WIDTH as u64).ok(),
            None => Some(0),
        };
        let fits = levels.iter().enumerate().all(|(level, hashes)| width(level) == Some(hashes.len()));
        let complete = (levels.len()..8).all(|level| width(level) == Some(0));
        (fits && complete && levels.len() <= 8).then_some(Self { levels, size })
    }

    /// How many leaves the tree has.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// The hashes of the tile that is being filled, by level.
    pub(crate) fn levels(&self) -> &[Vec<Hash>] {
        &self.levels
    }

    /// The edge at the last size that was a multiple of a tile's width.
    pub(crate) fn aligned(&self) -> Self {
        let mut aligned = self.clone();
        if let Some(leaves) = aligned.levels.first_mut() {
            leaves.clear();
        }
        aligned.size -= aligned.size % TILE_WIDTH as u64;
        aligned
    }

    /// Adds a leaf; `filled` is given each tile that becomes full: its level, its index, its hashes.
    pub(crate) fn push_leaf<E>(
        &mut self,
        leaf: Hash,
        filled: impl FnMut(u8, u64, &[Hash]) -> Result<(), E>,
    ) -> Result<(), E> {
        self.size += 1;
        self.push(0, leaf, filled)
    }

    /// Adds a full tile of leaves by its root; the tree's size must be a multiple of a tile's width.
    pub(crate) fn push_tile<E>(
        &mut self,
        root: Hash,
        filled: impl FnMut(u8, u64, &[Hash]) -> Result<(), E>,
    ) -> Result<(), E> {
        if self.levels.is_empty() {
            self.levels.push(Vec::new());
        }
        debug_assert!(self.levels[0].is_empty());
        self.size += TILE_WIDTH as u64;
        self.push(1, root, filled)
    }

    fn push<E>(
        &mut self,
        level: u8,
        hash: Hash,
        mut filled: impl FnMut(u8, u64, &[Hash]) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut carry = Some(hash);
        for level in level..8 {
            let Some(hash) = carry.take() else { break };
            if self.levels.len() <= usize::from(level) {
                self.levels.push(Vec::with_capacity(TILE_WIDTH));
            }
            let tile = &mut self.levels[usize::from(level)];
            tile.push(hash);
            if tile.len() == TILE_WIDTH {
                let index = (self.size >> (8 * (u32::from(level) + 1))) - 1;
                filled(level, index, tile)?;
                carry = Some(tile_root(tile));
                tile.clear();
            }
        }
        Ok(())
    }

    /// The root of the tree.
    pub(crate) fn root(&self) -> Hash {
        let mut right = None;
        for hashes in &self.levels {
            // Perfect subtrees of the tile, from the right: one for each bit of its width, smallest first.
            let mut end = hashes.len();
            while end > 0 {
                let width = 1 << end.trailing_zeros();
                let subtree = tile_root(&hashes[end - width..end]);
                right = Some(right.map_or(subtree, |right| node_hash(&subtree, &right)));
                end -= width;
            }
        }
        right.unwrap_or_else(empty_root)
    }
}
