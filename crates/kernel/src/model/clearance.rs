//! The right to call one model once.

use ringfence_types::{ModelName, Money};

use super::{Charge, Demand, Meter, ModelCall, Terms};
use crate::permit::{Held, tells_of_its_permit};
use crate::{Outcome, Receipt};

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

tells_of_its_permit!(ModelClearance);

impl ModelClearance {
    #[expect(clippy::expect_used, reason = "made only of what a model was asked (see `From<Held>`)")]
    fn terms(&self) -> &Terms {
        self.permit().terms().expect("a model's clearance has terms")
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
