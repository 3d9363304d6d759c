//! `safety-policy.yaml`, as it is written.

mod approval;
mod matching;
mod rule;

use ringfence_document::{Diagnostic, Fields, Node, Place, Report, parse};
use ringfence_types::Decision;

use self::rule::read_rule;
pub(crate) use self::rule::{DEFAULT_RULE, WrittenRule};
use crate::Source;
use crate::limits::RULES_MAX;

/// A file, read.
#[derive(Debug)]
pub(crate) struct File {
    pub rules: Vec<WrittenRule>,
    /// For actions that no rule matches.
    pub default: Decision,
}

/// Reads one file. What is wrong goes into the diagnostics, and the rest is read all the same.
pub(crate) fn read(source: &Source, diagnostics: &mut Vec<Diagnostic>) -> Option<File> {
    match parse(&source.name, &source.text) {
        Ok(root) => {
            let mut report = Report::new(source.name.as_str());
            let file = read_root(&root, &mut report);
            diagnostics.extend(report.into_diagnostics());
            file
        }
        Err(found) => {
            diagnostics.extend(found);
            None
        }
    }
}

fn read_root(root: &Node, report: &mut Report) -> Option<File> {
    if root.is_null() {
        let hint = "an empty policy denies everything; write `rules: []` if that is meant";
        report.error_with_hint(Place::WHOLE, "the file is empty", hint);
        return None;
    }
    let mut fields = Fields::of(root, "a policy", report)?;
    let rules = fields.require("rules", report);
    let default = fields.get("default").and_then(|node| read_default(node, report)).unwrap_or(Decision::Deny);
    fields.finish(report);
    let nodes = match rules {
        Some(node) if node.is_null() => &[],
        Some(node) => node.list("`rules`", report)?,
        None => return None,
    };
    if nodes.len() > RULES_MAX {
        report.error(Place::WHOLE, format!("more than {RULES_MAX} rules"));
        return None;
    }
    let rules = nodes.iter().filter_map(|node| read_rule(node, report)).collect();
    Some(File { rules, default })
}

fn read_default(node: &Node, report: &mut Report) -> Option<Decision> {
    let words: Vec<&str> = Decision::ALL.iter().map(|decision| decision.as_str()).collect();
    let decision = node.word("`default`", &words, report)?;
    if decision == Decision::AllowWithConstraints {
        report.error(node.place, "`default` has no constraints: write ALLOW, REQUIRE_APPROVAL or DENY");
        return None;
    }
    if decision == Decision::Allow {
        report.warning(node.place, "every granted action that no rule matches is allowed");
    }
    Some(decision)
}
