//! Approvals: bound to exactly one action, spent once, given by the right people.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests may panic")]

mod common;

use std::time::Duration;

use common::{POLICY, arguments_of, completed, dana, json, limits, open, open_at, person, setup};
use ringfence_kernel::{Admission, ApprovalError, ApprovalStatus, CONTINUATION, Call, Proposal};
use ringfence_types::Code;
use tempfile::tempdir;

#[tokio::test]
async fn a_waiting_call_goes_through_when_it_is_approved() {
    let folder = tempdir().unwrap();
    let node = open(folder.path()).await;
    let (_, run) = node.mint().await;
    let pending = node.pending(&run, "send", r#"{"q":"hello"}"#).await;
    let approval = pending.approval();
    let waiting = tokio::spawn(pending.wait());
    tokio::task::yield_now().await;
    node.kernel.approve(approval, &dana(), None, Some("fine")).await.unwrap();
    let Admission::Cleared(clearance) = waiting.await.unwrap() else { panic!("not cleared") };
    clearance.settle(completed("{}"));
    let intent = &node.entries("intent")[0];
    assert_eq!(intent.text("approval"), Some(approval.to_string().as_str()));
    let answer = &node.entries("approval")[0];
    assert_eq!((answer.text("approver"), answer.text("note")), (Some("dana"), Some("fine")));
    assert!(answer.contains("latency_ms"));
}

#[tokio::test]
async fn the_same_call_again_joins_the_request_and_spends_it_once() {
    let folder = tempdir().unwrap();
    let node = open(folder.path()).await;
    let (_, run) = node.mint().await;
    let approval = node.pending(&run, "send", r#"{"q":"a"}"#).await.approval();
    assert_eq!(node.pending(&run, "send", r#"{"q":"a"}"#).await.approval(), approval);
    assert_ne!(node.pending(&run, "send", r#"{"q":"b"}"#).await.approval(), approval, "other arguments");
    node.kernel.approve(approval, &dana(), None, None).await.unwrap();
    node.cleared(&run, "send", r#"{"q":"a"}"#).await.settle(completed("{}"));
    let again = node.pending(&run, "send", r#"{"q":"a"}"#).await;
    assert_ne!(again.approval(), approval, "spent is spent");
}

#[tokio::test]
async fn one_approval_releases_the_oldest_of_many_waiting_calls() {
    let folder = tempdir().unwrap();
    let node = open(folder.path()).await;
    let (_, run) = node.mint().await;
    let mut waiting = Vec::new();
    let mut approval = None;
    for _ in 0..5 {
        let pending = node.pending(&run, "send", "{}").await;
        approval = Some(pending.approval());
        waiting.push(tokio::spawn(pending.wait()));
        tokio::task::yield_now().await;
    }
    node.kernel.approve(approval.unwrap(), &dana(), None, None).await.unwrap();
    let mut cleared = Vec::new();
    for (index, call) in waiting.into_iter().enumerate() {
        if let Admission::Cleared(clearance) = call.await.unwrap() {
            cleared.push(index);
            clearance.settle(completed("{}"));
        }
    }
    assert_eq!(cleared, [0]);
    assert_eq!(node.entries("intent").len(), 1);
}

#[tokio::test]
async fn nobody_approves_their_own_run_and_not_without_the_role() {
    let folder = tempdir().unwrap();
    let node = open(folder.path()).await;
    let (_, run) = node.mint_for(Some("dana")).await;
    let approval = node.pending(&run, "send", "{}").await.approval();
    assert_eq!(node.kernel.approve(approval, &dana(), None, None).await.unwrap_err(), ApprovalError::Own);
    let viewer = person("vic", &["viewer"]);
    let error = node.kernel.approve(approval, &viewer, None, None).await.unwrap_err();
    assert!(matches!(error, ApprovalError::NotAllowed { .. }), "{error}");
    node.kernel.approve(approval, &person("max", &["approver"]), None, None).await.unwrap();
}

#[tokio::test]
async fn a_quorum_needs_different_people() {
    let folder = tempdir().unwrap();
    let node = open(folder.path()).await;
    let (_, run) = node.mint().await;
    let approval = node.pending(&run, "pay", r#"{"amount":50}"#).await.approval();
    let view = node.kernel.approve(approval, &dana(), None, None).await.unwrap();
    assert_eq!(view.status, ApprovalStatus::Waiting);
    assert_eq!(node.kernel.approve(approval, &dana(), None, None).await.unwrap_err(), ApprovalError::Already);
    assert!(matches!(node.admit(&run, "pay", r#"{"amount":50}"#).await, Admission::Pending(_)));
    let view = node.kernel.approve(approval, &person("max", &["admin"]), None, None).await.unwrap();
    assert_eq!(view.status, ApprovalStatus::Approved);
    node.cleared(&run, "pay", r#"{"amount":50}"#).await.settle(completed("{}"));
}

#[tokio::test]
async fn the_approver_sees_what_the_rules_leave_and_can_leave_less() {
    let folder = tempdir().unwrap();
    let node = open(folder.path()).await;
    let (_, run) = node.mint().await;
    let approval = node.pending(&run, "pay", r#"{"amount":5000}"#).await.approval();
    let view = node.kernel.approval(approval).unwrap();
    assert_eq!(view.requested.unwrap().to_canonical(), br#"{"amount":5000}"#);
    assert_eq!(view.will_send.unwrap().to_canonical(), br#"{"amount":100}"#);
    let more = node.kernel.approve(approval, &dana(), Some(json(r#"{"amount":200}"#)), None).await;
    assert!(matches!(more.unwrap_err(), ApprovalError::Arguments(_)), "the rules would narrow that");
    let other = node.kernel.approve(approval, &dana(), Some(json(r#"{"amount":1,"q":"x"}"#)), None).await;
    assert!(matches!(other.unwrap_err(), ApprovalError::Arguments(_)), "nothing can be added");
    let more = node.kernel.approve(approval, &dana(), Some(json(r#"{"amount":-1}"#)), None).await;
    assert!(matches!(more.unwrap_err(), ApprovalError::Arguments(_)), "that is not less");
    let stranger = person("eve", &["viewer"]);
    let looked = node.kernel.approve(approval, &stranger, Some(json(r#"{"x":1}"#)), None).await;
    assert!(
        matches!(looked.unwrap_err(), ApprovalError::NotAllowed { .. }),
        "nor do they learn what was asked"
    );
    node.kernel.approve(approval, &dana(), Some(json(r#"{"amount":20}"#)), None).await.unwrap();
    node.kernel.approve(approval, &person("max", &["approver"]), None, None).await.unwrap();
    let clearance = node.cleared(&run, "pay", r#"{"amount":5000}"#).await;
    assert_eq!(arguments_of(clearance.call()), r#"{"amount":20}"#);
    assert_eq!(clearance.narrowed()[0].pointer, "/amount", "the agent is told");
    clearance.settle(completed("{}"));
    node.kernel.tend().await;
    assert_eq!(node.kernel.approval(approval).unwrap().status, ApprovalStatus::Spent);
    let again = node.kernel.approve(approval, &person("ann", &["admin"]), None, None).await;
    assert_eq!(again.unwrap_err(), ApprovalError::NotWaiting(approval));
}

#[tokio::test]
async fn a_denial_holds_until_the_request_would_have_expired() {
    let folder = tempdir().unwrap();
    let node = open(folder.path()).await;
    let (_, run) = node.mint().await;
    let pending = node.pending(&run, "send", "{}").await;
    let approval = pending.approval();
    let waiting = tokio::spawn(pending.wait());
    tokio::task::yield_now().await;
    node.kernel.deny(approval, &dana(), Some("wrong customer")).await.unwrap();
    let Admission::Refused(refusal) = waiting.await.unwrap() else { panic!("not refused") };
    assert_eq!(refusal.code, Code::ApprovalDenied);
    assert!(refusal.reason.contains("wrong customer"), "{}", refusal.reason);
    assert_eq!(node.refused(&run, "send", "{}").await.code, Code::ApprovalDenied);
    assert!(node.kernel.approve(approval, &dana(), None, None).await.is_err());
    node.clock.advance(Duration::from_secs(601));
    assert!(matches!(node.admit(&run, "send", "{}").await, Admission::Pending(_)));
}

#[tokio::test]
async fn an_unanswered_request_expires() {
    let folder = tempdir().unwrap();
    let node = open(folder.path()).await;
    let (_, run) = node.mint().await;
    let pending = node.pending(&run, "send", "{}").await;
    let approval = pending.approval();
    let waiting = tokio::spawn(pending.wait());
    tokio::task::yield_now().await;
    node.clock.advance(Duration::from_secs(601));
    node.kernel.tend().await;
    let Admission::Refused(refusal) = waiting.await.unwrap() else { panic!("not refused") };
    assert_eq!(refusal.code, Code::ApprovalExpired);
    assert!(node.kernel.approve(approval, &dana(), None, None).await.is_err());
    assert_eq!(node.entries("approval")[0].text("answer"), Some("expired"));
}

#[tokio::test]
async fn a_call_that_nobody_answers_is_told_to_come_back() {
    let folder = tempdir().unwrap();
    let node = open(folder.path()).await;
    let (_, run) = node.mint().await;
    let pending = node.pending(&run, "send", "{}").await;
    let approval = pending.approval();
    let Admission::Refused(refusal) = pending.wait().await else { panic!("not refused") };
    assert_eq!((refusal.code, refusal.approval), (Code::ApprovalRequired, Some(approval)));
    node.kernel.approve(approval, &dana(), None, None).await.unwrap();
    node.cleared(&run, "send", "{}").await.settle(completed("{}"));
}

#[tokio::test]
async fn todays_policy_decides_when_an_approval_is_spent() {
    let folder = tempdir().unwrap();
    let node = open(folder.path()).await;
    let (_, run) = node.mint().await;
    let approval = node.pending(&run, "send", "{}").await.approval();
    node.kernel.approve(approval, &dana(), None, None).await.unwrap();
    let denies = "rules: [{ name: no, match: { action: send }, decision: DENY }]";
    node.kernel.apply(setup(denies, limits()), &dana()).await.unwrap();
    assert_eq!(node.refused(&run, "send", "{}").await.code, Code::DeniedByPolicy);
    let stricter = "rules: [{ name: two, match: { action: send }, decision: REQUIRE_APPROVAL, approval: { quorum: 2 } }]";
    node.kernel.apply(setup(stricter, limits()), &dana()).await.unwrap();
    assert_ne!(node.pending(&run, "send", "{}").await.approval(), approval, "a new rule asks again");
}

#[tokio::test]
async fn approvals_survive_a_restart_and_are_spent_once_all_the_same() {
    let folder = tempdir().unwrap();
    let node = open(folder.path()).await;
    let (token, run) = node.mint().await;
    let approved = node.pending(&run, "send", r#"{"q":"a"}"#).await.approval();
    let waiting = node.pending(&run, "send", r#"{"q":"b"}"#).await.approval();
    let spent = node.pending(&run, "send", r#"{"q":"c"}"#).await.approval();
    node.kernel.approve(approved, &dana(), None, None).await.unwrap();
    node.kernel.approve(spent, &dana(), None, None).await.unwrap();
    node.cleared(&run, "send", r#"{"q":"c"}"#).await.settle(completed("{}"));
    let clock = node.clock.clone();
    node.kernel.ledger().close();
    drop(node);
    let node = open_at(folder.path(), clock, setup(POLICY, limits())).await;
    let run = node.kernel.authenticate(&token).unwrap();
    assert_eq!(node.pending(&run, "send", r#"{"q":"b"}"#).await.approval(), waiting);
    assert_ne!(node.pending(&run, "send", r#"{"q":"c"}"#).await.approval(), spent);
    node.cleared(&run, "send", r#"{"q":"a"}"#).await.settle(completed("{}"));
}

#[tokio::test]
async fn a_suspension_ends_the_waiting() {
    let folder = tempdir().unwrap();
    let node = open(folder.path()).await;
    let (_, run) = node.mint().await;
    let waiting = tokio::spawn(node.pending(&run, "send", "{}").await.wait());
    tokio::task::yield_now().await;
    let request = ringfence_kernel::Suspend { scope: run.scope(), reason: "stop".into(), duration: None };
    node.kernel.suspend(request, &dana()).await.unwrap();
    let Admission::Refused(refusal) = waiting.await.unwrap() else { panic!("not refused") };
    assert_eq!(refusal.code, Code::Suspended);
}

/// The call of a tool that answers what its server asked for in the last round.
fn continued(run: &std::sync::Arc<ringfence_kernel::Run>, arguments: &str, said: &str) -> Proposal {
    let mut proposal = common::proposal(run, "send", arguments);
    let Call::Tool { continuation, .. } = &mut proposal.call else { panic!("a tool") };
    *continuation = Some(json(&format!(r#"{{"requestState":"s","inputResponses":{{"a":"{said}"}}}}"#)));
    proposal
}

#[tokio::test]
async fn an_approval_is_for_one_continuation_and_shows_it() {
    let folder = tempdir().unwrap();
    let node = open(folder.path()).await;
    let (_, run) = node.mint().await;
    let pending = async |said: &str| match node.kernel.admit(continued(&run, r#"{"q":"a"}"#, said)).await {
        Admission::Pending(pending) => pending.approval(),
        other => panic!("{other:?}"),
    };
    let approval = pending("yes").await;
    assert_ne!(node.pending(&run, "send", r#"{"q":"a"}"#).await.approval(), approval, "without it");
    assert_ne!(pending("no").await, approval, "with another");
    let shown = node.kernel.approval(approval).unwrap().requested.unwrap();
    assert!(format!("{}", ringfence_json::Value::from(shown.clone())).contains(r#""a":"yes""#));
    let mut changed = shown.clone();
    changed.insert(CONTINUATION, json(r#"{"inputResponses":{"a":"no"}}"#));
    let refused = node.kernel.approve(approval, &dana(), Some(changed), None).await.unwrap_err();
    assert!(matches!(refused, ApprovalError::Arguments(_)), "{refused:?}");
    // Less of the arguments, the same continuation.
    node.kernel.approve(approval, &dana(), Some(json("{}")), None).await.unwrap();
    let Admission::Cleared(clearance) = node.kernel.admit(continued(&run, r#"{"q":"a"}"#, "yes")).await
    else {
        panic!("not cleared")
    };
    assert_eq!(arguments_of(clearance.call()), "{}");
    assert_eq!(clearance.call().continuation(), continued(&run, "{}", "yes").call.continuation());
    clearance.settle(completed("{}"));
    let arguments = format!(r#"{{"{CONTINUATION}":{{}}}}"#);
    let refusal = node.refused(&run, "send", &arguments).await;
    assert_eq!(refusal.code, Code::InvalidInput, "an argument that would pass for a continuation");
}

#[tokio::test]
async fn who_waits_for_a_person_is_told_why() {
    let folder = tempdir().unwrap();
    let policy = POLICY
        .replace("approval: { expires: 10m } }", "approval: { expires: 10m }, reason: Mail is read first. }");
    let node = common::open_with(folder.path(), &policy, limits()).await;
    let (_, run) = node.mint().await;
    let Admission::Refused(refusal) = node.pending(&run, "send", "{}").await.wait().await else {
        panic!("no")
    };
    assert!(refusal.reason.starts_with("Mail is read first. This call waits"), "{}", refusal.reason);
}
