//! One rule of the file.

use ringfence_document::{Fields, Node, Place, Report};
use ringfence_types::{Decision, RuleName};
use smol_str::SmolStr;

use super::approval::read_approval;
use super::matching::read_match;
use crate::constraint::Constraints;
use crate::limits::REASON_BYTES_MAX;
use crate::matcher::Matcher;
use crate::rule::{ApprovalTerms, Effect};

/// Given to what the file-level default asks for, so it cannot be the name of a rule.
pub(crate) const DEFAULT_RULE: &str = "(default)";

/// A rule as it was read.
#[derive(Debug)]
pub(crate) struct WrittenRule {
    /// Where its name stands.
    pub place: Place,
    pub matcher: Matcher,
    /// Where each pattern of each of its tests stands.
    pub patterns: Vec<Vec<Place>>,
    /// `when`, and where it stands.
    pub when: Option<(SmolStr, Place)>,
    pub effect: Effect,
}

/// Reads one rule; `None` if so much is wrong that nothing more can be said of it.
pub(crate) fn read_rule(node: &Node, report: &mut Report) -> Option<WrittenRule> {
    let mut fields = Fields::of(node, "a rule", report)?;
    let name_node = fields.require("name", report);
    let name = name_node.and_then(|node| read_name(node, report));
    let match_node = fields.get("match");
    if match_node.is_none() {
        let hint = "write `match: {}` if it is about everything";
        report.error_with_hint(node.place, "a rule needs `match`", hint);
    }
    let (matcher, patterns) = match_node.map(|node| read_match(node, report)).unwrap_or_default();
    let decision = fields.require("decision", report).and_then(|node| read_decision(node, report));
    let constraints_node = fields.get("constraints");
    let constraints = constraints_node.map(|node| Constraints::read(node, report));
    let when = fields.get("when").and_then(|node| Some((node.text("`when`", report)?.clone(), node.place)));
    let reason = fields.get("reason").and_then(|node| read_reason(node, report));
    let approval_node = fields.get("approval");
    let approval = approval_node.map(|node| read_approval(node, report));
    let shadow = fields.get("mode").is_some_and(|node| read_shadow(node, report));
    fields.finish(report);

    let (name, decision) = (name?, decision?);
    let constraints = constraints.unwrap_or_default();
    check_constraints(decision, &constraints, (constraints_node, node), report);
    if let (Some(node), false) = (approval_node, decision == Decision::RequireApproval) {
        let message = format!("`approval` says nothing on a rule that says {decision}");
        report.error_with_hint(node.place, message, "write `decision: REQUIRE_APPROVAL`, or leave it out");
    }
    let reason = reason.unwrap_or_else(|| Effect::plain_reason(&name, decision));
    let approval =
        (decision == Decision::RequireApproval).then(|| approval.unwrap_or_else(ApprovalTerms::default));
    let effect = Effect { name, decision, reason, constraints, approval, shadow };
    Some(WrittenRule { place: name_node.unwrap_or(node).place, matcher, patterns, when, effect })
}

fn read_name(node: &Node, report: &mut Report) -> Option<RuleName> {
    let name: RuleName = node.parsed("the name of a rule", RuleName::new, report)?;
    if name.as_str() == DEFAULT_RULE {
        report.error(node.place, format!("`{DEFAULT_RULE}` is not a name for a rule"));
        return None;
    }
    Some(name)
}

fn read_decision(node: &Node, report: &mut Report) -> Option<Decision> {
    let words: Vec<&str> = Decision::ALL.iter().map(|decision| decision.as_str()).collect();
    node.word("`decision`", &words, report)
}

fn read_shadow(node: &Node, report: &mut Report) -> bool {
    let text = node.text("`mode`", report).map(SmolStr::as_str);
    if let Some(other) = text.filter(|text| !matches!(*text, "enforce" | "shadow")) {
        report.unknown(node.place, format!("`mode` cannot be `{other}`"), other, &["enforce", "shadow"]);
    }
    text == Some("shadow")
}

fn read_reason(node: &Node, report: &mut Report) -> Option<String> {
    let text = node.text("`reason`", report)?;
    if text.len() > REASON_BYTES_MAX {
        report.error(node.place, format!("`reason` has more than {REASON_BYTES_MAX} bytes"));
        return None;
    }
    Some(text.trim().to_owned())
}

/// Constraints say nothing where everything is refused, and nothing may be limited where a rule says plain ALLOW.
/// Where something is written that could not be read, that has been said already.
fn check_constraints(
    decision: Decision,
    constraints: &Constraints,
    (written, rule): (Option<&Node>, &Node),
    report: &mut Report,
) {
    let place = written.unwrap_or(rule).place;
    let is_written = written.is_some_and(|node| node.as_mapping().is_none_or(|members| !members.is_empty()));
    match decision {
        Decision::Deny if !constraints.is_empty() => {
            let hint = "leave `constraints` out: everything that matches is refused";
            report.error_with_hint(place, "constraints on a rule that says DENY", hint);
        }
        Decision::Allow if !constraints.is_empty() => {
            let hint = "write `decision: ALLOW_WITH_CONSTRAINTS`";
            report.error_with_hint(place, "constraints on a rule that says ALLOW", hint);
        }
        Decision::AllowWithConstraints if constraints.is_empty() && !is_written => {
            let hint = "add `constraints`, or write `decision: ALLOW` if nothing is to be limited";
            report.error_with_hint(
                place,
                "a rule that says ALLOW_WITH_CONSTRAINTS needs `constraints`",
                hint,
            );
        }
        _ => {}
    }
}
