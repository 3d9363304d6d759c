//! Places for runs: of each workspace so many at once, each in its turn, and what waits for a person.
#![expect(clippy::unwrap_used, reason = "a panic is how a test fails, in its helpers too")]

use std::time::Duration;

use ringfence_tests::audit;
use ringfence_tests::config::Config;
use ringfence_tests::limits::EFFECT;
use ringfence_tests::mcp::http::{Answer, try_post_over};
use ringfence_tests::node::Node;
use ringfence_tests::patience::eventually;
use serde_json::{Value, json};

/// As many of one workspace wait at most.
const WAIT_MAX: usize = 256;

const POLICY: &str = "\
rules:
  - { name: asked, match: { kind: model_call }, decision: REQUIRE_APPROVAL }
";

const SCRIPT: &str = "\
rules:
  - say: Hello from the script.
";

/// Two workspaces, `busy` with these keys, and in each an agent that sleeps.
fn two(keys: &str) -> Config {
    let agents = "agents: { assistant: { run: { command: [sleep, '1000'] } } }, policy: [policy.yaml]";
    let config = format!(
        "organization: acme
workspaces:
  busy: {{ environment: test, {agents} {keys} }}
  calm: {{ environment: test, {agents} }}
"
    );
    Config {
        files: vec![
            ("ringfence.yaml", config),
            ("policy.yaml", "rules:\n  - { name: all, match: {}, decision: ALLOW }\n".to_owned()),
        ],
    }
}

async fn post(node: &Node, path: &str, body: Value) -> Answer {
    try_post_over(&node.data().join("control.sock"), path, &body).await.unwrap()
}

async fn begin(node: &Node, workspace: &str) -> Answer {
    post(node, "/api/v1/runs", json!({ "workspace": workspace, "agent": "assistant" })).await
}

/// Starts a run and says which.
async fn begun(node: &Node, workspace: &str) -> String {
    let answer = begin(node, workspace).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["run"].as_str().unwrap().to_owned()
}

async fn show(node: &Node, run: &str) -> Value {
    node.api(&format!("/api/v1/runs/{run}")).await.json()
}

async fn until(node: &Node, run: &str, state: &str) -> Value {
    eventually(EFFECT, &format!("the run is {state}"), async || {
        let view = show(node, run).await;
        (view["state"] == state).then_some(view)
    })
    .await
}

#[tokio::test]
async fn a_workspace_that_has_its_places_waits_while_others_run_and_is_turned_away_in_the_end() {
    let node = Node::start(&two(", runs: { at_once: 2 }")).await;
    let first = begun(&node, "busy").await;
    until(&node, &first, "running").await;
    let second = begun(&node, "busy").await;
    until(&node, &second, "running").await;
    let third = begun(&node, "busy").await;
    // Its neighbour is in nobody's way, and nobody in its.
    let other = begun(&node, "calm").await;
    until(&node, &other, "running").await;
    assert_eq!(show(&node, &third).await["state"], "queued");
    for _ in 1..WAIT_MAX {
        begun(&node, "busy").await;
    }
    let refused = begin(&node, "busy").await;
    assert_eq!(refused.status, 503, "{}", refused.text());
    let seconds: u64 = refused.header("retry-after").parse().unwrap();
    assert!(seconds > 0 && refused.text().contains("256 runs of this workspace wait"), "{}", refused.text());
    begun(&node, "calm").await;
    // One ends, and the first that waits begins.
    post(&node, &format!("/api/v1/runs/{first}/kill"), json!({})).await;
    until(&node, &third, "running").await;
    assert_eq!(begin(&node, "busy").await.status, 200, "there is room again");
    // A larger bound holds for those who wait already.
    node.reconfigure(&two(", runs: { at_once: 4 }"));
    assert_eq!(post(&node, "/api/v1/reload", json!({})).await.status, 200);
    eventually(EFFECT, "four of them run", async || {
        let runs = node.api("/api/v1/runs?workspace=busy&limit=1000").await.json();
        let runs = runs["runs"].as_array().unwrap().clone();
        (runs.iter().filter(|run| run["state"] == "running").count() == 4).then_some(())
    })
    .await;
    post(&node, "/api/v1/kill", json!({ "workspace": "busy" })).await;
    eventually(EFFECT, "all have ended", async || {
        let runs = node.api("/api/v1/runs?workspace=busy&limit=1000").await.json();
        let runs = runs["runs"].as_array().unwrap().clone();
        runs.iter().all(|run| run["state"] == "ended").then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_run_is_pending_while_a_person_is_asked() {
    let script = "import json, os, urllib.request
request = urllib.request.Request(os.environ[\"OPENAI_BASE_URL\"] + \"/chat/completions\", method=\"POST\",
    data=json.dumps({\"model\": \"helper\", \"messages\": [{\"role\": \"user\", \"content\": \"Hi\"}]}).encode(),
    headers={\"content-type\": \"application/json\"})
print(json.load(urllib.request.urlopen(request))[\"choices\"][0][\"message\"][\"content\"])
";
    let files = tempfile::tempdir().unwrap();
    std::fs::write(files.path().join("agent.py"), script).unwrap();
    let config = format!(
        "organization: acme
approval_wait: 10m
workspaces:
  lab:
    environment: test
    models:
      helper: {{ provider: scripted, script: script.yaml, price: {{ input: 1, output: 10 }} }}
    agents:
      assistant:
        models: [helper]
        limits: {{ idle: 1s }}
        run: {{ command: [python3, agent.py], files: '{}' }}
    policy: [policy.yaml]
",
        files.path().display()
    );
    let node = Node::start(&Config {
        files: vec![
            ("ringfence.yaml", config),
            ("policy.yaml", POLICY.to_owned()),
            ("script.yaml", SCRIPT.to_owned()),
        ],
    })
    .await;
    let id = begun(&node, "lab").await;
    until(&node, &id, "pending").await;
    // It does nothing, and that is not its fault: longer than it may idle.
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert_eq!(show(&node, &id).await["state"], "pending");
    let listed = node.cli(&["runs", "list", "--json"]).await.expect(0).lines();
    assert_eq!(listed[0]["state"], "pending", "{}", listed[0]);
    let asked = audit::asked(&node).await;
    node.cli(&["approvals", "approve", asked["id"].as_str().unwrap()]).await.expect(0);
    let ended = until(&node, &id, "ended").await;
    assert_eq!((&ended["ended_by"], &ended["exit_code"]), (&"program".into(), &0.into()), "{ended}");
    let logs = node.cli(&["runs", "logs", &id]).await.expect(0);
    assert_eq!(logs.stdout, "Hello from the script.\n");
    audit::verify(&node).await;
}
