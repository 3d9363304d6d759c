//! The right to reach one host once.

use std::sync::Arc;

use ringfence_policy::Obligations;
use ringfence_types::{ActionId, Decision, Digest};
use tokio::time::Instant;

use super::EgressCall;
use crate::cancel::Cancel;
use crate::permit::{Cleared, Held, Permit};
use crate::{Outcome, Receipt, Run};

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

impl EgressClearance {
    fn permit(&self) -> &Permit {
        self.0.permit()
    }

    /// The action's identifier.
    pub fn action(&self) -> ActionId {
        self.permit().action
    }

    /// Whose action it is.
    pub fn run(&self) -> &Arc<Run> {
        &self.permit().run
    }

    /// What is to be reached.
    pub fn call(&self) -> &EgressCall {
        match &self.permit().sent {
            Cleared::Egress(call) => call,
            // See `From<Held>`.
            Cleared::Call(_) | Cleared::Model(_) => unreachable!("a clearance for a host names one"),
        }
    }

    /// What holds for the execution besides the deadline.
    pub fn obligations(&self) -> &Obligations {
        &self.permit().obligations
    }

    /// The digest of the configuration that decided.
    pub fn config(&self) -> Digest {
        self.permit().config
    }

    /// What the rules said of it.
    pub fn decision(&self) -> Decision {
        self.permit().decision
    }

    /// When it must be over.
    pub fn deadline(&self) -> Instant {
        self.permit().deadline
    }

    /// Whether the deadline is the end of the run's own time.
    pub fn ends_with_run(&self) -> bool {
        self.permit().ends_with_run
    }

    /// Cut off from above: asked before each byte that goes either way.
    pub fn cancel(&self) -> &Cancel {
        &self.permit().cancel
    }

    #[expect(clippy::needless_pass_by_value, reason = "an outcome is told once")]
    /// Records what came of it and gives back what it held. Never waits for the disk.
    pub fn settle(self, outcome: Outcome) -> Receipt {
        self.0.settle(&outcome)
    }
}
