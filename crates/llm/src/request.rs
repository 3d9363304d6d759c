//! What a request for a model asks for, read strictly: everything that money, rules, guards against loops and routing
//! look at.
//!
//! Pure. [`read`] goes through a request along tables (`table/`) of every field that the providers' SDKs have, each
//! with what it does to price and input. What is on no list does not go on, because nobody could say what it costs or
//! reads, unless the model's configuration says `pass_unknown: true`.
//!
//! - [`read`], [`Asked`], [`Switches`]: what is asked for, and what may be;
//! - [`Objection`]: why a request cannot go on;
//! - [`Trail`]: the conversation in it, as far as guards against loops look at it;
//! - [`set_output`] and its like: what is changed before a request is sent;
//! - [`rules_view`], [`apply_narrowed`]: what rules see of a call, and what they may lower;
//! - [`canonical_for_cache`]: the request as far as its answer depends on it.

mod asked;
mod change;
mod inputs;
mod objection;
mod read;
mod rules;
mod same;
mod table;
mod trail;
mod walk;
mod weigh;

#[cfg(test)]
mod tests;

pub use asked::{Asked, Features, HOSTED_UNBOUNDED, Hosted, Switches};
pub use change::{
    ChatLimit, NotApplicable, ask_usage, set_answers, set_model, set_output, set_store_false, set_tier,
};
pub use objection::{Objection, ObjectionKind};
pub use read::{ANSWERS_MAX, OUTPUT_MAX, read};
pub use rules::{apply_narrowed, rules_view};
pub use same::canonical_for_cache;
pub use trail::{STEPS_MAX, Step, Trail};
