//! What the author of a bad policy is told: everything, at once, with the way out.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod common;

use ringfence_document::{Diagnostic, render};
use ringfence_policy::{PolicySet, Source, Vocabulary};

fn errors(sources: &[Source]) -> Vec<Diagnostic> {
    PolicySet::compile(sources, &Vocabulary::default()).unwrap_err()
}

fn errors_of(text: &str) -> Vec<Diagnostic> {
    errors(&[Source::yaml("safety-policy.yaml", text)])
}

#[test]
fn everything_wrong_in_a_file_is_said_at_once() {
    let text = include_str!("fixtures/bad.yaml");
    let shown: Vec<String> = errors_of(text).iter().map(|diagnostic| render(diagnostic, text)).collect();
    insta::assert_snapshot!(shown.join("\n"));
}

#[test]
fn a_name_stands_for_one_rule_in_all_files() {
    let text = "rules: [{name: a, match: {}, decision: ALLOW}]";
    let found = errors(&[Source::yaml("one.yaml", text), Source::yaml("two.yaml", text)]);
    assert_eq!(found.len(), 1);
    assert_eq!(
        found[0].to_string(),
        "two.yaml:1:16: error: two rules are called `a` (the first is at one.yaml:1:16)"
    );
}

#[test]
fn an_empty_file_is_not_a_policy() {
    for text in ["", "# nothing yet\n"] {
        assert_eq!(errors_of(text)[0].message, "the file is empty");
    }
    assert_eq!(errors_of("default: ALLOW")[0].message, "a policy needs `rules`");
}

#[test]
fn errors_of_several_files_come_together() {
    let found = errors(&[Source::yaml("a.yaml", "rules: 1"), Source::yaml("b.yaml", "rulez: []")]);
    let places: Vec<_> = found.iter().map(|diagnostic| diagnostic.source.as_str()).collect();
    assert_eq!(places, ["a.yaml", "b.yaml", "b.yaml"]);
}

#[test]
fn dogwood_waits_for_a_later_version() {
    let source = Source { language: ringfence_policy::Language::Dogwood, ..Source::yaml("p.dogwood", "") };
    assert_eq!(
        errors(&[source])[0].message,
        "policies in Dogwood, with conditions over history, are not in this version"
    );
}
