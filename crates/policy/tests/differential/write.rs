//! A policy as its author would write it.

use std::fmt::Write as _;

use crate::model::{File, Rule, Setting, Terms, When};
use crate::plain::{Json, quoted};

pub fn yaml(file: &File) -> String {
    let mut text = String::new();
    if let Some(default) = file.default {
        let _ = writeln!(text, "default: {default}");
    }
    if file.rules.is_empty() {
        text.push_str("rules: []\n");
        return text;
    }
    text.push_str("rules:\n");
    for rule in &file.rules {
        text.push_str(&of_rule(rule));
    }
    text
}

fn of_rule(rule: &Rule) -> String {
    let on: Vec<String> =
        rule.on.iter().map(|(key, patterns)| format!("{key}: {}", one_or_many(&texts(patterns)))).collect();
    let mut text = format!("  - name: {}\n    match: {{{}}}\n", rule.name, on.join(", "));
    if let Some(when) = &rule.when {
        let _ = writeln!(text, "    when: '{}'", condition(when));
    }
    let _ = writeln!(text, "    decision: {}", rule.decision);
    if !rule.constraints.is_empty() {
        let written: Vec<String> = rule
            .constraints
            .iter()
            .map(|(key, value)| format!("{}: {}", quoted(key), setting(value)))
            .collect();
        let _ = writeln!(text, "    constraints: {{{}}}", written.join(", "));
    }
    if let Some(terms) = &rule.approval {
        let _ = writeln!(text, "    approval: {{{}}}", approval(terms));
    }
    if let Some(reason) = &rule.reason {
        let _ = writeln!(text, "    reason: {}", quoted(reason));
    }
    if rule.shadow {
        text.push_str("    mode: shadow\n");
    }
    text
}

/// The text of a condition in Cedar.
pub fn condition(when: &When) -> String {
    match when {
        When::Contains(key, value) => format!("context.{key}.contains(\"{value}\")"),
        When::Is(key, value) => format!("context.{key} == \"{value}\""),
        When::Has(argument) => format!("context.input has {argument}"),
        When::InputIs(argument, value) => format!("context.input.{argument} == \"{value}\""),
        When::Above(argument, least) => format!("context.input.{argument} > {least}"),
    }
}

fn setting(setting: &Setting) -> String {
    match setting {
        Setting::Bound(literal) => literal.clone(),
        Setting::List(values) => one_or_many(values),
        Setting::Timeout(text, _) | Setting::Size(text, _) => text.clone(),
        Setting::Rate(rate) => rate.text.clone(),
        Setting::Redact(pointers) => Json::Array(texts(pointers)).to_string(),
    }
}

fn approval(terms: &Terms) -> String {
    let mut written = Vec::new();
    if !terms.approvers.is_empty() {
        written.push(format!("approvers: {}", Json::Array(texts(&terms.approvers))));
    }
    written.extend(terms.quorum.map(|quorum| format!("quorum: {quorum}")));
    written.extend(terms.expires.as_ref().map(|(text, _)| format!("expires: {text}")));
    written.join(", ")
}

fn texts(values: &[String]) -> Vec<Json> {
    values.iter().map(|value| Json::text(value)).collect()
}

/// A list of one text may be written without brackets.
fn one_or_many(values: &[Json]) -> String {
    match values {
        [one @ Json::Text(_)] => one.to_string(),
        many => Json::Array(many.to_vec()).to_string(),
    }
}
