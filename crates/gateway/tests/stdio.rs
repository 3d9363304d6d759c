//! Tool servers that are children of the node.

mod common;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use common::client::call_body;
use common::{Client, Node, POLICY, at, limits, server, workspace};
use ringfence_gateway::Limits;
use ringfence_gateway::targets::{Share, Source, StdioTarget, Table, Target};
use ringfence_sandbox::{SpawnerProgram, become_spawner_if_asked, start_spawner};

const PATH: &str = "/mcp/tools";

/// A legacy server in thirty lines.
const SERVER: &str = r#"
import json, os, sys, time
seen = []
def send(m): sys.stdout.write(json.dumps(m) + "\n"); sys.stdout.flush()
def text(id, t): send({"jsonrpc": "2.0", "id": id, "result": {"content": [{"type": "text", "text": t}]}})
sys.stdout.write("this is no message\n")
for line in sys.stdin:
    m = json.loads(line); seen.append(m.get("method")); id = m.get("id"); p = m.get("params") or {}
    if m.get("method") == "initialize":
        send({"jsonrpc": "2.0", "id": id, "result": {"protocolVersion": p["protocolVersion"], "capabilities": {"tools": {}}, "serverInfo": {"name": "s", "version": "1"}}})
    elif m.get("method") == "tools/list":
        names = ["echo", "die", "ask", "env", "pid", "hang", "seen", "garbage", "endless", "wrongid", "twice", "late", "deaf"]
        send({"jsonrpc": "2.0", "id": id, "result": {"tools": [{"name": n, "inputSchema": {"type": "object"}} for n in names]}})
    elif m.get("method") == "tools/call":
        tool = p["name"]; token = (p.get("_meta") or {}).get("progressToken")
        if token is not None:
            send({"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progressToken": token, "progress": 1}})
        if tool == "echo": text(id, json.dumps(p.get("arguments")))
        elif tool == "die": sys.exit(3)
        elif tool == "env": text(id, " ".join(sorted(os.environ)))
        elif tool == "pid": text(id, str(os.stat("/proc/self/ns/pid").st_ino) + " " + os.environ["HOME"])
        elif tool == "garbage": sys.stdout.write("{]\n\xff\n[]\n"); sys.stdout.flush(); text(id, "after garbage")
        elif tool == "endless":
            while True: sys.stdout.write("a" * 65536); sys.stdout.flush()
        elif tool == "wrongid": send({"jsonrpc": "2.0", "id": 999999, "result": {"content": []}})
        elif tool == "twice": sys.stdout.write('{"jsonrpc":"2.0","id":%d,"id":%d,"result":{"content":[]}}\n' % (id, id)); sys.stdout.flush()
        elif tool == "late": time.sleep(0.6); text(id, "too late")
        elif tool == "deaf": time.sleep(30)
        elif tool == "seen": text(id, " ".join(str(s) for s in seen))
        elif tool == "ask":
            send({"jsonrpc": "2.0", "id": 5, "method": "elicitation/create", "params": {"message": "sure?"}})
            answer = json.loads(sys.stdin.readline())
            text(id, json.dumps(answer.get("result") or answer.get("error")))
    elif id is not None:
        send({"jsonrpc": "2.0", "id": id, "error": {"code": -32601, "message": "no"}})
"#;

#[test]
#[ignore = "becomes the spawner of the other tests"]
fn the_spawner() {
    become_spawner_if_asked();
}

async fn node(share: Share) -> Node {
    node_with(target(share), limits()).await
}

fn target(share: Share) -> StdioTarget {
    StdioTarget {
        program: "python3".into(),
        arguments: vec!["-c".into(), SERVER.into()],
        environment: vec![("API_KEY".into(), Source::Fixed("hunter2".into()))],
        directory: None,
        share,
        require: Vec::new(),
        sandbox: None,
    }
}

fn table(target: StdioTarget) -> Table {
    let servers = HashMap::from([(server("tools"), Target::Stdio(Arc::new(target)))]);
    Table { workspaces: HashMap::from([(workspace(), servers)]), ..Table::default() }
}

#[expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]
async fn node_with(target: StdioTarget, limits: Limits) -> Node {
    let nothing: [&str; 0] = [];
    let spawner =
        start_spawner(&SpawnerProgram::this_test("the_spawner"), &nothing).unwrap().into_async().unwrap();
    Node::start_targets(table(target), &["tools/*"], POLICY, limits, Some(spawner)).await
}

async fn text(client: &Client, tool: &str) -> String {
    client.call(PATH, tool, "{}").await.text()
}

#[tokio::test]
async fn a_call_goes_to_a_child_and_back_with_progress_under_its_own_token() {
    let node = node(Share::Run).await;
    let client = node.client().await.initialize(PATH).await;
    let body = call_body(7, "echo", r#"{"a":1}"#, r#","_meta":{"progressToken":"mine"}"#);
    let mut stream = client.legacy_stream(PATH, &body).await;
    assert_eq!(at(&stream.event().await.unwrap(), "/params/progressToken"), "mine");
    let last = stream.event().await.unwrap();
    assert_eq!((at(&last, "/id"), at(&last, "/result/content/0/text")), ("7".into(), r#"{"a": 1}"#.into()));
    let environment = text(&client, "env").await;
    assert!(environment.contains("API_KEY") && !environment.contains("CARGO"), "{environment}");
    assert_eq!(node.gateway.children().len(), 1, "discovery's own has ended");
}

#[tokio::test]
async fn every_run_has_its_own_child_unless_the_workspace_shares_one() {
    for (share, same) in [(Share::Run, false), (Share::Workspace, true)] {
        let node = node(share).await;
        let one = node.client().await.initialize(PATH).await;
        let other = node.client().await.initialize(PATH).await;
        assert_eq!(text(&one, "pid").await, text(&one, "pid").await);
        assert_eq!(text(&one, "pid").await == text(&other, "pid").await, same, "{share:?}");
    }
}

#[tokio::test]
async fn a_child_that_ends_fails_its_call_and_is_started_again() {
    let node = node(Share::Run).await;
    let client = node.client().await.initialize(PATH).await;
    let died = client.call(PATH, "die", "{}").await;
    assert_eq!(died.code(), "upstream_failed");
    assert!(died.text().contains("may have taken effect"), "{}", died.text());
    assert_eq!(text(&client, "echo").await, "{}", "after a rest");
}

#[tokio::test]
async fn a_child_may_ask_the_client_of_its_run_and_nobody_when_it_is_shared() {
    let own = node(Share::Run).await;
    let client = own.client().await.initialize(PATH).await;
    let mut stream = client.legacy_stream(PATH, &call_body(7, "ask", "{}", "")).await;
    let asked = stream.event().await.unwrap();
    let answer =
        format!(r#"{{"jsonrpc":"2.0","id":"{}","result":{{"action":"accept"}}}}"#, at(&asked, "/id"));
    client.legacy(PATH, &answer).await;
    assert!(at(&stream.event().await.unwrap(), "/result/content/0/text").contains("accept"));
    let shared = node(Share::Workspace).await;
    let client = shared.client().await.initialize(PATH).await;
    assert!(text(&client, "ask").await.contains("no client can be asked"));
}

#[tokio::test]
async fn a_call_that_is_cut_off_is_called_off_with_the_child() {
    let node = node(Share::Workspace).await;
    let (client, other) =
        (node.client().await.initialize(PATH).await, node.client().await.initialize(PATH).await);
    let (run, calling) = (client.run, client.clone());
    let call = tokio::spawn(async move { calling.call(PATH, "hang", "{}").await });
    tokio::time::sleep(Duration::from_millis(200)).await;
    node.suspend(run).await;
    assert_eq!(call.await.unwrap().code(), "suspended");
    for _ in 0..100 {
        if text(&other, "seen").await.contains("notifications/cancelled") {
            return;
        }
    }
    panic!("the child was not told");
}

#[tokio::test]
async fn a_child_that_says_what_is_no_answer_fails_its_own_call_and_no_other() {
    let node = node_with(target(Share::Run), Limits { sessions_per_agent: 8, ..limits() }).await;
    let cases = [
        ("garbage", "", "after garbage"),
        ("endless", "upstream_failed", "has more than"),
        ("wrongid", "upstream_failed", "did not answer in time"),
        ("twice", "upstream_failed", "did not answer in time"),
        ("hang", "upstream_failed", "did not answer in time"),
    ];
    let calls = cases.map(async |(tool, code, said)| {
        let client = node.client().await.initialize(PATH).await;
        let answer = client.call(PATH, tool, "{}").await;
        assert!(answer.text().contains(said), "{tool}: {}", answer.body);
        if !code.is_empty() {
            assert_eq!(answer.code(), code, "{tool}: {}", answer.body);
            assert!(answer.text().contains("may have taken effect"), "{tool}: {}", answer.text());
        }
        assert_eq!(text(&client, "echo").await, "{}", "{tool}");
    });
    let [one, two, three, four, five] = calls;
    tokio::join!(one, two, three, four, five);
}

#[tokio::test]
async fn an_answer_after_the_cancellation_is_nobodys() {
    let node = node(Share::Workspace).await;
    let (client, other) =
        (node.client().await.initialize(PATH).await, node.client().await.initialize(PATH).await);
    let (run, calling) = (client.run, client.clone());
    let call = tokio::spawn(async move { calling.call(PATH, "late", "{}").await });
    tokio::time::sleep(Duration::from_millis(200)).await;
    node.suspend(run).await;
    assert_eq!(call.await.unwrap().code(), "suspended");
    assert_eq!(text(&other, "echo").await, "{}", "comes after the late answer on the same pipe");
}

#[tokio::test]
async fn a_child_that_keeps_ending_rests_before_it_is_started_again() {
    let limits = Limits { restart_wait: Duration::from_mins(1), ..limits() };
    let node = node_with(target(Share::Run), limits).await;
    let client = node.client().await.initialize(PATH).await;
    assert_eq!(client.call(PATH, "die", "{}").await.code(), "upstream_failed");
    let resting = client.call(PATH, "echo", "{}").await;
    assert_eq!(resting.code(), "upstream_failed");
    assert!(resting.text().contains("keeps failing; it is tried again in"), "{}", resting.text());
    assert!(resting.text().contains("Nothing was sent"), "{}", resting.text());
}

#[tokio::test]
async fn agents_are_not_told_how_a_server_is_started_and_operators_are() {
    let node = node(Share::Run).await;
    let client = node.client().await.initialize(PATH).await;
    let missing = Source::Environment("RINGFENCE_TEST_NOT_SET".into());
    for (what, broken) in [
        ("a program", StdioTarget { program: "/secret/place/program".into(), ..target(Share::Run) }),
        ("a key", StdioTarget { environment: vec![("KEY".into(), missing)], ..target(Share::Run) }),
    ] {
        node.targets.replace(table(broken));
        let answer = client.call(PATH, "echo", "{}").await;
        assert_eq!(answer.code(), "upstream_failed", "{what}: {}", answer.body);
        let other = node.client().await;
        let greeted = other.legacy(PATH, common::client::INITIALIZE).await;
        for told in [&answer.body, &greeted.body] {
            assert!(!told.contains("secret") && !told.contains("RINGFENCE_TEST"), "{what}: {told}");
        }
    }
    let dying = "import sys; sys.stderr.write('no \\x1b[31mlicense'); sys.exit(4)";
    node.targets
        .replace(table(StdioTarget { arguments: vec!["-c".into(), dying.into()], ..target(Share::Run) }));
    let error = node.gateway.discover(&workspace(), &server("tools")).await.unwrap_err().to_string();
    assert!(error.contains("license") && !error.contains('\u{1b}'), "{error}");
}

#[tokio::test]
async fn a_child_that_is_no_longer_wanted_ends_though_somebody_listens_to_it() {
    let node = node(Share::Run).await;
    let client = node.client().await.initialize(PATH).await;
    let stream = client.get(PATH).await;
    assert_eq!(text(&client, "echo").await, "{}");
    let pid = node.gateway.children()[0].pid;
    let changed = StdioTarget { environment: Vec::new(), ..target(Share::Run) };
    node.targets.replace(table(changed));
    assert_eq!(text(&client, "echo").await, "{}");
    tokio::time::timeout(Duration::from_secs(8), stream.drain()).await.expect("the stream ends");
    let alive = || std::path::Path::new(&format!("/proc/{pid}/stat")).exists();
    for _ in 0..500 {
        if !alive() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the old child lives");
}

#[tokio::test]
async fn a_write_that_nobody_waits_for_any_more_leaves_no_half_a_line() {
    let node = node(Share::Workspace).await;
    let (client, other) =
        (node.client().await.initialize(PATH).await, node.client().await.initialize(PATH).await);
    let deaf = other.clone();
    // It reads nothing for as long as it sleeps; a pipe takes 64 KiB.
    let sleeping = tokio::spawn(async move { deaf.call(PATH, "late", "{}").await });
    tokio::time::sleep(Duration::from_millis(200)).await;
    let (run, calling) = (client.run, client.clone());
    let large = format!(r#"{{"text":"{}"}}"#, "x".repeat(60_000));
    let calls: Vec<_> = (10..14)
        .map(|id| {
            let (calling, body) = (calling.clone(), call_body(id, "echo", &large, ""));
            tokio::spawn(async move { calling.legacy(PATH, &body).await })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(100)).await;
    node.suspend(run).await;
    for call in calls {
        assert_eq!(call.await.unwrap().code(), "suspended");
    }
    assert_eq!(sleeping.await.unwrap().text(), "too late");
    assert_eq!(text(&other, "echo").await, "{}", "the pipe still carries whole messages");
}
