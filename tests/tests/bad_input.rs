//! What strangers and broken clients send: each gets a clear refusal, and nothing reaches a tool.
#![expect(clippy::unwrap_used, reason = "a panic is how a test fails, in its helpers too")]

use std::fmt::Write as _;
use std::time::Duration;

use ringfence_tests::config::Config;
use ringfence_tests::mcp::{Client, http};
use ringfence_tests::node::Node;
use ringfence_tests::upstream::{Upstream, executed};
use serde_json::json;
use tempfile::TempDir;

/// A server that says nothing for this long has said everything.
const SILENCE: Duration = Duration::from_secs(5);

struct Scene {
    node: Node,
    token: String,
    folder: TempDir,
    _upstream: Upstream,
}

impl Scene {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let upstream = Upstream::plain(Some(&folder.path().join("calls")), &[]).await;
        let node = Node::start(&Config::open_url(&upstream.url)).await;
        let token = node.mint("lab").await;
        Self { node, token, folder, _upstream: upstream }
    }

    fn client(&self) -> Client {
        Client::modern(&self.node.mcp("tools"), Some(&self.token))
    }

    /// Posts a body as a good client of 2026-07-28 would, but for what is bad about it.
    async fn post(&self, body: &str, changed: &[(&str, &str)]) -> http::Answer {
        let bearer = format!("Bearer {}", self.token);
        let mut headers = vec![
            ("authorization", bearer.as_str()),
            ("content-type", "application/json"),
            ("accept", "application/json, text/event-stream"),
            ("mcp-protocol-version", "2026-07-28"),
            ("mcp-method", "tools/call"),
            ("mcp-name", "echo"),
        ];
        for (name, value) in changed {
            headers.retain(|(known, _)| known != name);
            headers.push((*name, *value));
        }
        http::post(&self.node.mcp("tools"), &headers, body).await
    }

    /// Nothing has happened, and good calls still go through.
    async fn expect_unharmed(&self) {
        let calls = self.folder.path().join("calls");
        assert!(executed(&calls).is_empty(), "{:?}", executed(&calls));
        self.client().call("echo", json!({ "text": "hi" })).await.expect_done();
        std::fs::remove_file(calls).unwrap();
    }
}

/// A good call of `echo`, as text.
fn good_call() -> String {
    json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {
        "name": "echo",
        "arguments": { "text": "hi" },
        "_meta": {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientInfo": { "name": "bad", "version": "1" },
            "io.modelcontextprotocol/clientCapabilities": {},
        },
    } })
    .to_string()
}

#[tokio::test]
async fn the_good_call_is_good() {
    let scene = Scene::start().await;
    let answer = scene.post(&good_call(), &[]).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(answer.text().contains("hi"), "{}", answer.text());
}

#[tokio::test]
async fn a_message_that_readers_could_read_differently_is_refused() {
    let scene = Scene::start().await;
    let good = good_call();
    let twice = good.replacen(r#""name":"echo""#, r#""name":"echo","name":"record""#, 1);
    let escaped = good.replacen(r#""name":"echo""#, r#""name":"echo","n\u0061me":"record""#, 1);
    assert!(twice != good && escaped != good);
    let bad = [
        twice,
        escaped,
        format!("[{good}]"),
        format!("{good}{good}"),
        format!("\u{feff}{good}"),
        good.replacen('{', "{,", 1),
        good.replacen("\"2.0\"", "\"1.0\"", 1),
        good.replacen("\"id\":1", "\"id\":null", 1),
        good.replacen("\"id\":1", "\"id\":{}", 1),
        good.replacen("\"hi\"", "NaN", 1),
        String::new(),
    ];
    for body in bad {
        let answer = scene.post(&body, &[]).await;
        assert_eq!(answer.status, 400, "{body}: {}", answer.text());
        assert!(answer.json()["error"]["code"].is_i64(), "{body}: {}", answer.text());
    }
    scene.expect_unharmed().await;
}

#[tokio::test]
async fn headers_that_contradict_the_body_are_refused() {
    let scene = Scene::start().await;
    for changed in [
        ("mcp-name", "record"),
        ("mcp-method", "tools/list"),
        ("mcp-method", "Tools/Call"),
        ("mcp-protocol-version", "2025-11-25"),
    ] {
        let answer = scene.post(&good_call(), &[changed]).await;
        assert_eq!(answer.status, 400, "{changed:?}: {}", answer.text());
    }
    let answer = scene.post(&good_call(), &[("mcp-name", "record")]).await;
    assert_eq!(answer.json()["error"]["code"], -32020);
    scene.expect_unharmed().await;
}

#[tokio::test]
async fn an_unknown_version_is_told_the_known_ones() {
    let scene = Scene::start().await;
    let body = good_call().replace("2026-07-28", "2099-01-01");
    let answer = scene.post(&body, &[("mcp-protocol-version", "2099-01-01")]).await;
    assert_eq!(answer.status, 400, "{}", answer.text());
    let error = &answer.json()["error"];
    assert_eq!(error["code"], -32022);
    assert!(error["data"]["supported"].to_string().contains("2026-07-28"), "{error}");
    scene.expect_unharmed().await;
}

#[tokio::test]
async fn strange_hosts_and_origins_are_refused() {
    let scene = Scene::start().await;
    for changed in [
        ("host", "evil.example.com"),
        ("origin", "https://evil.example.com"),
        ("origin", "null"),
        ("origin", "http://127.0.0.1.evil.example.com"),
    ] {
        let answer = scene.post(&good_call(), &[changed]).await;
        assert!(answer.status.is_client_error(), "{changed:?}: {}", answer.status);
    }
    scene.expect_unharmed().await;
}

#[tokio::test]
async fn what_is_too_deep_or_too_long_is_refused() {
    let scene = Scene::start().await;
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let deep = good_call().replacen("\"hi\"", &deep, 1);
    assert!(scene.post(&deep, &[]).await.status.is_client_error());
    let long = good_call().replacen("hi", &"x".repeat(64 << 20), 1);
    // It may answer before it has read everything, and close.
    let answer = http::try_post(
        &scene.node.mcp("tools"),
        &[("authorization", &format!("Bearer {}", scene.token)), ("content-type", "application/json")],
        &long,
    )
    .await;
    assert!(answer.is_err() || answer.is_ok_and(|answer| answer.status.is_client_error()));
    scene.expect_unharmed().await;
}

#[tokio::test]
async fn arguments_that_break_the_schema_are_refused_with_the_place() {
    let scene = Scene::start().await;
    for arguments in [json!({ "text": 5 }), json!({ "txt": "hi" }), json!({ "events": -1 }), json!([])] {
        let reply =
            scene.client().request("tools/call", json!({ "name": "echo", "arguments": arguments })).await;
        let said = reply.message.to_string();
        assert!(said.contains("invalid_input"), "{arguments}: {said}");
    }
    scene.expect_unharmed().await;
}

#[tokio::test]
async fn what_stands_beside_the_arguments_reaches_no_server() {
    let scene = Scene::start().await;
    let name = r#""name":"echo""#;
    for beside in [
        r#""Arguments":{"text":"smuggled"}"#,
        r#""requestState":"smuggled""#,
        r#""inputResponses":{"a":{"action":"accept"}}"#,
        r#""task":{}"#,
    ] {
        let body = good_call().replacen(name, &format!("{name},{beside}"), 1);
        let answer = scene.post(&body, &[]).await;
        let answer = answer.json();
        // What answers no earlier round is a protocol error, as it is to servers.
        let error = &answer["error"]["data"];
        let decision = &answer["result"]["_meta"]["dev.ringfence/decision"];
        let told = if error.is_null() { decision } else { error };
        assert_eq!(told["code"], "invalid_input", "{beside}: {answer}");
    }
    scene.expect_unharmed().await;
    let method = r#""method":"tools/call""#;
    let body = good_call().replacen(method, &format!(r#"{method},"Method":"tools/list""#), 1);
    let answer = scene.post(&body, &[]).await;
    assert!(answer.text().contains("hi"), "{}", answer.text());
}

#[tokio::test]
async fn a_forged_session_is_unknown() {
    let scene = Scene::start().await;
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {} }).to_string();
    let bearer = format!("Bearer {}", scene.token);
    let headers = |session| {
        [
            ("authorization", bearer.clone()),
            ("content-type", "application/json".to_owned()),
            ("accept", "application/json, text/event-stream".to_owned()),
            ("mcp-protocol-version", "2025-11-25".to_owned()),
            ("mcp-session-id", session),
        ]
    };
    let owner = Client::legacy(&scene.node.mcp("tools"), Some(&scene.token), "2025-11-25").await;
    let own = owner.session().unwrap().to_owned();
    let stranger = scene.node.mint("lab").await;
    for (session, token) in [("forged".to_owned(), None), ("0".repeat(64), None), (own, Some(stranger))] {
        let mut headers = headers(session);
        if let Some(token) = token {
            headers[0].1 = format!("Bearer {token}");
        }
        let headers: Vec<(&str, &str)> =
            headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let answer = http::post(&scene.node.mcp("tools"), &headers, &body).await;
        assert_eq!(answer.status, 404, "{}", answer.text());
    }
}

#[tokio::test]
async fn broken_http_is_answered_or_closed_and_never_hangs() {
    let scene = Scene::start().await;
    let url = scene.node.mcp("tools");
    let mut many = String::from("POST /mcp/tools HTTP/1.1\r\nhost: 127.0.0.1\r\n");
    for number in 0..2_000 {
        let _ = write!(many, "x-{number}: 1\r\n");
    }
    let requests = [
        "\r\n\r\n".to_owned(),
        "POST /mcp/tools HTTP/9.9\r\n\r\n".to_owned(),
        "POST /mcp/tools HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: -5\r\n\r\n".to_owned(),
        "POST /mcp/tools HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}"
            .to_owned(),
        "POST /mcp/tools HTTP/1.1\r\nhost: 127.0.0.1\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n".to_owned(),
        format!("POST /mcp/{} HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n", "a".repeat(1 << 20)),
        format!("{many}\r\n"),
    ];
    for request in requests {
        let answer = http::raw(&url, request.as_bytes(), SILENCE).await;
        let answer = String::from_utf8_lossy(&answer);
        let start: String = request.chars().take(60).collect();
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{start:?}: {answer}");
    }
    scene.expect_unharmed().await;
}

#[tokio::test]
async fn agents_cannot_reach_the_operators() {
    let scene = Scene::start().await;
    let bearer = format!("Bearer {}", scene.token);
    let url = format!("{}/api/v1/approvals", scene.node.control);
    let answer = http::send(hyper::Method::GET, &url, &[("authorization", &bearer)], "").await;
    assert!([401, 403].contains(&answer.status.as_u16()), "{}", answer.status);
    let url = format!("{}/api/v1/approvals", scene.node.gateway);
    let answer = http::send(hyper::Method::GET, &url, &[("authorization", &bearer)], "").await;
    assert_eq!(answer.status, 404);
}
