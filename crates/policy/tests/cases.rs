//! `policy test`: cases beside the policy.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::sync::Arc;

use ringfence_json::{Limits, parse};
use ringfence_policy::{
    CaseReport, Cases, KnownServer, KnownTool, PolicySet, Source, ToolDefinition, Vocabulary,
};
use ringfence_types::ActionType;

const POLICY: &str = r"
rules:
  - name: reads
    match: { action_type: read }
    decision: ALLOW
  - name: deploys
    match: { capability: kubernetes, action: deploy }
    decision: ALLOW_WITH_CONSTRAINTS
    constraints: { max_replicas: 10 }
  - name: production-deploys
    match: { capability: kubernetes, environment: production }
    decision: REQUIRE_APPROVAL
    reason: A person looks at every change of production.
  - name: would-deny
    match: { agent: assistant }
    decision: DENY
    mode: shadow
";

fn policy() -> PolicySet {
    PolicySet::compile(&[Source::yaml("safety-policy.yaml", POLICY)], &Vocabulary::default()).unwrap().set
}

/// A cluster whose `deploy_app` is `deploy` in the policy's words.
fn vocabulary() -> Vocabulary {
    let definition = r#"{"name":"deploy_app","inputSchema":{"type":"object","required":["name"],"additionalProperties":false,
        "properties":{"name":{"type":"string"},"replicas":{"type":"integer","multipleOf":5}}}}"#;
    let definition = parse(definition.as_bytes(), &Limits::default()).unwrap();
    Vocabulary {
        servers: vec![KnownServer {
            workspace: "research".parse().unwrap(),
            name: "cluster".parse().unwrap(),
            capability: Some("kubernetes".into()),
        }],
        tools: vec![KnownTool {
            workspace: "research".parse().unwrap(),
            server: "cluster".parse().unwrap(),
            name: "deploy_app".parse().unwrap(),
            action: "deploy".into(),
            action_type: ActionType::Write,
            risk: None,
            labels: Vec::new(),
            definition: Some(Arc::new(ToolDefinition::parse(&definition).unwrap())),
        }],
        ..Vocabulary::default()
    }
}

const GOOD: &str = r#"
defaults: { workspace: research, agent: assistant, server: cluster, tool: deploy_app, capability: kubernetes, action: deploy }
cases:
  - name: fifty replicas wait for a person, who sees ten
    request: { arguments: { replicas: 50, name: "web" } }
    expect:
      decision: REQUIRE_APPROVAL
      rule: production-deploys
      code: approval_required
      reason: every change
      arguments: { name: web, replicas: 10 }
      narrowed: [/replicas]
      matched: [production-deploys, deploys]
      shadowed: would-deny
  - name: staging goes through
    request: { environment: staging, arguments: { replicas: 5, name: web } }
    expect: { decision: ALLOW_WITH_CONSTRAINTS, rule: deploys, narrowed: [] }
  - name: what no rule covers
    request: { kind: egress, host: example.com, capability: web }
    expect: { decision: DENY, rule: null, code: denied_by_policy }
"#;

fn said(cases: &str, vocabulary: &Vocabulary) -> String {
    Cases::parse("policy-cases.yaml", cases).unwrap().run(&policy(), vocabulary).to_string()
}

#[test]
fn a_policy_passes_its_cases() {
    let report = Cases::parse("policy-cases.yaml", GOOD).unwrap().run(&policy(), &Vocabulary::default());
    assert!(report.passed(), "{report}");
    insta::assert_snapshot!(report.to_string());
    insta::assert_snapshot!(report.to_junit());
}

#[test]
fn rules_that_no_case_reaches_are_known() {
    let policy = policy();
    let run =
        |cases: &str| Cases::parse("policy-cases.yaml", cases).unwrap().run(&policy, &Vocabulary::default());
    let unreached = |reports: &[CaseReport]| -> Vec<String> {
        CaseReport::unreached(reports, &policy).into_iter().map(ToString::to_string).collect()
    };
    let reading = "cases: [{name: r, request: {agent: other, action_type: read}, expect: {decision: ALLOW}}]";
    assert_eq!(unreached(&[run(GOOD)]), ["reads"]);
    assert_eq!(unreached(&[run(reading)]), ["deploys", "production-deploys", "would-deny"]);
    assert!(unreached(&[run(GOOD), run(reading)]).is_empty(), "several files are about one policy");
}

#[test]
fn a_failure_shows_what_was_expected_and_what_came() {
    let cases = r#"
cases:
  - name: nobody <deploys> & "wins"
    request: { workspace: research, agent: other, server: cluster, tool: deploy_app, capability: kubernetes, action: deploy, arguments: { replicas: 50 } }
    expect:
      decision: ALLOW
      rule: reads
      code: denied_by_policy
      reason: because I say so
      arguments: { replicas: 50 }
      narrowed: []
      matched: [reads]
      shadowed: [would-deny]
"#;
    let report = Cases::parse("policy-cases.yaml", cases).unwrap().run(&policy(), &Vocabulary::default());
    assert_eq!((report.failed(), report.results[0].mismatches.len()), (1, 8));
    insta::assert_snapshot!(report.to_string());
    insta::assert_snapshot!(report.to_junit());
}

#[test]
fn what_is_known_of_a_tool_need_not_be_said() {
    let cases = r#"
defaults: { workspace: research, agent: assistant, environment: staging, server: cluster, tool: deploy_app }
cases:
  - name: known by its definition
    request: { arguments: { name: web, replicas: 50 } }
    expect: { decision: ALLOW_WITH_CONSTRAINTS, rule: deploys, narrowed: [/replicas] }
  - name: an argument that the tool does not have
    request: { arguments: { name: web, replica: 50 } }
    expect: { decision: DENY, code: invalid_input, reason: "did you mean `replicas`?" }
  - name: a missing argument
    request: {}
    expect: { decision: DENY, code: invalid_input, reason: "`name` is missing" }
"#;
    let said = said(cases, &vocabulary());
    assert!(said.ends_with("3 cases, 3 passed, 0 failed\n"), "{said}");
}

#[test]
fn what_was_narrowed_has_to_fit_the_schema_again() {
    let policy = PolicySet::compile(
        &[Source::yaml("p", POLICY.replace("max_replicas: 10", "max_replicas: 12"))],
        &Vocabulary::default(),
    );
    let cases = r"
cases:
  - name: twelve is no multiple of five
    request: { workspace: research, agent: a, environment: staging, server: cluster, tool: deploy_app, arguments: { name: web, replicas: 50 } }
    expect: { decision: DENY, code: invalid_input, reason: multiple of 5 }
";
    let report = Cases::parse("c", cases).unwrap().run(&policy.unwrap().set, &vocabulary());
    assert!(report.passed(), "{report}");
}

#[test]
fn everything_wrong_with_a_file_of_cases_is_said_at_once() {
    let cases = r#"
default: {}
cases:
  - name: a
    request: { sever: x, action_type: raed, role: "a b", arguments: [1] }
    expect: { decision: allow, code: no, narrowed: { a: 1 } }
  - name: a
    request: {}
    expect: { decision: ALLOW }
  - name: a
    request: {}
    expect: { decision: ALLOW, rules: [x] }
  - request: {}
  - [1]
"#;
    let errors = Cases::parse("policy-cases.yaml", cases).unwrap_err();
    let report = errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    insta::assert_snapshot!(report);
    assert!(Cases::parse("c", "").is_err());
    assert!(Cases::parse("c", "cases: []").is_ok_and(|cases| cases.cases.is_empty()));
}
