//! What is under way right now and can be cut off: actions, streams, waiting calls.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use ringfence_types::{ActionId, RunId, Scope};

use crate::cancel::{Cancel, CutOff, EndOfRun};
use crate::spawn::Scopes;

/// Everything that a suspension reaches.
#[derive(Debug, Default)]
pub(crate) struct Live {
    next: u64,
    entries: HashMap<u64, Running>,
    /// How many entries of each run are no actions.
    leases: HashMap<RunId, usize>,
}

#[derive(Debug)]
struct Running {
    scopes: Scopes,
    action: Option<ActionId>,
    cancel: Cancel,
}

/// The place of one entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LiveId(u64);

impl Live {
    pub(crate) fn insert(&mut self, scopes: Scopes, action: Option<ActionId>) -> (LiveId, Cancel) {
        let id = self.next;
        self.next += 1;
        let cancel = Cancel::default();
        if let (None, Some(run)) = (action, scopes.run()) {
            *self.leases.entry(run).or_default() += 1;
        }
        self.entries.insert(id, Running { scopes, action, cancel: cancel.clone() });
        (LiveId(id), cancel)
    }

    /// Whether it was there.
    pub(crate) fn remove(&mut self, id: LiveId) -> bool {
        let Some(entry) = self.entries.remove(&id.0) else { return false };
        if let (None, Some(run)) = (entry.action, entry.scopes.run())
            && let Entry::Occupied(mut leases) = self.leases.entry(run)
        {
            *leases.get_mut() -= 1;
            if *leases.get() == 0 {
                leases.remove();
            }
        }
        true
    }

    /// Cuts off one action and forgets it. Whether it was there.
    pub(crate) fn give_up(&mut self, action: ActionId, cut: &CutOff) -> bool {
        let found = self.entries.iter().find(|(_, entry)| entry.action == Some(action)).map(|(id, _)| *id);
        let entry = found.and_then(|id| self.entries.remove(&id));
        entry.map(|entry| entry.cancel.cut(CutOff { action: Some(action), ..cut.clone() })).is_some()
    }

    /// Cuts off all that the scope covers. Returns how many.
    pub(crate) fn cut(&self, scope: &Scope, cut: &CutOff) -> usize {
        let covered = self.entries.values().filter(|entry| entry.scopes.covered_by(scope));
        covered.map(|entry| entry.cancel.cut(CutOff { action: entry.action, ..cut.clone() })).count()
    }

    /// Cuts off all of a run that has ended.
    pub(crate) fn end_run(&self, run: RunId, cut: &CutOff, end: &EndOfRun) {
        let scope = Scope { run: Some(run), ..Scope::default() };
        for entry in self.entries.values().filter(|entry| entry.scopes.covered_by(&scope)) {
            entry.cancel.end(CutOff { action: entry.action, ..cut.clone() }, end.clone());
        }
    }

    /// Cuts off those that are no actions and for which there is a reason.
    pub(crate) fn cut_leases(&self, over: impl Fn(&Scopes) -> Option<CutOff>) {
        for entry in self.entries.values().filter(|entry| entry.action.is_none()) {
            if let Some(cut) = over(&entry.scopes) {
                entry.cancel.cut(cut);
            }
        }
    }

    /// Streams of one run that are no actions.
    pub(crate) fn leases_of(&self, run: RunId) -> usize {
        self.leases.get(&run).copied().unwrap_or_default()
    }

    pub(crate) fn has_action(&self, action: ActionId) -> bool {
        self.entries.values().any(|entry| entry.action == Some(action))
    }
}
