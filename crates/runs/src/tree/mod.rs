//! Folders that a stranger filled: walked through a descriptor, never by a path that leads anywhere else.

mod found;
mod name;
mod remove;
mod walk;

pub(crate) use found::{Found, held_path, is_single_name, kind_in_words, real_folder, seconds, set_mode};
pub(crate) use name::{shown, shown_bytes};
pub(crate) use remove::remove_tree;
#[cfg(test)]
pub(crate) use remove::tests::{FAR_TOO_DEEP, make_deep};
pub(crate) use walk::{Step, Walk};

use rustix::fs::ResolveFlags;

/// How names are resolved: inside of the folder, over no link, into no other file system.
pub(crate) const BENEATH: ResolveFlags = ResolveFlags::BENEATH
    .union(ResolveFlags::NO_SYMLINKS)
    .union(ResolveFlags::NO_MAGICLINKS)
    .union(ResolveFlags::NO_XDEV);
