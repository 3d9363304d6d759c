//! Why a call is decided as it is, for people and for programs.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod common;

use common::{Call, policy};
use ringfence_json::Value;

const POLICY: &str = "
rules:
  - name: production-writes
    match: { environment: production, action_type: write }
    decision: REQUIRE_APPROVAL
    reason: Production is changed by two people.
    approval: { approvers: [lead, dba], quorum: 2, expires: 1h }
  - name: deployment-limits
    match: { capability: kubernetes, action: deploy }
    decision: ALLOW_WITH_CONSTRAINTS
    constraints: { max_replicas: 10, allowed_namespaces: [app, staging], timeout: 30s, rate: 5/m, redact: [/token] }
  - name: no-delete-databases
    match: { capability: database, action: ['drop', 'delete_*'], model: '*' }
    decision: DENY
  - name: trial
    match: { role: engineer }
    decision: DENY
    mode: shadow
  - name: quiet-hours
    match: { agent: assistant }
    when: 'context.risk == \"low\"'
    decision: DENY
";

fn call() -> Call {
    Call::with(r#"{"replicas":50,"namespace":"app"}"#)
}

#[test]
fn people_read_why() {
    insta::assert_snapshot!(call().ask(|request| policy(POLICY).explain(request).to_string()));
}

#[test]
fn programs_read_why() {
    let object = call().ask(|request| policy(POLICY).explain(request).to_object());
    let text = Value::Object(object).to_string();
    let pretty: serde_json::Value = serde_json::from_str(&text).unwrap();
    insta::assert_snapshot!(serde_json::to_string_pretty(&pretty).unwrap());
}

#[test]
fn a_refused_call_says_which_constraint() {
    let call = Call::with(r#"{"replicas":"\u001b[2Jmany","namespace":"kube-system"}"#);
    let shown = call.ask(|request| policy(POLICY).explain(request).to_string());
    assert!(!shown.contains('\u{1b}'));
    insta::assert_snapshot!(shown);
}

#[test]
fn explaining_decides_as_deciding_does() {
    let policy = policy(POLICY);
    for call in [call(), Call::with("{}"), Call { action: Some("drop".into()), ..call() }] {
        let (decided, explained) =
            call.ask(|request| (policy.decide(request), policy.explain(request).verdict));
        assert_eq!(
            (decided.decision, decided.rule, decided.narrowed),
            (explained.decision, explained.rule, explained.narrowed)
        );
    }
}
