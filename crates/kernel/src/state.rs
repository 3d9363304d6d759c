//! Everything behind the kernel's one lock.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use ringfence_ledger::{AppendError, RoomFor, SealedPayload, Ticket};
use ringfence_types::{ActionId, ApprovalId, Code, RuleName, RunId, ServerName, Timestamp, WorkspaceName};
use tokio::sync::oneshot;

use crate::cancel::{CutOff, EndOfRun};
use crate::clock::Clock;
use crate::fold::Fold;
use crate::guard::{Breaker, Meter, Repetition};
use crate::journal::Journal;
use crate::live::{Live, LiveId};
use crate::model::Loops;
use crate::record::{EndedBy, Record, Subject};
use crate::refusals::Refusals;
use crate::settle::Settled;
use crate::spending::{BookedBy, book, book_more};
use crate::target::Upstream;

/// The state of a node. One critical section of this is what makes step 8 of an admission one transaction.
pub(crate) struct State {
    pub fold: Fold,
    pub journal: Journal,
    pub live: Live,
    pub runs: HashMap<RunId, RunGuard>,
    pub meters: HashMap<(WorkspaceName, RuleName), Meter>,
    pub breakers: HashMap<(WorkspaceName, Upstream), Breaker>,
    /// How fast servers change the definitions of their tools.
    pub definitions: HashMap<(WorkspaceName, ServerName), Meter>,
    pub waiters: HashMap<ApprovalId, VecDeque<Waiter>>,
    pub refusals: Refusals,
    /// Outcomes that came while the log was away; written as soon as it is back.
    pub unwritten: Vec<Settled>,
    pub counts: Counts,
    /// No action is admitted any more: the node is stopping.
    pub stopping: bool,
}

/// A call in line for an approval. It keeps its place until it is gone, also while it acts on being woken: nobody
/// overtakes it, and when it leaves without having used the approval, the next one's turn comes.
#[derive(Debug)]
pub(crate) struct Waiter {
    live: LiveId,
    /// `None` once it was woken.
    waker: Option<oneshot::Sender<()>>,
}

/// What is kept of a run while it is used. Gone after a restart.
#[derive(Debug, Default)]
pub(crate) struct RunGuard {
    pub in_flight: u32,
    pub repetition: Repetition,
    pub loops: Loops,
    /// How fast it starts others, with all that stand under it.
    pub starts: Meter,
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
    /// What was booked for calls of models.
    pub booked: BookedBy,
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
            definitions: HashMap::new(),
            waiters: HashMap::new(),
            refusals: Refusals::default(),
            unwritten: Vec::new(),
            counts: Counts::default(),
            stopping: false,
        }
    }

    /// Cuts off everything that a run has under way, because it was ended.
    pub(crate) fn cut_run(&mut self, run: RunId, why: EndedBy, reason: &str) {
        let code = match why {
            EndedBy::Deadline => Code::Deadline,
            EndedBy::Node => Code::Overloaded,
            _ => Code::Suspended,
        };
        let cut = CutOff { code, reason: format!("This run was ended: {reason}"), action: None };
        self.live.end_run(run, &cut, &EndOfRun(reason.to_owned()));
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
        self.fold.apply(ticket.id(), ticket.at(), record);
        match record {
            Record::Outcome(outcome) => book(&mut self.counts.booked, outcome),
            Record::Incident(incident) => {
                incident.correction.iter().for_each(|more| book_more(&mut self.counts.booked, more));
            }
            _ => {}
        }
        Ok(ticket)
    }

    /// Whether somebody still settles this action, or has, and only the log has not taken it yet.
    pub(crate) fn is_spoken_for(&self, action: ActionId) -> bool {
        self.live.has_action(action) || self.unwritten.iter().any(|settled| settled.record.action == action)
    }

    pub(crate) fn guard(&mut self, run: RunId) -> &mut RunGuard {
        self.runs.entry(run).or_default()
    }

    /// An action of this subject is under way: for its run, and for everybody above it.
    pub(crate) fn take_turn(&mut self, subject: &Subject) {
        for run in subject.line() {
            self.guard(run).in_flight += 1;
        }
    }

    /// It no longer is.
    pub(crate) fn give_turn_back(&mut self, subject: &Subject) {
        if !subject.target.takes_turn() {
            return;
        }
        for run in subject.line() {
            let guard = self.guard(run);
            guard.in_flight = guard.in_flight.saturating_sub(1);
        }
    }

    pub(crate) fn in_flight(&self, run: RunId) -> u32 {
        self.runs.get(&run).map_or(0, |guard| guard.in_flight)
    }

    /// Puts a call in line for this approval.
    pub(crate) fn line_up(&mut self, approval: ApprovalId, live: LiveId) -> oneshot::Receiver<()> {
        let (waker, woken) = oneshot::channel();
        self.waiters.entry(approval).or_default().push_back(Waiter { live, waker: Some(waker) });
        woken
    }

    /// A call leaves the line; if the approval can be used, it is the next one's turn.
    pub(crate) fn leave_line(&mut self, approval: ApprovalId, live: LiveId, now: Timestamp) {
        let Some(line) = self.waiters.get_mut(&approval) else { return };
        line.retain(|waiter| waiter.live != live);
        if line.is_empty() {
            self.waiters.remove(&approval);
        } else if self.fold.approvals.get(approval).is_some_and(|request| request.is_approved(now)) {
            self.wake_oldest(approval);
        }
    }

    /// Wakes the call that has waited longest for this approval, unless it is awake.
    pub(crate) fn wake_oldest(&mut self, approval: ApprovalId) {
        if let Some(oldest) = self.waiters.get_mut(&approval).and_then(VecDeque::front_mut) {
            oldest.wake();
        }
    }

    /// Wakes all calls that wait for this approval.
    pub(crate) fn wake_all(&mut self, approval: ApprovalId) {
        self.waiters.get_mut(&approval).into_iter().flatten().for_each(Waiter::wake);
    }

    /// How many calls wait for this approval.
    pub(crate) fn waiting(&self, approval: ApprovalId) -> usize {
        self.waiters.get(&approval).map_or(0, VecDeque::len)
    }
}

impl Waiter {
    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            // One that is just leaving passes its turn on.
            let _ = waker.send(());
        }
    }
}

/// Shared by everything that outlives one call.
pub(crate) type Shared = Arc<crate::kernel::Inner>;
