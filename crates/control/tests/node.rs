//! A node and its operators: who may ask what, and what a changed file does.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at what it does not expect; its helpers too"
)]

mod operator;

use std::time::Duration;

use operator::{Answer, Place};
use ringfence_control::{StartError, limits};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[tokio::test(flavor = "multi_thread")]
async fn loopback_alone_opens_nothing_but_the_health_checks() {
    let place = Place::new();
    let node = place.start().await;
    for (path, status) in [
        ("/healthz", 200),
        ("/readyz", 200),
        ("/metrics", 401),
        ("/openapi.json", 401),
        ("/api/v1/status", 401),
        ("/nothing", 404),
    ] {
        assert_eq!(place.tcp(&node, "GET", path, None, "").await.status, status, "{path}");
    }
    assert_eq!(place.tcp(&node, "GET", "/api/v1/status", Some("rfp_nonsense"), "").await.status, 401);
    assert_eq!(place.tcp(&node, "GET", "/api/v1/status", Some(&place.viewer), "").await.status, 200);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn roles_give_just_their_power() {
    let place = Place::new();
    let node = place.start().await;
    let mint = r#"{"workspace":"lab","agent":"assistant"}"#;
    for (token, path, body, status) in [
        (&place.viewer, "/api/v1/tokens", mint, 403),
        (&place.approver, "/api/v1/tokens", mint, 403),
        (&place.operator, "/api/v1/tokens", mint, 200),
        (&place.admin, "/api/v1/tokens", mint, 200),
        (&place.viewer, "/api/v1/reload", "", 403),
        (&place.operator, "/api/v1/reload", "", 200),
        (&place.operator, "/api/v1/approvals/apr_00000000000000000000000000/approve", "", 403),
        (&place.approver, "/api/v1/approvals/apr_00000000000000000000000000/approve", "", 404),
    ] {
        let answer = place.tcp(&node, "POST", path, Some(token), body).await;
        assert_eq!(answer.status, status, "{path} {body}: {}", answer.body);
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn other_hosts_and_origins_are_refused() {
    let place = Place::new();
    let node = place.start().await;
    let port = node.addresses().control.rsplit_once(':').unwrap().1.to_owned();
    let good = format!("127.0.0.1:{port}");
    for (host, origin, status) in [
        (good.as_str(), None, 200),
        ("evil.example", None, 421),
        (good.as_str(), Some("http://evil.example"), 403),
        (good.as_str(), Some("null"), 403),
    ] {
        let answer = place.raw(&node, host, origin).await;
        assert_eq!(answer.status, status, "{host} {origin:?}: {}", answer.body);
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_socket_knows_its_owner() {
    let place = Place::new();
    let node = place.start().await;
    let answer = place.socket(&node, "GET", "/api/v1/whoami", "").await;
    assert_eq!(answer.status, 200);
    assert!(answer.body.contains("\"owner\":true"), "{}", answer.body);
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &std::fs::metadata(&node.addresses().socket).unwrap().permissions(),
    );
    assert_eq!(mode & 0o777, 0o600);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_known_is_refused_with_a_way_out() {
    let place = Place::new();
    let node = place.start().await;
    for (method, path, body, status, said) in [
        ("GET", "/api/v1/runs?color=red", "", 400, "known are"),
        ("GET", "/api/v1/runs?limit=1&limit=2", "", 400, "asked twice"),
        ("GET", "/api/v1/runs?limit=0", "", 400, "from 1"),
        (
            "POST",
            "/api/v1/tokens",
            r#"{"workspace":"lab","agent":"assistant","admin":true}"#,
            400,
            "known are",
        ),
        ("POST", "/api/v1/tokens", r#"{"workspace":"lab","workspace":"x"}"#, 400, "duplicate"),
        ("POST", "/api/v1/tokens", "[]", 400, "object"),
        ("POST", "/api/v1/tokens", r#"{"workspace":"lab"}"#, 400, "agent"),
        ("POST", "/api/v1/tokens", r#"{"workspace":"lab","agent":"nobody"}"#, 404, "nobody"),
        ("POST", "/api/v1/tokens", r#"{"workspace":"lab","agent":"assistant","ttl":"90d"}"#, 400, "days"),
        ("POST", "/api/v1/suspensions", r#"{"reason":"x"}"#, 400, "all"),
        ("POST", "/api/v1/suspensions", r#"{"all":true}"#, 400, "reason"),
        ("POST", "/api/v1/suspensions/sus_00000000000000000000000000/resume", "", 404, "suspension"),
        ("GET", "/api/v1/runs/me", "", 400, "identifier"),
        ("GET", "/api/v1/audit/entries?kind=intents", "", 400, "did you mean"),
        ("GET", "/api/v1/approvals?state=aproved", "", 400, "did you mean `approved`?"),
        ("GET", "/api/v1/tools?state=bogus", "", 400, "known are: pinned, new"),
        ("GET", "/api/v1/tools/diff?state=pinned", "", 400, "known are: new"),
        ("GET", "/api/v1/audit/entries?from=1&newest=true", "", 400, "goes with"),
        ("GET", "/api/v1/audit/entries?before=1", "", 400, "goes with"),
        ("GET", "/api/v1/audit/entries/999999", "", 404, "no entry"),
        ("DELETE", "/api/v1/runs", "", 405, "openapi"),
    ] {
        let answer = place.socket(&node, method, path, body).await;
        assert_eq!(answer.status, status, "{path} {body}: {}", answer.body);
        assert!(answer.body.contains(said), "{path} {body}: {}", answer.body);
        assert!(answer.head.contains("application/problem+json"), "{}", answer.head);
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_over_the_limit_is_refused() {
    let place = Place::new();
    let node = place.start().await;
    let body = format!(r#"{{"workspace":"{}"}}"#, "x".repeat(5 << 20));
    assert_eq!(place.socket(&node, "POST", "/api/v1/tokens", &body).await.status, 413);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspension_is_made_listed_and_lifted() {
    let place = Place::new();
    let node = place.start().await;
    let made = place
        .socket(&node, "POST", "/api/v1/suspensions", r#"{"workspace":"lab","reason":"test","for":"1h"}"#)
        .await;
    assert_eq!(made.status, 200, "{}", made.body);
    let id = made.text("id");
    let listed = place.socket(&node, "GET", "/api/v1/suspensions", "").await;
    assert!(listed.body.contains(&id) && listed.body.contains("\"by\":\"owner\""), "{}", listed.body);
    let path = format!("/api/v1/suspensions/{id}/resume");
    assert_eq!(place.socket(&node, "POST", &path, "").await.status, 200);
    assert_eq!(place.socket(&node, "POST", &path, "").await.status, 404);
    let entries = place.socket(&node, "GET", "/api/v1/audit/entries?kind=suspension", "").await;
    assert_eq!(entries.body.matches("\"kind\":\"suspension\"").count(), 2, "{}", entries.body);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_nobody_knows_is_not_suspended_by_mistake() {
    let place = Place::new();
    let server =
        "lab:\n    tools: { search: { url: 'http://127.0.0.1:9/mcp', actions: { find: { risk: low } } } }";
    let configuration = place.configuration().replace("lab:", server);
    place.write("ringfence.yaml", &configuration.replace("tools: []", "tools: ['search/read_*']"));
    let node = place.start().await;
    let suspend = |scope: &str, more: &str| {
        let body = format!(r#"{{{scope},"reason":"test"{more}}}"#);
        let (place, node) = (&place, &node);
        async move { place.socket(node, "POST", "/api/v1/suspensions", &body).await }
    };
    for (scope, said) in [
        (r#""workspace":"lap""#, "no workspace `lap` here, so nothing was suspended; did you mean `lab`?"),
        (r#""agent":"asistant""#, "did you mean `assistant`?"),
        (r#""server":"serach""#, "did you mean `search`?"),
        (r#""run":"run_00000000000000000000000000""#, "no run"),
    ] {
        let answer = suspend(scope, "").await;
        assert_eq!(answer.status, 404, "{scope}: {}", answer.body);
        assert!(answer.body.contains(said) && answer.body.contains("even-if-unknown"), "{}", answer.body);
    }
    let none = place.socket(&node, "GET", "/api/v1/suspensions", "").await;
    assert!(none.body.contains(r#""suspensions":[]"#), "{}", none.body);
    for scope in
        [r#""server":"search","tool":"find""#, r#""tool":"resources/read""#, r#""agent":"assistant""#]
    {
        assert_eq!(suspend(scope, "").await.status, 200, "{scope}");
    }
    for (scope, said) in [
        (r#""server":"search","tool":"fnd""#, "did you mean `find`?"),
        (r#""tool":"read_*""#, "no tool"),
        (r#""model":"smart""#, "no model"),
    ] {
        let answer = suspend(scope, "").await;
        assert_eq!(answer.status, 200, "{scope}: {}", answer.body);
        assert!(answer.body.contains(r#""warning""#) && answer.body.contains(said), "{}", answer.body);
    }
    assert_eq!(suspend(r#""server":"later""#, r#","even_if_unknown":true"#).await.status, 200);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_file_keeps_the_old_configuration_and_says_so() {
    let place = Place::new();
    let node = place.start().await;
    place.write("ringfence.yaml", "organization: [");
    let refused = || async {
        let status = place.socket(&node, "GET", "/api/v1/status", "").await;
        status.body.contains("refused_configuration").then_some(status)
    };
    let status = eventually(refused).await;
    assert!(status.body.contains("\"workspace\":\"lab\""), "{}", status.body);
    assert_eq!(place.socket(&node, "POST", "/api/v1/reload", "").await.status, 422);
    place.write("ringfence.yaml", &place.configuration().replace("lab:", "den:"));
    let changed = || async {
        let status = place.socket(&node, "GET", "/api/v1/status", "").await;
        status.body.contains("\"workspace\":\"den\"").then_some(status)
    };
    let status = eventually(changed).await;
    assert!(!status.body.contains("refused_configuration"), "{}", status.body);
    let entries = place.socket(&node, "GET", "/api/v1/audit/entries?kind=config", "").await;
    assert_eq!(entries.body.matches("\"kind\":\"config\"").count(), 2, "{}", entries.body);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_node_on_the_same_folder_is_refused() {
    let place = Place::new();
    let node = place.start().await;
    let Err(StartError::Open(error)) = place.try_start().await else { panic!("a second node started") };
    assert!(error.to_string().contains("another"), "{error}");
    assert_eq!(
        place.socket(&node, "GET", "/healthz", "").await.status,
        200,
        "the first one's socket was taken"
    );
    node.stop().await;
    place.start().await.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_is_missing_keeps_a_node_from_starting_and_a_rotated_one_does_not() {
    let place = Place::new();
    let server = "lab:\n    tools: { s: { url: 'http://127.0.0.1:9/mcp', key: 'file:key' } }";
    place.write("ringfence.yaml", &place.configuration().replace("lab:", server));
    let Err(StartError::Setup(error)) = place.try_start().await else {
        panic!("it started without the secret")
    };
    assert!(error.to_string().contains("server `s` of workspace `lab`"), "{error}");
    place.write("key", "hunter2");
    let node = place.start().await;
    place.write("key", "hunter3");
    let reloaded = place.socket(&node, "POST", "/api/v1/reload", "").await;
    assert!(reloaded.body.contains("\"changed\":false"), "{}", reloaded.body);
    place.write("key", "two\nlines");
    let refused = place.socket(&node, "POST", "/api/v1/reload", "").await;
    assert_eq!(refused.status, 422);
    assert!(!refused.body.contains("two"), "{}", refused.body);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_others_reach_is_refused() {
    let place = Place::new();
    let mut options = place.options();
    options.control = "0.0.0.0:0".parse().unwrap();
    assert!(matches!(ringfence_control::Node::start(options).await, Err(StartError::Exposed(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn followers_see_what_happens_as_it_happens() {
    let place = Place::new();
    let node = place.start().await;
    let mut lines = place.follow(&node, "/api/v1/audit/tail?kind=token").await;
    let minted =
        place.socket(&node, "POST", "/api/v1/tokens", r#"{"workspace":"lab","agent":"assistant"}"#).await;
    let line =
        tokio::time::timeout(Duration::from_secs(10), lines.line_with("\"kind\":\"token\"")).await.unwrap();
    assert!(line.contains(&minted.text("run")), "{line}");
    assert!(!line.contains(&minted.text("token")), "a token stands in the log");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_taken_out_of_the_configuration_follows_no_longer() {
    let place = Place::new();
    let node = place.start().await;
    let host = node.addresses().control.strip_prefix("http://").unwrap().to_owned();
    let mut stream = tokio::net::TcpStream::connect(&host).await.unwrap();
    let head = format!(
        "GET /api/v1/audit/tail?last=1 HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {}\r\n\r\n",
        place.viewer
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut seen = vec![0; 15];
    stream.read_exact(&mut seen).await.unwrap();
    assert_eq!(seen, b"HTTP/1.1 200 OK");
    let without: Vec<_> =
        place.configuration().lines().filter(|line| !line.contains("vera:")).map(str::to_owned).collect();
    place.write("ringfence.yaml", &without.join("\n"));
    assert_eq!(place.socket(&node, "POST", "/api/v1/reload", "").await.status, 200);
    // The end of the answer comes; the connection may stay.
    let end = async {
        while !seen.ends_with(b"\r\n0\r\n\r\n") {
            let Ok(next) = stream.read_u8().await else { break };
            seen.push(next);
        }
    };
    tokio::time::timeout(Duration::from_secs(10), end).await.expect("the stream goes on");
    let listed = place.tcp(&node, "GET", "/api/v1/status", Some(&place.viewer), "").await;
    assert_eq!(listed.status, 401);
    let metrics = place.socket(&node, "GET", "/metrics", "").await.body;
    assert!(metrics.contains("\nringfence_operator_logins_failed_total 1\n"), "{metrics}");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_are_in_the_exposition_format() {
    let place = Place::new();
    let node = place.start().await;
    let answer = place.tcp(&node, "GET", "/metrics", Some(&place.viewer), "").await;
    assert!(
        answer.body.contains("# TYPE ringfence_log_entries gauge\nringfence_log_entries "),
        "{}",
        answer.body
    );
    for line in answer.body.lines().filter(|line| !line.starts_with('#')) {
        let (_, value) = line.rsplit_once(' ').unwrap();
        assert!(value.parse::<f64>().is_ok_and(|value| value >= 0.0), "{line}");
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_fills_the_listener_keeps_nobody_from_the_switch() {
    let place = Place::new();
    let node = place.start().await;
    let host = node.addresses().control.strip_prefix("http://").unwrap().to_owned();
    let mut idle = Vec::new();
    for _ in 0..=limits::TCP_CONNECTIONS_MAX {
        idle.push(tokio::net::TcpStream::connect(&host).await.unwrap());
    }
    let made = place.socket(&node, "POST", "/api/v1/suspensions", r#"{"all":true,"reason":"test"}"#).await;
    assert_eq!(made.status, 200, "{}", made.body);
    node.stop().await;
    drop(idle);
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_are_served_while_a_tool_server_hangs_and_agents_after_that() {
    let place = Place::new();
    let hanging = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/mcp", hanging.local_addr().unwrap());
    let server = format!("lab:\n    tools: {{ slow: {{ url: '{url}' }} }}");
    place.write("ringfence.yaml", &place.configuration().replace("lab:", &server));
    let started = std::time::Instant::now();
    let node = place.start().await;
    let (asked, _) = hanging.accept().await.unwrap();
    let address = node.addresses().gateway.strip_prefix("http://").unwrap().to_owned();
    let mut agent = tokio::net::TcpStream::connect(&address).await.unwrap();
    agent.write_all(format!("POST /mcp HTTP/1.1\r\nHost: {address}\r\n\r\n").as_bytes()).await.unwrap();
    for (method, path, body) in [
        ("GET", "/api/v1/status", ""),
        ("POST", "/api/v1/suspensions", r#"{"all":true,"reason":"test"}"#),
        ("GET", "/api/v1/suspensions", ""),
    ] {
        assert_eq!(place.socket(&node, method, path, body).await.status, 200, "{path}");
    }
    let mut answer = [0; 12];
    // On a machine so slow that the wait is over by now, there is nothing to see.
    if started.elapsed() < Duration::from_secs(4) {
        let early = agent.try_read(&mut answer).expect_err("agents are served before the first look is over");
        assert_eq!(early.kind(), std::io::ErrorKind::WouldBlock);
    }
    drop((asked, hanging));
    agent.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 401");
    node.stop().await;
}

async fn eventually<F: Future<Output = Option<Answer>>>(look: impl Fn() -> F) -> Answer {
    for _ in 0..200 {
        if let Some(answer) = look().await {
            return answer;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("it never came");
}
