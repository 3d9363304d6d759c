//! The way to the tool servers: one message out, some messages back.
//!
//! - [`http`]: an exchange over streamable HTTP;
//! - [`child`], [`children`]: tool servers that are children of the node, and an exchange with one;
//! - [`residence`]: those that have a sandbox of their own, with a way out through the gateway;
//! - [`pipes`], [`routes`], [`queue`]: how its messages are written, whom they are for, and where they wait.
//!
//! Whatever sends something asks for a [`Passage`](super::passage::Passage).

pub(crate) mod child;
pub(crate) mod children;
pub(crate) mod error;
pub(crate) mod exchange;
pub(crate) mod http;
mod pipes;
pub(crate) mod queue;
pub(crate) mod residence;
mod routes;

pub(crate) use error::UpstreamError;
pub(crate) use exchange::Exchange;
