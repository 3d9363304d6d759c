//! What leaves the machine for an agent that is neither a tool call nor a model call: connections and requests to hosts.

mod call;
mod clearance;
mod grants;
mod path;

pub use call::{EgressCall, EgressProposal, EgressProtocol};
pub use clearance::EgressClearance;
pub use grants::{EgressGrant, EgressGrantError, EgressGrants};
pub(crate) use path::is_ambiguous;
