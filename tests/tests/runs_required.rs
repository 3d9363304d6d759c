//! Layers that a workspace requires: what lacks one is not started, and says which and the way out.
#![expect(clippy::unwrap_used, reason = "a panic is how a test fails, in its helpers too")]

use std::path::PathBuf;

use ringfence_tests::audit;
use ringfence_tests::cli::Said;
use ringfence_tests::config::Config;
use ringfence_tests::index::Index;
use ringfence_tests::limits::EFFECT;
use ringfence_tests::mcp::http::try_post_over;
use ringfence_tests::node::{Node, Surroundings};
use ringfence_tests::parts;
use ringfence_tests::patience::eventually;
use serde_json::{Value, json};

const POLICY: &str = "\
rules:
  - { name: everything, match: {}, decision: ALLOW }
";

/// A workspace with these keys beside an agent `assistant`.
fn config(keys: &str, run: &str, limits: &str) -> Config {
    let config = format!(
        "organization: acme
workspaces:
  lab:
    environment: test
    trust: first-use
    {keys}
    agents:
      assistant: {{ limits: {{ {limits} }}, run: {{ command: [sh, -c, 'echo ran'] {run} }} }}
    policy: [policy.yaml]
"
    );
    Config { files: vec![("ringfence.yaml", config), ("policy.yaml", POLICY.to_owned())] }
}

/// Puts another configuration into force.
async fn reload(node: &Node, config: &Config) {
    node.reconfigure(config);
    let done = try_post_over(&node.data().join("control.sock"), "/api/v1/reload", &json!({})).await.unwrap();
    assert_eq!(done.status, 200, "{}", done.text());
}

async fn run(node: &Node) -> Said {
    node.cli(&["run", "assistant", "-w", "lab"]).await
}

/// How the newest run with this name where an agent's stands has ended.
async fn ended(node: &Node, agent: &str) -> Value {
    eventually(EFFECT, &format!("a run of {agent} has ended"), async || {
        let life = audit::entries(node, "run").await;
        life.into_iter().rev().find(|entry| entry["agent"] == agent && entry["event"] == "ended")
    })
    .await
}

/// What a refusal says of the layer that nothing here is given: a bound on its processor time.
fn says_what_lacks(said: &str) {
    for part in ["layer cpu-limit is required and missing", "to get it: a bound in `limits`"] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[tokio::test]
async fn what_a_workspace_requires_holds_for_its_agents_beside_what_each_requires_itself() {
    let node = Node::start(&config("require: [seccomp, no-capabilities]", "", "")).await;
    assert_eq!(run(&node).await.expect(0).stdout, "ran\n");
    reload(&node, &config("require: [seccomp, cpu-limit]", "", "")).await;
    let said = run(&node).await.expect(1);
    assert!(said.stdout.is_empty(), "its program never ran: {said:?}");
    says_what_lacks(&said.stderr);
    assert_eq!(ended(&node, "assistant").await["why"], "start");
    // An agent cannot give up what the workspace requires, and can require more.
    reload(&node, &config("require: cpu-limit", ", require: [seccomp]", "")).await;
    says_what_lacks(&run(&node).await.expect(1).stderr);
    reload(&node, &config("require: seccomp", ", require: [cpu-limit]", "")).await;
    says_what_lacks(&run(&node).await.expect(1).stderr);
    audit::verify(&node).await;
}

#[tokio::test]
async fn what_a_workspace_or_a_server_requires_holds_for_tool_servers() {
    let server = "tools: { tools: { command: [cat], egress: [] REQUIRE } }";
    for (keys, lacks) in [
        (server.replace("REQUIRE", ", require: [cpu-limit]"), true),
        (format!("require: [cpu-limit]\n    {}", server.replace("REQUIRE", "")), true),
        (
            format!("require: [seccomp]\n    {}", server.replace("REQUIRE", ", require: [private-root]")),
            false,
        ),
    ] {
        let node = Node::start(&config(&keys, "", "")).await;
        if lacks {
            let ended = ended(&node, "tool:tools").await;
            assert_eq!(ended["why"], "start", "{ended}");
            says_what_lacks(ended["reason"].as_str().unwrap());
        } else {
            eventually(EFFECT, "it runs", async || {
                let life = audit::entries(&node, "run").await;
                life.into_iter().find(|entry| entry["agent"] == "tool:tools" && entry["event"] == "running")
            })
            .await;
        }
    }
}

#[tokio::test]
async fn what_a_workspace_requires_holds_for_the_environments_that_are_built_for_it() {
    let index = Index::start().await;
    let files = tempfile::tempdir().unwrap();
    std::fs::write(files.path().join("requirements.txt"), index.requirement("tide")).unwrap();
    let python = format!(", python: '{}/requirements.txt'", files.path().display());
    let mut config = config("require: [cpu-limit]", &python, "cpu: 1");
    let environments = format!("environments: {{ python: {{ index: '{}/simple' }} }}\n", index.url);
    config.files[0].1.insert_str(0, &environments);
    let path = format!("{}:/usr/local/bin:/usr/bin:/bin", parts::tools().display());
    let surroundings =
        Surroundings { environment: vec![("PATH", PathBuf::from(path))], ..Surroundings::default() };
    let node = Node::start_in(surroundings, &config).await;
    let said = run(&node).await;
    let life = audit::entries(&node, "run").await;
    let build = life.iter().rev().find(|entry| entry["agent"] == "build:python").unwrap();
    if said.code == Some(0) {
        let running =
            life.iter().find(|entry| entry["agent"] == "build:python" && entry["event"] == "running");
        let bound = running.unwrap()["layers"]["cpu-limit"].as_str().unwrap();
        assert!(bound.starts_with("in force"), "it was built behind what is required: {bound}");
    } else {
        // Of a machine that lets the node bound nothing.
        assert!(
            build["reason"].as_str().unwrap().contains("layer cpu-limit is required and missing"),
            "{build}"
        );
    }
}
