//! What a policy says of a call, as the documents put it: over all rules, one after the other, for every call anew.
//!
//! Written from the description of the language (docs/policy.md, without its Cedar part), not from the evaluator
//! that it is compared with, and kept as plain as possible.

mod arguments;
mod bounds;
mod constrain;
mod decimal;
mod lists;
mod matching;

use std::collections::BTreeSet;

use self::constrain::constrain;
pub use self::matching::{Truth, condition, key_fits, unmet};
use crate::model::{Call, File, Rule, strictness};
use crate::plain::Json;

/// Why a call cannot be brought within the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Code {
    /// `denied_by_policy`
    Denied,
    /// `invalid_input`
    Invalid,
}

/// One argument that was limited.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Narrowed {
    pub pointer: String,
    pub from: Json,
    pub to: Json,
    pub rule: String,
}

/// One approval that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approval {
    /// `None` for the file's default.
    pub rule: Option<String>,
    pub approvers: BTreeSet<String>,
    pub quorum: u32,
    pub expires_ms: u128,
}

/// Everything that can be seen of a decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub decision: &'static str,
    /// The rules that may be named: one, unless several refuse by their constraints or because they cannot be
    /// evaluated, of which the documents do not say which comes first. Empty for the default.
    pub rules: BTreeSet<String>,
    /// What the agent is told, where a person wrote it.
    pub reason: Option<String>,
    pub matched: Vec<(String, &'static str)>,
    pub shadowed: Vec<(String, &'static str)>,
    /// Empty if nothing refuses beside the decision.
    pub misfits: BTreeSet<(String, Code)>,
    /// What is sent; without meaning where there are misfits.
    pub arguments: Json,
    pub narrowed: BTreeSet<Narrowed>,
    pub approvals: Vec<Approval>,
    pub timeout_ms: Option<u128>,
    pub max_result_bytes: Option<u64>,
    pub rates: Vec<(String, u32, u128)>,
    pub redact: BTreeSet<String>,
    /// What was met on the way, to be counted.
    pub seen: Seen,
}

/// Names of what a call met.
pub type Seen = BTreeSet<&'static str>;

impl Answer {
    /// With arguments as they were sent, and nothing else yet.
    fn of_arguments(arguments: &Json) -> Self {
        Self {
            decision: "DENY",
            rules: BTreeSet::new(),
            reason: None,
            matched: Vec::new(),
            shadowed: Vec::new(),
            misfits: BTreeSet::new(),
            arguments: arguments.clone(),
            narrowed: BTreeSet::new(),
            approvals: Vec::new(),
            timeout_ms: None,
            max_result_bytes: None,
            rates: Vec::new(),
            redact: BTreeSet::new(),
            seen: Seen::new(),
        }
    }
}

/// Decides.
pub fn decide(policy: &[File], call: &Call) -> Answer {
    let rules: Vec<&Rule> = policy.iter().flat_map(|file| &file.rules).collect();
    let mut matched = Vec::new();
    let mut shadowed = Vec::new();
    let mut failed = BTreeSet::new();
    for rule in rules {
        if !unmet(rule, call).is_empty() {
            continue;
        }
        match (condition(rule.when.as_ref(), call), rule.shadow) {
            (Truth::DoesNot, _) => {}
            (Truth::Holds, false) => matched.push(rule),
            (Truth::Holds, true) => shadowed.push((rule.name.clone(), rule.decision)),
            (Truth::CannotBeEvaluated, false) => drop(failed.insert((rule.name.clone(), Code::Denied))),
            (Truth::CannotBeEvaluated, true) => shadowed.push((rule.name.clone(), "DENY")),
        }
    }
    let mut answer = constrain(&matched, call);
    answer.misfits.extend(failed.iter().cloned());
    answer.shadowed = shadowed;
    answer.approvals = approvals(&matched);
    let strictest = matched.iter().map(|rule| rule.decision).max_by_key(|decision| strictness(decision));
    let first = matched.iter().find(|rule| Some(rule.decision) == strictest);
    answer.decision = strictest.unwrap_or_else(|| default(policy));
    answer.rules = first.map(|rule| rule.name.clone()).into_iter().collect();
    answer.reason = first.and_then(|rule| rule.reason.clone());
    if matched.is_empty() && answer.decision == "REQUIRE_APPROVAL" {
        answer.approvals.push(unsaid());
    }
    if !answer.misfits.is_empty() {
        if strictest != Some("DENY") {
            answer.rules = answer.misfits.iter().map(|(rule, _)| rule.clone()).collect();
            answer.reason = None;
        }
        answer.decision = "DENY";
    }
    answer.matched = matched.iter().map(|rule| (rule.name.clone(), rule.decision)).collect();
    answer
}

/// Of several files the strictest default counts, and a file without one says DENY.
fn default(policy: &[File]) -> &'static str {
    let defaults = policy.iter().map(|file| file.default.unwrap_or("DENY"));
    defaults.max_by_key(|decision| strictness(decision)).unwrap_or("DENY")
}

/// An approval of which nothing is said.
fn unsaid() -> Approval {
    Approval { rule: None, approvers: BTreeSet::new(), quorum: 1, expires_ms: 15 * 60 * 1000 }
}

fn approvals(matched: &[&Rule]) -> Vec<Approval> {
    let asking = matched.iter().filter(|rule| rule.decision == "REQUIRE_APPROVAL");
    asking
        .map(|rule| {
            let terms = rule.approval.clone().unwrap_or_default();
            Approval {
                rule: Some(rule.name.clone()),
                approvers: terms.approvers.into_iter().collect(),
                quorum: terms.quorum.unwrap_or(unsaid().quorum),
                expires_ms: terms.expires.map_or(unsaid().expires_ms, |(_, ms)| ms),
            }
        })
        .collect()
}
