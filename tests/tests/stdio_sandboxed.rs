//! Servers that are programs, in a sandbox of their own: they see what is mounted, reach what they hold, and each process is a run.
#![expect(clippy::unwrap_used, reason = "a panic is how a test fails, in its helpers too")]

use std::path::Path;

use ringfence_tests::audit;
use ringfence_tests::config::Config;
use ringfence_tests::limits::EFFECT;
use ringfence_tests::mcp::{Client, Era};
use ringfence_tests::node::Node;
use ringfence_tests::parts;
use ringfence_tests::patience::eventually;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

/// They speak the older era, over standard input and output.
const ERA: Era = Era::Legacy("2025-06-18");

/// Calls of tools; and of what servers send themselves, what goes to one address.
const POLICY: &str = "\
rules:
  - { name: tools, match: { kind: tool_call }, decision: ALLOW }
  - { name: fetches, match: { kind: egress, server: tools, host: [127.0.0.1, held.example] }, decision: ALLOW }
  - { name: never, match: { kind: egress, host: never.example }, decision: DENY }
";

/// Where the parts are inside.
const PARTS: &str = "/opt/parts";

/// A node with one server in a sandbox, which sees the parts and what `mounts` adds.
async fn node(program: &str, arguments: &str, mounts: &str, egress: &str) -> Node {
    let modules = parts::folder().join("npm/node_modules").canonicalize().unwrap();
    let binary = parts::node().canonicalize().unwrap();
    let scripts = parts::node_script("fetching_server.cjs").canonicalize().unwrap();
    let server = format!(
        "command: [{PARTS}/node, {program}{arguments}], egress: [{egress}], limits: {{ memory: 512Mi, processes: 64 }},
        mounts: [{{ source: '{}', target: {PARTS}/node_modules }}, {{ source: '{}', target: {PARTS}/node }},
          {{ source: '{}', target: {PARTS}/fetching.cjs }}{mounts}]",
        modules.display(),
        binary.display(),
        scripts.display()
    );
    let mut config = Config::open(&server);
    POLICY.clone_into(&mut config.files[1].1);
    Node::start(&config).await
}

async fn files(mounts: &str) -> Node {
    let program = format!("{PARTS}/node_modules/@modelcontextprotocol/server-filesystem/dist/index.js");
    // Of its own will it would show everything.
    node(&program, ", /", mounts, "").await
}

async fn fetching(egress: &str) -> Node {
    node(&format!("{PARTS}/fetching.cjs"), "", "", egress).await
}

async fn client(node: &Node) -> Client {
    let token = node.mint("lab").await;
    Client::connect(&node.mcp("tools"), Some(&token), ERA).await
}

async fn says(client: &Client, tool: &str, arguments: Value) -> String {
    client.call(tool, arguments).await.text()
}

fn mount(source: &Path, target: &str, writable: bool) -> String {
    format!(", {{ source: '{}', target: {target}, writable: {writable} }}", source.display())
}

/// The runs of servers, as people see them.
async fn runs(node: &Node) -> Vec<Value> {
    let all = node.cli(&["runs", "list", "--json"]).await.expect(0).lines();
    all.into_iter().filter(|run| run["agent"] == "tool:tools").collect()
}

async fn running(node: &Node) -> Value {
    eventually(EFFECT, "a run of the server", async || {
        runs(node).await.into_iter().find(|run| run["state"] == "running")
    })
    .await
}

/// A host on this machine that says who it is; and one that never ends an answer, at `/slow`.
async fn a_host() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut head = [0; 4096];
                let read = stream.read(&mut head).await.unwrap_or(0);
                let is_slow = head[..read].starts_with(b"GET /slow");
                let length = if is_slow { 1_000 } else { 5 };
                let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\nmoons");
                let _ = stream.write_all(answer.as_bytes()).await;
                if is_slow {
                    std::future::pending::<()>().await;
                }
            });
        }
    });
    port
}

#[tokio::test]
async fn the_filesystem_server_sees_its_mounts_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["papers", "out"] {
        std::fs::create_dir(folder.path().join(name)).unwrap();
    }
    let paper = folder.path().join("papers/paper.txt");
    std::fs::write(&paper, "The tides follow the moon.").unwrap();
    std::fs::write(folder.path().join("secret.txt"), "hunter2").unwrap();
    let mounts = mount(&folder.path().join("papers"), "/papers", false)
        + &mount(&folder.path().join("out"), "/out", true);
    let node = files(&mounts).await;
    let client = client(&node).await;
    let read = async |path: &str| client.call("read_text_file", json!({ "path": path })).await;
    assert_eq!(read("/papers/paper.txt").await.expect_done().text(), "The tides follow the moon.");

    // The machine's own files are not there: not by their names on it, not by those of the node, not through /proc.
    let secret = folder.path().join("secret.txt");
    let config = node.folder().join("ringfence.yaml");
    for path in [secret.to_str().unwrap(), paper.to_str().unwrap(), config.to_str().unwrap(), "/etc/shadow"] {
        let answer = read(path).await;
        assert!(answer.is_error() && answer.text().contains("ENOENT"), "{path}: {}", answer.text());
    }
    let listed = says(&client, "list_directory", json!({ "path": "/" })).await;
    for absent in ["root", "home", "sys", "var"] {
        assert!(!listed.contains(&format!("[DIR] {absent}\n")), "{absent} in {listed}");
    }
    assert!(listed.contains("[DIR] papers") && listed.contains("[DIR] work"), "{listed}");

    // What is mounted can be changed as it was said.
    let write = async |path: &str| client.call("write_file", json!({ "path": path, "content": "x" })).await;
    let refused = write("/papers/new.txt").await;
    assert!(refused.is_error() && refused.text().contains("EROFS"), "{}", refused.text());
    write("/out/new.txt").await.expect_done();
    assert_eq!(std::fs::read_to_string(folder.path().join("out/new.txt")).unwrap(), "x");
    audit::verify(&node).await;
}

#[tokio::test]
async fn a_server_reaches_what_it_holds_and_the_rules_allow() {
    let port = a_host().await;
    let node = fetching(&format!("'127.0.0.1:{port}', unruled.example, never.example")).await;
    let client = client(&node).await;
    let fetch = async |url: &str| says(&client, "fetch", json!({ "url": url })).await;
    let here = fetch(&format!("http://127.0.0.1:{port}/")).await;
    assert_eq!(here, "200 moons");
    for (url, code) in [
        ("http://elsewhere.example/", "not_granted"),
        ("http://unruled.example/", "denied_by_policy"),
        ("http://never.example/", "denied_by_policy"),
        // It is no agent: there are no tools and models for it.
        ("http://gateway/mcp", "not_granted"),
        ("http://gateway/openai/v1/models", "not_granted"),
    ] {
        let said = fetch(url).await;
        assert!(said.starts_with("403") && said.contains(code), "{url}: {said}");
    }
    let reached = audit::entries(&node, "intent").await;
    let reached: Vec<&Value> = reached.iter().filter(|entry| entry["host"] == "127.0.0.1").collect();
    assert_eq!((reached.len(), &reached[0]["agent"]), (1, &json!("tool:tools")));
    let refused = audit::at_least(&node, "refusal", 5).await;
    let of_server =
        |host: &str| refused.iter().any(|entry| entry["host"] == host && entry["agent"] == "tool:tools");
    for host in ["elsewhere.example", "unruled.example", "never.example", "gateway"] {
        assert!(of_server(host), "{host} in {refused:?}");
    }
    audit::verify(&node).await;
}

#[tokio::test]
async fn a_suspended_server_is_cut_off_from_what_it_has_open() {
    let port = a_host().await;
    let node = fetching(&format!("'127.0.0.1:{port}'")).await;
    let client = client(&node).await;
    let url = format!("http://127.0.0.1:{port}");
    let slow = async { says(&client, "fetch", json!({ "url": format!("{url}/slow") })).await };
    let suspend = async {
        eventually(EFFECT, "the slow answer", async || {
            let sent = audit::entries(&node, "intent").await;
            sent.iter().any(|entry| entry["host"] == "127.0.0.1").then_some(())
        })
        .await;
        node.cli(&["suspend", "--server", "tools", "--reason", "a test"]).await.expect(0);
        eventually(EFFECT, "the end of what was open", async || {
            let outcomes = audit::entries(&node, "outcome").await;
            outcomes.into_iter().find(|entry| entry["host"] == "127.0.0.1")
        })
        .await
    };
    let (_, outcome) = tokio::join!(slow, suspend);
    assert_eq!(
        (&outcome["status"], &outcome["code"]),
        (&json!("cancelled"), &json!("suspended")),
        "{outcome}"
    );
}

#[tokio::test]
async fn each_process_is_a_run_and_ends_on_record() {
    let mut node = fetching("").await;
    let client = client(&node).await;
    says(&client, "fetch", json!({ "url": "http://elsewhere.example/" })).await;
    let first = running(&node).await;
    let shown = node.cli(&["runs", "show", first["run"].as_str().unwrap(), "--json"]).await.expect(0).json();
    let layers = &shown["layers"];
    assert!(layers["private-root"].as_str().is_some_and(|how| how.starts_with("in force")), "{shown}");

    let paused = node.cli(&["runs", "pause", first["run"].as_str().unwrap(), "--reason", "no"]).await;
    assert_ne!(paused.code, Some(0), "{paused:?}");
    node.cli(&["kill", first["run"].as_str().unwrap(), "--reason", "a test"]).await.expect(0);
    eventually(EFFECT, "its end", async || {
        runs(&node).await.into_iter().find(|run| run["run"] == first["run"] && run["state"] == "ended")
    })
    .await;
    // The next call starts another.
    says(&client, "fetch", json!({ "url": "http://elsewhere.example/" })).await;
    let second = running(&node).await;
    assert_ne!(first["run"], second["run"]);

    node.stop().await;
    node.restart().await;
    let life = audit::entries(&node, "run").await;
    let end = life.iter().find(|entry| entry["run"] == second["run"] && entry["event"] == "ended").unwrap();
    assert_eq!(end["why"], "idle", "ended in good order, and not by a crash: {end}");
}

#[tokio::test]
async fn a_server_without_a_sandbox_is_told_of() {
    let node = Node::start(&Config::open("command: [sleep, '1000']")).await;
    let said = node.cli(&["check"]).await.expect(0);
    let all = format!("{}{}", said.stdout, said.stderr);
    assert!(all.contains("server `tools` has no sandbox") && all.contains("egress: []"), "{all}");
    let doctor = node.cli(&["doctor"]).await;
    assert!(doctor.stdout.contains("what they see"), "{doctor:?}");
}
