//! How far the tree is known to be on disk, so that opening does not start at the beginning.

use std::fs;
use std::path::Path;

use crc32c::crc32c;
use ringfence_types::Timestamp;

use super::files::TILE_WIDTH;
use super::frontier::Frontier;
use super::hash::Hash;
use crate::durable_file::replace;
use crate::error::FileError;
use crate::wal::Position;

const MAGIC: &[u8; 8] = b"\x01RFTREE\n";
const NAME: &str = "state";

/// A point up to which every tile and bundle is durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct State {
    /// The tree's edge, at a multiple of a tile's width.
    pub(crate) frontier: Frontier,
    /// The start of a batch at or before that size.
    pub(crate) position: Position,
    /// When the last entry before that batch's end was written.
    pub(crate) last_at: Timestamp,
}

// === impl State ===

impl State {
    pub(crate) fn write(&self, log: &Path) -> Result<(), FileError> {
        replace(&log.join(NAME), &self.encode(), true)
    }

    /// `None` when there is none or it cannot be used: then the tree is derived from the beginning.
    pub(crate) fn read(log: &Path) -> Option<Self> {
        fs::read(log.join(NAME)).ok().and_then(|bytes| Self::decode(&bytes))
    }

    fn encode(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        let numbers = [
            self.frontier.size(),
            self.position.segment,
            self.position.offset,
            self.position.entry,
            self.last_at.as_micros(),
            self.frontier.levels().len() as u64,
        ];
        bytes.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
        for level in self.frontier.levels() {
            bytes.extend((level.len() as u64).to_le_bytes());
            bytes.extend(level.iter().flatten());
        }
        bytes.extend(crc32c(&bytes).to_le_bytes());
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (bytes, crc) = bytes.split_last_chunk()?;
        let mut rest = bytes.strip_prefix(MAGIC)?;
        if u32::from_le_bytes(*crc) != crc32c(bytes) {
            return None;
        }
        let [size, segment, offset, entry, micros, level_count] = [(); 6].map(|()| number(&mut rest));
        let mut levels = Vec::new();
        for _ in 0..level_count?.min(8) {
            let width = usize::try_from(number(&mut rest)?).ok().filter(|width| *width < TILE_WIDTH)?;
            let (hashes, after) = rest.split_at_checked(width * size_of::<Hash>())?;
            levels.push(hashes.as_chunks::<32>().0.to_vec());
            rest = after;
        }
        let position = Position { segment: segment?, offset: offset?, entry: entry? };
        let frontier = Frontier::from_levels(size?, levels)?;
        let sound = rest.is_empty() && size? % TILE_WIDTH as u64 == 0 && position.entry <= size?;
        sound.then(|| Self {
            frontier,
            position,
            last_at: Timestamp::from_micros(micros.unwrap_or_default()),
        })
    }
}

fn number(rest: &mut &[u8]) -> Option<u64> {
    let (bytes, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(u64::from_le_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::tree::leaf_hash;

    proptest! {
        #[test]
        fn a_state_reads_back_and_no_other_byte_passes(tiles in 0_u32..600, flip in any::<prop::sample::Index>()) {
            let mut frontier = Frontier::default();
            for tile in 0..tiles {
                frontier.push_tile(leaf_hash(&tile.to_le_bytes()), |_, _, _| Ok::<(), ()>(())).unwrap();
            }
            let position = Position { segment: 3, offset: 99, entry: u64::from(tiles) };
            let state = State { frontier, position, last_at: Timestamp::from_micros(77) };
            let mut bytes = state.encode();
            prop_assert_eq!(State::decode(&bytes), Some(state));
            let at = flip.index(bytes.len());
            bytes[at] ^= 64;
            prop_assert_eq!(State::decode(&bytes), None);
        }

        #[test]
        fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let mut sealed = [MAGIC.as_slice(), &bytes].concat();
            sealed.extend(crc32c(&sealed).to_le_bytes());
            let _ = State::decode(&sealed);
        }
    }
}
