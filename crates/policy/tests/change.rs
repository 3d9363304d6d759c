//! What a change of policy opens and closes.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod common;

use common::policy;
use common::world::vocabulary;
use ringfence_policy::{ReachChange, diff};

fn changes(old: &str, new: &str) -> Vec<ReachChange> {
    diff(&policy(old), &policy(new), &vocabulary())
}

#[test]
fn an_edit_that_changes_nothing_shows_nothing() {
    let old = "rules: [{name: a, match: {}, decision: ALLOW_WITH_CONSTRAINTS, constraints: {max_n: 1, allowed_x: [a, b]}}]";
    let new = "
# moved, reordered, renamed keys' order
rules:
  - decision: ALLOW_WITH_CONSTRAINTS
    name: a
    constraints: { allowed_x: [b, a], max_n: 1.0 }
    match: {}";
    assert_eq!(changes(old, new), []);
}

#[test]
fn what_opens_and_closes_is_shown_by_agent_and_tool() {
    let old = "
rules:
  - {name: looking, match: {action_type: read}, decision: ALLOW}
  - name: deploys
    match: {tool: deploy_app}
    decision: REQUIRE_APPROVAL
    approval: {approvers: [lead], quorum: 2}
    constraints: {max_replicas: 10, allowed_namespaces: [app, staging], timeout: 30s, rate: 5/m, redact: [/token]}
  - {name: night, match: {tool: query}, when: 'context.agent == \"assistant\"', decision: DENY}
";
    let new = "
rules:
  - {name: looking, match: {action_type: read, agent: assistant}, decision: ALLOW}
  - name: deploys
    match: {tool: deploy_app}
    decision: REQUIRE_APPROVAL
    constraints: {max_replicas: 20, min_replicas: 2, allowed_namespaces: [app, prod], timeout: 30s, rate: 300/h}
  - {name: dropping, match: {tool: drop_table, user: root}, decision: ALLOW}
  - {name: night, match: {tool: query}, when: 'context.agent == \"janitor\"', decision: DENY}
";
    let shown: Vec<String> = changes(old, new).iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(shown.join("\n"));
}

#[test]
fn every_kind_of_limit_is_wider_one_way_and_narrower_the_other() {
    let limited = |constraints: &str| {
        format!(
            "rules: [{{name: a, match: {{tool: query}}, decision: ALLOW_WITH_CONSTRAINTS, constraints: {{timeout: 1h, {constraints}}}}}]"
        )
    };
    let pairs = [
        ("max_limit: 10", "max_limit: 20"),
        ("max_limit: 10", ""),
        ("min_limit: 10", "min_limit: 9.5"),
        ("allowed_limit: [1]", "allowed_limit: [1, 2]"),
        ("denied_limit: [1, 2]", "denied_limit: [1]"),
        ("denied_limit: [1]", ""),
        ("max_result_bytes: 1Ki", "max_result_bytes: 1Mi"),
        ("rate: 60/h", "rate: 2/m"),
        ("rate: 1/m", ""),
        ("redact: [/a, /b]", "redact: [/b]"),
    ];
    for (narrow, wide) in pairs {
        let (narrow, wide) = (limited(narrow), limited(wide));
        for (old, new, wider) in [(&narrow, &wide, true), (&wide, &narrow, false)] {
            let found = changes(old, new);
            assert_eq!(found.len(), 2, "{old} -> {new}: one for each agent");
            assert!(
                found.iter().all(|change| change.is_wider() == wider && change.is_narrower() != wider),
                "{old} -> {new}"
            );
        }
    }
}

#[test]
fn decisions_are_wider_the_less_strict_they_are() {
    let deciding = |decision: &str| {
        format!("rules: [{{name: a, match: {{model: smart, agent: janitor}}, decision: {decision}}}]")
    };
    let found = changes(&deciding("REQUIRE_APPROVAL"), &deciding("ALLOW"));
    assert_eq!(found.len(), 1);
    assert!(found[0].is_wider() && !found[0].is_narrower());
    let found = changes(&deciding("ALLOW"), &deciding("DENY"));
    assert!(!found[0].is_wider() && found[0].is_narrower());
    assert_eq!(changes(&deciding("DENY"), "rules: []"), []);
}
