//! What `check` says beside errors: what a reader would miss.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod common;

use common::world::vocabulary;
use ringfence_document::render;
use ringfence_policy::{KnownEgress, PolicySet, Source, Vocabulary};
use ringfence_types::ActionType;

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
fn hosts_that_are_held_and_that_no_rule_lets_be_reached_are_named() {
    let held = |agent: &str, grant: &str, actions: &[(&str, ActionType)]| KnownEgress {
        workspace: "research".parse().unwrap(),
        environment: "production".into(),
        server: agent.strip_prefix("tool:").map(|name| name.parse().unwrap()),
        agent: agent.parse().unwrap(),
        grant: grant.into(),
        hosts: grant.split([':', ' ']).next().unwrap().into(),
        actions: actions.iter().map(|(name, action_type)| ((*name).into(), *action_type)).collect(),
    };
    let connect = [("connect", ActionType::Write)];
    let told = |on: &str, held: KnownEgress| {
        let vocabulary = Vocabulary { egress: vec![held], ..vocabulary() };
        let found = messages(&format!("rules: [{{name: r, match: {{{on}}}, decision: ALLOW}}]"), &vocabulary);
        found.iter().any(|message| message.contains("to reach `") || message.contains("to connect to `"))
    };
    let passed = || held("janitor", "api.example.com:443", &connect);
    for on in [
        "",
        "kind: egress",
        "kind: egress, host: API.example.com.",
        "host: '*.example.com'",
        "agent: janitor, environment: production, workspace: research, organization: acme, user: u",
        "action: connect",
        "action_type: write",
    ] {
        assert!(!told(on, passed()), "{on}");
    }
    for on in [
        "action_type: read",
        "kind: tool_call",
        "kind: egress, host: example.com",
        "kind: egress, agent: assistant",
        "kind: egress, server: base",
        "workspace: other",
        "environment: staging",
        "organization: other",
        "action: get",
        "action: connect, action_type: read",
        "tool: '*'",
        "model: '*'",
        "capability: '*'",
        "risk: '*'",
        "labels: '*'",
    ] {
        assert!(told(on, passed()), "{on}");
    }
    let reads = || held("janitor", "api.example.com GET /*", &[("get", ActionType::Read)]);
    assert!(!told("action_type: read", reads()) && told("action: post", reads()));
    assert!(
        !told("action: post", held("janitor", "api.example.com:8080", &[])),
        "anything may be seen there"
    );
    let server = || held("tool:base", "api.example.com:443", &connect);
    assert!(!told("kind: egress, server: base", server()) && told("kind: egress, server: cluster", server()));
    for (hosts, on, expected) in [
        ("*.example.com", "host: a.example.com", false),
        ("*.example.com", "host: example.com", true),
        ("*.example.com", "host: '*.org'", true),
        ("*.example.com", "host: '*.com'", false),
        ("*.example.com", "host: 'x*.b.example.com'", false),
        ("*", "host: a.example.com", false),
    ] {
        assert_eq!(told(on, held("janitor", hosts, &connect)), expected, "{hosts} {on}");
    }
}

#[test]
fn who_cannot_reach_its_hosts_is_told_once_with_a_rule_that_would_let_it() {
    let text = "rules: [{name: r, match: {kind: tool_call}, decision: ALLOW}]";
    let held = |agent: &str, grant: &str| KnownEgress {
        workspace: "research".parse().unwrap(),
        environment: "production".into(),
        server: agent.strip_prefix("tool:").map(|name| name.parse().unwrap()),
        agent: agent.parse().unwrap(),
        grant: grant.into(),
        hosts: grant.into(),
        actions: vec![("connect".into(), ActionType::Write)],
    };
    let egress = ["a.org", "b.org", "*.c.org", "d.org"].map(|grant| held("janitor", grant)).into_iter();
    let egress = egress.chain([held("tool:base", "e.org")]).collect();
    let known = Vocabulary { egress, ..vocabulary() };
    let found = PolicySet::compile(&[Source::yaml("p", text)], &known).unwrap().warnings;
    let found: Vec<_> = found.into_iter().filter(|one| one.message.contains("to connect to")).collect();
    let said: Vec<&str> = found.iter().map(|one| one.message.as_str()).collect();
    assert_eq!(
        said,
        [
            "no rule allows `janitor` of `research` to connect to `a.org`, `b.org`, `*.c.org` and 1 more: denied by default",
            "no rule allows `tool:base` of `research` to connect to `e.org`: denied by default",
        ]
    );
    let hint = found[1].hint.as_deref().unwrap();
    assert!(hint.contains("match: { kind: egress, server: base, host: \"e.org\" }"), "{hint}");
    // With the rule that the hint names, nothing is said of it.
    let rule = "{name: s, match: { kind: egress, server: base, host: \"e.org\" }, decision: ALLOW}";
    let text = text.replace(']', &format!(", {rule}]"));
    assert_eq!(messages(&text, &known).iter().filter(|message| message.contains("to connect to")).count(), 1);
    let open = "{rules: [{name: r, match: {}, decision: DENY}], default: REQUIRE_APPROVAL}";
    assert!(!messages(open, &known).iter().any(|message| message.contains("to connect to")));
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
