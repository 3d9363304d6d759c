//! One command cuts an agent off, while its calls are in flight.
#![expect(clippy::unwrap_used, reason = "a panic is how a test fails, in its helpers too")]

use ringfence_tests::audit;
use ringfence_tests::config::Config;
use ringfence_tests::limits::EFFECT;
use ringfence_tests::mcp::{Client, Streamed};
use ringfence_tests::node::Node;
use ringfence_tests::patience::{eventually, within};
use ringfence_tests::upstream::{Upstream, text};
use serde_json::{Value, json};

struct Scene {
    node: Node,
    upstream: Upstream,
}

impl Scene {
    async fn start() -> Self {
        let upstream = Upstream::plain(None, &[]).await;
        let node = Node::start(&Config::open_url(&upstream.url)).await;
        Self { node, upstream }
    }

    async fn client(&self) -> Client {
        Client::modern(&self.node.mcp("tools"), Some(&self.node.mint("lab").await))
    }

    async fn suspend(&self, scope: &[&str]) -> String {
        let mut command = vec!["suspend"];
        command.extend(scope);
        command.extend(["--reason", "Something is wrong.", "--json"]);
        text(&self.node.cli(&command).await.expect(0).json(), "id")
    }
}

/// An endless call whose news has begun to come.
async fn in_flight(client: &Client) -> Streamed {
    let params =
        json!({ "name": "endless", "arguments": { "pause_ms": 5 }, "_meta": { "progressToken": "p" } });
    let mut opened = client.open("tools/call", params).await.unwrap();
    let first = within(EFFECT, "news of the call", opened.next()).await.unwrap().unwrap();
    assert_eq!(first["method"], "notifications/progress");
    opened
}

/// Reads to the end and returns the last message, if one came.
async fn last_message(mut opened: Streamed) -> Option<Value> {
    let mut last = None;
    let read = async {
        while let Ok(Some(message)) = opened.next().await {
            last = Some(message);
        }
    };
    within(EFFECT, "the end of the call", read).await;
    last
}

async fn cuts_off(scope: &[&str]) {
    let scene = Scene::start().await;
    let client = scene.client().await;
    let opened = in_flight(&client).await;
    let id = scene.suspend(scope).await;

    let last = last_message(opened).await.unwrap();
    assert_eq!(last["result"]["_meta"]["dev.ringfence/decision"]["code"], "suspended", "{scope:?}: {last}");
    eventually(EFFECT, "the server notices", async || {
        (scene.upstream.counts().await["aborted"] == 1).then_some(())
    })
    .await;
    let refused = client.call("echo", json!({ "text": "hi" })).await;
    refused.expect_refused("suspended");
    assert!(refused.text().contains("Something is wrong."), "{}", refused.text());

    scene.node.cli(&["resume", &id]).await.expect(0);
    client.call("echo", json!({ "text": "hi" })).await.expect_done();
    audit::at_least(&scene.node, "suspension", 2).await;
    audit::verify(&scene.node).await;
}

#[tokio::test]
async fn a_suspended_server_is_cut_off_at_once() {
    cuts_off(&["-w", "lab", "--server", "tools"]).await;
}

#[tokio::test]
async fn a_suspended_agent_is_cut_off_at_once() {
    cuts_off(&["--agent", "assistant"]).await;
}

#[tokio::test]
async fn a_suspended_workspace_is_cut_off_at_once() {
    cuts_off(&["-w", "lab"]).await;
}

#[tokio::test]
async fn everything_is_cut_off_at_once() {
    cuts_off(&["--all"]).await;
}

#[tokio::test]
async fn everything_needs_to_be_said() {
    let scene = Scene::start().await;
    scene.node.cli(&["suspend", "--reason", "Oops."]).await.expect(2);
    scene.client().await.call("echo", json!({ "text": "hi" })).await.expect_done();
}

#[tokio::test]
async fn a_suspension_touches_nobody_else() {
    let scene = Scene::start().await;
    let first = scene.node.mint_run("lab").await;
    let one = Client::modern(&scene.node.mcp("tools"), first["token"].as_str());
    let other = scene.client().await;
    scene.suspend(&["--run", first["run"].as_str().unwrap()]).await;
    one.call("echo", json!({ "text": "hi" })).await.expect_refused("suspended");
    other.call("echo", json!({ "text": "hi" })).await.expect_done();
}

#[tokio::test]
async fn a_suspension_survives_kill_minus_nine() {
    let mut scene = Scene::start().await;
    let token = scene.node.mint("lab").await;
    let id = scene.suspend(&["--agent", "assistant"]).await;
    scene.node.kill().await;
    scene.node.restart().await;
    let client = Client::modern(&scene.node.mcp("tools"), Some(&token));
    client.call("echo", json!({ "text": "hi" })).await.expect_refused("suspended");
    scene.node.cli(&["resume", &id]).await.expect(0);
    client.call("echo", json!({ "text": "hi" })).await.expect_done();
}

#[tokio::test]
async fn a_suspension_for_a_while_ends_by_itself() {
    let scene = Scene::start().await;
    let client = scene.client().await;
    scene.suspend(&["--agent", "assistant", "--for", "1s"]).await;
    client.call("echo", json!({ "text": "hi" })).await.expect_refused("suspended");
    eventually(EFFECT, "the suspension ends", async || {
        let answer = client.call("echo", json!({ "text": "hi" })).await;
        (!answer.is_error()).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_killed_run_cannot_finish_its_stream() {
    let scene = Scene::start().await;
    let run = scene.node.mint_run("lab").await;
    let client = Client::modern(&scene.node.mcp("tools"), run["token"].as_str());
    let opened = in_flight(&client).await;
    scene.node.cli(&["kill", run["run"].as_str().unwrap()]).await.expect(0);
    let last = last_message(opened).await.unwrap();
    assert_eq!(last["result"]["isError"], true, "{last}");
}
