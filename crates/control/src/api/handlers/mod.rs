//! What each route does.

mod approvals;
mod audit;
mod events;
mod files;
mod node;
mod policy;
mod runs;
mod spend;
mod started;
mod state;
mod suspensions;
mod tail;
mod tools;

pub(super) use approvals::{approvals, approve, deny, one_approval};
pub(super) use audit::{action, checkpoint, entries, entry};
pub(super) use events::events;
pub(super) use files::{artifact, artifacts};
pub(super) use node::{health, metrics, openapi, ready, reload, status, whoami};
pub(super) use policy::{explain, schema};
pub(super) use runs::{kill, mint, one_run, runs};
pub(super) use spend::spend;
pub(super) use started::{output, pause, resume_run, signal, start, stop};
pub(super) use state::{clear_state, export_state, restore_state, states};
pub(super) use suspensions::{kill_all, resume, suspend, suspensions};
pub(super) use tail::tail;
pub(super) use tools::{approve_tools, tools, tools_diff};
