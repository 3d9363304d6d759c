//! `max_x` and `min_x` of all rules that apply.

use std::cmp::Ordering;

use super::arguments::{Found, Path, defaults, look};
use super::decimal;
use super::{Code, Narrowed, Seen};
use crate::plain::Json;

/// One bound of one rule.
#[derive(Clone)]
pub struct Bound<'a> {
    pub rule: &'a str,
    pub upper: bool,
    pub literal: &'a str,
}

impl Bound<'_> {
    fn is_kept_by(&self, literal: &str) -> bool {
        let against = decimal::compare(literal, self.literal);
        if self.upper { against != Ordering::Greater } else { against != Ordering::Less }
    }

    fn is_kept_by_default(&self, value: Option<&Json>) -> bool {
        matches!(value, Some(Json::Number(literal)) if self.is_kept_by(literal))
    }
}

/// What all bounds together make of the arguments at one path.
#[derive(Default)]
pub struct Outcome {
    pub misfits: Vec<(String, Code)>,
    pub narrowed: Vec<(Vec<String>, Narrowed)>,
    pub seen: Seen,
}

/// The narrowest of those on one side; of equal ones the first.
fn narrowest<'b, 'a>(bounds: &'b [Bound<'a>], upper: bool) -> Option<&'b Bound<'a>> {
    bounds
        .iter()
        .filter(|bound| bound.upper == upper)
        .reduce(|narrowest, bound| if bound.is_kept_by(narrowest.literal) { narrowest } else { bound })
}

pub fn apply(bounds: &[Bound<'_>], arguments: &Json, schema: Option<&Json>, path: &Path) -> Outcome {
    let mut outcome = Outcome::default();
    let (most, least) = (narrowest(bounds, true), narrowest(bounds, false));
    if let (Some(most), Some(least)) = (most, least)
        && decimal::compare(least.literal, most.literal) == Ordering::Greater
    {
        outcome.seen.insert("a minimum above the maximum");
        outcome.misfits.extend(bounds.iter().map(|bound| (bound.rule.to_owned(), Code::Denied)));
        return outcome;
    }
    let all = look(arguments, schema, path, &[]);
    if all.is_empty() {
        outcome.seen.insert("an array without elements");
    }
    for found in all {
        match found {
            Found::Value { place, value: Json::Number(literal), .. } => {
                let broken = [most, least].into_iter().flatten().find(|bound| !bound.is_kept_by(literal));
                outcome.seen.insert(match broken {
                    None => "a number within bounds",
                    Some(Bound { upper: true, .. }) => "narrowed by max_",
                    Some(_) => "narrowed by min_",
                });
                outcome.narrowed.extend(broken.map(|bound| {
                    let narrowed = Narrowed {
                        pointer: pointer(&place),
                        from: Json::number(literal),
                        to: Json::number(bound.literal),
                        rule: bound.rule.to_owned(),
                    };
                    (place, narrowed)
                }));
            }
            Found::Value { .. } | Found::NoObject => {
                let is_value = matches!(found, Found::Value { .. });
                outcome.seen.insert(if is_value { "not a number" } else { "no object on the way" });
                outcome.misfits.extend(bounds.iter().map(|bound| (bound.rule.to_owned(), Code::Invalid)));
            }
            Found::Lacking { schema, rest } => {
                let values = defaults(schema, rest);
                let is_known = values.is_some();
                let values = values.unwrap_or_else(|| vec![None]);
                let broken = || {
                    bounds.iter().filter(|bound| !values.iter().all(|value| bound.is_kept_by_default(*value)))
                };
                outcome.seen.insert(match broken().next() {
                    _ if !is_known => "a bound, no argument and no default",
                    None => "a default within bounds",
                    Some(_) => "a default out of bounds",
                });
                outcome.misfits.extend(broken().map(|bound| (bound.rule.to_owned(), Code::Denied)));
            }
        }
    }
    outcome
}

/// RFC 6901.
fn pointer(place: &[String]) -> String {
    let tokens: Vec<String> = place.iter().map(|step| step.replace('~', "~0").replace('/', "~1")).collect();
    if tokens.is_empty() { String::new() } else { format!("/{}", tokens.join("/")) }
}
