//! The right to call one model once.

use std::sync::Arc;

use ringfence_policy::Obligations;
use ringfence_types::{ActionId, Decision, Digest, ModelName, Money};
use tokio::time::Instant;

use super::{Charge, Demand, Meter, ModelCall, Terms};
use crate::cancel::Cancel;
use crate::permit::{Held, Permit};
use crate::{Outcome, Receipt, Run};

/// As a [`Clearance`](crate::Clearance), the right to call one model once, with the money for it set aside at every
/// level. However it ends, it is settled at what stands on its [`Meter`].
#[derive(Debug)]
#[must_use = "a clearance that is not executed settles as an unknown outcome"]
pub struct ModelClearance(Held);

impl From<Held> for ModelClearance {
    // INVARIANT: the held permit is one for a model: `Kernel::admit_model` asks for nothing else.
    fn from(held: Held) -> Self {
        Self(held)
    }
}

// === impl ModelClearance ===

impl ModelClearance {
    fn permit(&self) -> &Permit {
        self.0.permit()
    }

    #[expect(clippy::expect_used, reason = "made only of what a model was asked (see `From<Held>`)")]
    fn terms(&self) -> &Terms {
        self.permit().terms().expect("a model's clearance has terms")
    }

    /// The action's identifier.
    pub fn action(&self) -> ActionId {
        self.permit().action
    }

    /// Whose action it is.
    pub fn run(&self) -> &Arc<Run> {
        &self.permit().run
    }

    /// What was asked.
    pub fn call(&self) -> &ModelCall {
        &self.terms().call
    }

    /// The model to be called.
    pub fn model(&self) -> &ModelName {
        &self.terms().call.model
    }

    /// What may be asked for, as the rules left it.
    pub fn demand(&self) -> &Demand {
        &self.terms().demand
    }

    /// Tokens that each answer may have: what the provider must be told. `None` where nothing is written.
    pub fn output(&self) -> Option<u64> {
        self.terms().output
    }

    /// Whether that is less than what was asked for, because no more fits a budget.
    pub fn is_lowered(&self) -> bool {
        self.terms().lowered
    }

    /// The money that is set aside.
    pub fn reserved(&self) -> Money {
        self.terms().reservation.usd
    }

    /// Whether what stands on the meter comes to more than was set aside, in money or in tokens.
    pub fn is_spent(&self) -> bool {
        Charge::of(self.terms(), self.meter().read()).is_over()
    }

    /// Where what is used is written down while it is used.
    pub fn meter(&self) -> &Meter {
        &self.terms().meter
    }

    /// What holds for the execution besides the deadline.
    pub fn obligations(&self) -> &Obligations {
        &self.permit().obligations
    }

    /// The digest of the configuration that decided: what is executed is executed as it says.
    pub fn config(&self) -> Digest {
        self.permit().config
    }

    /// What the rules said of it.
    pub fn decision(&self) -> Decision {
        self.permit().decision
    }

    /// When the provider must have answered, to the last token.
    pub fn deadline(&self) -> Instant {
        self.permit().deadline
    }

    /// Whether the deadline is the end of the run's own time: a provider that is not done then has not failed.
    pub fn ends_with_run(&self) -> bool {
        self.permit().ends_with_run
    }

    /// Cut off from above: asked before each byte is written to the agent.
    pub fn cancel(&self) -> &Cancel {
        &self.permit().cancel
    }

    #[expect(clippy::needless_pass_by_value, reason = "an outcome is told once")]
    /// Records what came of the call, books what its meter says, and gives back what it held. Never waits for the disk.
    pub fn settle(self, outcome: Outcome) -> Receipt {
        self.0.settle(&outcome)
    }

    #[expect(clippy::needless_pass_by_value, reason = "an outcome is told once")]
    /// As [`ModelClearance::settle`] of a call that has no whole answer: `given` is what there was of one, for the record.
    pub fn settle_short(self, outcome: Outcome, given: &[u8]) -> Receipt {
        self.0.settle_short(&outcome, given)
    }
}
