//! The agents' side: MCP in, policy in the middle, MCP out.
//!
//! An agent's request comes in over HTTP ([`mod@http`]), is read strictly and proposed to the kernel ([`mcp`]), and what
//! the kernel clears goes out to a tool server ([`targets`] says where they are) by an executor that holds the
//! clearance. Everything is bounded by [`Limits`].

mod gate;
mod http;
mod limits;
pub mod mcp;
mod serve;
pub mod targets;

pub use crate::http::guard::Doors;
pub use crate::http::stall::Impatient;
pub use limits::Limits;
pub use mcp::discovery::{DiscoverError, Discovered};
pub use mcp::upstream::children::ChildView;
pub use serve::{Gateway, StartError};
