//! Requests for approval, and what became of them.

use std::collections::HashMap;
use std::time::Duration;

use ringfence_policy::Approval;
use ringfence_types::{ActionId, ApprovalId, Digest, PersonName, RuleName, RunId, Timestamp};

use crate::record::{Answer, ApprovalRecord, PendingRecord};
use crate::target::Target;

/// How long it is known that a request expired.
const KEPT_AFTER_EXPIRY: Duration = Duration::from_mins(5);

/// Requests that wait, were answered and not spent yet, or whose denial still holds.
#[derive(Debug, Clone, Default)]
pub(crate) struct Approvals {
    requests: HashMap<ApprovalId, Request>,
    by_binding: HashMap<Binding, ApprovalId>,
}

/// The identity of what is approved: exactly this call.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Binding {
    pub run: RunId,
    pub target: Target,
    pub definition: Option<Digest>,
    /// Of the arguments as the agent sent them.
    pub requested: Digest,
}

/// One request for approval.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// Where it stands in the log.
    pub entry: u64,
    pub record: PendingRecord,
    pub asked_at: Timestamp,
    pub state: State,
    /// Every yes, in order.
    pub given: Vec<Given>,
    /// The arguments as an approver narrowed them.
    pub narrowed: Option<Kept>,
    /// Digest of what may be sent.
    pub final_digest: Digest,
}

/// A payload, and the entry it was stored with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kept {
    pub entry: u64,
    pub name: Digest,
}

/// One person's yes.
#[derive(Debug, Clone)]
pub(crate) struct Given {
    pub approver: PersonName,
    pub answers: Vec<RuleName>,
    pub at: Timestamp,
    pub note: Option<String>,
}

/// Where a request stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum State {
    /// People have not answered, or not enough of them, until then.
    Waiting { until: Timestamp },
    /// Can be spent once, until then.
    Approved { until: Timestamp },
    /// Refused; the same call is refused with it until then.
    Denied { by: Option<PersonName>, note: Option<String>, until: Timestamp },
    /// Used by this action.
    Spent { action: ActionId, at: Timestamp },
    /// Nobody answered in time.
    Expired { at: Timestamp },
}

impl Approvals {
    pub(super) fn asked(&mut self, entry: u64, at: Timestamp, record: &PendingRecord) {
        let request = Request {
            entry,
            record: record.clone(),
            asked_at: at,
            state: State::Waiting { until: record.expires_at },
            given: Vec::new(),
            narrowed: None,
            final_digest: record.final_digest,
        };
        // No call can use an older request of exactly this call any more, so nobody is asked to answer it.
        let older = self.newest(&request.binding()).and_then(|older| self.requests.get_mut(&older));
        if let Some(older) = older.filter(|older| older.is_waiting(at) || older.is_approved(at)) {
            older.state = State::Expired { at };
        }
        self.insert(request);
    }

    /// The newest request of exactly this call, whatever became of it.
    pub(crate) fn newest(&self, binding: &Binding) -> Option<ApprovalId> {
        self.by_binding.get(binding).copied()
    }

    pub(super) fn insert(&mut self, request: Request) {
        let approval = request.record.approval;
        self.by_binding.insert(request.binding(), approval);
        self.requests.insert(approval, request);
    }

    pub(super) fn answered(&mut self, entry: u64, at: Timestamp, record: &ApprovalRecord) {
        let Some(request) = self.requests.get_mut(&record.approval) else { return };
        match (record.answer, &record.approver) {
            (Answer::Approved, Some(approver)) => request.approved(entry, at, approver, record),
            (Answer::Denied, _) => {
                request.state = State::Denied {
                    by: record.approver.clone(),
                    note: record.note.clone(),
                    until: request.record.expires_at,
                };
            }
            (Answer::Expired | Answer::Approved, _) => request.state = State::Expired { at },
        }
    }

    pub(super) fn spent(&mut self, approval: ApprovalId, action: ActionId, at: Timestamp) {
        if let Some(request) = self.requests.get_mut(&approval) {
            request.state = State::Spent { action, at };
        }
    }

    pub(crate) fn get(&self, approval: ApprovalId) -> Option<&Request> {
        self.requests.get(&approval)
    }

    /// The request of exactly this call that is still good for something.
    pub(crate) fn of(&self, binding: &Binding, now: Timestamp) -> Option<&Request> {
        self.by_binding
            .get(binding)
            .and_then(|approval| self.requests.get(approval))
            .filter(|it| it.is_live(now))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Request> {
        self.requests.values()
    }

    /// How many wait for people, of one run or of all.
    pub(crate) fn waiting(&self, run: Option<RunId>, now: Timestamp) -> usize {
        let of_run = |request: &&Request| run.is_none_or(|run| request.record.subject.run == run);
        self.iter().filter(of_run).filter(|request| request.is_waiting(now)).count()
    }

    /// Those that nobody answered in time and that are not recorded as expired yet.
    pub(crate) fn lapsed(&self, now: Timestamp) -> Vec<ApprovalId> {
        let lapsed = |request: &&Request| match request.state {
            State::Waiting { until } | State::Approved { until } => now >= until,
            _ => false,
        };
        self.iter().filter(lapsed).map(|request| request.record.approval).collect()
    }

    pub(crate) fn is_waiting_for(&self, run: RunId) -> bool {
        self.iter().any(|request| {
            request.record.subject.run == run
                && matches!(request.state, State::Waiting { .. } | State::Approved { .. })
        })
    }

    pub(super) fn prune(&mut self, now: Timestamp) {
        self.requests.retain(|_, request| match &request.state {
            State::Waiting { .. } | State::Approved { .. } => true,
            State::Denied { until, .. } => now < *until,
            // A call that has waited for it is still to be told, also when the machine slept long past its time.
            // Of one that was used, people see what became of it.
            State::Expired { at } | State::Spent { at, .. } => now < at.after(KEPT_AFTER_EXPIRY),
        });
        let requests = &self.requests;
        self.by_binding.retain(|_, approval| requests.contains_key(approval));
    }
}

impl Request {
    pub(crate) fn binding(&self) -> Binding {
        Binding {
            run: self.record.subject.run,
            target: self.record.subject.target.clone(),
            definition: self.record.definition,
            requested: self.record.requested,
        }
    }

    /// What the agent asked for.
    pub(crate) fn requested(&self) -> Kept {
        Kept { entry: self.entry, name: self.record.arguments }
    }

    /// What goes out once it is approved.
    pub(crate) fn will_send(&self) -> Kept {
        let by_rules = self.record.final_arguments.map(|name| Kept { entry: self.entry, name });
        self.narrowed.or(by_rules).unwrap_or_else(|| self.requested())
    }

    fn approved(&mut self, entry: u64, at: Timestamp, approver: &PersonName, record: &ApprovalRecord) {
        if record.final_digest.is_some_and(|digest| digest != self.final_digest) {
            // A yes is for exactly what would be sent: those before were for something else.
            self.given.clear();
        }
        self.given.push(Given {
            approver: approver.clone(),
            answers: record.answers.clone(),
            at,
            note: record.note.clone(),
        });
        if let (Some(narrowed), Some(final_digest)) = (record.narrowed, record.final_digest) {
            self.narrowed = Some(Kept { entry, name: narrowed });
            self.final_digest = final_digest;
        }
        if self.record.requirements.iter().all(|requirement| self.satisfies(requirement)) {
            let validity = self.record.requirements.iter().map(|requirement| requirement.expires).min();
            self.state = State::Approved { until: at.after(validity.unwrap_or_default()) };
        }
    }

    /// Whether enough different people said yes to what this rule asks for.
    fn satisfies(&self, requirement: &Approval) -> bool {
        let answering = self.given.iter().filter(|given| given.answers.contains(&requirement.rule)).count();
        answering >= requirement.quorum as usize
    }

    pub(crate) fn is_waiting(&self, now: Timestamp) -> bool {
        matches!(self.state, State::Waiting { until } if now < until)
    }

    pub(crate) fn is_approved(&self, now: Timestamp) -> bool {
        matches!(self.state, State::Approved { until } if now < until)
    }

    fn is_live(&self, now: Timestamp) -> bool {
        match self.state {
            State::Waiting { until } | State::Approved { until } | State::Denied { until, .. } => now < until,
            State::Spent { .. } | State::Expired { .. } => false,
        }
    }
}
