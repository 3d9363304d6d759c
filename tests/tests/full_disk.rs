//! A disk that fills up under the running node, and has room again.
#![expect(clippy::unwrap_used, reason = "a panic is how a test fails, in its helpers too")]

use std::collections::BTreeSet;
use std::path::Path;

use ringfence_tests::audit;
use ringfence_tests::config::Config;
use ringfence_tests::disk::{self, Filler};
use ringfence_tests::limits::EFFECT;
use ringfence_tests::mcp::{Client, Streamed, ToolAnswer};
use ringfence_tests::node::{Node, Surroundings};
use ringfence_tests::patience::eventually;
use ringfence_tests::upstream::{Upstream, executed, text};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

/// The log allocates two segments of 64 MiB and 12 MiB for payloads ahead of need; the index and tiles want a little.
const DISK_MIB: u32 = 192;

/// Calls that are in flight when the disk is full, and end well.
const WAITING: usize = 4;

/// Sizes of arguments with which what was allocated ahead is used up, in bytes, and more calls of each than fit.
const SIZES: [usize; 5] = [1 << 20, 100_000, 10_000, 1_000, 10];
const CALLS_MAX: usize = 200;

struct Scene {
    node: Node,
    upstream: Upstream,
    token: String,
}

impl Scene {
    async fn start(disk: &Path, calls: &Path) -> Self {
        let upstream = Upstream::plain(Some(calls), &[]).await;
        let surroundings = Surroundings { data: Some(disk.join("data")), ..Surroundings::default() };
        let mut config = Config::open_url(&upstream.url);
        config.files[0].1 = config.files[0].1.replace("repetition: off", "repetition: off, concurrent: 64");
        let node = Node::start_in(surroundings, &config).await;
        let token = node.mint("lab").await;
        Self { node, upstream, token }
    }

    fn client(&self) -> Client {
        Client::modern(&self.node.mcp("tools"), Some(&self.token))
    }

    async fn record(&self, size: usize) -> ToolAnswer {
        self.client().call("record", json!({ "id": "x".repeat(size) })).await
    }

    fn wait(&self) -> JoinHandle<ToolAnswer> {
        let client = self.client();
        tokio::spawn(async move { client.call("wait", json!({})).await })
    }

    /// A call that ends only when somebody ends it.
    async fn endless(&self) -> Streamed {
        let params =
            json!({ "name": "endless", "arguments": { "pause_ms": 50 }, "_meta": { "progressToken": "p" } });
        let mut opened = self.client().open("tools/call", params).await.unwrap();
        opened.next().await.unwrap().unwrap();
        opened
    }

    /// Calls until there is no room even for the smallest.
    async fn use_up_what_was_allocated(&self) {
        for size in SIZES {
            let mut calls = 0;
            loop {
                let answer = self.record(size).await;
                if answer.is_error() {
                    answer.expect_refused("ledger_unavailable");
                    break;
                }
                calls += 1;
                assert!(calls < CALLS_MAX, "the disk is full and takes ever more calls of {size} bytes");
            }
        }
    }

    async fn status(&self) -> Value {
        self.node.cli(&["status", "--json"]).await.expect(0).json()
    }
}

async fn last_message(mut opened: Streamed) -> Value {
    let mut last = Value::Null;
    while let Ok(Some(message)) = opened.next().await {
        last = message;
    }
    last
}

fn actions(entries: &[Value], kind: &str) -> BTreeSet<String> {
    entries.iter().filter(|entry| entry["kind"] == kind).map(|entry| text(entry, "action")).collect()
}

#[tokio::test]
async fn a_full_disk_refuses_what_is_new_and_records_what_was_begun() {
    let test = "a_full_disk_refuses_what_is_new_and_records_what_was_begun";
    let Some(disk) = disk::small(test, DISK_MIB) else { return };
    let elsewhere = tempfile::tempdir().unwrap();
    let calls = elsewhere.path().join("calls");
    let mut scene = Scene::start(&disk, &calls).await;
    let pid = scene.node.pid();
    scene.record(10).await.expect_done();

    // In flight when it happens.
    let waiting: Vec<_> = (0..WAITING).map(|_| scene.wait()).collect();
    let endless = scene.endless().await;
    let begun = audit::at_least(&scene.node, "intent", WAITING + 2).await.len();
    let filler = Filler::new(&disk);
    scene.use_up_what_was_allocated().await;

    // What is new is refused, and never reaches the server.
    let before = executed(&calls).len();
    for _ in 0..3 {
        scene.record(10).await.expect_refused("ledger_unavailable");
    }
    assert_eq!(executed(&calls).len(), before, "executed without a place in the log");

    // Operators are served, and what they do is recorded.
    scene.status().await;
    scene.node.cli(&["runs", "list", "--json"]).await.expect(0);
    let suspend = ["suspend", "--run", &run_of(&scene).await, "--reason", "The disk is full.", "--json"];
    let suspension = text(&scene.node.cli(&suspend).await.expect(0).json(), "id");
    let cut = last_message(endless).await;
    assert_eq!(cut["result"]["_meta"]["dev.ringfence/decision"]["code"], "suspended", "{cut}");
    for call in &waiting {
        call.abort();
    }
    scene.node.cli(&["resume", &suspension]).await.expect(0);
    scene.record(10).await.expect_refused("ledger_unavailable");
    let entries = audit::exported(&scene.node).await;
    let outcomes = actions(&entries, "outcome");
    let suspensions = entries.iter().filter(|entry| entry["kind"] == "suspension").count();
    assert!(
        outcomes.len() > begun && suspensions == 2,
        "{} outcomes, {suspensions} suspensions",
        outcomes.len()
    );
    audit::verify(&scene.node).await;

    // Room again: the same node goes on.
    drop(filler);
    eventually(EFFECT, "the node takes calls again", async || {
        (!scene.record(10).await.is_error()).then_some(())
    })
    .await;
    assert_eq!(scene.node.pid(), pid, "it was started again");
    assert_eq!(scene.status().await["admitting"], true);

    let entries = audit::exported(&scene.node).await;
    assert_eq!(actions(&entries, "intent"), actions(&entries, "outcome"), "an action without its outcome");
    assert_eq!(actions(&entries, "intent").len(), executed(&calls).len(), "executed and intended differ");
    audit::verify(&scene.node).await;
    assert_eq!(scene.node.stop().await, Some(0));
    audit::verify(&scene.node).await;
}

#[tokio::test]
async fn what_was_cleared_before_the_disk_was_full_ends_well() {
    let Some(disk) = disk::small("what_was_cleared_before_the_disk_was_full_ends_well", DISK_MIB) else {
        return;
    };
    let elsewhere = tempfile::tempdir().unwrap();
    let scene = Scene::start(&disk, &elsewhere.path().join("calls")).await;
    let waiting: Vec<_> = (0..WAITING).map(|_| scene.wait()).collect();
    audit::at_least(&scene.node, "intent", WAITING).await;
    let filler = Filler::new(&disk);
    scene.use_up_what_was_allocated().await;

    scene.upstream.release().await;
    for call in waiting {
        assert_eq!(call.await.unwrap().expect_done().text(), "at last");
    }
    let entries = eventually(EFFECT, "the outcomes are in the log", async || {
        let entries = audit::exported(&scene.node).await;
        (actions(&entries, "intent") == actions(&entries, "outcome")).then_some(entries)
    })
    .await;
    let completed = entries.iter().filter(|entry| entry["tool"] == "wait" && entry["kind"] == "outcome");
    let completed: Vec<&Value> = completed.collect();
    assert_eq!(completed.len(), WAITING);
    assert!(completed.iter().all(|outcome| outcome["status"] == "completed"), "{completed:?}");
    audit::verify(&scene.node).await;
    drop(filler);
}

async fn run_of(scene: &Scene) -> String {
    let runs = scene.node.cli(&["runs", "list", "--json"]).await.expect(0).lines();
    text(&runs[0], "run")
}
