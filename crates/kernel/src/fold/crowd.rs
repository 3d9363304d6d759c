//! How many runs are known, whether there may be one more, and which of those that are over are forgotten.

use std::collections::HashMap;

use ringfence_types::{RunId, Timestamp, WorkspaceName};

use super::RunState;
use crate::limits::{
    ENDED_KEPT_MAX, ENDED_KEPT_MIN, ENDED_RUNS_MAX, RUNS_MAX, RUNS_RESERVED, RUNS_WORKSPACE_PERCENT,
};

/// How many runs there are, in all and of each workspace.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Crowd {
    of: HashMap<WorkspaceName, usize>,
    all: usize,
}

/// Who begins a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BegunBy {
    /// A person, or the node itself.
    Operator,
    /// Another run.
    Run,
}

// === impl Crowd ===

impl Crowd {
    pub(super) fn came(&mut self, workspace: &WorkspaceName) {
        self.all += 1;
        match self.of.get_mut(workspace) {
            Some(count) => *count += 1,
            None => drop(self.of.insert(workspace.clone(), 1)),
        }
    }

    pub(super) fn went(&mut self, workspace: &WorkspaceName) {
        self.all = self.all.saturating_sub(1);
        if let Some(count) = self.of.get_mut(workspace) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.of.remove(workspace);
            }
        }
    }

    /// Whether a workspace may have one more, where there are so many workspaces: up to its part; where the node knows as many
    /// as it may, up to its share of them. What runs start leaves room for what people do.
    pub(crate) fn has_room(&self, workspace: &WorkspaceName, workspaces: usize, by: BegunBy) -> bool {
        let most = match by {
            BegunBy::Operator => RUNS_MAX,
            BegunBy::Run => RUNS_MAX - RUNS_RESERVED,
        };
        let part = if workspaces > 1 { most / 100 * RUNS_WORKSPACE_PERCENT } else { most };
        let bound = if self.all < most { part } else { part.min(most / workspaces.max(1)) };
        self.of.get(workspace).copied().unwrap_or_default() < bound
    }
}

/// The runs that are forgotten: those that have been over for long enough, and, where a workspace has many that ended and had
/// no token, those of them that ended first.
pub(super) fn over<'a>(known: impl Iterator<Item = &'a RunState>, now: Timestamp) -> Vec<RunId> {
    let mut gone = Vec::new();
    let mut ended: HashMap<&WorkspaceName, Vec<(Timestamp, RunId)>> = HashMap::new();
    for state in known {
        let end = state.ended.as_ref().map(|(at, _)| *at);
        if now > end.unwrap_or(state.run.expires_at).after(ENDED_KEPT_MAX) {
            gone.push(state.run.id);
        } else if let Some(at) = end.filter(|_| state.token.is_none()) {
            ended.entry(&state.run.workspace).or_default().push((at, state.run.id));
        }
    }
    for mut ended in ended.into_values().filter(|ended| ended.len() > ENDED_RUNS_MAX) {
        ended.sort_unstable();
        let surplus = ended.len() - ENDED_RUNS_MAX;
        let is_old = |(at, _): &(Timestamp, RunId)| now > at.after(ENDED_KEPT_MIN);
        gone.extend(ended.into_iter().take(surplus).take_while(is_old).map(|(_, run)| run));
    }
    gone
}

#[cfg(test)]
#[path = "crowd_tests.rs"]
mod tests;
