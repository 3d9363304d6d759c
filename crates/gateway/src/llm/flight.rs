//! One cleared call of a model from its departure to its settlement.
//!
//! A flight owns the clearance. However it ends, it is settled once, at what stands on its meter: by [`Flight::land`],
//! or when it is dropped because the client went away.

use ringfence_kernel::{Cancel, CancelledBy, CutOff, Failure, ModelClearance, Outcome};
use ringfence_types::{ActionId, Code, Refusal};
use smol_str::SmolStr;
use tokio::time::Instant;

use super::call::Call;
use super::turns::Turn;
use crate::http::wires::Why;

/// One cleared call.
pub(crate) struct Flight {
    pub(crate) call: Call,
    // INVARIANT: `Some` until it is settled.
    clearance: Option<ModelClearance>,
    /// Its place at the model, once it has one.
    turn: Option<Turn>,
    /// What the agent had of an answer that did not come to its end, or what the provider said instead of one.
    given: Vec<u8>,
}

/// How a flight ends without an answer.
#[derive(Debug)]
pub(crate) enum End {
    /// It was cut off from above.
    Cut(CutOff),
    /// No first byte, or no last one, in time.
    Timeout,
    /// There is no way to the provider, or what opens it is missing: nothing was sent.
    NotSent(String),
    /// There is no connection to the provider.
    Unreachable(Why),
    /// The connection broke.
    Broken,
    /// The provider turned the call down.
    TurnedDown {
        /// Its status.
        status: u16,
        /// Whether it said so in its API's words, and not somebody in between.
        by_provider: bool,
        /// Its own word for it.
        word: Option<SmolStr>,
    },
    /// What came is no answer.
    Malformed(String),
    /// What came is more than the bound.
    TooLarge,
    /// More was written than was paid for.
    Spent,
    /// The provider said in its answer that it failed.
    Failed,
    /// The model has so many calls under way, as many as it may have.
    Crowded(usize),
    /// What is left of the money does not suffice for what the request asks for besides an answer.
    NoRoom(String),
}

// === impl Flight ===

impl Flight {
    pub(crate) fn new(call: Call, clearance: ModelClearance) -> Self {
        Self { call, clearance: Some(clearance), turn: None, given: Vec::new() }
    }

    /// Waits for a place at the model, which has `most` of them.
    pub(crate) async fn take_turn(&mut self, most: usize) -> Result<(), End> {
        let (gate, workspace) = (&self.call.gate, &self.call.run.workspace);
        let wait = gate.limits.model_turn_wait;
        let cancel = self.cancel();
        let taken = tokio::select! {
            biased;
            cut = cancel.cancelled() => return Err(End::Cut(cut)),
            taken = gate.turns.take(workspace, self.clearance().model(), most, wait) => taken,
        };
        self.turn = taken;
        if self.turn.is_some() { Ok(()) } else { Err(End::Crowded(most)) }
    }

    #[expect(
        clippy::expect_used,
        reason = "only `land` and `drop` take the clearance, and both end the flight"
    )]
    pub(crate) fn clearance(&self) -> &ModelClearance {
        self.clearance.as_ref().expect("a flight is settled when it ends")
    }

    pub(crate) fn action(&self) -> ActionId {
        self.clearance().action()
    }

    pub(crate) fn cancel(&self) -> Cancel {
        self.clearance().cancel().clone()
    }

    pub(crate) fn deadline(&self) -> Instant {
        self.clearance().deadline()
    }

    /// Settles the call: the agent was given this.
    pub(crate) fn land(mut self, result: Vec<u8>) {
        self.settle(Outcome::Completed { result, is_error: false });
    }

    /// What there was of an answer, for the record of a call that has none.
    pub(crate) fn give(&mut self, given: Vec<u8>) {
        self.given = given;
    }

    /// Settles the call, which has no answer, and says what the agent is told.
    pub(crate) fn fail(mut self, end: &End) -> Refusal {
        let ends_with_run = self.clearance().ends_with_run();
        let refusal = end.refusal(self.action(), ends_with_run);
        self.settle(end.outcome(&refusal, ends_with_run));
        refusal
    }

    fn settle(&mut self, outcome: Outcome) {
        if let Some(clearance) = self.clearance.take() {
            clearance.settle_short(outcome, &self.given);
        }
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        // A panic is nobody's doing: the clearance settles itself as unknown.
        if !std::thread::panicking() {
            self.settle(Outcome::Cancelled { by: CancelledBy::Client });
        }
    }
}

// === impl End ===

impl End {
    /// Whether another model may answer in its place. `acts`: the request does more at the provider than to be answered.
    pub(crate) fn others_may(&self, acts: bool) -> bool {
        match self {
            Self::Cut(_) | Self::Spent | Self::NoRoom(_) => false,
            Self::TurnedDown { status, .. } if is_about_request(*status) => false,
            _ => !acts || self.has_done_nothing(),
        }
    }

    /// Whether nothing can have happened at the provider, whatever the request is for.
    pub(crate) fn has_done_nothing(&self) -> bool {
        let by_status = matches!(self, Self::TurnedDown { status: 429 | 503 | 529, .. });
        by_status
            || matches!(self, Self::NotSent(_) | Self::NoRoom(_) | Self::Crowded(_) | Self::Unreachable(_))
    }

    /// Whether a provider charges nothing for it. Providers charge nothing for what they say no to; of 502, 504 and the
    /// like nobody knows who says it, and what has happened behind.
    pub(crate) fn is_free(&self) -> bool {
        match self {
            Self::TurnedDown { status: 408 | 502 | 504, .. } => false,
            Self::TurnedDown { status: ..500, .. } | Self::TurnedDown { by_provider: true, .. } => true,
            _ => self.has_done_nothing(),
        }
    }

    fn outcome(&self, refusal: &Refusal, ends_with_run: bool) -> Outcome {
        let message = self.for_the_record().unwrap_or_else(|| refusal.reason.clone());
        let failed = |failure| Outcome::Failed { failure, message: message.clone() };
        match self {
            Self::Cut(cut) => Outcome::Cancelled {
                by: match cut.code {
                    Code::Deadline => CancelledBy::Deadline,
                    Code::Overloaded => CancelledBy::Shutdown,
                    _ => CancelledBy::Suspension,
                },
            },
            Self::Timeout if ends_with_run => Outcome::Cancelled { by: CancelledBy::Deadline },
            Self::Timeout => failed(Failure::Timeout),
            Self::NotSent(_) | Self::NoRoom(_) | Self::Crowded(_) => Outcome::NotSent { message },
            Self::Unreachable(_) => Outcome::Unreachable { message },
            Self::Broken => failed(Failure::Transport),
            // 429 says that it is well and has enough to do.
            Self::TurnedDown { status: 408 | 500.., .. } | Self::Failed => failed(Failure::ServerError),
            Self::TurnedDown { status, .. } if is_about_request(*status) => failed(Failure::UpstreamError),
            Self::TurnedDown { .. } => failed(Failure::TurnedAway),
            Self::Malformed(_) => failed(Failure::Malformed),
            Self::TooLarge => failed(Failure::TooLarge),
            Self::Spent => failed(Failure::Withheld),
        }
    }

    /// What the log says where that is more than the agent is told.
    fn for_the_record(&self) -> Option<String> {
        match self {
            Self::Unreachable(why) => Some(format!("The model's provider cannot be reached: {why}.")),
            Self::TurnedDown { status, word: Some(word), .. } => {
                Some(format!("The model's provider answered with status {status} ({word})."))
            }
            _ => None,
        }
    }

    fn refusal(&self, action: ActionId, ends_with_run: bool) -> Refusal {
        let (code, reason) = match self {
            Self::Cut(cut) => (cut.code, cut.reason.clone()),
            Self::Timeout if ends_with_run => (Code::Deadline, "This run's time is up.".into()),
            Self::Timeout => (Code::UpstreamFailed, "The model did not answer in time.".into()),
            Self::NotSent(why) => (Code::UpstreamFailed, format!("The model cannot be called: {why}.")),
            Self::Unreachable(_) => (Code::UpstreamFailed, "The model's provider cannot be reached.".into()),
            Self::Broken => (Code::UpstreamFailed, "The connection to the model's provider broke.".into()),
            Self::TurnedDown { status, .. } => {
                (Code::UpstreamFailed, format!("The model's provider answered with status {status}."))
            }
            Self::Malformed(what) => {
                (Code::UpstreamFailed, format!("The model's provider gave a malformed answer: {what}."))
            }
            Self::TooLarge => (Code::TooLarge, "The model's answer is larger than this node takes.".into()),
            Self::Spent => (
                Code::OverBudget,
                "The model has written more than was set aside for it, so the answer ends here.".into(),
            ),
            Self::Crowded(most) => (
                Code::Overloaded,
                format!("This model has {most} calls under way, as many as it may have. Try again later."),
            ),
            Self::NoRoom(why) => {
                (Code::OverBudget, format!("What is left of the budget does not cover this: {why}."))
            }
            Self::Failed => (Code::UpstreamFailed, "The model's provider failed while it answered.".into()),
        };
        Refusal::new(code, action, reason)
    }
}

/// Whether a status says that the request is wrong: nobody else would take it either.
fn is_about_request(status: u16) -> bool {
    matches!(status, 400 | 404 | 405 | 409 | 411..=422)
}

#[cfg(test)]
mod tests;
