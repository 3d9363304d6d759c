//! MCP: read strictly, decided by the kernel, sent on, and brought back.
//!
//! - [`handler`], [`inbox`]: what becomes of an agent's HTTP request; the place to begin reading;
//! - [`message`], [`wire`], [`sse`], [`headers`], [`era`], [`method`], [`names`], [`endpoint`]: the protocol, without I/O;
//! - [`session`], [`question`], [`rounds`], [`eras`], [`catalog`]: what is remembered between requests;
//! - [`call`], [`executor`], [`flight`], [`relay`], [`judge`]: what holds a clearance, and what it does with it;
//! - [`passage`], [`link`], [`upstream`]: the way to the tool servers, and what opens it;
//! - [`list`], [`merged`], [`handshake`], [`listen`], [`pump`], [`discovery`], [`looks`]: what is not an action;
//! - [`refusal`], [`turned_away`], [`fault`]: what agents are told when the answer is no.

pub(crate) mod answers;
pub(crate) mod call;
pub(crate) mod catalog;
pub(crate) mod discovery;
pub(crate) mod endpoint;
pub mod era;
pub(crate) mod eras;
pub(crate) mod executor;
pub mod fault;
pub(crate) mod flight;
pub(crate) mod handler;
pub(crate) mod handshake;
pub mod headers;
pub(crate) mod inbox;
pub(crate) mod judge;
pub(crate) mod link;
pub(crate) mod list;
pub(crate) mod listen;
pub(crate) mod looks;
pub(crate) mod merged;
pub mod message;
pub(crate) mod method;
pub mod names;
mod params;
pub(crate) mod passage;
mod pump;
pub(crate) mod question;
pub mod refusal;
pub(crate) mod relay;
pub(crate) mod rounds;
pub(crate) mod session;
pub mod sse;
pub(crate) mod turned_away;
pub(crate) mod upstream;
mod wire;
