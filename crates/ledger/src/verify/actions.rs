//! Every outcome has its intent, and no action two of either.

use std::collections::hash_map::RandomState;
use std::collections::{HashMap, HashSet};
use std::hash::BuildHasher;

use ringfence_types::EntryKind;

use super::report::Broken;

/// Actions so far. The unsettled ones are remembered by name; the settled ones by 64 bits each, and whoever hits one of
/// those is looked up before anything is said.
#[derive(Default)]
pub(crate) struct Actions {
    unsettled: HashMap<Box<str>, u64>,
    settled: HashSet<u64>,
    hasher: RandomState,
}

/// What an entry means for its action.
pub(crate) enum Verdict {
    /// Nothing is wrong.
    Sound,
    /// Something is.
    Broken(Broken),
    /// The action may have been settled before: look for its first outcome.
    LookBefore,
}

// === impl Actions ===

impl Actions {
    pub(crate) fn add(&mut self, id: u64, kind: EntryKind, action: &str) -> Verdict {
        let fingerprint = self.hasher.hash_one(action);
        let intent = self.unsettled.get(action).copied();
        match (kind, intent) {
            (EntryKind::Intent, Some(first)) => {
                Verdict::Broken(Broken::entry(id, format!("a second intent for the action of entry {first}")))
            }
            (EntryKind::Intent, None) => {
                self.unsettled.insert(action.into(), id);
                if self.settled.contains(&fingerprint) { Verdict::LookBefore } else { Verdict::Sound }
            }
            (_, Some(_)) => {
                self.unsettled.remove(action);
                self.settled.insert(fingerprint);
                Verdict::Sound
            }
            (_, None) if self.settled.contains(&fingerprint) => Verdict::LookBefore,
            (_, None) => Verdict::Broken(Broken::entry(id, "an outcome without its intent")),
        }
    }

    pub(crate) fn settled(&self) -> u64 {
        self.settled.len() as u64
    }

    pub(crate) fn unsettled(&self) -> u64 {
        self.unsettled.len() as u64
    }
}
