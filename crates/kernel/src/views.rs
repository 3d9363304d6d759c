//! What people are shown of the kernel's state: copies, made when asked.

use std::time::Duration;

use ringfence_json::Object;
use ringfence_policy::{Approval, ToolDefinition};
use ringfence_types::{
    ActionId, AgentName, ApprovalId, HostName, PersonName, RunId, Scope, ServerName, SuspensionId, Timestamp,
    ToolName, WorkspaceName,
};
use std::sync::Arc;

use crate::fold::{ApprovalState, Fold, Phase, Request, RunState};
use crate::record::{EndedBy, Exit, SuspensionRecord, Used};
use crate::state::Counts;
use crate::target::{Target, Upstream};
use crate::{Kernel, Run};

/// A suspension.
#[derive(Debug, Clone)]
pub struct SuspensionView {
    /// Which.
    pub id: SuspensionId,
    /// What it covers.
    pub scope: Scope,
    /// Why.
    pub reason: String,
    /// Until when, if it ends by itself.
    pub until: Option<Timestamp>,
    /// Who.
    pub by: PersonName,
    /// How many calls and streams it cut off when it was made.
    pub cut: usize,
}

/// A run.
#[derive(Debug, Clone)]
pub struct RunView {
    /// Whose, for whom.
    pub run: Arc<Run>,
    /// Who had its token minted.
    pub by: PersonName,
    /// Its first action.
    pub first_used: Option<Timestamp>,
    /// Actions cleared.
    pub actions: u64,
    /// Those of runs under it, which count for it too.
    pub actions_below: u64,
    /// Actions under way, of it and of runs under it.
    pub in_flight: u32,
    /// Runs that it has started and that have not ended.
    pub living_children: usize,
    /// When and why it ended.
    pub ended: Option<(Timestamp, String)>,
    /// Where its life stands, if it was started here.
    pub life: Option<RunLife>,
}

/// Where the life of a run stands that was started here.
#[derive(Debug, Clone)]
pub struct RunLife {
    /// Where.
    pub phase: Phase,
    /// Since when.
    pub since: Timestamp,
    /// Whether it waits for a person's approval.
    pub is_pending: bool,
    /// The layers of its sandbox, once it runs: how each is in force, or why not.
    pub layers: Option<Object>,
    /// Why it ends or has ended.
    pub why: Option<EndedBy>,
    /// The same in words, while it is being stopped.
    pub reason: Option<String>,
    /// How its program ended.
    pub exit: Option<Exit>,
    /// What its sandbox used, once it has ended and where that is known.
    pub used: Option<Used>,
}

/// Where a request for approval stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ApprovalStatus {
    /// For people.
    Waiting,
    /// And not used yet.
    Approved,
    /// By a person.
    Denied,
    /// On an action.
    Spent,
    /// Nobody answered, or nobody used the answer.
    Expired,
}

/// A request for approval.
#[derive(Debug, Clone)]
pub struct ApprovalView {
    /// Which.
    pub id: ApprovalId,
    /// Where it stands.
    pub status: ApprovalStatus,
    /// Whose action.
    pub scope: Scope,
    /// For whom the run works.
    pub user: Option<String>,
    /// What a model is asked to do: `chat`, `messages`, …; `None` for a tool.
    pub operation: Option<String>,
    /// The host and port to be reached; `None` for anything else.
    pub host: Option<(HostName, u16)>,
    /// The agent of which a run is to be started; `None` for anything else.
    pub spawns: Option<AgentName>,
    /// The action that asked.
    pub action: ActionId,
    /// What the agent asked for; `None` when the payload was pruned.
    pub requested: Option<Object>,
    /// What will be sent, after the rules and, if they did, the approver narrowed it.
    pub will_send: Option<Object>,
    /// What each rule asks for.
    pub requirements: Vec<Approval>,
    /// Who has said yes.
    pub given: Vec<PersonName>,
    /// When it was asked.
    pub asked_at: Timestamp,
    /// Until when it can be answered.
    pub expires_at: Timestamp,
}

/// A tool's definitions.
#[derive(Debug, Clone)]
pub struct PinView {
    /// Where.
    pub workspace: WorkspaceName,
    /// Whose.
    pub server: ServerName,
    /// Which.
    pub tool: ToolName,
    /// The one taken as right.
    pub pinned: Option<Arc<ToolDefinition>>,
    /// Who said so.
    pub pinned_by: Option<PersonName>,
    /// Whether that was a person, and not the node at the first list.
    pub by_person: bool,
    /// The one the server gives now.
    pub seen: Option<Arc<ToolDefinition>>,
}

/// The node at a glance.
#[derive(Debug, Clone)]
pub struct Status {
    /// Since when it runs.
    pub started_at: Timestamp,
    /// Whether actions can be admitted.
    pub admitting: bool,
    /// Entries in the log, and how many of them are durable.
    pub entries: u64,
    /// See `entries`.
    pub durable: u64,
    /// Runs whose token can still be used.
    pub runs: usize,
    /// Actions cleared and not settled.
    pub open: usize,
    /// Requests that wait for people.
    pub waiting: usize,
    /// Suspensions in force.
    pub suspensions: usize,
    /// Upstreams that are left alone for a while.
    pub open_breakers: Vec<(WorkspaceName, Upstream)>,
    /// Counts since the start.
    pub counts: Counts,
}

impl RunView {
    /// Where it stands, in one word.
    pub fn state(&self, now: Timestamp) -> &'static str {
        match (&self.ended, &self.life) {
            (Some(_), _) => "ended",
            (None, Some(life)) if life.is_pending => "pending",
            (None, Some(life)) => life.phase.as_str(),
            (None, None) if now >= self.run.expires_at => "expired",
            (None, None) if self.first_used.is_some() => "active",
            (None, None) => "new",
        }
    }
}

impl SuspensionView {
    pub(crate) fn of(record: &SuspensionRecord, cut: usize) -> Self {
        Self {
            id: record.suspension,
            scope: record.scope.clone(),
            reason: record.reason.clone(),
            until: record.until,
            by: record.by.clone(),
            cut,
        }
    }
}

impl Kernel {
    /// The runs that are known, newest first.
    pub fn runs(&self) -> Vec<RunView> {
        let state = self.0.state.lock();
        let mut runs: Vec<RunView> = state
            .fold
            .runs
            .iter()
            .map(|run| run_view(&state.fold, run, state.in_flight(run.run.id)))
            .collect();
        runs.sort_by_key(|view| std::cmp::Reverse(view.run.id));
        runs
    }

    /// One run.
    pub fn run(&self, run: RunId) -> Option<RunView> {
        let state = self.0.state.lock();
        state.fold.runs.get(run).map(|known| run_view(&state.fold, known, state.in_flight(run)))
    }

    /// The runs that this one has started and that are known, the newest first and so many at most.
    pub fn children_of(&self, run: RunId, most: usize) -> Vec<RunView> {
        let state = self.0.state.lock();
        let children = state.fold.runs.children(run).take(most);
        children.map(|child| run_view(&state.fold, child, state.in_flight(child.run.id))).collect()
    }

    /// The requests for approval that are known, oldest first.
    pub fn approvals(&self) -> Vec<ApprovalView> {
        let durable = self.0.ledger.durable();
        // What is not durable yet cannot be shown with its arguments, and nobody has been told of it.
        let is_durable = |request: &&Request| request.entry < durable;
        let requests: Vec<Request> =
            self.0.state.lock().fold.approvals.iter().filter(is_durable).cloned().collect();
        let mut views: Vec<ApprovalView> =
            requests.iter().map(|request| self.approval_view(request)).collect();
        views.sort_by_key(|view| view.id);
        views
    }

    /// One request for approval.
    pub fn approval(&self, approval: ApprovalId) -> Option<ApprovalView> {
        let request = self.0.state.lock().fold.approvals.get(approval).cloned();
        let request = request.filter(|request| request.entry < self.0.ledger.durable());
        request.map(|request| self.approval_view(&request))
    }

    fn approval_view(&self, request: &Request) -> ApprovalView {
        let record = &request.record;
        let subject = &record.subject;
        ApprovalView {
            id: record.approval,
            status: approval_status(&request.state, self.0.clock.now()),
            scope: subject.target.within(Scope {
                workspace: Some(subject.workspace.clone()),
                agent: Some(subject.agent.clone()),
                run: Some(subject.run),
                ..Scope::default()
            }),
            user: subject.user.as_ref().map(ToString::to_string),
            operation: match &subject.target {
                Target::Model { operation, .. } => Some(operation.to_string()),
                Target::Tool { .. } | Target::Host { .. } | Target::Agent { .. } => None,
            },
            host: match &subject.target {
                Target::Host { host, port } => Some((host.clone(), *port)),
                Target::Tool { .. } | Target::Model { .. } | Target::Agent { .. } => None,
            },
            spawns: match &subject.target {
                Target::Agent { agent } => Some(agent.clone()),
                Target::Tool { .. } | Target::Model { .. } | Target::Host { .. } => None,
            },
            action: record.action,
            requested: self.0.object_payload(&request.requested()),
            will_send: self.0.object_payload(&request.will_send()),
            requirements: record.requirements.clone(),
            given: request.given.iter().map(|given| given.approver.clone()).collect(),
            asked_at: request.asked_at,
            expires_at: record.expires_at,
        }
    }

    /// How often a tool's definition was taken as the right one since the start: when this changes, a policy should be
    /// held against the definitions again.
    pub fn pin_changes(&self) -> u64 {
        self.0.state.lock().fold.pins.changes
    }

    /// The tools that were seen or pinned, by workspace, server and name.
    pub fn pins(&self) -> Vec<PinView> {
        let state = self.0.state.lock();
        let view =
            |(workspace, server, tool, pin): (&WorkspaceName, &ServerName, &ToolName, &crate::fold::Pin)| {
                PinView {
                    workspace: workspace.clone(),
                    server: server.clone(),
                    tool: tool.clone(),
                    pinned: pin.pinned.as_ref().map(|pinned| Arc::clone(&pinned.definition)),
                    pinned_by: pin.pinned.as_ref().map(|pinned| pinned.by.clone()),
                    by_person: pin.pinned.as_ref().is_some_and(|pinned| pinned.person),
                    seen: pin.seen.clone(),
                }
            };
        state.fold.pins.iter().map(view).collect()
    }

    /// The node at a glance.
    pub fn status(&self) -> Status {
        let now = self.0.clock.now();
        let state = self.0.state.lock();
        let open_breakers = state.breakers.iter().filter(|(_, breaker)| breaker.is_open());
        Status {
            started_at: self.0.started_at,
            admitting: !state.stopping && !state.journal.is_spent() && !self.0.ledger.space().full,
            entries: self.0.ledger.size(),
            durable: self.0.ledger.durable(),
            runs: state
                .fold
                .runs
                .iter()
                .filter(|run| run.ended.is_none() && now < run.run.expires_at)
                .count(),
            open: state.fold.open.len(),
            waiting: state.fold.approvals.waiting(None, now),
            suspensions: state.fold.suspensions.in_force(now).count(),
            open_breakers: open_breakers.map(|(key, _)| key.clone()).collect(),
            counts: state.counts.clone(),
        }
    }

    /// How long the node has been running.
    pub fn uptime(&self) -> Duration {
        self.0.clock.now().since(self.0.started_at)
    }
}

pub(crate) fn run_view(fold: &Fold, state: &RunState, in_flight: u32) -> RunView {
    let life = state.life.as_ref().map(|life| RunLife {
        phase: life.phase,
        since: life.since,
        is_pending: life.phase == Phase::Running && fold.approvals.is_waiting_for(state.run.id),
        layers: life.layers.clone(),
        why: life.why,
        reason: life.reason.clone(),
        exit: life.exit,
        used: life.used,
    });
    RunView {
        life,
        run: Arc::clone(&state.run),
        by: state.by.clone(),
        first_used: state.first_used,
        actions: state.actions,
        actions_below: state.actions_below,
        in_flight,
        living_children: fold.runs.living_children(state.run.id),
        ended: state.ended.clone(),
    }
}

fn approval_status(state: &ApprovalState, now: Timestamp) -> ApprovalStatus {
    match state {
        ApprovalState::Waiting { until } if now < *until => ApprovalStatus::Waiting,
        ApprovalState::Approved { until } if now < *until => ApprovalStatus::Approved,
        ApprovalState::Waiting { .. } | ApprovalState::Approved { .. } | ApprovalState::Expired { .. } => {
            ApprovalStatus::Expired
        }
        ApprovalState::Denied { .. } => ApprovalStatus::Denied,
        ApprovalState::Spent { .. } => ApprovalStatus::Spent,
    }
}
