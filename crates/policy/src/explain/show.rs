//! Explanations for programs and for people.

use std::fmt;

use ringfence_json::{Object, Value};
use ringfence_types::{Decision, format_duration};

use super::{ExplainedConstraint, ExplainedRule, Explanation, Standing, Unmet};
use crate::text::escaped;
use crate::{Approval, Narrowing};

/// Length of a value that is shown to people, in characters.
const SHOWN_CHARS_MAX: usize = 120;

// === impl Explanation ===

impl Explanation {
    /// For programs: decision, rule, reason, the rules with how each stands, and the constraints with what each did.
    pub fn to_object(&self) -> Object {
        let verdict = &self.verdict;
        Object::new()
            .with("decision", verdict.decision.as_str())
            .with_some("rule", verdict.rule.as_ref())
            .with("reason", verdict.reason.as_str())
            .with_some("code", verdict.misfit.as_ref().map(|misfit| misfit.code.as_str()))
            .with_some("arguments", verdict.arguments.clone())
            .with("narrowed", verdict.narrowed.iter().map(narrowing).collect::<Vec<_>>())
            .with("approvals", verdict.approvals.iter().map(approval).collect::<Vec<_>>())
            .with("obligations", self.obligations())
            .with("rules", self.rules.iter().map(ExplainedRule::to_object).collect::<Vec<_>>())
            .with(
                "constraints",
                self.constraints.iter().map(ExplainedConstraint::to_object).collect::<Vec<_>>(),
            )
    }

    fn obligations(&self) -> Object {
        let obligations = &self.verdict.obligations;
        let rates = obligations
            .rates
            .iter()
            .map(|limit| Object::new().with("rule", &limit.rule).with("rate", limit.rate.to_string()));
        Object::new()
            .with_some("timeout", obligations.timeout.map(format_duration))
            .with_some("max_result_bytes", obligations.max_result_bytes)
            .with("rates", rates.collect::<Vec<_>>())
            .with("redact", obligations.redact.iter().map(String::as_str).collect::<Vec<_>>())
    }
}

impl fmt::Display for Explanation {
    /// For people: the decision, what the constraints did, the rules that applied, and why the others did not.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = &self.verdict;
        match &verdict.rule {
            Some(rule) => writeln!(f, "{} by rule `{rule}`", verdict.decision)?,
            None => writeln!(f, "{} by default", verdict.decision)?,
        }
        writeln!(f, "  {}", verdict.reason)?;
        if verdict.decision == Decision::RequireApproval {
            for approval in &verdict.approvals {
                writeln!(f, "  {}", approval_sentence(approval))?;
            }
        }
        if !self.constraints.is_empty() {
            writeln!(f, "\nConstraints")?;
            for constraint in &self.constraints {
                constraint.show(f)?;
            }
        }
        let (applied, others): (Vec<_>, Vec<_>) = self
            .rules
            .iter()
            .partition(|rule| matches!(rule.standing, Standing::Applies | Standing::Failed(_)));
        show_rules(f, "Rules that apply", &applied)?;
        show_rules(f, "Rules that do not", &others)
    }
}

fn show_rules(f: &mut fmt::Formatter<'_>, title: &str, rules: &[&ExplainedRule]) -> fmt::Result {
    if rules.is_empty() {
        return Ok(());
    }
    writeln!(f, "\n{title}")?;
    for rule in rules {
        let mode = if rule.shadow { ", in shadow" } else { "" };
        writeln!(f, "  {}: {}{mode}", rule.rule, rule.decision)?;
        match &rule.standing {
            Standing::Applies => {}
            Standing::ConditionFalse => writeln!(f, "    its condition does not hold")?,
            Standing::Failed(message) => writeln!(f, "    could not be evaluated: {}", shown(message))?,
            Standing::Unmatched(mismatches) => {
                for mismatch in mismatches {
                    writeln!(f, "    {mismatch}")?;
                }
            }
        }
    }
    Ok(())
}

impl fmt::Display for Unmet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let got = if self.got.is_empty() { "nothing".to_owned() } else { shown(&self.got.join(", ")) };
        write!(f, "{} is {got}, the rule wants {}", self.key.as_str(), shown(&self.wanted.join(" or ")))
    }
}

// === impl ExplainedRule ===

impl ExplainedRule {
    fn to_object(&self) -> Object {
        let (standing, message, mismatches) = match &self.standing {
            Standing::Applies => ("applies", None, None),
            Standing::ConditionFalse => ("condition_false", None, None),
            Standing::Failed(message) => ("failed", Some(message.as_str()), None),
            Standing::Unmatched(mismatches) => ("unmatched", None, Some(mismatches)),
        };
        let mismatches = mismatches.map(|all| {
            let one = |mismatch: &Unmet| {
                Object::new()
                    .with("key", mismatch.key.as_str())
                    .with("wanted", texts(&mismatch.wanted))
                    .with("got", texts(&mismatch.got))
            };
            all.iter().map(one).collect::<Vec<_>>()
        });
        Object::new()
            .with("rule", &self.rule)
            .with("decision", self.decision.as_str())
            .with("mode", if self.shadow { "shadow" } else { "enforce" })
            .with("standing", standing)
            .with_some("message", message)
            .with_some("mismatches", mismatches)
    }
}

// === impl ExplainedConstraint ===

impl ExplainedConstraint {
    fn to_object(&self) -> Object {
        Object::new()
            .with("rule", &self.rule)
            .with("constraint", self.constraint.as_str())
            .with("arguments", texts(&self.arguments))
            .with("narrowed", self.narrowed.iter().map(narrowing).collect::<Vec<_>>())
            .with_some("refused", self.refused.as_deref())
    }

    fn show(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "  {} ({})", shown(&self.constraint), self.rule)?;
        if let Some(reason) = &self.refused {
            return writeln!(f, "    refuses: {reason}");
        }
        for narrowing in &self.narrowed {
            let (from, to) = (shown(&narrowing.from.to_string()), shown(&narrowing.to.to_string()));
            writeln!(f, "    {}: {from} becomes {to}", shown(&narrowing.pointer))?;
        }
        if self.narrowed.is_empty() {
            writeln!(f, "    {} fits", shown(&self.arguments.join(", ")))?;
        }
        Ok(())
    }
}

fn shown(text: &str) -> String {
    escaped(text, SHOWN_CHARS_MAX)
}

fn texts(texts: &[String]) -> Value {
    texts.iter().map(String::as_str).collect::<Vec<_>>().into()
}

fn narrowing(narrowing: &Narrowing) -> Object {
    Object::new()
        .with("pointer", narrowing.pointer.as_str())
        .with("from", narrowing.from.clone())
        .with("to", narrowing.to.clone())
        .with("rule", &narrowing.rule)
}

fn approval(approval: &Approval) -> Object {
    let approvers: Vec<Value> = approval.approvers.iter().map(Value::from).collect();
    Object::new()
        .with("rule", &approval.rule)
        .with("approvers", Value::Array(approvers))
        .with("quorum", approval.quorum)
        .with("expires", format_duration(approval.expires))
}

fn approval_sentence(approval: &Approval) -> String {
    let roles: Vec<&str> = approval.approvers.iter().map(ringfence_types::Role::as_str).collect();
    let who = if roles.is_empty() { "whoever may approve".to_owned() } else { roles.join(" or ") };
    let expires = format_duration(approval.expires);
    let people =
        if approval.quorum == 1 { "one person".to_owned() } else { format!("{} people", approval.quorum) };
    format!("approval for `{}`: {people} of {who}, within {expires}", approval.rule)
}
