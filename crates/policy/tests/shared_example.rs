//! `examples/safety-policy.yaml`, the format that users already know, loads and behaves as written.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod common;

use common::{Call, compiled, object};
use ringfence_policy::PolicySet;
use ringfence_types::{ActionType, Code, Decision};

const EXAMPLE: &str = include_str!("../../../examples/safety-policy.yaml");

fn example() -> PolicySet {
    compiled(EXAMPLE).set
}

#[test]
fn a_production_deploy_of_fifty_replicas_waits_for_approval_and_the_approver_sees_ten() {
    let verdict = Call::with(r#"{"replicas":50,"namespace":"app"}"#).decide(&example());
    assert_eq!(verdict.decision, Decision::RequireApproval);
    assert_eq!(verdict.rule.unwrap().as_str(), "production-writes");
    assert_eq!(verdict.arguments.unwrap(), object(r#"{"replicas":10,"namespace":"app"}"#));
    assert_eq!(verdict.narrowed.len(), 1);
    assert_eq!(verdict.narrowed[0].pointer, "/replicas");
    assert_eq!(verdict.narrowed[0].rule.as_str(), "deployment-limits");
    assert_eq!(verdict.approvals.len(), 1);
    assert_eq!((verdict.approvals[0].quorum, verdict.approvals[0].expires.as_secs()), (1, 900));
    assert!(verdict.approvals[0].approvers.is_empty());
}

#[test]
fn a_namespace_outside_of_the_list_is_refused_everywhere() {
    for environment in ["production", "staging"] {
        let call = Call {
            environment: environment.into(),
            ..Call::with(r#"{"replicas":1,"namespace":"kube-system"}"#)
        };
        let verdict = call.decide(&example());
        assert_eq!(verdict.decision, Decision::Deny, "{environment}");
        let misfit = verdict.misfit.unwrap();
        assert_eq!((misfit.code, misfit.rule.as_str()), (Code::DeniedByPolicy, "deployment-limits"));
        assert_eq!(
            misfit.reason,
            r#"Rule `deployment-limits` allows `namespace` to be one of "app", "staging"."#
        );
    }
}

#[test]
fn a_staging_deploy_is_narrowed_and_goes_through() {
    let call =
        Call { environment: "staging".into(), ..Call::with(r#"{"replicas":50,"namespace":"staging"}"#) };
    let verdict = call.decide(&example());
    assert_eq!(verdict.decision, Decision::AllowWithConstraints);
    assert_eq!(verdict.arguments.unwrap(), object(r#"{"replicas":10,"namespace":"staging"}"#));
    let modest =
        Call { environment: "staging".into(), ..Call::with(r#"{"replicas":3,"namespace":"staging"}"#) };
    let verdict = modest.decide(&example());
    assert_eq!((verdict.decision, verdict.arguments), (Decision::AllowWithConstraints, None));
}

#[test]
fn dropping_a_database_is_denied_everywhere() {
    for environment in ["production", "staging", "dev"] {
        let call = Call {
            environment: environment.into(),
            capability: Some("database".into()),
            action: Some("drop".into()),
            ..Call::default()
        };
        let verdict = call.decide(&example());
        assert_eq!(verdict.decision, Decision::Deny);
        assert_eq!(verdict.rule.unwrap().as_str(), "no-delete-databases");
        assert!(!call.ask(|request| example().may_ever_allow(request)));
    }
}

#[test]
fn reads_are_denied_by_default() {
    let call = Call { action_type: ActionType::Read, action: Some("list_pods".into()), ..Call::default() };
    let verdict = call.decide(&example());
    assert_eq!((verdict.decision, verdict.rule), (Decision::Deny, None));
    assert!(verdict.matched.is_empty());
    assert!(!call.ask(|request| example().may_ever_allow(request)));
}
