//! What was expected beside what came.

use ringfence_json::{Object, Value};
use ringfence_types::{Code, Decision, RuleName};

use super::{CaseMismatch, Expectation};
use crate::{Shadowed, Verdict};

/// What came of a case, as far as cases can ask for it.
pub(super) struct Came {
    decision: Decision,
    rule: Option<RuleName>,
    code: Option<Code>,
    pub(super) reason: String,
    arguments: Object,
    narrowed: Vec<String>,
    matched: Vec<RuleName>,
    shadowed: Vec<RuleName>,
}

// === impl Came ===

impl Came {
    /// Refused without asking the policy, or after it.
    pub(super) fn refused(code: Code, reason: String, arguments: &Object) -> Self {
        Self {
            decision: Decision::Deny,
            rule: None,
            code: Some(code),
            reason,
            arguments: arguments.clone(),
            narrowed: Vec::new(),
            matched: Vec::new(),
            shadowed: Vec::new(),
        }
    }

    /// Every rule that applied, in force or in shadow.
    pub(super) fn reached(&self) -> Vec<RuleName> {
        self.matched.iter().chain(&self.shadowed).cloned().collect()
    }

    pub(super) fn of(verdict: Verdict, asked: &Object) -> Self {
        let code = match verdict.decision {
            Decision::RequireApproval => Some(Code::ApprovalRequired),
            Decision::Deny | Decision::Allow | Decision::AllowWithConstraints => verdict.refused(),
        };
        Self {
            decision: verdict.decision,
            rule: verdict.rule,
            code,
            reason: verdict.reason,
            arguments: verdict.arguments.unwrap_or_else(|| asked.clone()),
            narrowed: verdict.narrowed.into_iter().map(|narrowing| narrowing.pointer).collect(),
            matched: verdict.matched.into_iter().map(|determining| determining.rule).collect(),
            shadowed: verdict.shadowed.into_iter().map(|Shadowed { rule, .. }| rule).collect(),
        }
    }
}

/// Everything that is not as expected, in the order in which a reader asks.
pub(super) fn compare(expect: &Expectation, came: &Came) -> Vec<CaseMismatch> {
    let mut found = Vec::new();
    let mut differ = |what, expected: String, actual: String| {
        if expected != actual {
            found.push(CaseMismatch { what, expected, actual });
        }
    };
    differ("decision", expect.decision.to_string(), came.decision.to_string());
    if let Some(rule) = &expect.rule {
        differ("rule", or_default(rule.as_ref()), or_default(came.rule.as_ref()));
    }
    if let Some(code) = expect.code {
        differ(
            "code",
            code.to_string(),
            came.code.map_or_else(|| "none".to_owned(), |code| code.to_string()),
        );
    }
    if let Some(arguments) = &expect.arguments {
        differ("arguments", json(arguments), json(&came.arguments.clone().into()));
    }
    if let Some(narrowed) = &expect.narrowed {
        differ("narrowed", listed(narrowed), listed(&came.narrowed));
    }
    if let Some(matched) = &expect.matched {
        differ("matched", listed(matched), listed(&came.matched));
    }
    if let Some(shadowed) = &expect.shadowed {
        differ("shadowed", listed(shadowed), listed(&came.shadowed));
    }
    if let Some(part) = expect.reason.as_ref().filter(|part| !came.reason.contains(part.as_str())) {
        found.push(CaseMismatch {
            what: "reason",
            expected: format!("… {part} …"),
            actual: came.reason.clone(),
        });
    }
    found
}

fn or_default(rule: Option<&RuleName>) -> String {
    rule.map_or_else(|| "none: the default".to_owned(), ToString::to_string)
}

/// Members in one order, so that only values make a difference; numbers as written.
fn json(value: &Value) -> String {
    String::from_utf8_lossy(&value.to_canonical()).into_owned()
}

/// In one order: which rules match is what matters.
fn listed<T: ToString>(items: &[T]) -> String {
    let mut words: Vec<String> = items.iter().map(ToString::to_string).collect();
    words.sort_unstable();
    words.dedup();
    if words.is_empty() { "none".to_owned() } else { words.join(", ") }
}
