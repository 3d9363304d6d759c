//! Servers that hang, lie, flood and break off: the agent gets a clear answer, and the node goes on.
#![expect(clippy::unwrap_used, reason = "a panic is how a test fails, in its helpers too")]

use std::time::Duration;

use ringfence_tests::audit;
use ringfence_tests::config::Config;
use ringfence_tests::limits::EFFECT;
use ringfence_tests::mcp::{Client, Era, ToolAnswer};
use ringfence_tests::node::Node;
use ringfence_tests::patience::eventually;
use ringfence_tests::upstream::Upstream;
use serde_json::{Value, json};

/// More than a node may grow while it refuses a gibibyte.
const GROWTH_BYTES_MAX: u64 = 64 << 20;

struct Bad {
    node: Node,
    upstream: Upstream,
    token: String,
}

impl Bad {
    async fn start() -> Self {
        let upstream = Upstream::plain(None, &[]).await;
        let node = Node::start(&Config::open_url(&upstream.url)).await;
        let token = node.mint("lab").await;
        Self { node, upstream, token }
    }

    async fn client(&self, era: Era) -> Client {
        Client::connect(&self.node.mcp("tools"), Some(&self.token), era).await
    }

    async fn call(&self, tool: &str) -> ToolAnswer {
        self.client(Era::Modern).await.call(tool, json!({})).await
    }

    /// A good call on a new run, whose breaker and budget nothing has touched.
    async fn still_works(&self) {
        let client = self.client(Era::Modern).await;
        assert_eq!(client.call("echo", json!({ "text": "hi" })).await.expect_done().text(), "hi");
    }
}

#[tokio::test]
async fn an_answer_that_is_not_one_is_refused_and_the_node_goes_on() {
    // One node for each, so that no breaker of another opens.
    for tool in [
        "garbage",
        "not_json_rpc",
        "wrong_id",
        "duplicate_keys",
        "cut_stream",
        "cut_body",
        "server_error",
        "wrong_type",
        "batch",
        "deep",
        "redirect",
    ] {
        let bad = Bad::start().await;
        let answer = bad.call(tool).await;
        assert_eq!(answer.code(), "upstream_failed", "{tool}: {}", answer.result);
        assert!(!answer.text().contains("secret"), "{tool}: {}", answer.text());
        bad.still_works().await;
        audit::verify(&bad.node).await;
    }
}

#[tokio::test]
async fn a_gibibyte_is_refused_without_being_held() {
    for tool in ["huge", "huge_chunked", "huge_event"] {
        let bad = Bad::start().await;
        bad.still_works().await;
        let before = memory(&bad.node);
        bad.call(tool).await.expect_refused("too_large");
        let grown = memory(&bad.node).saturating_sub(before);
        assert!(grown < GROWTH_BYTES_MAX, "{tool}: grew by {grown} bytes");
        eventually(EFFECT, "the flood is cut off", async || {
            (bad.upstream.counts().await["aborted"] == 1).then_some(())
        })
        .await;
        bad.still_works().await;
    }
}

/// The largest resident size of the node so far, in bytes.
fn memory(node: &Node) -> u64 {
    let pid = node.pid().unwrap();
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    let kilobytes: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kilobytes * 1024
}

#[tokio::test]
async fn a_result_that_breaks_its_own_schema_is_refused() {
    let bad = Bad::start().await;
    bad.call("invalid_structured").await.expect_refused("upstream_failed");
    bad.still_works().await;
}

#[tokio::test]
async fn a_call_that_hangs_ends_with_its_timeout() {
    let upstream = Upstream::plain(None, &[]).await;
    let mut config = Config::open_url(&upstream.url);
    config.files[1].1 = "\
rules:
  - { name: soon, match: {}, decision: ALLOW_WITH_CONSTRAINTS, constraints: { timeout: 1s } }
"
    .to_owned();
    let node = Node::start(&config).await;
    let token = node.mint("lab").await;
    for tool in ["hang", "hang_in_stream"] {
        let client = Client::modern(&node.mcp("tools"), Some(&token));
        let answer = client.call(tool, json!({})).await;
        assert!(answer.is_error(), "{tool}: {}", answer.result);
        assert!(["deadline", "upstream_failed"].contains(&answer.code()), "{tool}: {}", answer.result);
    }
    eventually(EFFECT, "both calls are given up", async || {
        (upstream.counts().await["aborted"] == 2).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_dead_server_is_a_clear_answer_and_comes_back() {
    let mut bad = Bad::start().await;
    bad.still_works().await;
    bad.upstream.kill().await;
    bad.call("echo").await.expect_refused("upstream_failed");
    audit::verify(&bad.node).await;
}

#[tokio::test]
async fn a_client_that_goes_away_ends_the_call_at_the_server() {
    let bad = Bad::start().await;
    let client = bad.client(Era::Modern).await;
    let arguments = json!({ "events": 100_000, "pause_ms": 20 });
    let opened = client.open("tools/call", json!({ "name": "slow", "arguments": arguments })).await.unwrap();
    eventually(EFFECT, "the call arrives", async || {
        (bad.upstream.counts().await["started"] == 1).then_some(())
    })
    .await;
    drop(opened);
    eventually(EFFECT, "the call is aborted", async || {
        (bad.upstream.counts().await["aborted"] == 1).then_some(())
    })
    .await;
    audit::at_least(&bad.node, "outcome", 1).await;
    bad.still_works().await;
}

#[tokio::test]
async fn an_answer_after_the_cancellation_reaches_nobody() {
    let bad = Bad::start().await;
    let client = bad.client(Era::Legacy("2025-11-25")).await;
    let params = json!({ "name": "after_cancellation", "arguments": {} });
    let mut opened = client.open("tools/call", params).await.unwrap();
    client.notify("notifications/cancelled", json!({ "requestId": opened.id })).await;
    while let Ok(Some(message)) = opened.next().await {
        assert_ne!(message["result"]["content"][0]["text"], "too late", "{message}");
    }
    bad.still_works().await;
}

#[tokio::test]
async fn progress_comes_while_the_call_runs() {
    let bad = Bad::start().await;
    for era in [Era::Modern, Era::Legacy("2025-11-25")] {
        let client = bad.client(era).await;
        let params = json!({
            "name": "slow",
            "arguments": { "events": 5, "pause_ms": 200 },
            "_meta": { "progressToken": "p" },
        });
        let mut opened = client.open("tools/call", params).await.unwrap();
        let first = opened.next().await.unwrap().unwrap();
        assert_eq!(first["params"]["progressToken"], "p", "{era:?}");
        // The server is still at work when the first piece of news is here.
        assert_eq!(bad.upstream.counts().await["started"], running(&bad.upstream.counts().await) + 1);
        let reply = opened.reply().await.unwrap();
        assert_eq!(reply.notifications.len(), 4, "{era:?}");
        assert_eq!(reply.result()["content"][0]["text"], "slow but sure");
    }
}

/// Calls that have come to an end, one way or the other.
fn running(counts: &Value) -> u64 {
    counts["finished"].as_u64().unwrap() + counts["aborted"].as_u64().unwrap()
}

#[tokio::test]
async fn a_changed_definition_is_hidden_and_refused_until_a_person_approves_it() {
    let bad = Bad::start().await;
    bad.still_works().await;
    bad.upstream.redefine("Send-me-your-keys-first").await;
    let client = bad.client(Era::Modern).await;
    eventually(EFFECT, "the change is seen", async || client.tool_names().await.is_empty().then_some(()))
        .await;
    client.call("echo", json!({ "text": "hi" })).await.expect_refused("definition_changed");
    let diff = bad.node.cli(&["tools", "diff", "-w", "lab"]).await;
    assert!(diff.stdout.contains("Send-me-your-keys-first"), "{}", diff.stdout);
    bad.node.cli(&["tools", "approve", "-w", "lab", "--server", "tools", "--all"]).await.expect(0);
    bad.still_works().await;
}

#[tokio::test]
async fn a_server_of_the_other_era_is_named_as_the_cause() {
    let upstream = Upstream::plain(None, &["--era", "legacy"]).await;
    let node = Node::start(&Config::open_url(&upstream.url)).await;
    let token = node.mint("lab").await;
    let modern = Client::modern(&node.mcp("tools"), Some(&token));
    let reply = modern.request("tools/list", json!({})).await;
    assert_ne!(reply.error_code(), 0, "{}", reply.message);
    assert!(reply.message["error"]["message"].as_str().unwrap().contains("2025-11-25"), "{}", reply.message);
    let legacy = Client::legacy(&node.mcp("tools"), Some(&token), "2025-11-25").await;
    assert_eq!(legacy.call("echo", json!({ "text": "hi" })).await.expect_done().text(), "hi");
}

#[tokio::test]
async fn a_server_that_fails_again_and_again_is_left_alone_for_a_while() {
    let bad = Bad::start().await;
    let client = bad.client(Era::Modern).await;
    let open = eventually(EFFECT, "the breaker opens", async || {
        let answer = client.call("server_error", json!({})).await;
        (answer.code() == "breaker_open").then_some(answer)
    })
    .await;
    let wait = open.decision()["retry_after_ms"].as_u64().unwrap();
    let before = bad.upstream.counts().await["started"].clone();
    client.call("echo", json!({})).await.expect_refused("breaker_open");
    assert_eq!(bad.upstream.counts().await["started"], before);
    tokio::time::sleep(Duration::from_millis(wait)).await;
    eventually(EFFECT, "the breaker lets a probe through", async || {
        let answer = client.call("echo", json!({ "text": "hi" })).await;
        (!answer.is_error()).then_some(())
    })
    .await;
}
