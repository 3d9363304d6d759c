//! Constraints: what a rule limits about a call it lets through.

mod apply;
mod names;
mod read;
mod value;

use std::time::Duration;

use ringfence_document::Place;
use ringfence_json::{Number, Value};
use ringfence_types::Rate;
use smol_str::SmolStr;

pub(crate) use self::apply::{Fitted, apply};
pub(crate) use self::names::{Names, Path};

/// The `constraints` of a rule.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Constraints {
    /// Those on arguments, in the order of the file.
    pub arguments: Vec<ArgumentConstraint>,
    /// How long the upstream may take.
    pub timeout: Option<Duration>,
    /// How large the result may be, in bytes.
    pub max_result_bytes: Option<u64>,
    /// How often the rule may let calls through.
    pub rate: Option<Rate>,
    /// What is taken out of results: JSON Pointers (RFC 6901).
    pub redact: Vec<String>,
}

/// A constraint on an argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ArgumentConstraint {
    /// The key, as written.
    pub written: SmolStr,
    /// Where it stands.
    pub place: Place,
    /// Which arguments it can mean.
    pub names: Names,
    /// What it says.
    pub limit: Limit,
}

/// What a constraint says of an argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Limit {
    /// At most this; more is narrowed to it.
    Max(Number),
    /// At least this; less is narrowed to it.
    Min(Number),
    /// One of these.
    Allowed(Box<[Value]>),
    /// None of these.
    Denied(Box<[Value]>),
}

// === impl Constraints ===

impl Constraints {
    /// Whether nothing is limited.
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
