//! Which rules a call meets.

use super::decimal;
use crate::model::{Call, Rule, When};
use crate::plain::Json;

/// `*` stands for any characters, `?` for exactly one; the whole value has to fit.
pub fn fits(pattern: &[char], value: &[char]) -> bool {
    match pattern {
        [] => value.is_empty(),
        ['*', rest @ ..] => (0..=value.len()).any(|taken| fits(rest, &value[taken..])),
        ['?', rest @ ..] => !value.is_empty() && fits(rest, &value[1..]),
        [first, rest @ ..] => value.first() == Some(first) && fits(rest, &value[1..]),
    }
}

/// Case counts, except in hosts, where a final dot does not count either.
fn characters(key: &str, text: &str) -> Vec<char> {
    if key == "host" {
        text.strip_suffix('.').unwrap_or(text).to_lowercase().chars().collect()
    } else {
        text.chars().collect()
    }
}

/// Whether one of the values that the call has there fits one of the patterns.
pub fn key_fits(key: &str, patterns: &[String], call: &Call) -> bool {
    call.values(key)
        .iter()
        .any(|value| patterns.iter().any(|pattern| fits(&characters(key, pattern), &characters(key, value))))
}

/// The keys on which a rule does not fit.
pub fn unmet(rule: &Rule, call: &Call) -> Vec<&'static str> {
    rule.on.iter().filter(|(key, patterns)| !key_fits(key, patterns, call)).map(|(key, _)| *key).collect()
}

/// What became of a `when`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Truth {
    Holds,
    DoesNot,
    CannotBeEvaluated,
}

fn truth(holds: bool) -> Truth {
    if holds { Truth::Holds } else { Truth::DoesNot }
}

pub fn condition(when: Option<&When>, call: &Call) -> Truth {
    // Null is absent.
    let argument = |name: &str| call.arguments.get(name).filter(|value| **value != Json::Null);
    match when {
        None => Truth::Holds,
        Some(When::Contains(key, value)) => truth(call.values(key).contains(value)),
        Some(When::Is(key, value)) => match call.values(key) {
            [] => Truth::CannotBeEvaluated,
            values => truth(values[0] == *value),
        },
        Some(When::Has(name)) => truth(argument(name).is_some()),
        Some(When::InputIs(name, value)) => match argument(name) {
            None => Truth::CannotBeEvaluated,
            Some(found) => truth(*found == Json::text(value)),
        },
        Some(When::Above(name, least)) => match argument(name) {
            Some(Json::Number(literal)) => match decimal::whole(literal) {
                Some(number) => truth(number > *least),
                None => Truth::CannotBeEvaluated,
            },
            _ => Truth::CannotBeEvaluated,
        },
    }
}
