//! Which rules a call meets, and what follows from several.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod common;

use std::fmt::Write as _;

use common::{Call, compiled, policy};
use proptest::prelude::*;
use ringfence_policy::{Key, PolicySet, Source, Vocabulary};
use ringfence_types::{ActionType, Decision, Kind, Role};
use smol_str::SmolStr;

fn matches(on: &str, call: &Call) -> bool {
    let policy = policy(&format!("rules: [{{name: r, match: {{{on}}}, decision: ALLOW}}]"));
    call.decide(&policy).decision == Decision::Allow
}

#[test]
fn every_key_can_match_and_can_fail_to() {
    let call = Call {
        model: Some("smart".into()),
        host: Some("API.Example.com.".into()),
        kind: Kind::ToolCall,
        ..Call::default()
    };
    let values = [
        "acme",
        "research",
        "production",
        "assistant",
        "mia",
        "engineer",
        "tool_call",
        "cluster",
        "deploy_app",
        "smart",
        "api.example.COM",
        "kubernetes",
        "deploy",
        "write",
        "high",
        "infra",
    ];
    let others = |key| match key {
        Key::Kind => "spawn",
        Key::ActionType => "read",
        _ => "other",
    };
    for (key, value) in Key::ALL.into_iter().zip(values) {
        let (name, other) = (key.as_str(), others(key));
        assert!(matches(&format!("{name}: {value}"), &call), "{name}: {value}");
        assert!(
            matches(&format!("{name}: [{other}, '{}*']", &value[..1].to_lowercase()), &call),
            "{name} by glob"
        );
        assert!(!matches(&format!("{name}: {other}"), &call), "{name}: {other}");
        let second = if key == Key::Agent { "user" } else { "agent" };
        assert!(!matches(&format!("{name}: {value}, {second}: nobody"), &call), "all keys must hold");
    }
    assert!(matches("", &call), "an empty match is about everything");
}

#[test]
fn what_an_action_does_not_have_matches_nothing() {
    let bare = Call {
        user: None,
        roles: Vec::new(),
        server: None,
        tool: None,
        capability: None,
        action: None,
        risk: None,
        labels: Vec::new(),
        ..Call::default()
    };
    for key in ["user", "role", "server", "tool", "model", "host", "capability", "action", "risk", "labels"] {
        assert!(!matches(&format!("{key}: '*'"), &bare), "{key}");
    }
}

#[test]
fn case_counts_except_in_hosts() {
    assert!(!matches("agent: Assistant", &Call::default()));
    let call = Call { host: Some("EXAMPLE.com".into()), ..Call::default() };
    assert!(matches("host: Example.COM.", &call) && matches("host: '*.COM'", &call));
    assert!(!matches("host: '*.example.com'", &call), "the dot is part of the pattern");
}

#[test]
fn any_of_several_roles_and_labels_will_do() {
    let roles = ["viewer", "operator"].map(|role| Role::new(role).unwrap()).to_vec();
    let call = Call { roles, labels: vec!["a".into(), "b".into()], ..Call::default() };
    assert!(matches("role: operator, labels: [x, b]", &call));
    assert!(!matches("role: [operator, viewer], labels: [x]", &call));
}

#[test]
fn the_strictest_rule_wins_wherever_it_stands() {
    let rules = [
        "{name: a, match: {}, decision: ALLOW}",
        "{name: b, match: {}, decision: ALLOW_WITH_CONSTRAINTS, constraints: {timeout: 1s}}",
        "{name: c, match: {}, decision: REQUIRE_APPROVAL, approval: {approvers: [lead, dba], quorum: 2, expires: 1h}}",
        "{name: d, match: {}, decision: DENY}",
    ];
    let expected =
        [Decision::Allow, Decision::AllowWithConstraints, Decision::RequireApproval, Decision::Deny];
    for strictest in 0..4 {
        for turn in 0..=strictest {
            let mut chosen = rules[..=strictest].to_vec();
            chosen.rotate_left(turn);
            let verdict = Call::default().decide(&policy(&format!("rules: [{}]", chosen.join(", "))));
            assert_eq!(verdict.decision, expected[strictest]);
            assert_eq!(verdict.matched.len(), strictest + 1);
            assert_eq!(verdict.rule.unwrap().as_str(), ["a", "b", "c", "d"][strictest]);
        }
    }
    let verdict = Call::default().decide(&policy(&format!("rules: [{}]", rules[..3].join(", "))));
    let approval = &verdict.approvals[0];
    let approvers: Vec<_> = approval.approvers.iter().map(Role::as_str).collect();
    assert_eq!((approvers, approval.quorum, approval.expires.as_secs()), (vec!["dba", "lead"], 2, 3600));
}

#[test]
fn the_default_of_several_files_is_the_strictest() {
    let compile = |texts: &[&str]| {
        let sources: Vec<_> = texts.iter().map(|text| Source::yaml("p.yaml", *text)).collect();
        PolicySet::compile(&sources, &Vocabulary::default()).unwrap().set
    };
    let cases: [(&[&str], Decision); 5] = [
        (&[], Decision::Deny),
        (&["rules: []"], Decision::Deny),
        (&["{rules: [], default: ALLOW}"], Decision::Allow),
        (
            &["{rules: [], default: ALLOW}", "{rules: [], default: REQUIRE_APPROVAL}"],
            Decision::RequireApproval,
        ),
        (&["{rules: [], default: ALLOW}", "rules: []"], Decision::Deny),
    ];
    for (texts, expected) in cases {
        let verdict = Call::default().decide(&compile(texts));
        assert_eq!((verdict.decision, verdict.rule), (expected, None), "{texts:?}");
        assert_eq!(verdict.approvals.len(), usize::from(expected == Decision::RequireApproval));
    }
}

#[test]
fn a_tool_is_hidden_only_when_it_is_denied_for_all_arguments() {
    let may = |rules: &str| Call::default().ask(|request| policy(rules).may_ever_allow(request));
    assert!(!may("rules: []"));
    assert!(may("{rules: [], default: REQUIRE_APPROVAL}"));
    assert!(!may("{rules: [{name: d, match: {}, decision: DENY}], default: ALLOW}"));
    assert!(may("rules: [{name: a, match: {}, decision: REQUIRE_APPROVAL}]"));
    assert!(!may("rules: [{name: a, match: {}, decision: ALLOW, mode: shadow}]"));
    assert!(may("{rules: [{name: d, match: {}, decision: DENY, mode: shadow}], default: ALLOW}"));
    assert!(may("rules: [{name: l, match: {}, decision: ALLOW_WITH_CONSTRAINTS, constraints: {max_n: 1}}]"));
}

#[test]
fn the_digest_follows_the_text() {
    let of = |text: &str| compiled(text).set.digest();
    assert_eq!(of("rules: []"), of("rules: []"));
    assert_ne!(of("rules: []"), of("rules: [] # x"));
}

/// A word of a small world, so that calls and rules meet.
fn word() -> impl Strategy<Value = String> {
    prop_oneof![Just("aa"), Just("ab"), Just("ba"), Just("bb"), Just("abc"), Just("ca")].prop_map(Into::into)
}

fn pattern() -> impl Strategy<Value = String> {
    prop_oneof![3 => word(), 1 => "[ab]?[*][abc]?", 1 => "[?ab]{2}"]
}

fn rule() -> impl Strategy<Value = Vec<(Key, Vec<String>)>> {
    let keys =
        vec![Key::Agent, Key::Tool, Key::Server, Key::Labels, Key::Environment, Key::Action, Key::Host];
    prop::sample::subsequence(keys, 0..5).prop_flat_map(|keys| {
        keys.into_iter().map(|key| (Just(key), prop::collection::vec(pattern(), 1..4))).collect::<Vec<_>>()
    })
}

fn call() -> impl Strategy<Value = Call> {
    let labels = prop::collection::vec(word().prop_map(Into::into), 0..3);
    let maybe = || prop::option::of(word().prop_map(Into::into));
    (word(), maybe(), maybe(), labels, word(), maybe(), maybe()).prop_map(
        |(agent, tool, server, labels, environment, action, host)| Call {
            agent: agent.into(),
            environment: environment.into(),
            tool,
            server,
            labels,
            action,
            host,
            action_type: ActionType::Read,
            ..Call::default()
        },
    )
}

fn fits(pattern: &[u8], value: &[u8]) -> bool {
    match (pattern, value) {
        ([], []) => true,
        ([b'*', rest @ ..], _) => (0..=value.len()).any(|taken| fits(rest, &value[taken..])),
        ([first, pattern @ ..], [found, value @ ..]) => {
            (*first == b'?' || first == found) && fits(pattern, value)
        }
        _ => false,
    }
}

fn plainly_matches(rule: &[(Key, Vec<String>)], call: &Call) -> bool {
    rule.iter().all(|(key, patterns)| {
        let values: Vec<&str> = match key {
            Key::Agent => vec![&call.agent],
            Key::Environment => vec![&call.environment],
            Key::Tool => call.tool.iter().map(SmolStr::as_str).collect(),
            Key::Server => call.server.iter().map(SmolStr::as_str).collect(),
            Key::Action => call.action.iter().map(SmolStr::as_str).collect(),
            Key::Host => call.host.iter().map(SmolStr::as_str).collect(),
            _ => call.labels.iter().map(SmolStr::as_str).collect(),
        };
        patterns.iter().any(|pattern| values.iter().any(|value| fits(pattern.as_bytes(), value.as_bytes())))
    })
}

fn written(rules: &[Vec<(Key, Vec<String>)>]) -> String {
    let mut text = String::from("rules:\n");
    for (index, rule) in rules.iter().enumerate() {
        let keys: Vec<String> = rule
            .iter()
            .map(|(key, patterns)| {
                let quoted: Vec<String> = patterns.iter().map(|pattern| format!("'{pattern}'")).collect();
                format!("{}: [{}]", key.as_str(), quoted.join(", "))
            })
            .collect();
        let _ = writeln!(text, "  - {{name: r{index}, match: {{{}}}, decision: ALLOW}}", keys.join(", "));
    }
    if rules.is_empty() { "rules: []".into() } else { text }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// The index finds exactly what looking at every rule would find, however many rules there are.
    #[test]
    fn no_rule_is_lost_in_the_index(
        rules in prop::collection::vec(rule(), 0..150),
        calls in prop::collection::vec(call(), 20),
    ) {
        let policy = policy(&written(&rules));
        for call in calls {
            let found: Vec<String> =
                call.decide(&policy).matched.iter().map(|rule| rule.rule.to_string()).collect();
            let expected: Vec<String> = rules
                .iter()
                .enumerate()
                .filter(|(_, rule)| plainly_matches(rule, &call))
                .map(|(index, _)| format!("r{index}"))
                .collect();
            prop_assert_eq!(found, expected);
        }
    }
}
