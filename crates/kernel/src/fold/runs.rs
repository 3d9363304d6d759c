//! Runs and their tokens.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use ringfence_types::{ActionId, Digest, PersonName, RunId, Timestamp};

use crate::Run;
use crate::record::{NodeEvent, RunRecord, TokenRecord};

/// How long a run that is over is still listed.
const KEPT_AFTER_END: Duration = Duration::from_hours(1);

/// Every run whose token may still be used, and those that ended lately.
#[derive(Debug, Clone, Default)]
pub(crate) struct Runs {
    runs: HashMap<RunId, RunState>,
    tokens: HashMap<Digest, RunId>,
}

/// What is known of a run.
#[derive(Debug, Clone)]
pub(crate) struct RunState {
    pub run: Arc<Run>,
    pub token: Digest,
    pub by: PersonName,
    /// Its wall time counts from here.
    pub first_used: Option<Timestamp>,
    /// How many actions were cleared.
    pub actions: u64,
    /// Of these, calls of models.
    pub model_calls: u64,
    /// The last of them: what led to the next.
    pub last_action: Option<ActionId>,
    pub ended: Option<(Timestamp, String)>,
}

impl Runs {
    pub(super) fn minted(&mut self, record: &TokenRecord) {
        let state = RunState {
            run: Arc::new(record.run.clone()),
            token: record.token,
            by: record.by.clone(),
            first_used: None,
            actions: 0,
            model_calls: 0,
            last_action: None,
            ended: None,
        };
        self.insert(state);
    }

    pub(super) fn insert(&mut self, state: RunState) {
        self.tokens.insert(state.token, state.run.id);
        self.runs.insert(state.run.id, state);
    }

    pub(super) fn apply(&mut self, at: Timestamp, record: &RunRecord) {
        if record.event != NodeEvent::Ended {
            return;
        }
        let state = record.run.as_ref().and_then(|(_, _, run)| self.runs.get_mut(run));
        if let Some(state) = state.filter(|state| state.ended.is_none()) {
            state.ended = Some((at, record.reason.clone()));
        }
    }

    pub(super) fn used(&mut self, run: RunId, at: Timestamp) {
        if let Some(state) = self.runs.get_mut(&run) {
            state.first_used.get_or_insert(at);
        }
    }

    pub(super) fn acted(&mut self, run: RunId, action: ActionId) {
        if let Some(state) = self.runs.get_mut(&run) {
            state.actions += 1;
            state.last_action = Some(action);
        }
    }

    pub(super) fn called_model(&mut self, run: RunId) {
        if let Some(state) = self.runs.get_mut(&run) {
            state.model_calls += 1;
        }
    }

    pub(crate) fn get(&self, run: RunId) -> Option<&RunState> {
        self.runs.get(&run)
    }

    /// The run of a token.
    pub(crate) fn by_token(&self, token: &Digest) -> Option<&RunState> {
        self.tokens.get(token).and_then(|run| self.runs.get(run))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &RunState> {
        self.runs.values()
    }

    pub(crate) fn len(&self) -> usize {
        self.runs.len()
    }

    pub(super) fn prune(&mut self, now: Timestamp, needed: impl Fn(RunId) -> bool) {
        let over = |state: &RunState| {
            let end = state.ended.as_ref().map_or(state.run.expires_at, |(at, _)| *at);
            now > end.after(KEPT_AFTER_END)
        };
        // A token that ended early must stay known until it would have ended anyway: forgetting it makes it
        // unknown, which refuses just the same.
        let gone: Vec<RunId> =
            self.runs.values().filter(|state| over(state)).map(|state| state.run.id).collect();
        for run in gone.into_iter().filter(|run| !needed(*run)) {
            if let Some(state) = self.runs.remove(&run) {
                self.tokens.remove(&state.token);
            }
        }
    }
}
