//! HTTP towards the agents: connections, their bounds, who may come in, and how answers go out.
//!
//! - [`accept`]: the listener and its connections;
//! - [`guard`]: Host, Origin and the run token;
//! - [`inbound`]: bodies, read under bounds;
//! - [`loads`]: what each run may have open and in hand;
//! - [`outbound`]: answers, given out piece by piece under the eye of the suspensions;
//! - [`stall`]: connections whose other end takes nothing;
//! - [`wires`]: connections to upstreams, kept and used again.

pub(crate) mod accept;
pub(crate) mod guard;
pub(crate) mod inbound;
pub(crate) mod loads;
pub(crate) mod outbound;
pub(crate) mod stall;
pub(crate) mod wires;
