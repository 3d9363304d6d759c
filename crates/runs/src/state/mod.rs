//! What an agent keeps from one run to the next: `/agent/state`, filled before its program runs from the newest version, kept
//! as one more when it has ended.

mod archive;
mod error;
mod index;
mod keys;
mod pack;
mod seal;
mod store;
mod tar;
#[cfg(test)]
mod tests;
mod turns;
mod unpack;

pub use error::StateError;
pub use index::StateVersion;
pub(crate) use store::{Left, Snapshot, Store};
pub(crate) use tar::to_tar;
pub(crate) use turns::{Circle, Claim, Turn, Turns};
