//! What runs leave in `/agent/out`: collected when nothing of them is left, kept by content.

mod collect;
mod shelf;
#[cfg(test)]
mod tests;

pub(crate) use collect::{Collected, collect};
pub(crate) use shelf::{FOLDER, Shelf, forget_unused, on_disk, open_kept};
