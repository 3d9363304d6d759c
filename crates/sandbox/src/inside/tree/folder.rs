//! The entries of a folder as those of a root: what an image holds.
//!
//! The root itself is a small file system in memory, as for every child, so that there is a place for `/agent`, `/work` and
//! what else is put in it: the folder stays as it is.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::sources::{Source, take};
use crate::limits::{COPIED_BYTES_MAX, FOLDER_ENTRIES_MAX};
use crate::wire::{Failure, Step};

/// Made for each child by itself.
const OWN: [&str; 5] = ["/agent", "/dev", "/proc", "/sys", "/tmp"];

/// Written for each child anew.
const WRITTEN: [&str; 4] = ["/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/etc/mtab"];

/// What a folder gives to a root.
#[derive(Default)]
pub(super) struct Folder {
    pub(super) trees: Vec<Source>,
    pub(super) links: Vec<(PathBuf, PathBuf)>,
    pub(super) files: Vec<(PathBuf, Vec<u8>)>,
}

// === impl Folder ===

impl Folder {
    pub(super) fn take(folder: &Path, hidden: &[PathBuf]) -> Result<Self, Failure> {
        let mut taken = Self::default();
        taken.take_all(folder, Path::new("/"), hidden)?;
        Ok(taken)
    }

    fn take_all(&mut self, folder: &Path, target: &Path, hidden: &[PathBuf]) -> Result<(), Failure> {
        let failed = |error: io::Error| Failure::setup(format!("the root {}", folder.display()), &error);
        for (count, entry) in fs::read_dir(folder).map_err(failed)?.enumerate() {
            if count >= FOLDER_ENTRIES_MAX {
                let text = format!("{} has more than {FOLDER_ENTRIES_MAX} entries", folder.display());
                return Err(Failure { step: Step::Setup, errno: 0, text });
            }
            let entry = entry.map_err(failed)?;
            let (source, target) = (entry.path(), target.join(entry.file_name()));
            let named = |names: &[&str]| names.iter().any(|name| target == Path::new(name));
            if named(&OWN) || named(&WRITTEN) {
                continue;
            }
            let kind = entry.file_type().map_err(failed)?;
            if kind.is_symlink() {
                self.links.push((target, fs::read_link(&source).map_err(failed)?));
            } else if kind.is_dir() && named(&["/etc"]) {
                // Files are put beside what is written there.
                self.take_all(&source, &target, hidden)?;
            } else if kind.is_file() && entry.metadata().map_err(failed)?.len() <= COPIED_BYTES_MAX {
                self.files.push((target, fs::read(&source).map_err(failed)?));
            } else if kind.is_dir() || kind.is_file() {
                self.trees.push(take(&source, &target, false, hidden)?);
            }
        }
        Ok(())
    }
}
