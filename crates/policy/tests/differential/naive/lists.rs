//! `allowed_x` and `denied_x`.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use super::arguments::{Found, Path, defaults, look};
use super::{Code, Seen, decimal};
use crate::plain::Json;

/// A list, and whether it allows or denies.
pub struct List<'a> {
    pub allows: bool,
    pub values: &'a [Json],
}

/// Values have types, and numbers are compared by value.
fn same(listed: &Json, value: &Json) -> bool {
    match (listed, value) {
        (Json::Number(listed), Json::Number(value)) => decimal::compare(listed, value) == Ordering::Equal,
        _ => listed == value,
    }
}

/// Who denies 22 also denies `"22"`, with blanks around it too; who denies true also denies `"True"`; and the other
/// way round.
fn same_widely(listed: &Json, value: &Json) -> bool {
    match (listed, value) {
        (Json::Text(text), other) | (other, Json::Text(text)) if !matches!(other, Json::Text(_)) => {
            match other {
                Json::Number(literal) => {
                    is_number(text.trim()) && decimal::compare(text.trim(), literal) == Ordering::Equal
                }
                Json::Bool(truth) => text.trim().to_lowercase() == truth.to_string(),
                _ => false,
            }
        }
        _ => same(listed, value),
    }
}

/// Whether a text is a number as JSON writes it.
fn is_number(text: &str) -> bool {
    let text = text.strip_prefix('-').unwrap_or(text).to_lowercase();
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, "0"));
    let digits = |text: &str| !text.is_empty() && text.chars().all(|one| one.is_ascii_digit());
    digits(whole)
        && (whole == "0" || !whole.starts_with('0'))
        && digits(fraction)
        && digits(exponent.trim_start_matches(['+', '-']))
}

impl List<'_> {
    /// Whether a value that is there may be sent.
    fn passes(&self, value: &Json) -> bool {
        match value {
            // An object is never among denied or allowed values, and is refused.
            Json::Object(_) => false,
            _ if self.allows => self.values.iter().any(|listed| same(listed, value)),
            _ => !self.values.iter().any(|listed| same_widely(listed, value)),
        }
    }

    fn passes_by_default(&self, schema: Option<&Json>, rest: &[String]) -> bool {
        defaults(schema, rest).is_some_and(|values| {
            values.into_iter().all(|value| match value {
                // A default of null says nothing of what is taken, so it may be what is denied.
                None => false,
                Some(Json::Null) if !self.allows => false,
                Some(value) => self.passes(value),
            })
        })
    }

    /// Why what a call has at a path may not be sent.
    pub fn misfits(
        &self,
        arguments: &Json,
        schema: Option<&Json>,
        path: &Path,
        seen: &mut Seen,
    ) -> BTreeSet<Code> {
        let all = look(arguments, schema, path, &[]).into_iter();
        all.filter_map(|found| {
            let passes = match &found {
                Found::Value { value: Json::Null, schema, .. } if !self.allows => {
                    self.passes(&Json::Null) && self.passes_by_default(*schema, &[])
                }
                Found::Value { value, .. } => self.passes(value),
                Found::Lacking { schema, rest } => self.passes_by_default(*schema, rest),
                Found::NoObject => {
                    seen.insert("no object on the way");
                    return Some(Code::Invalid);
                }
            };
            seen.insert(self.name(&found, passes));
            (!passes).then_some(Code::Denied)
        })
        .collect()
    }

    /// What happened to a value.
    fn name(&self, found: &Found<'_>, passes: bool) -> &'static str {
        match (found, self.allows, passes) {
            (Found::Lacking { .. }, true, true) => "a default that is allowed",
            (Found::Lacking { .. }, true, false) => "no default that is allowed",
            (Found::Lacking { .. }, false, true) => "a default that is not denied",
            (Found::Lacking { .. }, false, false) => "no default, or a denied one",
            (Found::Value { value: Json::Null, .. }, false, _) => "a null where values are denied",
            (_, true, true) => "allowed",
            (_, true, false) => "not allowed",
            (_, false, true) => "not denied",
            (_, false, false) => "denied",
        }
    }
}
