//! The right to reach one host once.

use super::EgressCall;
use crate::permit::{Cleared, Held, tells_of_its_permit};
use crate::{Outcome, Receipt};

/// As a [`Clearance`](crate::Clearance), the right to open one connection to a host, or to send it one request.
#[derive(Debug)]
#[must_use = "a clearance that is not executed settles as an unknown outcome"]
pub struct EgressClearance(Held);

impl From<Held> for EgressClearance {
    // INVARIANT: the held permit is one for a host: `Kernel::admit_egress` asks for nothing else.
    fn from(held: Held) -> Self {
        Self(held)
    }
}

// === impl EgressClearance ===

tells_of_its_permit!(EgressClearance);

impl EgressClearance {
    /// What is to be reached.
    pub fn call(&self) -> &EgressCall {
        match &self.permit().sent {
            Cleared::Egress(call) => call,
            // See `From<Held>`.
            Cleared::Call(_) | Cleared::Model(_) | Cleared::Spawn(_) => {
                unreachable!("a clearance for a host names one")
            }
        }
    }

    #[expect(clippy::needless_pass_by_value, reason = "an outcome is told once")]
    /// Records what came of it and gives back what it held. Never waits for the disk.
    pub fn settle(self, outcome: Outcome) -> Receipt {
        self.0.settle(&outcome)
    }
}
