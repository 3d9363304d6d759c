//! What leaves the machine for an agent that is neither a tool call nor a model call: connections and requests to hosts.

mod call;
mod clearance;
mod grants;

pub use call::{EgressCall, EgressProposal, EgressProtocol};
pub use clearance::EgressClearance;
pub(crate) use grants::is_ambiguous;
pub use grants::{EgressGrantError, EgressGrants};
