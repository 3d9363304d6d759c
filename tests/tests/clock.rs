//! The wall clock steps by an hour, back and forward, under the running program: nobody gains or loses time by it.
#![expect(clippy::unwrap_used, reason = "a panic is how a test fails, in its helpers too")]

use std::time::Instant;

use ringfence_tests::audit;
use ringfence_tests::config::Config;
use ringfence_tests::limits::EFFECT;
use ringfence_tests::mcp::{Client, ToolAnswer};
use ringfence_tests::node::{Node, Surroundings};
use ringfence_tests::patience::eventually;
use ringfence_tests::upstream::{Upstream, text};
use ringfence_tests::wall_clock::WallClock;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

/// In seconds.
const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

/// A person for `echo`, who has half an hour: less than the clock steps by. For `record` they have seconds.
const POLICY: &str = "\
rules:
  - name: everything
    match: {}
    decision: ALLOW
  - name: half-an-hour
    match: { tool: echo }
    decision: REQUIRE_APPROVAL
    approval: { expires: 30m }
  - name: seconds
    match: { tool: record }
    decision: REQUIRE_APPROVAL
    approval: { expires: 2s }
";

struct Scene {
    clock: WallClock,
    node: Node,
    token: String,
    _upstream: Upstream,
}

impl Scene {
    async fn start() -> Self {
        let upstream = Upstream::plain(None, &[]).await;
        let clock = WallClock::new();
        let mut config = Config::open_url(&upstream.url);
        config.files[0].1 = config.files[0].1.replace("wall: off", "wall: 30m");
        POLICY.clone_into(&mut config.files[1].1);
        let surroundings = Surroundings { environment: clock.environment(), ..Surroundings::default() };
        let node = Node::start_in(surroundings, &config).await;
        let token = node.mint("lab").await;
        Self { clock, node, token, _upstream: upstream }
    }

    fn client(&self) -> Client {
        Client::modern(&self.node.mcp("tools"), Some(&self.token))
    }

    fn begin(&self, tool: &'static str) -> JoinHandle<ToolAnswer> {
        let client = self.client();
        tokio::spawn(async move { client.call(tool, json!({ "text": "hi" })).await })
    }

    /// A call that no rule holds up; the run has half an hour.
    async fn goes_on(&self) {
        self.client().call("slow", json!({ "events": 1, "pause_ms": 1 })).await.expect_done();
    }

    /// Sets the clock and waits until that stands in the log as the event it is.
    async fn step(&self, to: i64, direction: &str, jumps: usize) {
        self.clock.set(to);
        let incidents = eventually(EFFECT, "the jump is in the log", async || {
            let incidents = audit::entries(&self.node, "incident").await;
            let jumps_now: Vec<Value> =
                incidents.into_iter().filter(|one| one["event"] == "clock_jump").collect();
            (jumps_now.len() == jumps).then_some(jumps_now)
        })
        .await;
        let reason = text(incidents.last().unwrap(), "reason");
        assert!(reason.contains(&format!("set {direction} by ")), "{reason}");
    }

    /// No entry is older than the one before it.
    async fn time_never_runs_backwards(&self) -> Vec<Value> {
        let entries = audit::exported(&self.node).await;
        for pair in entries.windows(2) {
            let (before, after) = (text(&pair[0], "at"), text(&pair[1], "at"));
            assert!(before <= after, "{} and then {}", pair[0], pair[1]);
        }
        entries
    }
}

/// Of `2026-11-21T09:30:00.000000Z`.
fn second_of_day(entry: &Value) -> i64 {
    let at = text(entry, "at");
    at[11..19].split(':').fold(0, |sum, part| sum * 60 + part.parse::<i64>().unwrap())
}

#[tokio::test]
async fn an_approval_and_a_run_neither_end_nor_last_longer_because_the_clock_steps() {
    let scene = Scene::start().await;
    scene.goes_on().await;
    let mut jumps = 0;
    for (to, direction) in [(HOUR, "forward"), (-HOUR, "back"), (0, "forward")] {
        let waiting = scene.begin("echo");
        let id = text(&audit::asked(&scene.node).await, "id");
        jumps += 1;
        scene.step(to, direction, jumps).await;
        scene.goes_on().await;
        scene.node.cli(&["approvals", "approve", &id]).await.expect(0);
        waiting.await.unwrap().expect_done();

        let start = Instant::now();
        scene.begin("record").await.unwrap().expect_refused("approval_expired");
        assert!(start.elapsed() < EFFECT, "two seconds took {:?}", start.elapsed());
    }
    let entries = scene.time_never_runs_backwards().await;
    for pair in entries.windows(2) {
        let pause = (second_of_day(&pair[1]) + DAY - second_of_day(&pair[0])) % DAY;
        assert!(pause < HOUR / 2, "the log took part in the jumps: {} and then {}", pair[0], pair[1]);
    }
    let took = |kind: &str, field: &str| {
        let of_kind = entries.iter().filter(move |entry| entry["kind"] == kind);
        of_kind.filter_map(|entry| entry[field].as_u64()).max().unwrap()
    };
    assert!(took("outcome", "duration_us") < 1_800_000_000, "a call took part in the jumps");
    assert!(took("approval", "latency_ms") < 1_800_000, "a person took part in the jumps");
    audit::verify(&scene.node).await;
}

#[tokio::test]
async fn a_suspension_for_a_while_ends_in_its_time_while_the_clock_is_set_back() {
    let scene = Scene::start().await;
    scene.node.cli(&["suspend", "--agent", "assistant", "--reason", "Wait.", "--for", "3s"]).await.expect(0);
    scene.step(-HOUR, "back", 1).await;
    eventually(EFFECT, "the suspension ends", async || {
        let answer = scene.client().call("slow", json!({ "events": 1, "pause_ms": 1 })).await;
        assert!(!answer.is_error() || answer.code() == "suspended", "{}", answer.result);
        (!answer.is_error()).then_some(())
    })
    .await;
    audit::verify(&scene.node).await;
}

#[tokio::test]
async fn a_node_that_starts_with_its_clock_behind_goes_on_after_the_last_entry() {
    let mut scene = Scene::start().await;
    let waiting = scene.begin("echo");
    let id = text(&audit::asked(&scene.node).await, "id");
    scene.node.kill().await;
    waiting.abort();
    scene.clock.set(-HOUR);
    scene.node.restart().await;

    scene.goes_on().await;
    scene.node.cli(&["approvals", "approve", &id]).await.expect(0);
    scene.begin("echo").await.unwrap().expect_done();
    // Two seconds are two seconds, and not an hour more.
    scene.begin("record").await.unwrap().expect_refused("approval_expired");
    scene.time_never_runs_backwards().await;
    audit::verify(&scene.node).await;
}

#[tokio::test]
async fn a_node_that_starts_with_its_clock_ahead_has_let_the_hour_pass() {
    let mut scene = Scene::start().await;
    let waiting = scene.begin("echo");
    let id = text(&audit::asked(&scene.node).await, "id");
    scene.node.kill().await;
    waiting.abort();
    scene.clock.set(HOUR);
    scene.node.restart().await;
    // As after an hour without power: what had half an hour is over.
    scene.node.cli(&["approvals", "approve", &id]).await.expect(1);
    scene.time_never_runs_backwards().await;
    audit::verify(&scene.node).await;
}
