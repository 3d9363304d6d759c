//! The proof that an action was decided and stands in the log, and what came of it.

use std::sync::Arc;

use ringfence_policy::{Narrowing, ToolDefinition};
use ringfence_types::{ActionId, Code, ServerName};

use crate::Call;
use crate::permit::{Cleared, Held, tells_of_its_permit};
use crate::record::Status;
use crate::target::Target;

/// The right to execute one action, once, as it was decided.
///
/// Only the kernel makes one, and only after the action's intent is durable in the log. It cannot be cloned; an
/// executor takes it by value and [settles](Clearance::settle) it. Dropped unsettled, by a panic or a request that
/// was cancelled, it settles itself: the outcome is unknown, because the effect may have happened.
#[derive(Debug)]
#[must_use = "a clearance that is not executed settles as an unknown outcome"]
pub struct Clearance(Held);

impl From<Held> for Clearance {
    // INVARIANT: the held permit is one for a tool server: `Kernel::admit` asks for nothing else.
    fn from(held: Held) -> Self {
        Self(held)
    }
}

/// How an execution ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The upstream answered, and the agent was given this.
    Completed {
        /// What the agent was given, as JSON.
        result: Vec<u8>,
        /// Whether the tool said that it failed.
        is_error: bool,
    },
    /// The upstream did not answer, or not usably.
    Failed {
        /// How.
        failure: Failure,
        /// A sentence in this program's words; nothing of what the upstream said.
        message: String,
    },
    /// It was cut off after it was sent; the effect may have happened.
    Cancelled {
        /// By whom.
        by: CancelledBy,
    },
    /// There is no way to the upstream, so nothing was sent and nothing happened.
    Unreachable {
        /// How: a sentence in this program's words.
        message: String,
    },
    /// Nothing was sent, so nothing happened, and that says nothing about the upstream.
    NotSent {
        /// Why: a sentence in this program's words.
        message: String,
    },
}

/// How an upstream failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// No connection, or it broke.
    Transport,
    /// No answer in time.
    Timeout,
    /// HTTP 5xx.
    ServerError,
    /// An answer that is none: another id, not JSON-RPC, duplicate keys.
    Malformed,
    /// An answer over the size limit of the node.
    TooLarge,
    /// A result over the size limit of a rule.
    Withheld,
    /// A result that does not fit the tool's output schema.
    InvalidOutput,
    /// A JSON-RPC error, or a model's provider that finds the request wrong: the upstream is well and says no.
    UpstreamError,
    /// A model's provider would not take the call, whatever is in it: 401, 403, 429 and the like.
    TurnedAway,
}

/// Who cut an action off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CancelledBy {
    /// The agent asked for it, or went away.
    Client,
    /// A suspension or a kill.
    Suspension,
    /// The run's time was up.
    Deadline,
    /// The node is stopping.
    Shutdown,
}

/// That an action was settled, and where that stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receipt {
    /// The action.
    pub action: ActionId,
    /// The place of its outcome in the log; `None` while the log is away, which then is written later.
    pub entry: Option<u64>,
}

// === impl Clearance ===

tells_of_its_permit!(Clearance);

impl Clearance {
    /// The tool server.
    pub fn server(&self) -> &ServerName {
        match &self.permit().subject.target {
            Target::Tool { server, .. } => server,
            // See `From<Held>`.
            Target::Model { .. } | Target::Host { .. } | Target::Agent { .. } => {
                unreachable!("a clearance for a tool server names one")
            }
        }
    }

    /// What to execute: the arguments as they were decided, which may not be those the agent sent.
    pub fn call(&self) -> &Call {
        match &self.permit().sent {
            Cleared::Call(call) => call,
            // See `From<Held>`.
            Cleared::Model(_) | Cleared::Egress(_) | Cleared::Spawn(_) => {
                unreachable!("a clearance for a tool server has a call")
            }
        }
    }

    /// What was changed in the arguments, to tell the agent.
    pub fn narrowed(&self) -> &[Narrowing] {
        &self.permit().narrowed
    }

    /// The tool's pinned definition; `None` for what is no tool.
    pub fn definition(&self) -> Option<&Arc<ToolDefinition>> {
        self.permit().definition.as_ref()
    }

    #[expect(clippy::needless_pass_by_value, reason = "an outcome is told once")]
    /// Records what came of the action and gives back what it held. Never waits for the disk.
    pub fn settle(self, outcome: Outcome) -> Receipt {
        self.0.settle(&outcome)
    }
}

// === impl Outcome ===

impl Outcome {
    pub(crate) fn status(&self) -> Status {
        match self {
            Self::Completed { .. } => Status::Completed,
            Self::Failed { .. } => Status::Failed,
            Self::Cancelled { .. } => Status::Cancelled,
            Self::Unreachable { .. } | Self::NotSent { .. } => Status::NotSent,
        }
    }

    pub(crate) fn code(&self) -> Option<Code> {
        match self {
            Self::Completed { .. } | Self::Cancelled { by: CancelledBy::Client } => None,
            Self::Failed { failure: Failure::TooLarge | Failure::Withheld, .. } => Some(Code::TooLarge),
            Self::Failed { .. } | Self::Unreachable { .. } => Some(Code::UpstreamFailed),
            Self::Cancelled { by: CancelledBy::Suspension } => Some(Code::Suspended),
            Self::Cancelled { by: CancelledBy::Deadline } => Some(Code::Deadline),
            Self::Cancelled { by: CancelledBy::Shutdown } | Self::NotSent { .. } => Some(Code::Overloaded),
        }
    }

    pub(crate) fn reason(&self) -> Option<&str> {
        match self {
            Self::Completed { .. } => None,
            Self::Failed { message, .. } | Self::Unreachable { message } | Self::NotSent { message } => {
                Some(message)
            }
            Self::Cancelled { by } => Some(match by {
                CancelledBy::Client => "the agent cancelled the call or went away",
                CancelledBy::Suspension => "cut off by a suspension",
                CancelledBy::Deadline => "cut off at the deadline",
                CancelledBy::Shutdown => "cut off because the node stopped",
            }),
        }
    }
}
