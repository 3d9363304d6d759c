//! What `check` says beside errors: what a reader would miss.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod common;

use common::world::vocabulary;
use ringfence_document::render;
use ringfence_policy::{PolicySet, Source, Vocabulary};

fn messages(text: &str, vocabulary: &Vocabulary) -> Vec<String> {
    let sources = [Source::yaml("safety-policy.yaml", text)];
    let warnings = PolicySet::compile(&sources, vocabulary).unwrap().warnings;
    warnings.into_iter().map(|warning| warning.message).collect()
}

const NO_READS: &str = "no rule allows reads: every read is denied by default";

#[test]
fn the_shared_example_denies_every_read_and_is_told_so() {
    let text = include_str!("../../../examples/safety-policy.yaml");
    assert_eq!(messages(text, &Vocabulary::default()), [NO_READS]);
}

#[test]
fn reads_are_allowed_by_any_rule_that_is_about_them() {
    let allowing = |on: &str| format!("rules: [{{name: r, match: {{{on}}}, decision: ALLOW}}]");
    let silent = [
        "",
        "action_type: read",
        "action_type: [read, write]",
        "tool: search",
        "action: 'get_*'",
        "agent: a",
    ];
    for on in silent {
        assert!(!messages(&allowing(on), &Vocabulary::default()).contains(&NO_READS.to_owned()), "{on}");
    }
    for on in
        ["action_type: write", "kind: model_call", "action: deploy", "tool: [create_issue, delete_issue]"]
    {
        assert!(messages(&allowing(on), &Vocabulary::default()).contains(&NO_READS.to_owned()), "{on}");
    }
    let shadow = "rules: [{name: r, match: {}, decision: ALLOW, mode: shadow}]";
    assert!(messages(shadow, &Vocabulary::default()).contains(&NO_READS.to_owned()));
    let open = "{rules: [{name: r, match: {}, decision: DENY}], default: ALLOW}";
    assert!(!messages(open, &Vocabulary::default()).contains(&NO_READS.to_owned()));
}

#[test]
fn agents_that_may_start_runs_and_have_no_rule_for_it_are_told_so() {
    let told = |on: &str, spawns: bool| {
        let mut vocabulary = vocabulary();
        vocabulary.agents[1].spawns = spawns;
        let text = format!("rules: [{{name: r, match: {{{on}}}, decision: ALLOW}}]");
        messages(&text, &vocabulary)
            .iter()
            .any(|message| message.starts_with("no rule allows a run to start"))
    };
    for on in ["kind: spawn", "", "agent: janitor", "kind: [spawn, egress]", "action: spawn"] {
        assert!(!told(on, true), "{on}");
    }
    for on in ["kind: tool_call", "tool: '*'", "model: '*'", "host: '*'"] {
        assert!(told(on, true) && !told(on, false), "{on}");
    }
}

#[test]
fn a_rule_that_can_never_change_a_decision_is_named() {
    let never = |rules: &str| {
        let found = messages(&format!("{{rules: [{rules}], default: ALLOW}}"), &Vocabulary::default());
        let prefix = ["rule `", "` can never"];
        found
            .iter()
            .filter(|message| message.contains(prefix[1]))
            .map(|message| message[prefix[0].len()..].split('`').next().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let deny_all = "{name: all, match: {}, decision: DENY}";
    let cases = [
        (format!("{deny_all}, {{name: r, match: {{agent: a}}, decision: ALLOW}}"), vec!["r"]),
        (format!("{{name: r, match: {{agent: a}}, decision: DENY}}, {deny_all}"), vec!["r"]),
        (format!("{deny_all}, {{name: r, match: {{}}, decision: DENY}}"), vec!["r"]),
        (format!("{deny_all}, {{name: r, match: {{agent: a}}, decision: DENY, mode: shadow}}"), vec![]),
        (
            "{name: w, match: {tool: [a, 'b*']}, decision: REQUIRE_APPROVAL}, \
             {name: r, match: {tool: ['bc*', a], agent: x}, decision: ALLOW}"
                .into(),
            vec!["r"],
        ),
        (
            "{name: w, match: {tool: 'b?'}, decision: REQUIRE_APPROVAL}, {name: r, match: {tool: 'b*'}, decision: ALLOW}"
                .into(),
            vec![],
        ),
        (
            "{name: w, match: {}, decision: REQUIRE_APPROVAL}, \
             {name: r, match: {agent: a}, decision: ALLOW_WITH_CONSTRAINTS, constraints: {max_n: 1}}"
                .into(),
            vec![],
        ),
        (
            "{name: w, match: {}, decision: REQUIRE_APPROVAL}, \
             {name: r, match: {agent: a}, decision: REQUIRE_APPROVAL, approval: {quorum: 2}}"
                .into(),
            vec![],
        ),
        ("{name: r, match: {kind: model_call, tool: x}, decision: DENY}".into(), vec!["r"]),
        ("{name: w, match: {agent: a}, decision: DENY}, {name: r, match: {}, decision: ALLOW}".into(), vec![]),
    ];
    for (rules, expected) in cases {
        assert_eq!(never(&rules), expected, "{rules}");
    }
}

#[test]
fn what_a_reader_would_miss_is_said_with_its_place() {
    let text = "\
rules:
  - name: looking
    match: { action_type: read, agent: [asistant, janitor] }
    decision: ALLOW
  - name: deploys
    match: { capability: kuberntes, server: 'clu*', tool: deploy_ap, model: 'gpt*' }
    decision: REQUIRE_APPROVAL
    approval: { approvers: [aprover, admin] }
  - name: limits
    match: { capability: database }
    decision: ALLOW_WITH_CONSTRAINTS
    constraints: { max_limits: 100, allowed_paths: ['/srv/*'] }
  - name: trial
    match: { workspace: research }
    decision: DENY
    mode: shadow
  - name: narrower
    match: { action_type: read, agent: janitor, tool: query }
    decision: ALLOW
";
    let compiled = PolicySet::compile(&[Source::yaml("safety-policy.yaml", text)], &vocabulary()).unwrap();
    let shown: Vec<String> = compiled.warnings.iter().map(|warning| render(warning, text)).collect();
    insta::assert_snapshot!(shown.join("\n"));
}
