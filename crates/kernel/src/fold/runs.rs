//! Runs and their tokens.

use std::collections::HashMap;
use std::sync::Arc;

use ringfence_json::Object;
use ringfence_types::{ActionId, Digest, PersonName, RunId, Timestamp};

use super::children::Children;
use super::crowd::Crowd;
use crate::record::{EndedBy, Exit, LifeRecord, NodeEvent, RunRecord, RunStep, TokenRecord, Used};
use crate::{Ancestor, Run};

/// Every run whose token may still be used, and those that ended lately.
#[derive(Debug, Clone, Default)]
pub(crate) struct Runs {
    known: HashMap<RunId, RunState>,
    tokens: HashMap<Digest, RunId>,
    /// The runs that each has started, as far as they are known.
    children: Children,
    /// How many there are.
    crowd: Crowd,
}

/// What is known of a run.
#[derive(Debug, Clone)]
pub(crate) struct RunState {
    pub run: Arc<Run>,
    /// Of the token; none where there is none.
    pub token: Option<Digest>,
    pub by: PersonName,
    /// Its wall time counts from here.
    pub first_used: Option<Timestamp>,
    /// How many actions were cleared.
    pub actions: u64,
    /// Of these, calls of models.
    pub model_calls: u64,
    /// Actions of runs under it, which count for it too.
    pub actions_below: u64,
    /// The same of calls of models.
    pub model_calls_below: u64,
    /// The last of them: what led to the next.
    pub last_action: Option<ActionId>,
    pub ended: Option<(Timestamp, String)>,
    /// Where its life stands, if it was started here.
    pub life: Option<Life>,
}

/// Where the life of a run stands that was started here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Life {
    pub phase: Phase,
    pub since: Timestamp,
    /// The layers of its sandbox, once it runs.
    pub layers: Option<Object>,
    /// Why it ends or has ended.
    pub why: Option<EndedBy>,
    /// The same in words, until it has ended.
    pub reason: Option<String>,
    pub exit: Option<Exit>,
    pub used: Option<Used>,
}

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// It waits for a place.
    Queued,
    /// Its sandbox is being made.
    Starting,
    /// Its program runs.
    Running,
    /// Its program is held.
    Paused,
    /// Its program is being ended.
    Stopping,
    /// Nothing of it is left.
    Ended,
}

impl Runs {
    pub(super) fn minted(&mut self, record: &TokenRecord) {
        let state =
            RunState { token: Some(record.token), ..RunState::new(record.run.clone(), record.by.clone()) };
        self.insert(state);
    }

    pub(super) fn insert(&mut self, state: RunState) {
        if let Some(token) = state.token {
            self.tokens.insert(token, state.run.id);
        }
        if let Some(parent) = state.run.parent() {
            self.children.started(parent, state.run.id, state.ended.is_none());
        }
        let workspace = state.run.workspace.clone();
        if self.known.insert(state.run.id, state).is_none() {
            self.crowd.came(&workspace);
        }
    }

    pub(super) fn apply(&mut self, at: Timestamp, record: &RunRecord) {
        if record.event != NodeEvent::Ended {
            return;
        }
        let state = record.run.as_ref().and_then(|(_, _, run)| self.known.get_mut(run));
        if let Some(state) = state.filter(|state| state.ended.is_none()) {
            state.ended = Some((at, record.reason.clone()));
        }
    }

    /// A run that was started here goes a step further.
    pub(super) fn stepped(&mut self, at: Timestamp, record: &LifeRecord) {
        if let RunStep::Queued { user, conversation, at: minted_at, expires_at, bounds, .. } = &record.step {
            let run = Run {
                id: record.run,
                workspace: record.workspace.clone(),
                agent: record.agent.clone(),
                user: user.clone(),
                conversation: conversation.clone(),
                minted_at: *minted_at,
                expires_at: *expires_at,
                above: record.above.clone(),
                bounds: *bounds,
            };
            let life = Life {
                phase: Phase::Queued,
                since: at,
                layers: None,
                why: None,
                reason: None,
                exit: None,
                used: None,
            };
            self.insert(RunState { life: Some(life), ..RunState::new(run, record.by.clone()) });
            return;
        }
        let Some(state) = self.known.get_mut(&record.run) else { return };
        let Some(life) = &mut state.life else { return };
        if let Some(phase) = Phase::after(&record.step) {
            life.phase = phase;
            life.since = at;
        }
        match &record.step {
            RunStep::Running { layers } => {
                life.layers = Some(layers.clone());
                state.first_used.get_or_insert(at);
            }
            RunStep::Stopping { why, reason } => {
                (life.why, life.reason) = (Some(*why), Some(reason.clone()));
            }
            RunStep::Ended { why, reason, exit, used, .. } => {
                (life.why, life.exit, life.used) = (Some(*why), *exit, *used);
                let first = state.ended.replace((at, reason.clone())).is_none();
                if let Some(parent) = state.run.parent().filter(|_| first) {
                    self.children.ended(parent);
                }
            }
            RunStep::Queued { .. }
            | RunStep::Starting
            | RunStep::Paused { .. }
            | RunStep::Resumed
            | RunStep::Signalled { .. } => {}
        }
    }

    pub(super) fn used(&mut self, run: RunId, at: Timestamp) {
        if let Some(state) = self.known.get_mut(&run) {
            state.first_used.get_or_insert(at);
        }
    }

    pub(super) fn acted(&mut self, run: RunId, above: &[Ancestor], action: ActionId) {
        if let Some(state) = self.known.get_mut(&run) {
            state.actions += 1;
            state.last_action = Some(action);
        }
        self.for_all(above, |state| state.actions_below += 1);
    }

    pub(super) fn called_model(&mut self, run: RunId, above: &[Ancestor]) {
        if let Some(state) = self.known.get_mut(&run) {
            state.model_calls += 1;
        }
        self.for_all(above, |state| state.model_calls_below += 1);
    }

    fn for_all(&mut self, above: &[Ancestor], mut change: impl FnMut(&mut RunState)) {
        for ancestor in above {
            if let Some(state) = self.known.get_mut(&ancestor.run) {
                change(state);
            }
        }
    }

    /// The runs that this one has started and that are known, newest first.
    pub(crate) fn children(&self, run: RunId) -> impl Iterator<Item = &RunState> {
        self.children.of(run).iter().rev().filter_map(|child| self.known.get(child))
    }

    /// How many of them have not ended.
    pub(crate) fn living_children(&self, run: RunId) -> usize {
        self.children.living(run)
    }

    /// The runs under this one that have not ended, whoever started them; those nearest to it first.
    pub(crate) fn living_below(&self, run: RunId) -> Vec<RunId> {
        let mut all = vec![run];
        let mut at = 0;
        // No run is started by one that stands under it, so this comes to an end.
        while let Some(parent) = all.get(at).copied() {
            all.extend(self.children(parent).map(|child| child.run.id));
            at += 1;
        }
        let lives = |run: &RunId| self.get(*run).is_some_and(|known| known.ended.is_none());
        all.into_iter().skip(1).filter(lives).collect()
    }

    pub(crate) fn get(&self, run: RunId) -> Option<&RunState> {
        self.known.get(&run)
    }

    /// The run of a token.
    pub(crate) fn by_token(&self, token: &Digest) -> Option<&RunState> {
        self.tokens.get(token).and_then(|run| self.known.get(run))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &RunState> {
        self.known.values()
    }

    /// How many are known.
    pub(crate) fn crowd(&self) -> &Crowd {
        &self.crowd
    }

    /// Forgets runs that are over. They stay in the log.
    pub(super) fn prune(&mut self, now: Timestamp, needed: impl Fn(RunId) -> bool) {
        // A token that ended early must stay known until it would have ended anyway: forgetting it makes it
        // unknown, which refuses just the same.
        let mut gone = super::crowd::over(self.known.values(), now);
        gone.retain(|run| !needed(*run));
        let mut forgotten = HashMap::new();
        for run in gone {
            let Some(state) = self.known.remove(&run) else { continue };
            if let Some(token) = state.token {
                self.tokens.remove(&token);
            }
            self.crowd.went(&state.run.workspace);
            forgotten.insert(run, state.run.parent());
        }
        self.children.forget(&forgotten);
    }
}

// === impl RunState ===

impl RunState {
    fn new(run: Run, by: PersonName) -> Self {
        Self {
            run: Arc::new(run),
            token: None,
            by,
            first_used: None,
            actions: 0,
            model_calls: 0,
            actions_below: 0,
            model_calls_below: 0,
            last_action: None,
            ended: None,
            life: None,
        }
    }

    /// Where it stands, if it was started here.
    pub(crate) fn phase(&self) -> Option<Phase> {
        self.life.as_ref().map(|life| life.phase)
    }
}

// === impl Phase ===

impl Phase {
    const ALL: [Self; 6] =
        [Self::Queued, Self::Starting, Self::Running, Self::Paused, Self::Stopping, Self::Ended];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Stopping => "stopping",
            Self::Ended => "ended",
        }
    }

    /// Where a step leads; `None` where it stays as it is.
    pub(crate) fn after(step: &RunStep) -> Option<Self> {
        Some(match step {
            RunStep::Queued { .. } => Self::Queued,
            RunStep::Starting => Self::Starting,
            RunStep::Running { .. } | RunStep::Resumed => Self::Running,
            RunStep::Paused { .. } => Self::Paused,
            RunStep::Stopping { .. } => Self::Stopping,
            RunStep::Ended { .. } => Self::Ended,
            RunStep::Signalled { .. } => return None,
        })
    }

    /// Whether this step leads on from here.
    pub(crate) fn may(self, step: &RunStep) -> bool {
        match step {
            RunStep::Queued { .. } => false,
            RunStep::Starting => self == Self::Queued,
            RunStep::Running { .. } => self == Self::Starting,
            RunStep::Paused { .. } => self == Self::Running,
            RunStep::Resumed => self == Self::Paused,
            RunStep::Signalled { .. } => matches!(self, Self::Running | Self::Paused),
            RunStep::Stopping { .. } => !matches!(self, Self::Stopping | Self::Ended),
            RunStep::Ended { .. } => self != Self::Ended,
        }
    }
}

impl std::str::FromStr for Phase {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|phase| phase.as_str() == text).ok_or(())
    }
}
