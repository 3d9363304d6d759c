//! What follows from the constraints of all rules that apply, whichever decision wins.

use std::collections::BTreeMap;

use super::arguments::{self, Path};
use super::bounds::{self, Bound};
use super::lists::List;
use super::{Answer, Code};
use crate::model::{Call, Rate, Rule, Setting};

/// Everything that rules ask of arguments, sorted.
#[derive(Default)]
struct Asked<'a> {
    bounds: BTreeMap<Path, Vec<Bound<'a>>>,
    lists: Vec<(&'a str, List<'a>, Path)>,
}

/// An answer with everything but the decision.
pub fn constrain(matched: &[&Rule], call: &Call) -> Answer {
    let mut answer = Answer::of_arguments(&call.arguments);
    let mut asked = Asked::default();
    for rule in matched {
        for (key, setting) in &rule.constraints {
            match setting {
                Setting::Bound(_) | Setting::List(_) => asked.add(rule, key, setting, call, &mut answer),
                general => hold(&rule.name, general, &mut answer),
            }
        }
    }
    let schema = call.schema.as_ref();
    for (path, bounds) in &asked.bounds {
        let outcome = bounds::apply(bounds, &call.arguments, schema, path);
        answer.misfits.extend(outcome.misfits);
        answer.seen.extend(outcome.seen);
        for (place, narrowed) in outcome.narrowed {
            answer.arguments.replace(&place, &narrowed.to);
            answer.narrowed.insert(narrowed);
        }
    }
    // A list holds for what the agent asked for and for what is sent.
    for (rule, list, path) in &asked.lists {
        let mut misfits = list.misfits(&call.arguments, schema, path, &mut answer.seen);
        let of_sent = list.misfits(&answer.arguments, schema, path, &mut answer.seen);
        if misfits.is_empty() && !of_sent.is_empty() {
            answer.seen.insert("a list against what would be sent");
        }
        misfits.extend(of_sent);
        answer.misfits.extend(misfits.into_iter().map(|code| ((*rule).to_owned(), code)));
    }
    answer
}

impl<'a> Asked<'a> {
    fn add(&mut self, rule: &'a Rule, key: &str, setting: &'a Setting, call: &Call, answer: &mut Answer) {
        let paths = arguments::meant(key, &call.arguments, call.schema.as_ref());
        let (prefix, name) = key.split_once('_').unwrap();
        if paths.is_empty() {
            answer.seen.insert("fits no argument");
            answer.misfits.insert((rule.name.clone(), Code::Denied));
        }
        for path in paths {
            answer.seen.insert(match path.join(".") {
                _ if path.iter().any(|one| one.contains('.')) => "a name with a dot in it",
                found if found == key => "an argument called like the constraint",
                found if found == name && path.len() > 1 => "an argument in an object",
                found if found == name => "an argument called like the rest",
                _ => "a list in the plural for one in the singular",
            });
            match setting {
                Setting::Bound(literal) => {
                    let bound = Bound { rule: &rule.name, upper: prefix == "max", literal };
                    self.bounds.entry(path).or_default().push(bound);
                }
                Setting::List(values) => {
                    self.lists.push((&rule.name, List { allows: prefix == "allowed", values }, path));
                }
                _ => {}
            }
        }
    }
}

/// What holds whatever the arguments are.
fn hold(rule: &str, setting: &Setting, answer: &mut Answer) {
    match setting {
        Setting::Timeout(_, ms) => {
            answer.timeout_ms = Some(answer.timeout_ms.map_or(*ms, |was| was.min(*ms)));
        }
        Setting::Size(_, bytes) => {
            answer.max_result_bytes = Some(answer.max_result_bytes.map_or(*bytes, |was| was.min(*bytes)));
        }
        Setting::Rate(Rate { count, per_ms, .. }) => {
            answer.rates.push((rule.to_owned(), *count, *per_ms));
        }
        Setting::Redact(pointers) => answer.redact.extend(pointers.iter().cloned()),
        Setting::Bound(_) | Setting::List(_) => {}
    }
}
