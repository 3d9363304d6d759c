//! Makes a disagreement small: drops one thing after the other while it stays.

use crate::model::{Call, File, Rule};
use crate::plain::Json;

/// A policy and a call.
#[derive(Clone)]
pub struct Example {
    pub policy: Vec<File>,
    pub call: Call,
}

/// The smallest example that is found for which `disagrees` still holds.
pub fn shrink(mut example: Example, disagrees: impl Fn(&Example) -> bool) -> Example {
    while let Some(smaller) = smaller(&example).into_iter().find(|smaller| disagrees(smaller)) {
        example = smaller;
    }
    example
}

/// Everything that is one thing smaller; the large things first.
fn smaller(example: &Example) -> Vec<Example> {
    let mut all = Vec::new();
    for file in 0..example.policy.len() {
        all.extend(
            (example.policy.len() > 1).then(|| with(example, |smaller| drop(smaller.policy.remove(file)))),
        );
    }
    for file in 0..example.policy.len() {
        for rule in 0..example.policy[file].rules.len() {
            all.push(with(example, |smaller| drop(smaller.policy[file].rules.remove(rule))));
        }
    }
    for file in 0..example.policy.len() {
        for rule in 0..example.policy[file].rules.len() {
            for smaller_rule in smaller_rules(&example.policy[file].rules[rule]) {
                all.push(with(example, |smaller| smaller.policy[file].rules[rule] = smaller_rule));
            }
        }
    }
    for arguments in smaller_values(&example.call.arguments) {
        if matches!(arguments, Json::Object(_)) {
            all.push(with(example, |smaller| smaller.call.arguments = arguments));
        }
    }
    if let Some(schema) = &example.call.schema {
        all.push(with(example, |smaller| smaller.call.schema = None));
        for properties in smaller_values(schema.get("properties").unwrap_or(&Json::Null)) {
            let properties = Json::object(vec![("type", Json::text("object")), ("properties", properties)]);
            all.push(with(example, |smaller| smaller.call.schema = Some(properties)));
        }
    }
    all
}

fn with(example: &Example, change: impl FnOnce(&mut Example)) -> Example {
    let mut smaller = example.clone();
    change(&mut smaller);
    smaller
}

/// Constraints are kept where a decision needs some.
fn smaller_rules(rule: &Rule) -> Vec<Rule> {
    let mut all = Vec::new();
    let mut push = |change: &dyn Fn(&mut Rule)| {
        let mut smaller = rule.clone();
        change(&mut smaller);
        all.push(smaller);
    };
    for key in 0..rule.on.len() {
        push(&|smaller| drop(smaller.on.remove(key)));
    }
    if rule.constraints.len() > 1 || rule.decision != "ALLOW_WITH_CONSTRAINTS" {
        for constraint in 0..rule.constraints.len() {
            push(&|smaller| drop(smaller.constraints.remove(constraint)));
        }
    }
    if rule.when.is_some() {
        push(&|smaller| smaller.when = None);
    }
    if rule.approval.is_some() {
        push(&|smaller| smaller.approval = None);
    }
    if rule.reason.is_some() {
        push(&|smaller| smaller.reason = None);
    }
    if rule.shadow {
        push(&|smaller| smaller.shadow = false);
    }
    all
}

/// The value without one of its parts, at any depth.
fn smaller_values(value: &Json) -> Vec<Json> {
    match value {
        Json::Object(members) => {
            let dropped = (0..members.len()).map(|place| Json::Object(without(members, place)));
            let changed = members.iter().enumerate().flat_map(|(place, (name, member))| {
                smaller_values(member).into_iter().map(move |smaller| {
                    let mut members = members.clone();
                    members[place] = (name.clone(), smaller);
                    Json::Object(members)
                })
            });
            dropped.chain(changed).collect()
        }
        Json::Array(elements) => {
            let dropped = (0..elements.len()).map(|place| Json::Array(without(elements, place)));
            let changed = elements.iter().enumerate().flat_map(|(place, element)| {
                smaller_values(element).into_iter().map(move |smaller| {
                    let mut elements = elements.clone();
                    elements[place] = smaller;
                    Json::Array(elements)
                })
            });
            dropped.chain(changed).collect()
        }
        _ => Vec::new(),
    }
}

fn without<T: Clone>(all: &[T], place: usize) -> Vec<T> {
    let mut fewer = all.to_vec();
    fewer.remove(place);
    fewer
}
