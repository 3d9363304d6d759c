//! Policy: what a rule can look at, what it can decide, and why.
//!
//! `safety-policy.yaml` is evaluated natively, Cedar beside it; a [`PolicySet`] is both, compiled. The crate is
//! pure: no clock, no I/O, no globals; time and history come in as facts.
//!
//! - [`Request`] is everything a rule can look at, [`Verdict`] everything that follows from the rules.

mod definition;
mod limits;
mod request;
mod schema;
mod text;
mod verdict;

pub use definition::{Change, DefinitionError, Difference, ToolDefinition, diff as diff_definitions};
pub use request::Request;
pub use schema::{InputSchema, SchemaError, Violation};
pub use verdict::{Approval, Determining, Misfit, Narrowing, Obligations, RateLimit, Shadowed, Verdict};
