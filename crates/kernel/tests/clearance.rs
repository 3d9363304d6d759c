//! However a clearance ends, its action is settled, once.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests may panic")]

mod common;

use std::time::Duration;

use common::{POLICY, completed, crash_copy, limits, open, open_at, setup};
use ringfence_types::Code;
use tempfile::tempdir;

fn statuses(node: &common::Node) -> Vec<String> {
    node.entries("outcome").iter().map(|body| body.text("status").unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_dropped_clearance_settles_as_unknown() {
    let folder = tempdir().unwrap();
    let node = open(folder.path()).await;
    let (_, run) = node.mint().await;
    drop(node.cleared(&run, "query", "{}").await);
    assert_eq!(statuses(&node), ["unknown"]);
    assert_eq!(node.kernel.status().open, 0);
}

#[tokio::test]
async fn a_panicking_executor_settles_as_unknown() {
    let folder = tempdir().unwrap();
    let node = open(folder.path()).await;
    let (_, run) = node.mint().await;
    let clearance = node.cleared(&run, "query", "{}").await;
    let panicked = tokio::spawn(async move {
        let _held = clearance;
        panic!("on purpose");
    });
    assert!(panicked.await.is_err());
    assert_eq!(statuses(&node), ["unknown"]);
}

#[tokio::test]
async fn a_cancelled_executor_settles_as_unknown() {
    let folder = tempdir().unwrap();
    let node = open(folder.path()).await;
    let (_, run) = node.mint().await;
    let clearance = node.cleared(&run, "query", "{}").await;
    let task = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_hours(1)).await;
        clearance.settle(completed("{}"))
    });
    tokio::task::yield_now().await;
    task.abort();
    assert!(task.await.is_err());
    assert_eq!(statuses(&node), ["unknown"]);
}

#[tokio::test]
async fn a_forgotten_clearance_is_settled_by_housekeeping_and_only_once() {
    let folder = tempdir().unwrap();
    let node = open(folder.path()).await;
    let (_, run) = node.mint().await;
    let kept = node.cleared(&run, "query", "{}").await;
    let forgotten = node.cleared(&run, "query", "{}").await;
    std::mem::forget(forgotten);
    node.clock.advance(Duration::from_mins(1));
    node.kernel.tend().await;
    assert!(statuses(&node).is_empty(), "not overdue yet");
    node.clock.advance(Duration::from_secs(61));
    node.kernel.tend().await;
    assert_eq!(statuses(&node), ["unknown", "unknown"]);
    assert_eq!(kept.settle(completed("{}")).entry, None, "housekeeping has settled it");
    assert_eq!(statuses(&node).len(), 2);
}

#[tokio::test]
async fn a_request_dropped_before_its_clearance_was_handed_out_was_never_sent() {
    let folder = tempdir().unwrap();
    let node = open(folder.path()).await;
    let (_, run) = node.mint().await;
    for _ in 0..50 {
        let admission = node.admit(&run, "query", "{}");
        // Polled once at most: the intent may be on its way to the disk when the request goes away.
        let _ = tokio::time::timeout(Duration::ZERO, admission).await;
    }
    let intents = node.entries("intent").len();
    let outcomes = statuses(&node);
    assert_eq!(outcomes.len(), intents);
    assert!(outcomes.iter().all(|status| status == "not_sent" || status == "unknown"), "{outcomes:?}");
    assert_eq!(node.kernel.runs()[0].in_flight, 0);
}

#[tokio::test]
async fn after_a_crash_what_was_open_is_unknown_and_nothing_else_is_forgotten() {
    let folder = tempdir().unwrap();
    let node = open(folder.path()).await;
    let (token, run) = node.mint().await;
    node.cleared(&run, "query", "{}").await.settle(completed("{}"));
    std::mem::forget(node.cleared(&run, "query", "{}").await);
    let clock = node.clock.clone();
    let crashed = crash_copy(folder.path(), &node);
    let node = open_at(crashed.path(), clock, setup(POLICY, limits())).await;
    assert_eq!(node.recovered.unknown, 1);
    assert_eq!(statuses(&node), ["completed", "unknown"]);
    let run = node.kernel.authenticate(&token).unwrap();
    assert_eq!(node.kernel.run(run.id).unwrap().actions, 2);
    node.cleared(&run, "query", "{}").await.settle(completed("{}"));
}

#[tokio::test]
async fn a_stopped_node_admits_nothing_and_starts_from_its_snapshot() {
    let folder = tempdir().unwrap();
    let node = open(folder.path()).await;
    let (token, run) = node.mint().await;
    for _ in 0..20 {
        node.cleared(&run, "query", "{}").await.settle(completed("{}"));
    }
    node.kernel.stop().await;
    assert!(matches!(
        node.refused(&run, "query", "{}").await.code,
        Code::Overloaded | Code::LedgerUnavailable
    ));
    let clock = node.clock.clone();
    drop(node);
    let node = open_at(folder.path(), clock, setup(POLICY, limits())).await;
    assert!(node.recovered.replayed < 5, "{:?}", node.recovered);
    let run = node.kernel.authenticate(&token).unwrap();
    assert_eq!(node.kernel.run(run.id).unwrap().actions, 20);
    node.cleared(&run, "query", "{}").await.settle(completed("{}"));
}

#[tokio::test]
async fn a_snapshot_that_is_not_what_the_log_vouches_for_is_not_believed() {
    let folder = tempdir().unwrap();
    let node = open(folder.path()).await;
    let (token, run) = node.mint().await;
    node.cleared(&run, "query", "{}").await.settle(completed("{}"));
    node.kernel.stop().await;
    let clock = node.clock.clone();
    drop(node);
    for file in std::fs::read_dir(folder.path().join("snapshots")).unwrap() {
        let path = file.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(r#""actions":1"#), "{text}");
        std::fs::write(&path, text.replace(r#""actions":1"#, r#""actions":0"#)).unwrap();
    }
    let node = open_at(folder.path(), clock, setup(POLICY, limits())).await;
    assert!(node.recovered.replayed > 5, "from the log alone: {:?}", node.recovered);
    let run = node.kernel.authenticate(&token).unwrap();
    assert_eq!(node.kernel.run(run.id).unwrap().actions, 1);
}
