//! Cedar: whole policies in `*.cedar`, and conditions in `when:` of YAML rules.
//!
//! The vocabulary is that of the match keys. Principal is `Agent::"workspace/agent"` in `Workspace::"workspace"`; a
//! tool's action is `Action::"server/tool"` in the group `Action::"tool_call"`, every other kind is an action of its own
//! name; resource is `Server`, `Model` or `Host`, or the `Workspace` where there is none of these. `context` has the
//! match keys, `role` and `labels` as sets, and `context.input`, the arguments as the agent sent them.
//!
//! What differs from Cedar's own authorizer, because its answers leave out what matters here:
//!
//! - every rule whose scope fits is evaluated by itself ([`Slices`](scope)), so all that apply are known, permits
//!   beside forbids too;
//! - a rule that cannot be evaluated, permit or forbid, is reported as failed and refuses; it is never skipped;
//! - a permit says by annotations what it decides ([`annotations`]).
//!
//! Dogwood, which is Cedar with conditions over history, has its place beside this module: `crate::Language` knows it,
//! and compiling refuses it until there is an evaluator for it.

mod annotations;
mod condition;
mod explain;
mod facts;
mod read;
mod reads;
mod schema;
mod scope;
mod set;
#[cfg(test)]
mod tests;
mod validate;
mod value;

pub(crate) use self::condition::{Condition, Finding};
pub(crate) use self::facts::Facts;
pub use self::schema::cedar_schema;
pub(crate) use self::set::{CedarSet, Outcome, Outlook};
pub(crate) use self::validate::Checker;
