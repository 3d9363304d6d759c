//! What clearances of every kind own, and that it is settled once.

use std::sync::Arc;

use ringfence_ledger::Room;
use ringfence_policy::{Narrowing, Obligations, ToolDefinition};
use ringfence_types::{ActionId, Decision, Digest, Timestamp};
use tokio::time::Instant;

use crate::cancel::Cancel;
use crate::clearance::{Outcome, Receipt};
use crate::live::LiveId;
use crate::model::Terms;
use crate::record::Subject;
use crate::state::Shared;
use crate::{Call, EgressCall, Run, SpawnCall};

/// What was cleared.
pub(crate) struct Permit {
    pub shared: Shared,
    pub action: ActionId,
    pub run: Arc<Run>,
    pub subject: Arc<Subject>,
    pub sent: Cleared,
    pub call_digest: Digest,
    pub narrowed: Vec<Narrowing>,
    pub definition: Option<Arc<ToolDefinition>>,
    pub obligations: Obligations,
    pub deadline: Instant,
    pub cleared_at: Instant,
    /// When its intent was written, in the log's time.
    pub recorded_at: Timestamp,
    pub cancel: Cancel,
    pub live: LiveId,
    pub room: Room,
    pub probes: Probes,
    /// Whether the clearance left the kernel: before that, nothing can have happened.
    pub handed_out: bool,
    /// Of the configuration that decided.
    pub config: Digest,
    /// Whether the deadline is the run's, and not the upstream's.
    pub ends_with_run: bool,
    /// What the rules said.
    pub decision: Decision,
}

/// What goes out.
pub(crate) enum Cleared {
    /// To a tool server.
    Call(Call),
    /// To a model.
    Model(Box<Terms>),
    /// To a host.
    Egress(EgressCall),
    /// To whoever starts runs.
    Spawn(Box<SpawnCall>),
}

/// Of which breakers a call is the probe.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Probes {
    pub of_upstream: bool,
    pub of_run: bool,
}

/// A permit that settles itself when it is dropped: the outcome is unknown, because the effect may have happened.
#[derive(Debug)]
pub(crate) struct Held {
    /// `None` only after it was settled.
    // INVARIANT: `Some` until `settle` or `drop` takes it, which both consume it.
    permit: Option<Box<Permit>>,
}

// === impl Held ===

impl Held {
    pub(crate) fn new(permit: Box<Permit>) -> Self {
        Self { permit: Some(permit) }
    }

    /// From here on the effect may happen.
    pub(crate) fn hand_out(mut self) -> Self {
        if let Some(permit) = &mut self.permit {
            permit.handed_out = true;
        }
        self
    }

    #[expect(clippy::expect_used, reason = "`permit` is there until `settle` or `drop`, which consume this")]
    pub(crate) fn permit(&self) -> &Permit {
        self.permit.as_deref().expect("a permit is unspent until it is consumed")
    }

    pub(crate) fn settle(self, outcome: &Outcome) -> Receipt {
        self.settle_short(outcome, &[])
    }

    /// `given`: what the agent had of a result that did not come to its end.
    pub(crate) fn settle_short(mut self, outcome: &Outcome, given: &[u8]) -> Receipt {
        let permit = self.permit.take();
        // `settle` consumes this, so the permit is there.
        permit.map_or_else(
            || unreachable!("a clearance is settled once"),
            |permit| crate::settle::settle(*permit, Some(outcome), given),
        )
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(permit) = self.permit.take() {
            crate::settle::settle(*permit, None, &[]);
        }
    }
}

// === impl Permit ===

impl Permit {
    /// The terms of a model call.
    pub(crate) fn terms(&self) -> Option<&Terms> {
        match &self.sent {
            Cleared::Call(_) | Cleared::Egress(_) | Cleared::Spawn(_) => None,
            Cleared::Model(terms) => Some(terms),
        }
    }
}

impl std::fmt::Debug for Permit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Permit")
            .field("action", &self.action)
            .field("target", &self.subject.target)
            .finish_non_exhaustive()
    }
}

/// What a clearance of any kind tells of the permit that it holds. That it is settled once stands with each: the compiler
/// then shows it to whoever tries it twice.
macro_rules! tells_of_its_permit {
    ($clearance:ident) => {
        impl $clearance {
            fn permit(&self) -> &$crate::permit::Permit {
                self.0.permit()
            }

            /// The action's identifier.
            pub fn action(&self) -> ringfence_types::ActionId {
                self.permit().action
            }

            /// Whose action it is.
            pub fn run(&self) -> &std::sync::Arc<$crate::Run> {
                &self.permit().run
            }

            /// What holds for the execution besides the deadline.
            pub fn obligations(&self) -> &ringfence_policy::Obligations {
                &self.permit().obligations
            }

            /// The digest of the configuration that decided: what is executed is executed as it says.
            pub fn config(&self) -> ringfence_types::Digest {
                self.permit().config
            }

            /// What the rules said of it.
            pub fn decision(&self) -> ringfence_types::Decision {
                self.permit().decision
            }

            /// When the upstream must have answered, to the last byte.
            pub fn deadline(&self) -> tokio::time::Instant {
                self.permit().deadline
            }

            /// Whether the deadline is the end of the run's own time: an upstream that is not done then has not failed.
            pub fn ends_with_run(&self) -> bool {
                self.permit().ends_with_run
            }

            /// Cut off from above: asked before each byte is written to the agent.
            pub fn cancel(&self) -> &$crate::Cancel {
                &self.permit().cancel
            }
        }
    };
}
pub(crate) use tells_of_its_permit;
