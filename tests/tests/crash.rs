//! kill -9 at random moments under load: the log knows of everything that was executed.
#![expect(clippy::panic, clippy::unwrap_used, reason = "a panic is how a test fails, in its helpers too")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::Method;
use ringfence_tests::audit;
use ringfence_tests::config::Config;
use ringfence_tests::mcp::Client;
use ringfence_tests::mcp::http::try_over;
use ringfence_tests::node::Node;
use ringfence_tests::upstream::{Upstream, executed, text};
use serde_json::{Value, json};

/// Calls at the same time: these, and as many that wait for a person.
const WORKERS: usize = 8;
const ASKING: usize = 2;

/// How often the node dies; `RINGFENCE_KILLS` says otherwise.
const KILLS: u64 = 40;

/// The longest time between a start and the next death.
const LIFE_MS_MAX: u64 = 250;

/// Numbers that look random and can be had again: xorshift64*.
struct Random(u64);

impl Random {
    /// From `RINGFENCE_SEED`, or fresh; printed, so that a failure can be played again.
    fn seeded() -> Self {
        let fresh = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().subsec_nanos();
        let seed = number("RINGFENCE_SEED").unwrap_or_else(|| u64::from(fresh)).max(1);
        println!("RINGFENCE_SEED={seed}");
        Self(seed)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) % end
    }
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

/// What the agents know of their calls.
#[derive(Default)]
struct Known {
    next: AtomicU64,
    in_flight: AtomicU64,
    /// How often a person said yes.
    approved: AtomicU64,
    acknowledged: Mutex<BTreeSet<String>>,
}

/// Calls without end, until one is not answered.
async fn work(client: Client, tool: &'static str, known: Arc<Known>) {
    loop {
        let id = format!("call-{:06}", known.next.fetch_add(1, Ordering::SeqCst));
        let params = json!({ "name": tool, "arguments": { "id": id } });
        known.in_flight.fetch_add(1, Ordering::SeqCst);
        let reply = async { client.open("tools/call", params).await?.reply().await };
        let Ok(reply) = reply.await else { return };
        known.in_flight.fetch_sub(1, Ordering::SeqCst);
        if reply.message["result"]["isError"] != true && reply.message.get("result").is_some() {
            known.acknowledged.lock().unwrap().insert(id);
        }
    }
}

/// A person who agrees to whatever waits, until nobody asks any more.
async fn agree(socket: PathBuf, known: Arc<Known>) {
    while let Ok(waiting) = try_over(&socket, Method::GET, "/api/v1/approvals").await {
        let waiting = waiting.json();
        for request in waiting["approvals"].as_array().unwrap_or_else(|| panic!("{waiting}")) {
            let path = format!("/api/v1/approvals/{}/approve", text(request, "id"));
            let Ok(answer) = try_over(&socket, Method::POST, &path).await else { return };
            known.approved.fetch_add(u64::from(answer.status == 200), Ordering::SeqCst);
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Lets agents work for a moment, kills the node, and starts it again. Returns whether calls were in flight.
async fn die_and_live(node: &mut Node, token: &str, known: &Arc<Known>, life: Duration) -> bool {
    known.in_flight.store(0, Ordering::SeqCst);
    let tools = [["record"].repeat(WORKERS), ["record_asked"].repeat(ASKING)].concat();
    let client = || Client::modern(&node.mcp("tools"), Some(token));
    let mut workers: Vec<_> =
        tools.into_iter().map(|tool| tokio::spawn(work(client(), tool, Arc::clone(known)))).collect();
    workers.push(tokio::spawn(agree(node.data().join("control.sock"), Arc::clone(known))));
    tokio::time::sleep(life).await;
    let in_flight = known.in_flight.load(Ordering::SeqCst) > 0;
    node.kill().await;
    for worker in workers {
        worker.await.unwrap();
    }
    node.restart().await;
    in_flight
}

/// The calls that have an intent, by action, each under the id that the agent gave it.
async fn calls_by_action(node: &Node) -> BTreeMap<String, String> {
    let mut calls = BTreeMap::new();
    for intent in audit::entries(node, "intent").await {
        let action = text(&intent, "action");
        // A command for each would take minutes.
        let shown = node.api(&format!("/api/v1/audit/actions/{action}")).await;
        assert_eq!(shown.status, 200, "{action}: {}", shown.text());
        let shown = shown.text();
        let start = shown.find("call-").unwrap_or_else(|| panic!("an intent without its arguments: {shown}"));
        calls.insert(action, shown[start..start + "call-000000".len()].to_owned());
    }
    calls
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whenever_the_node_dies_every_executed_call_has_its_intent_and_nothing_acknowledged_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("calls");
    let upstream = Upstream::plain(Some(&list), &["--delay-ms", "20"]).await;
    let mut node = Node::start(&Config::asking_url(&upstream.url)).await;
    let token = node.mint("lab").await;
    let (mut random, known) = (Random::seeded(), Arc::new(Known::default()));

    let kills = number("RINGFENCE_KILLS").unwrap_or(KILLS);
    let mut with_calls_in_flight = 0;
    for _ in 0..kills {
        let life = Duration::from_millis(random.below(LIFE_MS_MAX));
        with_calls_in_flight += u64::from(die_and_live(&mut node, &token, &known, life).await);
    }
    println!("{kills} kills, {with_calls_in_flight} with calls in flight");
    assert!(with_calls_in_flight * 2 >= kills, "too few calls in flight to say anything");

    audit::verify(&node).await;
    let calls = calls_by_action(&node).await;
    let intended: BTreeSet<&str> = calls.values().map(String::as_str).collect();
    let executed: Vec<String> = executed(&list).iter().map(|call| text(&call["arguments"], "id")).collect();
    let once: BTreeSet<&str> = executed.iter().map(String::as_str).collect();
    assert!(!executed.is_empty());
    println!("{} calls executed, {} intents", executed.len(), intended.len());
    assert_eq!(once.len(), executed.len(), "a call was executed twice");
    for id in &once {
        assert!(intended.contains(id), "{id} was executed without an intent");
    }
    let acknowledged = known.acknowledged.lock().unwrap().clone();
    expect_outcomes(&node, &calls, &acknowledged, &once).await;
    expect_approvals(&node, known.approved.load(Ordering::SeqCst)).await;
}

/// Every call that a person had to agree to has a yes of its own, which stands before it.
async fn expect_approvals(node: &Node, told: u64) {
    let mut given = BTreeSet::new();
    let mut spent = BTreeSet::new();
    for entry in audit::exported(node).await {
        let approval = entry["approval"].as_str().map(str::to_owned);
        match (text(&entry, "kind").as_str(), approval) {
            ("approval", Some(approval)) if text(&entry, "answer") == "approved" => {
                given.insert(approval);
            }
            ("intent", Some(approval)) => {
                assert!(given.contains(&approval), "nobody had agreed: {entry}");
                assert!(spent.insert(approval), "an approval was spent twice: {entry}");
            }
            ("intent", None) => assert_eq!(text(&entry, "tool"), "record", "nobody was asked: {entry}"),
            _ => {}
        }
    }
    println!("{} approvals, {} of them spent", given.len(), spent.len());
    assert!(!spent.is_empty());
    assert!(given.len() as u64 >= told, "a person was told of a yes that is not in the log");
}

/// Every intent has one outcome, and the outcome of what an agent was told a result of is that result, or unknown where
/// the node died before its record was on the disk: agents do not wait for that.
async fn expect_outcomes(
    node: &Node,
    calls: &BTreeMap<String, String>,
    acknowledged: &BTreeSet<String>,
    executed: &BTreeSet<&str>,
) {
    let mut settled: BTreeMap<&str, Value> = BTreeMap::new();
    let outcomes = audit::entries(node, "outcome").await;
    for outcome in outcomes {
        let call = calls.get(&text(&outcome, "action"));
        let call = call.unwrap_or_else(|| panic!("an outcome without its intent: {outcome}"));
        assert!(settled.insert(call, outcome).is_none(), "two outcomes for {call}");
    }
    for call in calls.values() {
        let outcome = settled.get(call.as_str()).unwrap_or_else(|| panic!("{call} has no outcome"));
        let status = text(outcome, "status");
        assert!(status != "not_sent" || !executed.contains(call.as_str()), "{call} was executed: {outcome}");
        if acknowledged.contains(call) {
            assert!(
                ["completed", "unknown"].contains(&status.as_str()),
                "{call} was acknowledged: {outcome}"
            );
        }
    }
    let lost: Vec<&String> = acknowledged.iter().filter(|id| !settled.contains_key(id.as_str())).collect();
    assert!(lost.is_empty(), "acknowledged, and not in the log: {lost:?}");
}
