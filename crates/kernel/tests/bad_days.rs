//! Calls that meet a suspension, a slow disk, a failing log or a caller that is gone at the worst moment.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests may panic")]

mod common;

use std::path::Path;
use std::time::Duration;

use common::{Node, POLICY, completed, dana, json, limits, open, person, setup, start};
use ringfence_kernel::{Admission, Clock, Kernel, Options, Suspend};
use ringfence_ledger::Faults;
use ringfence_types::{Code, NodeName, Scope};
use tempfile::tempdir;
use tokio::time::{sleep, timeout};

/// Longer than anything takes that happens by itself.
const PATIENCE: Duration = Duration::from_secs(20);

async fn open_with_faults(folder: &Path) -> (Node, Faults) {
    let faults = Faults::default();
    let clock = Clock::manual(start());
    let options =
        Options { node: NodeName::new("test").unwrap(), clock: clock.clone(), segment_bytes: Some(1 << 20) };
    let mut setup = setup(POLICY, limits());
    setup.approval_wait = PATIENCE;
    let (kernel, recovered) = Kernel::open_with_faults(folder, options, setup, faults.clone()).await.unwrap();
    let node = Node { kernel, clock, recovered };
    node.observe().await;
    (node, faults)
}

fn statuses(node: &Node) -> Vec<String> {
    node.entries("outcome").iter().map(|body| body.text("status").unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_suspension_catches_a_call_whose_intent_is_on_its_way_to_the_disk() {
    let folder = tempdir().unwrap();
    let (node, faults) = open_with_faults(folder.path()).await;
    let (_, run) = node.mint().await;
    faults.slow_syncs(Duration::from_millis(300));
    let kernel = node.kernel.clone();
    let proposal = common::proposal(&run, "query", "{}");
    let call = tokio::spawn(async move { kernel.admit(proposal).await });
    while node.kernel.status().open == 0 {
        sleep(Duration::from_millis(1)).await;
    }
    let request = Suspend { scope: Scope::default(), reason: "leaking".into(), duration: None };
    node.kernel.suspend(request, &dana()).await.unwrap();
    let Admission::Refused(refusal) = call.await.unwrap() else { panic!("handed out all the same") };
    assert_eq!(refusal.code, Code::Suspended);
    assert_eq!(statuses(&node), ["not_sent"]);
    assert_eq!(node.entries("outcome")[0].text("code"), Some("suspended"));
}

#[tokio::test]
async fn many_runs_are_killed_in_the_time_of_one() {
    let folder = tempdir().unwrap();
    let (node, faults) = open_with_faults(folder.path()).await;
    let mut runs = Vec::new();
    for _ in 0..20 {
        runs.push(node.mint().await.1.id);
    }
    node.kernel.kill(runs[7], "before", &dana()).await.unwrap();
    faults.slow_syncs(Duration::from_millis(50));
    let before = faults.syncs_done();
    let killed = node.kernel.kill_all(&runs, "leaking", &dana()).await.unwrap();
    // One may be on its way when the others come; they share the next.
    assert!(faults.syncs_done() - before <= 3, "{} syncs", faults.syncs_done() - before);
    assert_eq!(killed.len(), 19, "the one that was over is not among them");
    let copy = common::crash_copy(folder.path(), &node);
    let again = common::open_at(copy.path(), node.clock.clone(), setup(POLICY, limits())).await;
    assert!(runs.iter().all(|run| again.kernel.run(*run).unwrap().ended.is_some()), "it is durable");
}

#[tokio::test]
async fn a_yes_whose_giver_is_gone_before_it_is_durable_releases_the_call_all_the_same() {
    let folder = tempdir().unwrap();
    let (node, faults) = open_with_faults(folder.path()).await;
    let (_, run) = node.mint().await;
    let pending = node.pending(&run, "send", "{}").await;
    let approval = pending.approval();
    let waiting = tokio::spawn(pending.wait());
    tokio::task::yield_now().await;
    faults.slow_syncs(Duration::from_millis(200));
    let approver = dana();
    let answer = node.kernel.approve(approval, &approver, None, None);
    assert!(timeout(Duration::from_millis(20), answer).await.is_err(), "the disk is slow");
    let Admission::Cleared(clearance) = timeout(PATIENCE, waiting).await.unwrap().unwrap() else {
        panic!("not cleared")
    };
    clearance.settle(completed("{}"));
}

#[tokio::test]
async fn a_call_that_is_gone_when_its_turn_comes_leaves_it_to_the_next() {
    let folder = tempdir().unwrap();
    let (node, _) = open_with_faults(folder.path()).await;
    let (_, run) = node.mint().await;
    let gone = node.pending(&run, "send", "{}").await;
    let approval = gone.approval();
    let next = tokio::spawn(node.pending(&run, "send", "{}").await.wait());
    tokio::task::yield_now().await;
    node.kernel.approve(approval, &dana(), None, None).await.unwrap();
    // Woken, but not there any more.
    drop(gone);
    let Admission::Cleared(clearance) = timeout(PATIENCE, next).await.unwrap().unwrap() else {
        panic!("not cleared")
    };
    clearance.settle(completed("{}"));
}

#[tokio::test]
async fn nobody_overtakes_the_call_whose_turn_it_is() {
    let folder = tempdir().unwrap();
    let (node, _) = open_with_faults(folder.path()).await;
    let (_, run) = node.mint().await;
    let oldest = node.pending(&run, "send", "{}").await;
    let approval = oldest.approval();
    node.kernel.approve(approval, &dana(), None, None).await.unwrap();
    let late = node.pending(&run, "send", "{}").await;
    assert_eq!(late.approval(), approval, "it joins the line");
    let Admission::Cleared(clearance) = oldest.wait().await else { panic!("overtaken") };
    clearance.settle(completed("{}"));
}

#[tokio::test]
async fn a_yes_is_for_what_would_be_sent_then_and_not_for_what_another_makes_of_it() {
    let folder = tempdir().unwrap();
    let node = open(folder.path()).await;
    let (_, run) = node.mint().await;
    let approval = node.pending(&run, "pay", r#"{"amount":95}"#).await.approval();
    let max = person("max", &["approver"]);
    node.kernel.approve(approval, &dana(), Some(json(r#"{"amount":20}"#)), None).await.unwrap();
    let view = node.kernel.approve(approval, &max, Some(json(r#"{"amount":90}"#)), None).await.unwrap();
    assert_eq!(view.given.len(), 1, "dana said yes to 20");
    assert!(matches!(node.admit(&run, "pay", r#"{"amount":95}"#).await, Admission::Pending(_)));
    node.kernel.approve(approval, &dana(), None, None).await.unwrap();
    let clearance = node.cleared(&run, "pay", r#"{"amount":95}"#).await;
    assert_eq!(common::arguments_of(clearance.call()), r#"{"amount":90}"#);
    clearance.settle(completed("{}"));
}

#[tokio::test]
async fn an_outcome_that_comes_after_the_log_failed_is_written_when_it_is_back() {
    let folder = tempdir().unwrap();
    let (node, faults) = open_with_faults(folder.path()).await;
    let (_, run) = node.mint().await;
    let early = node.cleared(&run, "query", r#"{"q":"early"}"#).await;
    let late = node.cleared(&run, "query", r#"{"q":"late"}"#).await;
    quiet(&faults);
    faults.fail_syncs(1);
    let refusal = node.refused(&run, "query", "{}").await;
    assert_eq!(refusal.code, Code::LedgerUnavailable);
    assert_eq!(early.settle(completed("{}")).entry, None, "the log is away");
    timeout(PATIENCE, node.kernel.ledger().next_session()).await.unwrap().unwrap();
    node.kernel.tend().await;
    assert!(late.settle(completed("{}")).entry.is_some());
    assert_eq!(statuses(&node), ["completed", "completed"]);
    assert_eq!((node.kernel.status().open, node.kernel.runs()[0].in_flight), (0, 0));
    node.cleared(&run, "query", "{}").await.settle(completed("{}"));
    assert_eq!(node.kernel.runs()[0].actions, 3, "what the log has lost was never cleared");
}

#[tokio::test]
async fn what_the_log_lost_is_forgotten_and_what_it_kept_is_not() {
    let folder = tempdir().unwrap();
    let (node, faults) = open_with_faults(folder.path()).await;
    let (_, run) = node.mint().await;
    let approval = node.pending(&run, "send", "{}").await.approval();
    node.kernel.approve(approval, &dana(), None, None).await.unwrap();
    quiet(&faults);
    faults.fail_syncs(1);
    let refusal = node.refused(&run, "send", "{}").await;
    assert_eq!(refusal.code, Code::LedgerUnavailable);
    timeout(PATIENCE, node.kernel.ledger().next_session()).await.unwrap().unwrap();
    node.kernel.tend().await;
    let clearance = node.cleared(&run, "send", "{}").await;
    clearance.settle(completed("{}"));
    let intents = node.entries("intent");
    assert_eq!(intents.len(), 1);
    assert_eq!(intents[0].text("approval"), Some(approval.to_string().as_str()), "it was never spent");
}

#[tokio::test]
async fn an_action_given_up_and_settled_late_is_given_back_once() {
    let folder = tempdir().unwrap();
    let node = open(folder.path()).await;
    let (_, run) = node.mint().await;
    let hangs = node.cleared(&run, "query", r#"{"q":"1"}"#).await;
    node.clock.advance(Duration::from_secs(121));
    let other = node.cleared(&run, "query", r#"{"q":"2"}"#).await;
    node.kernel.tend().await;
    assert!(hangs.cancel().check().is_err(), "what it does now is no longer heard");
    hangs.settle(completed("{}"));
    assert_eq!(node.kernel.runs()[0].in_flight, 1);
    other.settle(completed("{}"));
    assert_eq!(node.kernel.runs()[0].in_flight, 0);
}

#[tokio::test]
async fn guessing_names_of_tools_does_not_fill_the_log() {
    let folder = tempdir().unwrap();
    let node = open(folder.path()).await;
    let (_, run) = node.mint().await;
    for guess in 0..3_000 {
        assert_eq!(node.refused(&run, &format!("tool{guess}"), "{}").await.code, Code::NotGranted);
    }
    node.clock.advance(Duration::from_secs(11));
    node.kernel.tend().await;
    let refusals = node.entries("refusal");
    assert!(refusals.len() < 100, "{} entries", refusals.len());
    let counted = |body: &ringfence_json::Object| {
        body.get("count").and_then(ringfence_json::Value::as_u64).unwrap_or(1)
    };
    assert_eq!(refusals.iter().map(counted).sum::<u64>(), 3_000);
}

#[tokio::test]
async fn when_another_rule_asks_people_are_asked_about_what_the_agent_asked_for() {
    let folder = tempdir().unwrap();
    let node = open(folder.path()).await;
    let (_, run) = node.mint().await;
    let approval = node.pending(&run, "send", r#"{"q":"a"}"#).await.approval();
    node.kernel.approve(approval, &dana(), Some(json("{}")), None).await.unwrap();
    let other = "rules: [{ name: other, match: { action: send }, decision: REQUIRE_APPROVAL }]";
    node.kernel.apply(setup(other, limits()), &dana()).await.unwrap();
    let asked = node.pending(&run, "send", r#"{"q":"a"}"#).await.approval();
    assert_ne!(asked, approval);
    let view = node.kernel.approval(asked).unwrap();
    assert_eq!(view.will_send.unwrap().to_canonical(), br#"{"q":"a"}"#);
    assert_eq!(node.pending(&run, "send", r#"{"q":"a"}"#).await.approval(), asked, "and asked once");
}

/// Waits until the log's writer has prepared what it wants to have ready: its syncs would take the failure.
fn quiet(faults: &Faults) {
    let mut before = u64::MAX;
    while before != faults.syncs_done() {
        before = faults.syncs_done();
        std::thread::sleep(Duration::from_millis(150));
    }
}

#[tokio::test]
async fn payloads_are_kept_as_long_as_their_workspace_says_and_their_end_is_on_record() {
    let folder = tempdir().unwrap();
    let node = open(folder.path()).await;
    let act = async |query: &str| {
        let (_, run) = node.mint().await;
        let clearance = node.cleared(&run, "query", &format!(r#"{{"q":"{query}"}}"#)).await;
        let action = clearance.action();
        clearance.settle(completed("{}"));
        action
    };
    let ledger = node.kernel.ledger().clone();
    act("old").await;
    for _ in 0..4 {
        node.clock.advance(Duration::from_hours(25));
        node.kernel.tend().await;
        act("new").await;
    }
    let pruned: Vec<_> =
        node.entries("run").into_iter().filter(|entry| entry.text("event") == Some("pruned")).collect();
    assert!(!pruned.is_empty());
    assert!(pruned[0].text("reason").unwrap().starts_with("the payloads of research before entry"));
    let reads = (0..ledger.durable()).map(|entry| kept(&ledger, entry)).collect::<Vec<_>>();
    assert_eq!(reads.iter().flatten().next(), Some(&false), "the first is gone");
    assert_eq!(reads.iter().flatten().last(), Some(&true), "the last is there");
    drop(ledger);
    node.kernel.stop().await;
    drop(node);
    open(folder.path()).await;
}

/// Whether an entry's arguments are still there; `None` when it has none.
fn kept(ledger: &ringfence_ledger::Ledger, entry: u64) -> Option<bool> {
    let bytes = ledger.read(entry).unwrap().next().unwrap().unwrap().bytes;
    let object =
        ringfence_json::parse(&bytes, &ringfence_json::Limits::default()).unwrap().into_object().unwrap();
    let name = object.text("arguments")?.parse().unwrap();
    ledger.payload(entry, &name).unwrap().map(|payload| payload != ringfence_ledger::Payload::Pruned)
}
