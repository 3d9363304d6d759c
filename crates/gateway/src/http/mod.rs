//! HTTP towards the agents: connections, their bounds, who may come in, and how answers go out.
//!
//! - [`accept`]: the listener and its connections;
//! - [`guard`]: Host, Origin and the run token;
//! - [`inbound`]: bodies, read under bounds;
//! - [`outbound`]: answers, given out piece by piece under the eye of the suspensions;
//! - [`stall`]: connections whose other end takes nothing.

pub(crate) mod accept;
pub(crate) mod guard;
pub(crate) mod inbound;
pub(crate) mod outbound;
pub(crate) mod stall;
