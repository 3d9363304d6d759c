//! Policy: what a rule can look at, what it can decide, and why.
//!
//! `safety-policy.yaml` is evaluated natively, Cedar beside it; a [`PolicySet`] is both, compiled. The crate is
//! pure: no clock, no I/O, no globals; time and history come in as facts.
//!
//! - [`Request`] is everything a rule can look at, [`Verdict`] everything that follows from the rules.
//! - [`Source`]s are compiled to a [`PolicySet`], with a [`Vocabulary`] of what is known at that time.
//! - [`ToolDefinition`] and [`InputSchema`] are what is known of a tool.

mod cases;
mod cedar;
mod change;
mod constraint;
mod decide;
mod definition;
mod explain;
mod glob;
mod index;
mod junit;
mod key;
mod limits;
mod lint;
mod lookalike;
mod matcher;
mod request;
mod rule;
mod schema;
mod set;
mod source;
mod text;
mod verdict;
mod vocabulary;
mod yaml;

pub use cases::{Case, CaseMismatch, CaseReport, CaseRequest, CaseResult, Cases, Expectation};
pub use cedar::cedar_schema;
pub use change::{ChangeSubject, PolicyDifference, ReachChange, diff};
pub use definition::{Change, DefinitionError, Difference, ToolDefinition, diff as diff_definitions};
pub use explain::{ExplainedConstraint, ExplainedRule, Explanation, Standing, Unmet};
pub use glob::Glob;
pub use key::Key;
pub use lookalike::lookalike;
pub use request::Request;
pub use schema::{InputSchema, SchemaError, Violation};
pub use set::{Compiled, PolicySet};
pub use source::{Language, Source};
pub use verdict::{Approval, Determining, Misfit, Narrowing, Obligations, RateLimit, Shadowed, Verdict};
pub use vocabulary::{KnownAgent, KnownEgress, KnownModel, KnownServer, KnownTool, Vocabulary};
