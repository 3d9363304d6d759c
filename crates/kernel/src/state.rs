//! Everything behind the kernel's one lock.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use ringfence_ledger::{AppendError, Room, RoomFor, SealedPayload, Ticket};
use ringfence_types::{ApprovalId, Code, RuleName, RunId, ServerName, WorkspaceName};
use tokio::sync::oneshot;

use crate::clock::Clock;
use crate::fold::Fold;
use crate::guard::{Breaker, Meter, Repetition};
use crate::journal::Journal;
use crate::live::Live;
use crate::record::{OutcomeRecord, Record};
use crate::refusals::Refusals;

/// The state of a node. One critical section of this is what makes step 8 of an admission one transaction.
pub(crate) struct State {
    pub fold: Fold,
    pub journal: Journal,
    pub live: Live,
    pub runs: HashMap<RunId, RunGuard>,
    pub meters: HashMap<(WorkspaceName, RuleName), Meter>,
    pub breakers: HashMap<(WorkspaceName, ServerName), Breaker>,
    pub waiters: HashMap<ApprovalId, VecDeque<oneshot::Sender<()>>>,
    pub refusals: Refusals,
    /// Outcomes that came while the log was away; written as soon as it is back.
    pub unwritten: Vec<Unwritten>,
    pub counts: Counts,
    /// No action is admitted any more: the node is stopping.
    pub stopping: bool,
}

/// An outcome that the log could not take.
pub(crate) struct Unwritten {
    pub outcome: OutcomeRecord,
    pub room: Room,
}

/// What is kept of a run while it is used. Gone after a restart.
#[derive(Debug, Default)]
pub(crate) struct RunGuard {
    pub in_flight: u32,
    pub repetition: Repetition,
}

/// Counts since the start, for metrics.
#[derive(Debug, Default, Clone)]
pub struct Counts {
    /// Actions cleared.
    pub cleared: u64,
    /// Of these, narrowed.
    pub narrowed: u64,
    /// Requests for approval made.
    pub pending: u64,
    /// Actions refused, by code.
    pub refused: HashMap<Code, u64>,
    /// Actions settled.
    pub settled: u64,
    /// Requests with a token nobody knows.
    pub unauthenticated: u64,
}

impl State {
    pub(crate) fn new(fold: Fold, journal: Journal) -> Self {
        Self {
            fold,
            journal,
            live: Live::default(),
            runs: HashMap::new(),
            meters: HashMap::new(),
            breakers: HashMap::new(),
            waiters: HashMap::new(),
            refusals: Refusals::default(),
            unwritten: Vec::new(),
            counts: Counts::default(),
            stopping: false,
        }
    }

    /// Gives a record its place in the log and applies it: the only way the fold changes.
    pub(crate) fn commit(
        &mut self,
        clock: &Clock,
        record: &Record,
        payloads: Vec<SealedPayload>,
        room: RoomFor<'_>,
    ) -> Result<Ticket, AppendError> {
        // Never before what the log has: a replay must not run backwards.
        let at = clock.now().max(self.fold.at);
        let ticket = self.journal.append(at, record, payloads, room)?;
        self.fold.apply(ticket.id(), at, record);
        Ok(ticket)
    }

    pub(crate) fn guard(&mut self, run: RunId) -> &mut RunGuard {
        self.runs.entry(run).or_default()
    }

    pub(crate) fn in_flight(&self, run: RunId) -> u32 {
        self.runs.get(&run).map_or(0, |guard| guard.in_flight)
    }

    /// Wakes the call that has waited longest for this approval.
    pub(crate) fn wake_oldest(&mut self, approval: ApprovalId) {
        let Some(waiters) = self.waiters.get_mut(&approval) else { return };
        while let Some(waiter) = waiters.pop_front() {
            // A waiter that has gone leaves its turn to the next.
            if waiter.send(()).is_ok() {
                break;
            }
        }
    }

    /// Wakes all calls that wait for this approval.
    pub(crate) fn wake_all(&mut self, approval: ApprovalId) {
        for waiter in self.waiters.remove(&approval).into_iter().flatten() {
            // One that has gone needs no waking.
            let _ = waiter.send(());
        }
    }

    /// How many calls wait for this approval.
    pub(crate) fn waiting(&mut self, approval: ApprovalId) -> usize {
        let Some(waiters) = self.waiters.get_mut(&approval) else { return 0 };
        waiters.retain(|waiter| !waiter.is_closed());
        waiters.len()
    }
}

/// Shared by everything that outlives one call.
pub(crate) type Shared = Arc<crate::kernel::Inner>;
