//! A policy and a call, as data.

use std::collections::BTreeMap;

use crate::plain::Json;

/// The keys of `match`, in the order of the documents.
pub const KEYS: [&str; 16] = [
    "organization",
    "workspace",
    "environment",
    "agent",
    "user",
    "role",
    "kind",
    "server",
    "tool",
    "model",
    "host",
    "capability",
    "action",
    "action_type",
    "risk",
    "labels",
];

/// The decisions, from the laxest to the strictest.
pub const DECISIONS: [&str; 4] = ["ALLOW", "ALLOW_WITH_CONSTRAINTS", "REQUIRE_APPROVAL", "DENY"];

/// How strict a decision is.
pub fn strictness(decision: &str) -> usize {
    DECISIONS.iter().position(|known| *known == decision).unwrap()
}

/// One file of a policy.
#[derive(Clone, Debug)]
pub struct File {
    pub default: Option<&'static str>,
    pub rules: Vec<Rule>,
}

#[derive(Clone, Debug)]
pub struct Rule {
    pub name: String,
    pub on: Vec<(&'static str, Vec<String>)>,
    pub when: Option<When>,
    pub decision: &'static str,
    pub constraints: Vec<(String, Setting)>,
    pub approval: Option<Terms>,
    pub shadow: bool,
    pub reason: Option<String>,
}

/// A condition whose truth is easily known.
#[derive(Clone, Debug)]
pub enum When {
    /// `context.KEY.contains("…")`: for `role` and `labels`.
    Contains(&'static str, String),
    /// `context.KEY == "…"`: cannot be evaluated where the action has no such thing.
    Is(&'static str, String),
    /// `context.input has ARGUMENT`
    Has(&'static str),
    /// `context.input.ARGUMENT == "…"`
    InputIs(&'static str, String),
    /// `context.input.ARGUMENT > …`
    Above(&'static str, i64),
}

/// The value of a constraint.
#[derive(Clone, Debug)]
pub enum Setting {
    /// Of `max_x` and `min_x`.
    Bound(String),
    /// Of `allowed_x` and `denied_x`.
    List(Vec<Json>),
    /// As written, and in milliseconds.
    Timeout(String, u128),
    /// As written, and in bytes.
    Size(String, u64),
    Rate(Rate),
    Redact(Vec<String>),
}

#[derive(Clone, Debug)]
pub struct Rate {
    pub text: String,
    pub count: u32,
    pub per_ms: u128,
}

/// What stands under `approval`.
#[derive(Clone, Debug, Default)]
pub struct Terms {
    pub approvers: Vec<String>,
    pub quorum: Option<u32>,
    /// As written, and in milliseconds.
    pub expires: Option<(String, u128)>,
}

/// One call. What it does not have under a key is not in `values`.
#[derive(Clone, Debug)]
pub struct Call {
    pub values: BTreeMap<&'static str, Vec<String>>,
    pub arguments: Json,
    pub schema: Option<Json>,
}

impl Call {
    pub fn values(&self, key: &str) -> &[String] {
        self.values.get(key).map_or(&[], Vec::as_slice)
    }
}
