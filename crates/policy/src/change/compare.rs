//! Comparing what is let through.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::fmt::Display;

use ringfence_json::Value;
use ringfence_types::{Decision, Rate, Role, format_duration, format_size};

use super::PolicyDifference;
use super::profile::Profile;
use crate::constraint::Limit;
use crate::rule::ApprovalTerms;

const NONE: &str = "none";

/// All that differs; first the decision.
pub(super) fn compare(before: &Profile, after: &Profile) -> Vec<PolicyDifference> {
    let mut found = Vec::new();
    let decisions = (before.decision.unwrap_or(Decision::Deny), after.decision.unwrap_or(Decision::Deny));
    push(
        &mut found,
        "decision",
        Some(decisions.0),
        Some(decisions.1),
        decisions.1.cmp(&decisions.0).reverse(),
    );
    if decisions.0 != Decision::Deny && decisions.1 != Decision::Deny {
        limits(before, after, &mut found);
    }
    perhaps(before, after, &mut found);
    found
}

/// Adds a difference; `Greater` is wider.
fn push<T: Display>(
    found: &mut Vec<PolicyDifference>,
    what: &str,
    before: Option<T>,
    after: Option<T>,
    by: Ordering,
) {
    let shown = |value: Option<T>| value.map_or_else(|| NONE.to_owned(), |value| value.to_string());
    if by != Ordering::Equal {
        let (wider, narrower) = (by == Ordering::Greater, by == Ordering::Less);
        found.push(PolicyDifference {
            what: what.into(),
            before: shown(before),
            after: shown(after),
            wider,
            narrower,
        });
    }
}

/// How wide an optional limit became: none at all is widest, else as `wider` says.
fn widened<T>(before: Option<&T>, after: Option<&T>, wider: impl Fn(&T, &T) -> Ordering) -> Ordering {
    match (before, after) {
        (None, None) => Ordering::Equal,
        (None, Some(_)) => Ordering::Less,
        (Some(_), None) => Ordering::Greater,
        (Some(before), Some(after)) => wider(before, after),
    }
}

fn limits(before: &Profile, after: &Profile, found: &mut Vec<PolicyDifference>) {
    for key in union(before.bounds.keys(), after.bounds.keys()) {
        bounds(&format!("{} {}", key.1, key.0), before.bounds.get(key), after.bounds.get(key), found);
    }
    let longer = |before: &_, after: &_| Ord::cmp(after, before);
    let by = widened(before.timeout.as_ref(), after.timeout.as_ref(), longer);
    push(found, "timeout", before.timeout.map(format_duration), after.timeout.map(format_duration), by);
    let (old, new) = (before.max_result_bytes, after.max_result_bytes);
    let by = widened(old.as_ref(), new.as_ref(), |before, after| after.cmp(before));
    push(found, "max_result_bytes", old.map(format_size), new.map(format_size), by);
    for rule in union(before.rates.keys(), after.rates.keys()) {
        let (old, new) = (before.rates.get(rule), after.rates.get(rule));
        push(found, &format!("rate of rule `{rule}`"), old, new, widened(old, new, faster));
    }
    for pointer in union(before.redact.iter(), after.redact.iter()) {
        let (old, new) = (before.redact.get(pointer), after.redact.get(pointer));
        push(found, "redact", old, new, widened(old, new, |_, _| Ordering::Equal));
    }
    for rule in union(before.approvals.keys(), after.approvals.keys()) {
        let (old, new) = (before.approvals.get(rule), after.approvals.get(rule));
        approvals(&format!("approval by rule `{rule}`"), old, new, found);
    }
}

fn union<'a, K: Ord + 'a>(
    left: impl Iterator<Item = &'a K>,
    right: impl Iterator<Item = &'a K>,
) -> BTreeSet<&'a K> {
    left.chain(right).collect()
}

/// Count × other period against the other way round: exact, without a division.
fn faster(before: &Rate, after: &Rate) -> Ordering {
    let weight = |count: u32, other: &Rate| u128::from(count) * other.per.as_millis();
    weight(after.count, before).cmp(&weight(before.count, after))
}

fn bounds(what: &str, before: Option<&Limit>, after: Option<&Limit>, found: &mut Vec<PolicyDifference>) {
    if let (Some(Limit::Allowed(old)), Some(Limit::Allowed(new))) = (before, after) {
        return lists(what, old, new, false, found);
    }
    if let (Some(Limit::Denied(old)), Some(Limit::Denied(new))) = (before, after) {
        return lists(what, old, new, true, found);
    }
    let by = widened(before, after, |old, new| match (old, new) {
        (Limit::Max(old), Limit::Max(new)) => new.compare(old),
        (Limit::Min(old), Limit::Min(new)) => old.compare(new),
        _ => Ordering::Equal,
    });
    push(found, what, before, after, by);
}

/// A list can become wider and narrower at once. What is more in a list of denied values is narrower.
fn lists(what: &str, old: &[Value], new: &[Value], denied: bool, found: &mut Vec<PolicyDifference>) {
    let lacks = |list: &[Value], other: &[Value]| other.iter().any(|value| !list.contains(value));
    let (more, fewer) = (lacks(old, new), lacks(new, old));
    let (wider, narrower) = if denied { (fewer, more) } else { (more, fewer) };
    if wider || narrower {
        let shown = |values: &[Value]| {
            let texts: Vec<String> = values.iter().map(Value::to_string).collect();
            format!("[{}]", texts.join(", "))
        };
        let (before, after) = (shown(old), shown(new));
        found.push(PolicyDifference { what: what.into(), before, after, wider, narrower });
    }
}

fn approvals(
    what: &str,
    before: Option<&ApprovalTerms>,
    after: Option<&ApprovalTerms>,
    found: &mut Vec<PolicyDifference>,
) {
    let (wider, narrower) = match (before, after) {
        (Some(old), Some(new)) => {
            let anyone = |terms: &ApprovalTerms| terms.approvers.is_empty();
            let gains = |of: &ApprovalTerms, over: &ApprovalTerms| {
                !anyone(over)
                    && (anyone(of) || of.approvers.iter().any(|role| !over.approvers.contains(role)))
            };
            let eases = |of: &ApprovalTerms, over: &ApprovalTerms| {
                of.quorum < over.quorum || of.expires > over.expires || gains(of, over)
            };
            (eases(new, old), eases(old, new))
        }
        (before, after) => (before.is_some(), after.is_some()),
    };
    if wider || narrower {
        let shown = |value: Option<&ApprovalTerms>| value.map_or_else(|| NONE.to_owned(), terms);
        found.push(PolicyDifference {
            what: what.into(),
            before: shown(before),
            after: shown(after),
            wider,
            narrower,
        });
    }
}

/// What an approval takes, in a few words.
pub(super) fn terms(terms: &ApprovalTerms) -> String {
    let roles: Vec<&str> = terms.approvers.iter().map(Role::as_str).collect();
    let who = if roles.is_empty() { "anyone who may approve".to_owned() } else { roles.join(" or ") };
    format!("{} of {who} within {}", terms.quorum, format_duration(terms.expires))
}

/// Rules that may hold: a permit more is wider, a DENY more is narrower.
fn perhaps(before: &Profile, after: &Profile, found: &mut Vec<PolicyDifference>) {
    for rule in union(before.perhaps.keys(), after.perhaps.keys()) {
        let (old, new) = (before.perhaps.get(rule), after.perhaps.get(rule));
        let shown =
            |decision: Option<&Decision>| decision.map_or_else(|| NONE.to_owned(), ToString::to_string);
        if old != new {
            let permits =
                |decision: Option<&Decision>| decision.is_some_and(|decision| *decision != Decision::Deny);
            let denies = |decision: Option<&Decision>| decision == Some(&Decision::Deny);
            let wider = permits(new) || denies(old);
            let narrower = permits(old) || denies(new);
            let what = format!("conditional rule `{rule}`");
            found.push(PolicyDifference { what, before: shown(old), after: shown(new), wider, narrower });
        }
    }
}
