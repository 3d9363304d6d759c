//! Models: an agent's request read strictly, decided by the kernel with the money for it, sent on, and metered on its
//! way back.
//!
//! - [`endpoint`], [`handler`]: what becomes of an agent's HTTP request; the place to begin reading;
//! - [`call`], [`route`], [`plan`]: what is asked, of which model it is asked, and what it may come to there;
//! - [`cache`], [`saved`]: answers kept for calls that ask exactly the same, and what that saves;
//! - [`executor`], [`flight`], [`whole`], [`relay`]: what holds a clearance, and what it does with it;
//! - [`outgoing`], [`way`], [`turns`]: what goes out to a provider, how often, and how many at once;
//! - [`provider`]: who answers: somebody over HTTP, a script, a recording;
//! - [`answers`]: what agents are told, in their provider's own shape; [`list`]: which models there are for them.

pub(crate) mod answers;
pub(crate) mod cache;
pub(crate) mod call;
pub(crate) mod endpoint;
pub(crate) mod executor;
pub(crate) mod flight;
pub(crate) mod handler;
mod joined;
mod list;
pub(crate) mod outgoing;
pub(crate) mod plan;
pub(crate) mod provider;
pub(crate) mod relay;
pub(crate) mod route;
mod saved;
mod slack;
pub(crate) mod turns;
pub(crate) mod way;
pub(crate) mod whole;
