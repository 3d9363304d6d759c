//! The agents' side: MCP and the APIs of models in, policy in the middle, the same out.
//!
//! An agent's request comes in over HTTP ([`mod@http`], [`door`]), is read strictly and proposed to the kernel ([`mcp`],
//! [`llm`]), and what the kernel clears goes out to a tool server or a model ([`targets`] says where they are) by an
//! executor that holds the clearance. What a sandbox sends to the world comes in by the sandbox's own sockets (`egress`).
//! Everything is bounded by [`Limits`].

mod door;
mod egress;
mod gate;
mod http;
mod limits;
mod llm;
pub mod mcp;
mod serve;
mod spawn;
pub mod targets;

pub use crate::http::guard::Doors;
pub use crate::http::stall::Impatient;
pub use egress::leads::{Lead, LeadAddressError, LeadName, LeadNameError, Leads};
pub use egress::limits::EgressLimits;
pub use egress::tls::machine_authorities;
pub use egress::trusted::{Trusted, TrustedError};
pub use egress::world::World;
pub use limits::Limits;
pub use mcp::discovery::{DiscoverError, Discovered};
pub use mcp::upstream::children::ChildView;
pub use ringfence_llm::tokens::Tokenizer;
pub use ringfence_llm::{Api, Family};
pub use serve::{Gateway, StartError};
