//! Servers that are programs behind a gateway: npm's filesystem and memory servers, as their users start them.
#![expect(clippy::unwrap_used, reason = "a panic is how a test fails, in its helpers too")]

use std::path::Path;

use ringfence_tests::audit;
use ringfence_tests::config::Config;
use ringfence_tests::limits::EFFECT;
use ringfence_tests::mcp::{Client, Era};
use ringfence_tests::node::Node;
use ringfence_tests::parts;
use ringfence_tests::patience::eventually;
use serde_json::json;

/// They speak the older era, over standard input and output.
const ERA: Era = Era::Legacy("2025-06-18");

async fn client(node: &Node) -> Client {
    let token = node.mint("lab").await;
    Client::connect(&node.mcp("tools"), Some(&token), ERA).await
}

async fn files(folder: &Path) -> Node {
    let config = Config::open_command(&[&parts::node(), &parts::package("server-filesystem"), folder]);
    Node::start(&config).await
}

#[tokio::test]
async fn the_filesystem_server_reads_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("paper.txt");
    std::fs::write(&file, "The tides follow the moon.").unwrap();
    let node = files(folder.path()).await;
    let client = client(&node).await;
    let answer = client.call("read_text_file", json!({ "path": file })).await;
    assert_eq!(answer.expect_done().text(), "The tides follow the moon.");
    audit::verify(&node).await;
}

#[tokio::test]
async fn the_filesystem_servers_own_refusal_passes_through() {
    let folder = tempfile::tempdir().unwrap();
    let node = files(folder.path()).await;
    let client = client(&node).await;
    let answer = client.call("read_text_file", json!({ "path": "/etc/passwd" })).await;
    assert!(answer.is_error());
    assert!(answer.decision().is_null(), "the tool refused, not the gate: {}", answer.result);
}

#[tokio::test]
async fn the_memory_server_remembers_within_a_run_only() {
    let memory = tempfile::tempdir().unwrap();
    // Its file is named by the environment, which a server does not inherit.
    let file = format!("MEMORY_FILE_PATH={}", memory.path().join("memory.jsonl").display());
    let command =
        [Path::new("/usr/bin/env"), Path::new(&file), &parts::node(), &parts::package("server-memory")];
    let config = Config::open_command(&command);
    let node = Node::start(&config).await;
    let client = client(&node).await;
    let entity = json!({ "name": "moon", "entityType": "body", "observations": ["pulls"] });
    client.call("create_entities", json!({ "entities": [entity] })).await.expect_done();
    let answer = client.call("search_nodes", json!({ "query": "moon" })).await;
    assert!(answer.expect_done().text().contains("pulls"), "{}", answer.result);
}

#[tokio::test]
async fn a_child_sees_neither_the_nodes_environment_nor_its_data() {
    let folder = tempfile::tempdir().unwrap();
    let node = files(folder.path()).await;
    let client = client(&node).await;
    client.call("list_allowed_directories", json!({})).await.expect_done();
    let child = eventually(EFFECT, "a child", async || children("server-filesystem").first().copied()).await;
    let environment = std::fs::read(format!("/proc/{child}/environ")).unwrap();
    let environment = String::from_utf8_lossy(&environment);
    for name in ["CARGO", "HOME=/root", "RINGFENCE"] {
        assert!(!environment.contains(name), "{name} in {environment}");
    }
}

#[tokio::test]
async fn no_child_outlives_a_killed_node() {
    let folder = tempfile::tempdir().unwrap();
    let marker = folder.path().display().to_string();
    let mut node = files(folder.path()).await;
    let client = client(&node).await;
    client.call("list_allowed_directories", json!({})).await.expect_done();
    assert_eq!(children(&marker).len(), 1);
    node.kill().await;
    eventually(EFFECT, "the end of the child", async || children(&marker).is_empty().then_some(())).await;
}

/// The Node processes that have a word in their command line.
fn children(word: &str) -> Vec<u32> {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let mut found = Vec::new();
    for process in processes {
        let Ok(pid) = process.file_name().to_string_lossy().parse() else { continue };
        let Ok(line) = std::fs::read(process.path().join("cmdline")) else { continue };
        let line = String::from_utf8_lossy(&line);
        let program = line.split('\0').next().unwrap_or_default();
        if program.ends_with("/node") && line.contains(word) {
            found.push(pid);
        }
    }
    found
}
