//! The kernel: the one path that every action takes, and everything that must not be forgotten.
//!
//! ```text
//! Proposal ──admit──▶ Admission { Refused(Refusal) | Pending(Pending) | Cleared(Clearance) }
//! Clearance ──executor──▶ Outcome ──settle──▶ Receipt
//! ```
//!
//! What the kernel knows is a fold of the log ([`Kernel::open`] rebuilds it), so a restart forgets nothing that
//! matters. Reading order: `proposal`, `admit` (steps 1–4), `take` (5–8), `clearance`, `settle`; then `fold` and
//! `record`, which say what is remembered; then `operator`, which is what people do.

mod actor;
mod admission;
mod admit;
mod approving;
mod ask;
mod cancel;
mod charged;
mod check;
mod clearance;
mod clock;
mod egress;
mod fold;
mod grants;
mod guard;
mod harbour;
mod housekeeping;
mod incident;
mod journal;
mod kernel;
mod lease;
mod limits;
mod live;
mod model;
mod narrower;
mod objection;
mod operator;
mod past;
mod pending;
mod permit;
mod proposal;
mod record;
mod recover;
mod refusals;
mod refuse;
mod retention;
mod run;
mod settle;
mod setup;
mod snapshot;
mod spawn;
mod spending;
mod state;
mod take;
mod target;
mod text;
mod view;
mod views;
mod weigh;

pub use actor::Actor;
pub use admission::Admission;
pub use cancel::{Cancel, CutOff};
pub use clearance::{CancelledBy, Clearance, Failure, Outcome, Receipt};
pub use clock::Clock;
pub use egress::{
    EgressCall, EgressClearance, EgressGrant, EgressGrantError, EgressGrants, EgressProposal, EgressProtocol,
};
pub use fold::{Account, Phase, Sum};
pub use grants::{GrantError, Grants};
pub use harbour::{Harbour, Mooring, RunSockets, Traffic};
pub use kernel::{Errand, Kernel, Options, Unauthenticated};
pub use lease::Lease;
pub use limits::SPAWN_DEPTH_MAX;
pub use model::{
    ANSWERS, Demand, LoopLimits, MAX_OUTPUT, Meter, ModelCall, ModelClearance, ModelProposal, NOT_APPLICABLE,
    Trail, TrailStep, is_applicable,
};
pub use operator::{
    ApprovalError, Begin, LedgerUnavailable, Mint, MintError, Minted, PinError, PinSelection, ResumeError,
    RunError, Suspend, SuspendError,
};
pub use pending::Pending;
pub use proposal::{CONTINUATION, Call, OTHER_METHODS, Proposal};
pub use record::{Damaged, EndedBy, Exit, FilesEvent, FilesOf, RunStep, Used};
pub use recover::{OpenError, Recovered};
pub use run::{RUN_TOKEN_PREFIX, Run, RunToken};
pub use setup::{
    AgentModels, AgentSetup, BreakerSetup, Builds, ModelSetup, RunLimits, ServerSetup, Setup, ToolWords,
    Trust, WorkspaceBudgets, WorkspaceSetup, hinted_type,
};
pub use spawn::{Ancestor, Holds, Nursery, Printed, RunBounds, SpawnCall, SpawnClearance, SpawnProposal};
pub use spending::{Booked, BookedBy, Spending};
pub use state::Counts;
pub use target::Upstream;
pub use views::{ApprovalStatus, ApprovalView, PinView, RunLife, RunView, Status, SuspensionView};
