//! `match:` of a rule.

use ringfence_document::{Node, Place, Report};
use ringfence_types::{ActionType, Kind};
use smol_str::SmolStr;

use crate::glob::Glob;
use crate::key::Key;
use crate::limits::{MATCH_PATTERN_BYTES_MAX, PATTERNS_OF_KEY_MAX};
use crate::matcher::{Matcher, Patterns, Test};

/// Reads what a rule is about, and where each pattern of each key stands. Nothing, or an empty mapping, is everything.
pub(crate) fn read_match(node: &Node, report: &mut Report) -> (Matcher, Vec<Vec<Place>>) {
    let nothing = || (Matcher::default(), Vec::new());
    if node.is_null() {
        return nothing();
    }
    let Some(members) = node.as_mapping() else {
        report.error(node.place, format!("`match` must be a mapping, not {}", node.kind()));
        return nothing();
    };
    let mut tests = Vec::with_capacity(members.len());
    let mut places = Vec::with_capacity(members.len());
    for (name, value) in members {
        let Some(key) = Key::of_name(&name.text) else {
            let names = Key::ALL.map(Key::as_str);
            report.unknown(name.place, format!("unknown key `{}` in `match`", name.text), &name.text, &names);
            continue;
        };
        if let Some(test) = read_test(key, value, report) {
            tests.push(test);
            places.push(value.one_or_many().iter().map(|node| node.place).collect());
        }
    }
    (Matcher { tests: tests.into() }, places)
}

fn read_test(key: Key, node: &Node, report: &mut Report) -> Option<Test> {
    let name = key.as_str();
    let nodes = node.one_or_many();
    if nodes.is_empty() || nodes.len() > PATTERNS_OF_KEY_MAX {
        let hint = format!("leave `{name}` out if any will do");
        report.error_with_hint(node.place, format!("`{name}` needs 1 to {PATTERNS_OF_KEY_MAX} values"), hint);
        return None;
    }
    let patterns: Vec<Option<SmolStr>> = nodes.iter().map(|node| read_pattern(key, node, report)).collect();
    let patterns: Vec<SmolStr> = patterns.into_iter().collect::<Option<_>>()?;
    Some(Test { key, patterns: Patterns::new(key, patterns) })
}

fn read_pattern(key: Key, node: &Node, report: &mut Report) -> Option<SmolStr> {
    let name = key.as_str();
    let text = node.text(&format!("`{name}`"), report)?;
    if text.len() > MATCH_PATTERN_BYTES_MAX {
        report.error(node.place, format!("`{name}` has more than {MATCH_PATTERN_BYTES_MAX} bytes"));
        return None;
    }
    let words: Vec<&str> = match key {
        Key::Kind => Kind::ALL.iter().map(|kind| kind.as_str()).collect(),
        Key::ActionType => ActionType::ALL.iter().map(|action_type| action_type.as_str()).collect(),
        _ => return Some(text.clone()),
    };
    let fits = if Glob::is_glob(text) {
        let glob = Glob::new(text);
        words.iter().any(|word| glob.matches(word))
    } else {
        words.contains(&text.as_str())
    };
    if !fits {
        report.unknown(node.place, format!("`{name}` cannot be `{text}`"), text, &words);
        return None;
    }
    Some(text.clone())
}
