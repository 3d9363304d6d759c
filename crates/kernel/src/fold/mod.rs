//! What the kernel knows: a fold of the log. Everything that must not be forgotten changes here and only here, by
//! applying the record that stands in the log, so a restart arrives at the same state as the node that wrote it.

mod account_document;
mod accounts;
mod approvals;
mod children;
mod conversations;
mod crowd;
mod pins;
mod runs;
mod snapshot;
mod sum;
mod suspensions;

use std::collections::{HashMap, HashSet};

use ringfence_types::{ActionId, RunId, Timestamp};

pub use accounts::Account;
pub(crate) use accounts::Accounts;
pub(crate) use approvals::{Approvals, Binding, Kept, Request, State as ApprovalState};
pub(crate) use crowd::BegunBy;
pub(crate) use pins::{Pin, Pinned, Pins};
pub use runs::Phase;
pub(crate) use runs::{Life, RunState, Runs};
pub use sum::Sum;
pub(crate) use suspensions::Suspensions;

use crate::model::Reservation;
use crate::record::{Intent, OutcomeRecord, Record, Subject};

/// The state after the entries `0..next`.
#[derive(Debug, Clone, Default)]
pub(crate) struct Fold {
    /// How many entries were applied.
    pub next: u64,
    /// The log time of the last of them.
    pub at: Timestamp,
    pub runs: Runs,
    pub suspensions: Suspensions,
    pub approvals: Approvals,
    pub pins: Pins,
    pub accounts: Accounts,
    /// Cleared and not settled.
    pub open: HashMap<ActionId, OpenAction>,
}

/// An action that was cleared and is not settled.
#[derive(Debug, Clone)]
pub(crate) struct OpenAction {
    pub subject: Subject,
    pub cleared_at: Timestamp,
    pub deadline: Timestamp,
    /// What was set aside for it.
    pub reservation: Option<Reservation>,
}

impl Fold {
    /// Applies the entry `id`.
    // INVARIANT: entries are applied in the order of the log, each once. `Journal` gives them their places under the
    // same lock that applies them.
    pub(crate) fn apply(&mut self, id: u64, at: Timestamp, record: &Record) {
        debug_assert_eq!(id, self.next, "entries are applied in the order of the log");
        match record {
            Record::Intent(intent) => self.cleared(at, intent),
            Record::Outcome(outcome) => self.settled(outcome),
            Record::Refusal(refusal) => self.runs.used(refusal.subject.run, at),
            Record::Pending(pending) => {
                self.runs.used(pending.subject.run, at);
                self.approvals.asked(id, at, pending);
            }
            Record::Approval(answer) => self.approvals.answered(id, at, answer),
            Record::Suspension(suspension) => self.suspensions.apply(suspension),
            Record::Token(token) => self.runs.minted(token),
            Record::Run(run) => self.runs.apply(at, run),
            Record::Life(step) => self.runs.stepped(at, step),
            Record::Pin(pin) => self.pins.apply(pin),
            Record::Budget(budget) => self.accounts.told(&budget.account, budget.per, at, budget.percent),
            Record::Incident(incident) => {
                if let Some(correction) = &incident.correction {
                    self.accounts.correct(correction);
                }
            }
            Record::Config(_) | Record::Snapshot(_) | Record::Files(_) => {}
        }
        self.skip(id, at);
    }

    /// Counts an entry that changes nothing here.
    pub(crate) fn skip(&mut self, id: u64, at: Timestamp) {
        self.next = id + 1;
        self.at = at;
    }

    fn cleared(&mut self, at: Timestamp, intent: &Intent) {
        self.runs.used(intent.subject.run, at);
        self.runs.acted(intent.subject.run, &intent.subject.above, intent.action);
        if let Some(approval) = intent.approval {
            self.approvals.spent(approval, intent.action, at);
        }
        if let Some(reservation) = intent.reservation {
            self.runs.called_model(intent.subject.run, &intent.subject.above);
            self.accounts.reserve(at, &intent.subject, reservation);
        }
        let open = OpenAction {
            subject: intent.subject.clone(),
            cleared_at: at,
            deadline: intent.deadline,
            reservation: intent.reservation,
        };
        self.open.insert(intent.action, open);
    }

    // INVARIANT: what an intent set aside is given back by the first outcome of its action and by no other, because
    // that takes the action out of `open`.
    fn settled(&mut self, outcome: &OutcomeRecord) {
        let Some(open) = self.open.remove(&outcome.action) else { return };
        if let (Some(reservation), Some(charge)) = (open.reservation, &outcome.charge) {
            self.accounts.settle(open.cleared_at, &open.subject, reservation, charge);
        }
    }

    /// Forgets what no longer decides anything: memory, not meaning. Not an entry, because leaving it out changes no
    /// answer.
    pub(crate) fn prune(&mut self, now: Timestamp) {
        self.approvals.prune(now);
        self.suspensions.prune(now);
        // What is under way counts for everybody above it.
        let open: HashSet<RunId> = self.open.values().flat_map(|action| action.subject.line()).collect();
        let approvals = &self.approvals;
        self.runs.prune(now, |run| approvals.is_waiting_for(run) || open.contains(&run));
        let runs = &self.runs;
        self.accounts.prune(now, |run| runs.get(run).is_some());
    }
}
