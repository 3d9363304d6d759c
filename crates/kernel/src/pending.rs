//! A call that waits for a person.

use std::marker::PhantomData;
use std::time::Duration;

use ringfence_types::{ActionId, ApprovalId, Code, Refusal, RuleName};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use crate::admit::Attempt;
use crate::ask::Ask;
use crate::cancel::{Cancel, CutOff};
use crate::limits::RETRY_AFTER_MAX;
use crate::live::LiveId;
use crate::objection::Objection;
use crate::permit::Held;
use crate::state::Shared;
use crate::weigh::Weighed;
use crate::{Admission, Clearance, Kernel};

/// A call that waits for a person. It holds nothing: when it is approved, everything is decided again from the start.
/// Dropped, it leaves the request standing until that expires, and the same call made again joins it.
#[derive(Debug)]
#[must_use = "a pending call is waited for or refused"]
pub struct Pending<C = Clearance> {
    waiting: Waiting,
    /// What it is waiting to be.
    kind: PhantomData<fn() -> C>,
}

/// A [`Pending`] call of whatever kind.
#[derive(Debug)]
pub(crate) struct Waiting {
    shared: Shared,
    ask: Ask,
    action: ActionId,
    approval: ApprovalId,
    rule: Option<RuleName>,
    /// Why a person is asked.
    reason: String,
    woken: oneshot::Receiver<()>,
    live: LiveId,
    cancel: Cancel,
}

/// Why the waiting ended.
enum Woken {
    Answered,
    TimeUp,
    Cut(CutOff),
}

// === impl Pending ===

impl<C> From<Waiting> for Pending<C> {
    fn from(waiting: Waiting) -> Self {
        Self { waiting, kind: PhantomData }
    }
}

#[expect(private_bounds, reason = "clearances are made by the kernel alone")]
impl<C: From<Held>> Pending<C> {
    /// The request for approval.
    pub fn approval(&self) -> ApprovalId {
        self.waiting.approval
    }

    /// Waits for an answer, as long as `approval_wait` says, then decides again. Refused with `approval_required`
    /// when the time is up: the same call made again goes through once it is approved.
    pub async fn wait(self) -> Admission<C> {
        let mut waiting = self.waiting;
        let until = Instant::now() + waiting.shared.setup.load().approval_wait;
        loop {
            match waiting.woken(until).await {
                Woken::TimeUp => {
                    let objection = still_waiting(&waiting.reason, waiting.valid());
                    return Admission::Refused(waiting.refuse(objection));
                }
                Woken::Cut(cut) => {
                    return Admission::Refused(waiting.refuse(Objection::new(cut.code, cut.reason)));
                }
                Woken::Answered => {}
            }
            let kernel = Kernel(waiting.shared.clone());
            let again = kernel.admit_again::<C>(waiting.ask.clone(), Some(waiting.approval)).await;
            match again {
                // Approved to somebody else, or another person is needed: wait on, within the same time.
                Admission::Pending(next) => waiting = next.waiting,
                other => return other,
            }
        }
    }
}

// === impl Waiting ===

impl Waiting {
    #[expect(clippy::too_many_arguments, reason = "all that a waiting call is")]
    pub(crate) fn new(
        shared: Shared,
        attempt: &Attempt<'_>,
        weighed: &Weighed,
        approval: ApprovalId,
        rule: Option<RuleName>,
        woken: oneshot::Receiver<()>,
        live: LiveId,
        cancel: Cancel,
    ) -> Self {
        let ask = attempt.ask.clone();
        let reason = weighed.verdict.reason.clone();
        Self { shared, ask, action: attempt.action, approval, rule, reason, woken, live, cancel }
    }

    async fn woken(&mut self, until: Instant) -> Woken {
        let Self { woken, cancel, .. } = self;
        tokio::select! {
            biased;
            cut = cancel.cancelled() => Woken::Cut(cut),
            answer = timeout_at(until, woken) => if answer.is_ok() { Woken::Answered } else { Woken::TimeUp },
        }
    }

    /// For how long the request can still be answered and used.
    fn valid(&self) -> Duration {
        let state = self.shared.state.lock();
        let request = state.fold.approvals.get(self.approval);
        request.map(|request| request.record.expires_at.since(self.shared.clock.now())).unwrap_or_default()
    }

    fn refuse(&self, objection: Objection) -> Refusal {
        let objection = Objection { approval: Some(self.approval), ..objection.rule(self.rule.clone()) };
        self.shared.refuse(&self.ask, self.action, objection, None)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let now = self.shared.clock.now();
        let mut state = self.shared.state.lock();
        state.live.remove(self.live);
        state.leave_line(self.approval, self.live, now);
    }
}

/// `valid`: for how long the request still is.
fn still_waiting(why: &str, valid: Duration) -> Objection {
    // Soon enough for the answer to be there to be used.
    let wait = valid / 4;
    let reason = format!(
        "{why} This call waits for a person's approval. Make the same call again later: it goes through once it is approved."
    );
    Objection::new(Code::ApprovalRequired, reason).retry_after(wait.min(RETRY_AFTER_MAX))
}
