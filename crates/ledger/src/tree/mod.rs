//! The Merkle tree over the entries (RFC 6962 §2.1), as files (C2SP tlog-tiles).

mod files;
mod frontier;
mod hash;
mod proof;
mod state;

pub(crate) use files::{BUNDLE, LEVELS, TILE_WIDTH, Tile, TreeFiles};
pub(crate) use frontier::Frontier;
pub(crate) use hash::{Hash, leaf_hash, tile_root};
pub use proof::{InclusionProof, ProofError};
pub(crate) use proof::{proof_from, root_of};
pub(crate) use state::State;
