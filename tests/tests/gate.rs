//! Every tool call is decided before it happens: the four decisions, under the policy that users already know.
#![expect(clippy::unwrap_used, reason = "a panic is how a test fails, in its helpers too")]

use std::fmt::Write as _;

use ringfence_tests::config::Config;
use ringfence_tests::mcp::{Client, Era, ToolAnswer, http};
use ringfence_tests::node::Node;
use ringfence_tests::upstream::{Upstream, executed};
use ringfence_tests::{audit, cli};
use serde_json::{Value, json};
use tempfile::TempDir;

/// The eras that a client may speak; the fixture speaks all of them.
const ERAS: [Era; 4] =
    [Era::Modern, Era::Legacy("2025-11-25"), Era::Legacy("2025-06-18"), Era::Legacy("2025-03-26")];

/// A node in front of the fixture, and the list of what the fixture executed.
struct Gate {
    node: Node,
    _fixture: Upstream,
    folder: TempDir,
}

impl Gate {
    async fn start() -> Self {
        Self::start_with(|_, text| text).await
    }

    /// As [`Gate::start`], with each of the configuration's files as `edit` makes it of its name and text.
    async fn start_with(edit: impl Fn(&str, String) -> String) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let fixture = Upstream::fixture(Some(&folder.path().join("calls"))).await;
        let mut config = Config::gate(&fixture.url);
        for (name, text) in &mut config.files {
            *text = edit(name, std::mem::take(text));
        }
        let node = Node::start(&config).await;
        Self { node, _fixture: fixture, folder }
    }

    async fn client(&self, workspace: &str, server: &str, era: Era) -> Client {
        let token = self.node.mint(workspace).await;
        Client::connect(&self.node.mcp(server), Some(&token), era).await
    }

    fn executed(&self) -> Vec<Value> {
        executed(&self.folder.path().join("calls"))
    }
}

fn deployment(replicas: u32) -> Value {
    json!({ "service": "web", "replicas": replicas, "namespace": "app" })
}

#[tokio::test]
async fn an_allowed_call_reaches_the_tool_and_stands_in_the_log() {
    let gate = Gate::start().await;
    for era in ERAS {
        let client = gate.client("staging", "papers", era).await;
        let answer = client.call("search", json!({ "query": "tides" })).await;
        assert_eq!(answer.expect_done().text(), "Two papers about tides.", "{era:?}");
    }
    assert_eq!(gate.executed().len(), ERAS.len());
    assert_eq!(audit::at_least(&gate.node, "intent", ERAS.len()).await.len(), ERAS.len());
    assert_eq!(audit::at_least(&gate.node, "outcome", ERAS.len()).await.len(), ERAS.len());
    audit::verify(&gate.node).await;
}

#[tokio::test]
async fn too_many_replicas_are_narrowed_and_the_agent_is_told() {
    let gate = Gate::start().await;
    let client = gate.client("staging", "cluster", Era::Modern).await;
    let answer = client.call("deploy", deployment(50)).await;
    answer.expect_done();
    assert_eq!(gate.executed()[0]["arguments"]["replicas"], 10);
    assert_eq!(answer.result["structuredContent"]["replicas"], 10);
    assert_eq!(answer.decision()["decision"], "ALLOW_WITH_CONSTRAINTS");
    assert_eq!(answer.decision()["rule"], "deployment-limits");
}

#[tokio::test]
async fn few_replicas_are_sent_as_they_are() {
    let gate = Gate::start().await;
    let client = gate.client("staging", "cluster", Era::Modern).await;
    client.call("deploy", deployment(3)).await.expect_done();
    assert_eq!(gate.executed()[0]["arguments"]["replicas"], 3);
}

#[tokio::test]
async fn a_namespace_that_is_not_allowed_is_refused() {
    let gate = Gate::start().await;
    let client = gate.client("staging", "cluster", Era::Modern).await;
    let arguments = json!({ "service": "web", "replicas": 2, "namespace": "kube-system" });
    client.call("deploy", arguments).await.expect_refused("denied_by_policy");
    assert!(gate.executed().is_empty());
}

#[tokio::test]
async fn a_denied_call_never_reaches_the_tool_in_any_era() {
    let gate = Gate::start().await;
    for era in ERAS {
        let client = gate.client("staging", "database", era).await;
        let answer = client.call("drop", json!({ "database": "customers" })).await;
        answer.expect_refused("denied_by_policy");
        assert_eq!(answer.decision()["decision"], "DENY");
        assert_eq!(answer.decision()["rule"], "no-delete-databases");
    }
    assert!(gate.executed().is_empty());
    assert_eq!(audit::at_least(&gate.node, "refusal", ERAS.len()).await.len(), ERAS.len());
}

#[tokio::test]
async fn what_is_not_granted_is_neither_shown_nor_callable() {
    let gate = Gate::start().await;
    let client = gate.client("staging", "papers", Era::Modern).await;
    let names = client.tool_names().await;
    assert_eq!(names, ["search", "send_mail"]);
    client.call("drop", json!({ "database": "customers" })).await.expect_refused("not_granted");
    assert!(gate.executed().is_empty());
}

#[tokio::test]
async fn all_servers_together_name_their_tools_after_themselves() {
    let gate = Gate::start().await;
    let token = gate.node.mint("staging").await;
    let client = Client::modern(&gate.node.everything(), Some(&token));
    let names = client.tool_names().await;
    assert!(names.contains(&"papers__search".to_owned()), "{names:?}");
    assert!(names.contains(&"cluster__deploy".to_owned()), "{names:?}");
    // No rule could ever allow it, so there is nothing to show.
    assert!(!names.contains(&"database__drop".to_owned()), "{names:?}");
    let answer = client.call("cluster__deploy", deployment(50)).await;
    assert_eq!(answer.expect_done().result["structuredContent"]["replicas"], 10);
}

/// Makes a call that waits, lets `person` act, and returns what the agent received.
async fn while_a_person(gate: &Gate, person: &[&str]) -> (Value, ToolAnswer) {
    let client = gate.client("production", "cluster", Era::Legacy("2025-11-25")).await;
    let waiting = tokio::spawn(async move { client.call("deploy", deployment(50)).await });
    let asked = audit::asked(&gate.node).await;
    assert!(gate.executed().is_empty(), "executed before anybody approved");
    let id = asked["id"].as_str().unwrap().to_owned();
    let mut command = vec!["approvals", person[0], &id];
    command.extend(&person[1..]);
    gate.node.cli(&command).await.expect(0);
    (asked, waiting.await.unwrap())
}

#[tokio::test]
async fn a_production_write_waits_for_a_person_who_sees_what_would_be_sent() {
    let gate = Gate::start().await;
    let (asked, answer) = while_a_person(&gate, &["approve"]).await;
    assert!(asked.to_string().contains("\"replicas\":10"), "{asked}");
    answer.expect_done();
    assert_eq!(gate.executed().len(), 1);
    assert_eq!(gate.executed()[0]["arguments"]["replicas"], 10);
    audit::verify(&gate.node).await;
}

#[tokio::test]
async fn a_denied_approval_refuses_the_call_with_the_reason() {
    let gate = Gate::start().await;
    let (_, answer) = while_a_person(&gate, &["deny", "--reason", "Not on a Friday."]).await;
    answer.expect_refused("approval_denied");
    assert!(answer.text().contains("Not on a Friday."), "{}", answer.text());
    assert!(gate.executed().is_empty());
}

#[tokio::test]
async fn one_approval_releases_one_call() {
    let gate = Gate::start().await;
    while_a_person(&gate, &["approve"]).await;
    let client = gate.client("production", "cluster", Era::Modern).await;
    let second = tokio::spawn(async move { client.call("deploy", deployment(50)).await });
    audit::asked(&gate.node).await;
    assert_eq!(gate.executed().len(), 1);
    second.abort();
}

#[tokio::test]
async fn an_approval_survives_a_restart_and_is_spent_once() {
    let mut gate = Gate::start().await;
    let token = gate.node.mint("production").await;
    let client = Client::modern(&gate.node.mcp("cluster"), Some(&token));
    let waiting = tokio::spawn(async move {
        // The node dies under this call, so that its answer is of no interest.
        let _ = client.open("tools/call", json!({ "name": "deploy", "arguments": deployment(50) })).await;
    });
    let id = audit::asked(&gate.node).await["id"].as_str().unwrap().to_owned();
    gate.node.kill().await;
    waiting.abort();
    gate.node.restart().await;

    gate.node.cli(&["approvals", "approve", &id]).await.expect(0);
    let client = Client::modern(&gate.node.mcp("cluster"), Some(&token));
    client.call("deploy", deployment(50)).await.expect_done();
    assert_eq!(gate.executed().len(), 1);
}

#[tokio::test]
async fn a_bad_token_is_told_where_to_get_a_good_one() {
    let gate = Gate::start().await;
    let url = gate.node.mcp("papers");
    for token in [None, Some("Bearer rf_nonsense"), Some("Basic cm9iaW46")] {
        let mut headers =
            vec![("content-type", "application/json"), ("accept", "application/json, text/event-stream")];
        headers.extend(token.map(|token| ("authorization", token)));
        let body = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
        let answer = http::post(&url, &headers, body).await;
        assert_eq!(answer.status, 401, "{token:?}: {}", answer.text());
        assert!(answer.header("www-authenticate").starts_with("Bearer"), "{token:?}");
    }
}

#[tokio::test]
async fn a_good_token_may_come_as_api_key() {
    let gate = Gate::start().await;
    let token = gate.node.mint("staging").await;
    let headers = [
        ("content-type", "application/json"),
        ("accept", "application/json, text/event-stream"),
        ("x-api-key", token.as_str()),
    ];
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
        "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "test", "version": "1" }
    } });
    let answer = http::post(&gate.node.mcp("papers"), &headers, &body.to_string()).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(answer.text().contains("protocolVersion"), "{}", answer.text());
}

#[tokio::test]
async fn a_rule_in_shadow_decides_nothing_and_stands_in_the_log() {
    let shadow =
        "  - name: no-reads\n    match: { action_type: read }\n    decision: DENY\n    mode: shadow\n";
    let edit = |name: &str, text: String| {
        if name == "more-policy.yaml" { format!("{text}{shadow}") } else { text }
    };
    let gate = Gate::start_with(edit).await;
    let client = gate.client("staging", "papers", Era::Modern).await;
    client.call("search", json!({ "query": "tides" })).await.expect_done();
    let intents = audit::at_least(&gate.node, "intent", 1).await;
    assert_eq!(intents[0]["rule"], "reads");
    assert_eq!(intents[0]["shadow"], json!([{ "rule": "no-reads", "decision": "DENY" }]));
}

/// What the fixture's `search`, which says of itself that it only reads, counts as: a read passes in staging, a write
/// does not.
async fn search(gate: &Gate) -> ToolAnswer {
    let client = gate.client("staging", "papers", Era::Modern).await;
    client.call("search", json!({ "query": "tides" })).await
}

#[tokio::test]
async fn a_server_that_says_its_tool_reads_is_believed_when_a_person_vouches_for_it() {
    let configured = ", actions: { search: { action_type: read } }";
    let gate = Gate::start_with(|_, text| text.replace(configured, "")).await;
    search(&gate).await.expect_refused("denied_by_policy");
    gate.node.cli(&["tools", "approve", "-w", "staging", "--server", "papers", "--all"]).await.expect(0);
    search(&gate).await.expect_done();

    let gate = Gate::start_with(|_, text| text.replace(configured, ", trust_hints: true")).await;
    search(&gate).await.expect_done();
}

#[tokio::test]
async fn only_a_person_with_the_role_that_a_rule_names_approves() {
    let folder = tempfile::tempdir().unwrap();
    let mut people = String::from("people:\n");
    let mut tokens = Vec::new();
    for (name, role) in [("vera", "viewer"), ("adam", "approver"), ("lena", "legal")] {
        let made = cli::run(folder.path(), &["token", "person", name, "--json"]).await.expect(0).json();
        writeln!(people, "  {name}: {{ roles: [{role}], token_hash: {} }}", made["token_hash"]).unwrap();
        tokens.push(format!("Bearer {}", made["token"].as_str().unwrap()));
    }
    let gate = Gate::start_with(|name, text| match name {
        "ringfence.yaml" => format!("{people}{text}"),
        _ => text.replace("    reason: Mail", "    approval: { approvers: [legal] }\n    reason: Mail"),
    })
    .await;
    let client = gate.client("staging", "papers", Era::Modern).await;
    let arguments = json!({ "to": "customer@example.com", "text": "Hello" });
    let waiting = tokio::spawn(async move { client.call("send_mail", arguments).await });
    let asked = audit::asked(&gate.node).await;
    let url = format!("{}/api/v1/approvals/{}/approve", gate.node.control, asked["id"].as_str().unwrap());
    for (token, status) in [(None, 401), (Some(&tokens[0]), 403), (Some(&tokens[1]), 403)] {
        let headers: Vec<_> = token.iter().map(|token| ("authorization", token.as_str())).collect();
        let answer = http::post(&url, &headers, "{}").await;
        assert_eq!(answer.status, status, "{token:?}: {}", answer.text());
    }
    assert!(gate.executed().is_empty(), "executed before anybody approved");
    let answer = http::post(&url, &[("authorization", &tokens[2])], "{}").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    waiting.await.unwrap().expect_done();
    let entries = audit::at_least(&gate.node, "approval", 1).await;
    assert_eq!(entries[0]["approver"], "lena");
}
