//! What has to be seen in order: the tree, the time, the actions, the payloads.

use std::path::{Path, PathBuf};

use super::actions::{Actions, Verdict};
use super::chunk::{Checked, read_tile, same_prefix};
use super::payloads::Payloads;
use super::report::{Broken, Report, VerifyError};
use super::source::Source;
use super::{Signed, VerifyOptions};
use crate::check::check_entry;
use crate::frame::split_entry;
use crate::note::Checkpoint;
use crate::tree::{Frontier, Hash, LEVELS, TILE_WIDTH, Tile, TreeFiles};
use crate::wal::{Position, Step, WalScan};

pub(crate) struct Fold<'a> {
    folder: &'a Path,
    signed: &'a Signed,
    files: TreeFiles,
    frontier: Frontier,
    last_at: String,
    actions: Actions,
    payloads: Option<Payloads>,
    reached: Reached,
}

/// Which trees have been seen.
#[derive(Default)]
struct Reached {
    checkpoint: bool,
    since: bool,
}

// === impl Fold ===

impl<'a> Fold<'a> {
    pub(crate) fn new(folder: &'a Path, signed: &'a Signed, options: &VerifyOptions) -> Self {
        Self {
            folder,
            signed,
            files: TreeFiles::new(folder),
            frontier: Frontier::default(),
            last_at: String::new(),
            actions: Actions::default(),
            payloads: options.payloads.then(|| Payloads::new(folder)),
            reached: Reached::default(),
        }
    }

    pub(crate) fn add(&mut self, checked: Checked) -> Result<(), VerifyError> {
        if checked.first_at < self.last_at {
            return Err(Broken::entry(checked.first_id, "log time runs backwards here").into());
        }
        self.last_at = checked.last_at;
        self.reach_roots(&checked.leaves)?;
        self.grow(&checked.leaves, checked.root)?;
        for (id, kind, action) in checked.actions {
            match self.actions.add(id, kind, &action) {
                Verdict::Sound => {}
                Verdict::Broken(broken) => return Err(self.located(broken).into()),
                Verdict::LookBefore => self.look_before(id, &action)?,
            }
        }
        if let Some(payloads) = &mut self.payloads {
            for (id, class, name) in checked.payloads {
                payloads.check(id, &class, &name)?;
            }
        }
        Ok(())
    }

    /// Compares the roots of the trees that end before the end of this chunk, or with it.
    fn reach_roots(&mut self, leaves: &[Hash]) -> Result<(), VerifyError> {
        let from = self.frontier.size();
        let within = |size: u64| (from..=from + leaves.len() as u64).contains(&size);
        if !self.reached.checkpoint && within(self.signed.checkpoint.size) {
            self.reached.checkpoint = true;
            let edge = self.edge_at(self.signed.checkpoint.size, leaves);
            self.compare_root(&edge, &self.signed.checkpoint, "the checkpoint of the log")?;
            self.compare_edge(&edge)?;
        }
        if let Some(since) = &self.signed.since
            && !self.reached.since
            && within(since.size)
        {
            self.reached.since = true;
            self.compare_root(&self.edge_at(since.size, leaves), since, "the checkpoint that was kept")?;
        }
        Ok(())
    }

    fn edge_at(&self, size: u64, leaves: &[Hash]) -> Frontier {
        let mut edge = self.frontier.clone();
        for leaf in leaves {
            if edge.size() == size {
                break;
            }
            let Ok(()) = edge.push_leaf(*leaf, |_, _, _| Ok::<(), std::convert::Infallible>(()));
        }
        edge
    }

    fn compare_root(&self, edge: &Frontier, checkpoint: &Checkpoint, whose: &str) -> Result<(), Broken> {
        if edge.root() == checkpoint.root {
            return Ok(());
        }
        let what = format!(
            "the first {} entries do not have the root of {whose}: an entry was changed, or history was rewritten",
            checkpoint.size
        );
        Err(Broken::file(self.signed.path.clone(), 0, &what))
    }

    /// The partial tiles above the leaves that the checkpoint needs.
    fn compare_edge(&self, edge: &Frontier) -> Result<(), VerifyError> {
        for (level, hashes) in
            edge.levels().iter().enumerate().skip(1).filter(|(_, hashes)| !hashes.is_empty())
        {
            let index = edge.size() >> (8 * (level + 1));
            let tile = Tile { level: LEVELS[level & 7], index, width: hashes.len() };
            if let Some((bytes, path)) = read_tile(&self.files, tile, self.folder, edge.size())? {
                same_prefix(&bytes, hashes.as_flattened(), 32, tile, &path)?;
            }
        }
        Ok(())
    }

    fn grow(&mut self, leaves: &[Hash], root: Option<Hash>) -> Result<(), VerifyError> {
        let Self { frontier, files, signed, folder, .. } = self;
        let size = signed.checkpoint.size;
        let filled = |level: u8, index: u64, hashes: &[Hash]| {
            // Tiles of leaves were compared with their entries.
            let end = (index + 1) << (8 * (u32::from(level) + 1));
            if level == 0 || end > size {
                return Ok(());
            }
            let tile = Tile { level: LEVELS[usize::from(level) & 7], index, width: TILE_WIDTH };
            match read_tile(files, tile, folder, size)? {
                Some((bytes, path)) => same_prefix(&bytes, hashes.as_flattened(), 32, tile, &path),
                None => Ok(()),
            }
        };
        match root {
            Some(root) => frontier.push_tile(root, filled),
            None => leaves.iter().try_for_each(|leaf| frontier.push_leaf(*leaf, filled)),
        }
    }

    /// Whether an action that seems to have been settled was.
    fn look_before(&self, id: u64, action: &str) -> Result<(), VerifyError> {
        match place_of(self.folder, |_, entry| {
            check_entry(entry)
                .is_ok_and(|view| view.action == Some(action) && view.kind.as_str() == "outcome")
        })? {
            Some((first, _, _)) if first < id => {
                let what = format!("the action was settled before, by entry {first}");
                Err(self.located(Broken::entry(id, what)).into())
            }
            _ => {
                // Two names of actions with the same 64 bits: only an outcome without intent is wrong then.
                let intent = place_of(self.folder, |_, entry| {
                    check_entry(entry)
                        .is_ok_and(|view| view.action == Some(action) && view.kind.as_str() == "intent")
                })?;
                match intent {
                    Some((first, _, _)) if first <= id => Ok(()),
                    _ => Err(self.located(Broken::entry(id, "an outcome without its intent")).into()),
                }
            }
        }
    }

    /// Adds the place of the entry.
    fn located(&self, broken: Broken) -> Broken {
        let Some(id) = broken.entry else { return broken };
        match place_of(self.folder, |found, _| found == id) {
            Ok(Some((_, path, offset))) => broken.at(&path, offset),
            _ => broken,
        }
    }

    pub(crate) fn finish(mut self, source: &Source) -> Result<Report, VerifyError> {
        // An empty log has an empty tree.
        self.reach_roots(&[])?;
        let size = self.signed.checkpoint.size;
        if !self.reached.checkpoint {
            let (path, end) = source.end();
            let what = format!(
                "the log ends after {} entries, but its checkpoint commits to {size}: its tail was cut off",
                end.entry
            );
            return Err(Broken::file(path.to_owned(), end.offset, &what).of_entry(end.entry).into());
        }
        Ok(Report {
            origin: self.signed.checkpoint.origin.clone(),
            entries: self.frontier.size(),
            signed: size,
            root: self.signed.checkpoint.root,
            settled: self.actions.settled(),
            unsettled: self.actions.unsettled(),
            payloads: self.payloads.as_ref().map_or(0, |payloads| payloads.found),
            pruned: self.payloads.as_ref().map_or(0, |payloads| payloads.pruned),
            payloads_checked: self.payloads.is_some(),
            key: None,
            since: self.signed.since.as_ref().map(|since| since.size),
            torn_bytes: 0,
            took: std::time::Duration::ZERO,
        })
    }
}

/// The first entry that fits, and where it stands. Reads the whole log: only for what is broken.
fn place_of(
    folder: &Path,
    fits: impl Fn(u64, &[u8]) -> bool,
) -> Result<Option<(u64, PathBuf, u64)>, VerifyError> {
    let mut scan = WalScan::at(&folder.join("wal"), Position::START)?;
    let mut body = Vec::new();
    while let Step::Batch(header) = scan.step()? {
        let start = scan.position();
        let path = scan.path();
        if scan.body(&header, &mut body)?.is_none() {
            break;
        }
        let mut rest = &body[..header.entries_length as usize];
        let mut offset = start.offset + crate::frame::BATCH_HEADER as u64;
        for id in header.first_id.. {
            let Some((entry, after)) = split_entry(rest) else { break };
            if fits(id, entry) {
                return Ok(Some((id, path, offset)));
            }
            offset += (rest.len() - after.len()) as u64;
            rest = after;
        }
    }
    Ok(None)
}
