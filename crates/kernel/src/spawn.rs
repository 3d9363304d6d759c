//! Runs that runs start: an action like any other, and a run that can do no more than whoever started it.
//!
//! What stands above a run is part of its identity ([`Ancestor`]). Grants are what all of them hold ([`Holds`]),
//! suspensions of any of them cover it ([`Scopes`]), what it uses counts for all of them, and with any of them it ends.

mod begin;
mod call;
mod clearance;
mod fate;
mod holds;
mod line;
mod nursery;
mod room;
mod scopes;
mod time;

pub use call::{SpawnCall, SpawnProposal};
pub use clearance::SpawnClearance;
pub(crate) use fate::PARENT_ENDED;
pub use holds::Holds;
pub use line::{Ancestor, RunBounds};
pub use nursery::{Nursery, Printed};
pub(crate) use room::{room, take_start};
pub(crate) use scopes::Scopes;
pub(crate) use time::{standing_above, time_left, wall_end};
