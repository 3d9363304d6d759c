//! Sessions, eras, and who may come in.

mod common;

use common::client::INITIALIZE;
use common::{Node, Reply, Upstream, at};
use http::{Method, StatusCode};

const PATH: &str = "/mcp/tools";

#[tokio::test]
async fn a_session_is_its_runs_alone_and_ends_when_it_is_deleted() {
    let upstream = Upstream::legacy().await;
    let node = Node::start(&[("tools", &upstream.url), ("other", &upstream.url)]).await;
    let owner = node.client().await.initialize(PATH).await;
    let session = owner.session.clone().unwrap();
    assert_eq!(session.len(), 32, "128 bits in hexadecimal");
    assert_ne!(session, "upstream-session");

    let mut thief = node.client().await;
    thief.session = Some(session.clone());
    assert_eq!(thief.call(PATH, "echo", "{}").await.status, StatusCode::NOT_FOUND, "another run's session");
    assert_eq!(owner.call("/mcp/other", "echo", "{}").await.status, StatusCode::NOT_FOUND, "another path");
    let mut forger = owner.clone();
    forger.session = Some("0".repeat(32));
    assert_eq!(forger.call(PATH, "echo", "{}").await.status, StatusCode::NOT_FOUND, "a forged session");
    forger.session = None;
    assert_eq!(forger.call(PATH, "echo", "{}").await.status, StatusCode::BAD_REQUEST, "no session");
    assert!(upstream.seen("tools/call").is_empty());

    let headers = [("mcp-session-id", session.as_str())];
    let ended = owner.send(Method::DELETE, PATH, &headers, "").await;
    assert_eq!(ended.status, StatusCode::NO_CONTENT);
    assert_eq!(owner.call(PATH, "echo", "{}").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn an_agent_has_only_so_many_sessions_and_the_oldest_makes_room() {
    let upstream = Upstream::legacy().await;
    let node = Node::start(&[("tools", &upstream.url)]).await;
    let client = node.client().await;
    let mut all = Vec::new();
    for _ in 0..5 {
        all.push(client.clone().initialize(PATH).await);
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    assert_eq!(node.gateway.sessions(), 4);
    assert_eq!(all[0].call(PATH, "echo", "{}").await.status, StatusCode::NOT_FOUND);
    assert_eq!(all[4].call(PATH, "echo", "{}").await.status, StatusCode::OK);
    for _ in 0..200 {
        if upstream.all().iter().filter(|seen| seen.method == Method::DELETE).count() >= 2 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let farewells = upstream.all().iter().filter(|seen| seen.method == Method::DELETE).count();
    assert_eq!(farewells, 2, "discovery's, and of the one that made room");
    let other = node.client().await.legacy(PATH, INITIALIZE).await;
    assert!(other.body.contains("overloaded"), "a run ends no other's session: {}", other.body);
    assert_eq!(all[4].call(PATH, "echo", "{}").await.status, StatusCode::OK);
}

#[tokio::test]
async fn the_sessions_of_a_run_that_has_ended_end_with_it() {
    let upstream = Upstream::legacy().await;
    let limits =
        ringfence_gateway::Limits { sweep: std::time::Duration::from_millis(20), ..common::limits() };
    let node = Node::start_with(&[("tools", &upstream.url)], &["tools/*"], common::POLICY, limits).await;
    let (gone, stays) =
        (node.client().await.initialize(PATH).await, node.client().await.initialize(PATH).await);
    assert_eq!(node.gateway.sessions(), 2);
    node.kernel.kill(gone.run, "done", &common::dana()).await.unwrap();
    for _ in 0..200 {
        if node.gateway.sessions() == 1 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    assert_eq!(node.gateway.sessions(), 1);
    assert_eq!(stays.call(PATH, "echo", "{}").await.text(), "{}");
}

#[tokio::test]
async fn a_session_that_the_server_has_forgotten_ends_for_the_client() {
    let upstream = Upstream::legacy().await;
    let node = Node::start(&[("tools", &upstream.url)]).await;
    let client = node.client().await.initialize(PATH).await;
    upstream.on_call(|_| Reply::Raw(404, "text/plain", b"no session".to_vec()));
    assert_eq!(client.call(PATH, "echo", "{}").await.status, StatusCode::NOT_FOUND);
    upstream.behave(|_| Reply::Usual);
    assert_eq!(client.call(PATH, "echo", "{}").await.status, StatusCode::NOT_FOUND);
    let again = client.clone();
    let again = common::Client { session: None, ..again }.initialize(PATH).await;
    assert_eq!(again.call(PATH, "echo", "{}").await.text(), "{}");
}

#[tokio::test]
async fn a_new_address_or_key_counts_for_sessions_that_are_open() {
    let (old, new) = (Upstream::legacy().await, Upstream::legacy().await);
    let node = Node::start(&[("tools", &old.url)]).await;
    let client = node.client().await.initialize(PATH).await;
    client.call(PATH, "echo", "{}").await;
    let mut table = common::table(&[]);
    let servers = [(common::server("tools"), common::target(&old.url, "Bearer rotated"))].into();
    table.workspaces.insert(common::workspace(), servers);
    node.targets.replace(table);
    client.call(PATH, "echo", "{}").await;
    assert_eq!(old.seen("tools/call")[1].header("authorization"), "Bearer rotated");
    assert_eq!(old.seen("initialize").len(), 2, "discovery's and the session's: a key needs no new one");

    node.targets.replace(common::table(&[("tools", &new.url)]));
    assert_eq!(client.call(PATH, "echo", "{}").await.text(), "{}");
    assert_eq!((old.seen("tools/call").len(), new.seen("tools/call").len()), (2, 1));
}

#[tokio::test]
async fn clients_and_servers_of_different_eras_are_told_what_the_server_speaks() {
    let (legacy, modern) = (Upstream::legacy().await, Upstream::modern().await);
    let node = Node::start(&[("old", &legacy.url), ("new", &modern.url)]).await;
    let client = node.client().await;
    let answer = client.modern("/mcp/old", "tools/call", Some("echo"), r#""name":"echo""#).await;
    assert_eq!((answer.status.as_u16(), answer.error_code().as_str()), (400, "-32022"));
    assert_eq!(at(&answer.message(), "/error/data/supported/0"), "2025-11-25");
    assert!(legacy.seen("tools/call").is_empty());
    let answer = client.legacy("/mcp/new", INITIALIZE).await;
    assert_eq!(answer.error_code(), "-32022");
    assert_eq!(at(&answer.message(), "/error/data/supported"), r#"["2026-07-28"]"#);
    assert!(modern.seen("initialize").is_empty());
}

/// Headers, a body, and the status and code of the answer.
type BadRequest = (&'static [(&'static str, &'static str)], String, u16, &'static str);

#[tokio::test]
async fn a_modern_request_has_to_say_the_same_in_headers_and_body() {
    let upstream = Upstream::modern().await;
    let node = Node::start(&[("tools", &upstream.url)]).await;
    let client = node.client().await;
    let meta = common::client::META;
    let body = |meta: &str| {
        format!(r#"{{"jsonrpc":"2.0","id":7,"method":"tools/list","params":{{"_meta":{meta}}}}}"#)
    };
    let cases: [BadRequest; 6] = [
        (&[("mcp-protocol-version", "2026-07-28")], body(meta), 400, "-32020"),
        (&[("mcp-protocol-version", "2026-07-28"), ("mcp-method", "TOOLS/LIST")], body(meta), 400, "-32020"),
        (&[("mcp-method", "tools/list")], body(meta), 400, "-32020"),
        (&[("mcp-protocol-version", "2026-07-28"), ("mcp-method", "tools/list")], body("{}"), 400, "-32602"),
        (
            &[("mcp-protocol-version", "2026-07-28"), ("mcp-method", "tools/list")],
            body(r#"{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}"#),
            400,
            "-32602",
        ),
        (
            &[("mcp-protocol-version", "2099-01-01"), ("mcp-method", "tools/list")],
            body(&meta.replace("2026-07-28", "2099-01-01")),
            400,
            "-32022",
        ),
    ];
    for (headers, body, status, code) in cases {
        let answer = client.send(Method::POST, PATH, headers, &body).await;
        assert_eq!(
            (answer.status.as_u16(), answer.error_code().as_str()),
            (status, code),
            "{headers:?} {body}"
        );
        assert_eq!(at(&answer.message(), "/id"), "7");
        if code == "-32022" {
            assert_eq!(at(&answer.message(), "/error/data/supported"), r#"["2026-07-28"]"#);
        }
    }
    let answer = client.modern(PATH, "ping", None, "").await;
    assert_eq!((answer.status.as_u16(), answer.error_code().as_str()), (404, "-32601"));
}

#[tokio::test]
async fn nobody_comes_in_without_a_token_from_the_wrong_host_or_with_a_body_out_of_bounds() {
    let upstream = Upstream::legacy().await;
    let node = Node::start(&[("tools", &upstream.url)]).await;
    let client = node.client().await;
    let post = |headers: Vec<(&'static str, &'static str)>, body: String| {
        let client = client.clone();
        async move { client.send(Method::POST, PATH, &headers, &body).await }
    };
    let answer = post(vec![("authorization", "")], INITIALIZE.into()).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert_eq!(answer.headers["www-authenticate"], r#"Bearer realm="ringfence""#);
    let answer = post(vec![("authorization", "Bearer rfr_wrong")], INITIALIZE.into()).await;
    assert!(answer.headers["www-authenticate"].to_str().unwrap().contains("invalid_token"));
    assert_eq!(
        post(vec![("host", "evil.example.com")], INITIALIZE.into()).await.status,
        StatusCode::FORBIDDEN
    );
    let answer = post(vec![("origin", "https://evil.example.com")], INITIALIZE.into()).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    assert_eq!(post(vec![("content-type", "text/plain")], INITIALIZE.into()).await.status.as_u16(), 415);
    assert_eq!(post(vec![], "a".repeat(70_000)).await.status.as_u16(), 413);
    for (body, code) in
        [("[]", "-32600"), ("{", "-32700"), (r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}"#, "-32700")]
    {
        let answer = post(vec![], body.into()).await;
        assert_eq!((answer.status.as_u16(), answer.error_code().as_str()), (400, code), "{body}");
    }
    let deep = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"ping","params":{{"a":{}{}}}}}"#,
        "[".repeat(100),
        "]".repeat(100)
    );
    assert_eq!(post(vec![], deep).await.error_code(), "-32700");
    for path in ["/", "/mcp/tools/x", "/api/v1/approvals", "/api/v1/runs/x", "/api/v1/suspensions"] {
        assert_eq!(
            client.send(Method::POST, path, &[], INITIALIZE).await.status,
            StatusCode::NOT_FOUND,
            "{path}"
        );
    }
    assert_eq!(client.send(Method::GET, PATH, &[], "").await.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(client.send(Method::PUT, PATH, &[], "").await.status, StatusCode::METHOD_NOT_ALLOWED);
    let with_key = post(vec![("authorization", ""), ("x-api-key", "rfr_wrong")], INITIALIZE.into()).await;
    assert_eq!(with_key.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_client_that_sends_its_body_too_slowly_is_cut_off() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let upstream = Upstream::legacy().await;
    let node = Node::start(&[("tools", &upstream.url)]).await;
    let client = node.client().await;
    let mut stream = tokio::net::TcpStream::connect(node.address).await.unwrap();
    let head = format!(
        "POST {PATH} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{{",
        client.token
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = vec![0; 400];
    let read = tokio::time::timeout(std::time::Duration::from_secs(5), stream.read(&mut answer))
        .await
        .unwrap()
        .unwrap();
    assert!(String::from_utf8_lossy(&answer[..read]).starts_with("HTTP/1.1 408"));
}

#[tokio::test]
async fn what_is_no_known_notification_or_answer_stays_here() {
    let upstream = Upstream::legacy().await;
    let node = Node::start(&[("tools", &upstream.url)]).await;
    let client = node.client().await.initialize(PATH).await;
    let before = upstream.all().len();
    for (body, status) in [
        (r#"{"jsonrpc":"2.0","method":"notifications/exfiltrate","params":{"data":"x"}}"#, 400),
        (
            r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":1,"progress":1,"message":"x"}}"#,
            202,
        ),
        (r#"{"jsonrpc":"2.0","id":"ringfence-1","result":{"data":"x"}}"#, 400),
        (r#"{"jsonrpc":"2.0","id":1,"method":"exfiltrate","params":{"data":"x"}}"#, 200),
    ] {
        assert_eq!(client.legacy(PATH, body).await.status.as_u16(), status, "{body}");
    }
    assert_eq!(upstream.all().len(), before);
    assert_eq!(
        client.legacy(PATH, r#"{"jsonrpc":"2.0","id":5,"method":"ping"}"#).await.body,
        r#"{"jsonrpc":"2.0","id":5,"result":{}}"#
    );
}
