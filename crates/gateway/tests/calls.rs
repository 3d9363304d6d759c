//! What becomes of a tool call.

mod common;

use common::client::call_body;
use common::{Node, Reply, Upstream, at};
use ringfence_json::Value;

const PATH: &str = "/mcp/tools";

async fn legacy() -> (Node, Upstream) {
    let upstream = Upstream::legacy().await;
    let node = Node::start(&[("tools", &upstream.url)]).await;
    (node, upstream)
}

async fn modern() -> (Node, Upstream) {
    let upstream = Upstream::modern().await;
    let node = Node::start(&[("tools", &upstream.url)]).await;
    (node, upstream)
}

#[tokio::test]
async fn a_call_of_a_legacy_client_reaches_its_server_without_the_agents_token() {
    let (node, upstream) = legacy().await;
    let client = node.client().await.initialize(PATH).await;
    let answer = client.call(PATH, "echo", r#"{"text":"hi"}"#).await;
    assert_eq!(answer.text(), r#"{"text":"hi"}"#);
    let seen = &upstream.seen("tools/call")[0];
    assert_eq!(seen.header("authorization"), "Bearer upstream-key");
    assert_eq!(seen.header("mcp-session-id"), "upstream-session");
    assert_eq!(seen.header("mcp-protocol-version"), "2025-11-25");
    for request in upstream.all() {
        assert!(!format!("{request:?}").contains(&client.token), "the agent's token went upstream");
    }
    let outcome = &node.entries("outcome", 1).await[0];
    assert!(Value::from(outcome.clone()).to_string().contains("completed"));
}

#[tokio::test]
async fn a_call_of_a_modern_client_carries_headers_made_from_what_is_sent() {
    let (node, upstream) = modern().await;
    let client = node.client().await;
    let answer =
        client.modern(PATH, "tools/call", Some("echo"), r#""name":"echo","arguments":{"text":"hi"}"#).await;
    assert_eq!(answer.text(), r#"{"text":"hi"}"#);
    let seen = &upstream.seen("tools/call")[0];
    assert_eq!(seen.header("mcp-protocol-version"), "2026-07-28");
    assert_eq!((seen.header("mcp-method"), seen.header("mcp-name")), ("tools/call", "echo"));
    assert_eq!(seen.header("mcp-session-id"), "");
}

#[tokio::test]
async fn a_narrowed_argument_is_narrowed_in_the_message_and_in_its_header() {
    let (node, upstream) = modern().await;
    upstream.set_tools(
        r#"[{"name":"scale","inputSchema":{"type":"object","properties":{"replicas":{"type":"integer","x-mcp-header":"Replicas"}}}}]"#,
    );
    let node = {
        drop(node);
        Node::start(&[("tools", &upstream.url)]).await
    };
    let client = node.client().await;
    let body = |replicas: u64| {
        format!(
            r#"{{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{{"name":"scale","arguments":{{"replicas":{replicas}}},"_meta":{}}}}}"#,
            common::client::META
        )
    };
    let headers = |replicas| {
        vec![
            ("mcp-protocol-version", "2026-07-28"),
            ("mcp-method", "tools/call"),
            ("mcp-name", "scale"),
            ("mcp-param-replicas", replicas),
        ]
    };
    let answer = client.send(http::Method::POST, PATH, &headers("50"), &body(50)).await;
    assert_eq!(
        at(&answer.message(), "/result/_meta/dev.ringfence~1decision/decision"),
        "ALLOW_WITH_CONSTRAINTS"
    );
    let told = at(&answer.message(), "/result/content/1/text");
    assert!(told.contains("replicas from 50 to 10"), "{told}");
    let seen = &upstream.seen("tools/call")[0];
    assert_eq!(
        (seen.text("/params/arguments/replicas"), seen.header("mcp-param-replicas")),
        ("10".into(), "10")
    );
    for wrong in ["49", ""] {
        let answer = client.send(http::Method::POST, PATH, &headers(wrong), &body(50)).await;
        assert_eq!((answer.status.as_u16(), answer.error_code().as_str()), (400, "-32020"), "{wrong}");
    }
}

#[tokio::test]
async fn a_refused_call_does_not_reach_the_server_and_says_why() {
    let (node, upstream) = legacy().await;
    let client = node.client().await.initialize(PATH).await;
    let answer = client.call(PATH, "drop", "{}").await;
    assert_eq!(answer.code(), "denied_by_policy");
    assert!(answer.text().contains("Databases stay."), "{}", answer.text());
    assert_eq!(at(&answer.message(), "/result/isError"), "true");
    assert!(upstream.seen("tools/call").is_empty());
}

#[tokio::test]
async fn a_call_that_waits_for_a_person_goes_through_once_they_agree() {
    let (node, upstream) = legacy().await;
    let client = node.client().await.initialize(PATH).await;
    let waiting = client.call(PATH, "send", "{}").await;
    assert_eq!(waiting.code(), "approval_required");
    let approval = node.kernel.approvals()[0].id;
    node.kernel.approve(approval, &common::dana(), None, None).await.unwrap();
    let answer = client.call(PATH, "send", "{}").await;
    assert_eq!(answer.text(), "{}");
    assert_eq!(upstream.seen("tools/call").len(), 1);
}

#[tokio::test]
async fn what_is_to_be_redacted_is_redacted_and_what_is_too_large_is_withheld() {
    let (node, upstream) = legacy().await;
    let client = node.client().await.initialize(PATH).await;
    upstream.on_call(|_| {
        Reply::Result(r#"{"content":[{"type":"text","text":"{\"ssn\":\"123-45-6789\"}"}],"structuredContent":{"ssn":"123-45-6789"}}"#.into())
    });
    let shown = client.call(PATH, "whois", "{}").await.body;
    assert!(!shown.contains("6789") && shown.contains("[redacted]"), "{shown}");
    upstream.on_call(|_| {
        Reply::Result(format!(r#"{{"content":[{{"type":"text","text":"{}"}}]}}"#, "a".repeat(300)))
    });
    let withheld = client.call(PATH, "dump", "{}").await;
    assert_eq!(withheld.code(), "too_large");
    assert!(withheld.text().contains("The call was executed"), "{}", withheld.text());
}

#[tokio::test]
async fn a_result_that_breaks_the_output_schema_is_withheld() {
    let (node, upstream) = legacy().await;
    let client = node.client().await.initialize(PATH).await;
    upstream.on_call(|_| Reply::Result(r#"{"content":[],"structuredContent":{"n":1}}"#.into()));
    assert_eq!(at(&client.call(PATH, "typed", "{}").await.message(), "/result/structuredContent/n"), "1");
    upstream.on_call(|_| Reply::Result(r#"{"content":[],"structuredContent":{"m":1}}"#.into()));
    assert_eq!(client.call(PATH, "typed", "{}").await.code(), "upstream_failed");
}

#[tokio::test]
async fn numbers_and_identifiers_arrive_as_they_were_written() {
    let (node, upstream) = legacy().await;
    let client = node.client().await.initialize(PATH).await;
    let body = r#"{"jsonrpc":"2.0","id":123456789012345678901234567890,"method":"tools/call","params":{"name":"echo","arguments":{"n":1.10,"big":1e400}}}"#;
    let answer = client.legacy(PATH, body).await;
    assert!(answer.body.contains(r#""id":123456789012345678901234567890"#), "{}", answer.body);
    let seen = &upstream.seen("tools/call")[0];
    assert_eq!(seen.text("/params/arguments"), r#"{"n":1.10,"big":1e400}"#);
}

#[tokio::test]
async fn what_no_rule_has_seen_does_not_reach_a_server() {
    let (node, upstream) = legacy().await;
    let client = node.client().await.initialize(PATH).await;
    let ask = |params: &str| {
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{params},"beside":"secret"}}"#)
    };
    let answer = client.legacy(PATH, &ask(r#"{"name":"echo","later":["secret"]}"#)).await;
    assert_eq!(answer.code(), "invalid_input");
    assert!(answer.text().contains("`tools/call` has no parameter `later`"), "{}", answer.body);
    assert!(upstream.seen("tools/call").is_empty());
    let meta = r#"{"name":"echo","_meta":{"progressToken":"p","notes":"secret"}}"#;
    let answer = client.legacy(PATH, &ask(meta)).await;
    assert!(answer.body.contains(r#""result""#), "{}", answer.body);
    let seen = &upstream.seen("tools/call")[0];
    assert_eq!(seen.text("/params/_meta"), r#"{"progressToken":"p"}"#);
    assert!(!seen.text("").contains("secret"));
}

/// A name, an answer, and what the agent is told.
type BadAnswer = (&'static str, fn(fn(&str) -> Reply) -> Reply, &'static str);

#[tokio::test]
async fn a_server_that_gives_no_usable_answer_fails_the_call_and_the_agent_is_told() {
    let (node, upstream) = legacy().await;
    let client = node.client().await.initialize(PATH).await;
    let json = |text: &str| Reply::Raw(200, "application/json", text.as_bytes().to_vec());
    let cases: [BadAnswer; 11] = [
        ("another id", |json| json(r#"{"jsonrpc":"2.0","id":8,"result":{}}"#), "upstream_failed"),
        (
            "duplicate keys",
            |json| json(r#"{"jsonrpc":"2.0","id":7,"result":{"a":1,"a":2}}"#),
            "upstream_failed",
        ),
        ("garbage", |json| json("garbage"), "upstream_failed"),
        ("a batch", |json| json(r#"[{"jsonrpc":"2.0","id":7,"result":{}}]"#), "upstream_failed"),
        ("a request", |json| json(r#"{"jsonrpc":"2.0","id":7,"method":"ping"}"#), "upstream_failed"),
        ("html", |_| Reply::Raw(200, "text/html", b"<html>".to_vec()), "upstream_failed"),
        ("an error page", |_| Reply::Raw(502, "text/html", b"<html>".to_vec()), "upstream_failed"),
        ("a redirect", |_| Reply::Headers(307, vec![("location", "http://127.0.0.1:1/")]), "upstream_failed"),
        (
            "a compressed body",
            |_| Reply::Headers(200, vec![("content-encoding", "gzip"), ("content-type", "application/json")]),
            "upstream_failed",
        ),
        ("no end", |_| Reply::Endless, "too_large"),
        ("an end too soon", |_| Reply::Events(vec![]), "upstream_failed"),
    ];
    for (name, reply, code) in cases {
        upstream.on_call(move |_| reply(json));
        let answer = client.call(PATH, "echo", "{}").await;
        assert_eq!(answer.code(), code, "{name}: {}", answer.body);
        assert!(answer.text().contains("may have taken effect"), "{name}: {}", answer.text());
    }
    upstream.behave(|_| Reply::Usual);
    assert_eq!(client.call(PATH, "echo", "{}").await.text(), "{}", "the session has survived all that");
}

#[tokio::test]
async fn a_server_that_hangs_is_left_at_the_deadline_and_told() {
    let (node, upstream) = legacy().await;
    let client = node.client().await.initialize(PATH).await;
    upstream.on_call(|_| Reply::Hang);
    let answer = client.call(PATH, "echo", "{}").await;
    assert_eq!(answer.code(), "upstream_failed");
    assert!(answer.text().contains("did not answer in time"), "{}", answer.text());
    let told = upstream.wait("notifications/cancelled", 1).await;
    assert_eq!(told[0].text("/params/requestId"), "7");
}

#[tokio::test]
async fn a_dead_server_is_no_action_that_happened() {
    let (node, upstream) = legacy().await;
    let client = node.client().await.initialize(PATH).await;
    node.targets.replace(common::table(&[("tools", "http://127.0.0.1:1/mcp")]));
    let answer = client.call(PATH, "echo", "{}").await;
    assert_eq!(answer.code(), "upstream_failed");
    assert!(answer.text().contains("Nothing was sent"), "{}", answer.text());
    drop(upstream);
}

#[tokio::test]
async fn an_error_of_the_server_is_the_clients_to_see() {
    let (node, upstream) = modern().await;
    let client = node.client().await;
    upstream.on_call(|_| {
        let error = r#"{"jsonrpc":"2.0","id":7,"error":{"code":-32021,"message":"sampling","data":{"requiredCapabilities":{"sampling":{}}}}}"#;
        Reply::Raw(400, "application/json", error.as_bytes().to_vec())
    });
    let answer = client.modern(PATH, "tools/call", Some("echo"), r#""name":"echo""#).await;
    assert_eq!((answer.status.as_u16(), answer.error_code().as_str()), (400, "-32021"));
    assert_eq!(at(&answer.message(), "/error/data/requiredCapabilities/sampling"), "{}");
}

#[tokio::test]
async fn more_input_is_asked_for_and_given_byte_by_byte() {
    let (node, upstream) = modern().await;
    let client = node.client().await;
    let state = r#"{\"é\u0000\/ opaque"#;
    upstream.on_call(move |_| {
        Reply::Result(format!(
            r#"{{"resultType":"input_required","requestState":"{state}","inputRequests":{{}}}}"#
        ))
    });
    let answer = client.modern(PATH, "tools/call", Some("echo"), r#""name":"echo""#).await;
    let given = answer.result().text("requestState").unwrap().to_owned();
    assert_eq!(given, "{\"é\u{0}/ opaque");
    upstream.behave(|_| Reply::Usual);
    let params =
        format!(r#""name":"echo","requestState":"{state}","inputResponses":{{"a":{{"action":"accept"}}}}"#);
    client.modern(PATH, "tools/call", Some("echo"), &params).await;
    let seen = &upstream.seen("tools/call")[1];
    assert_eq!(seen.text("/params/requestState"), given);
    assert_eq!(seen.text("/params/inputResponses/a/action"), "accept");
    let other = node.client().await;
    let forged = params.replace("opaque", "forged");
    let another = params.replace(r#""echo""#, r#""drop""#);
    for (client, name, params) in
        [(&other, "echo", &params), (&client, "echo", &forged), (&client, "drop", &another)]
    {
        let answer = client.modern(PATH, "tools/call", Some(name), params).await;
        assert_eq!(answer.error_code(), "-32602", "{name}: {}", answer.body);
        assert_eq!(at(&answer.message(), "/error/data/code"), "invalid_input", "{name}");
        assert!(answer.body.contains("answer nothing that this tool asked"), "{}", answer.body);
    }
    let alone = r#""name":"echo","inputResponses":{"a":{"action":"accept"}}"#;
    assert_eq!(client.modern(PATH, "tools/call", Some("echo"), alone).await.error_code(), "-32602");
    assert_eq!(upstream.seen("tools/call").len(), 2);
    let recorded = node.kernel.ledger().size();
    assert!(recorded > 0 && node.entries("refusal", 4).await.len() == 4);
}

#[tokio::test]
async fn tasks_are_refused_because_no_clearance_would_cover_their_results() {
    let (node, upstream) = legacy().await;
    let client = node.client().await.initialize(PATH).await;
    let answer = client.legacy(PATH, &call_body(7, "echo", "{}", r#","task":{}"#)).await;
    assert_eq!(answer.code(), "invalid_input");
    let answer = client.legacy(PATH, r#"{"jsonrpc":"2.0","id":8,"method":"tasks/result","params":{}}"#).await;
    assert_eq!(answer.error_code(), "-32601");
    assert!(upstream.seen("tools/call").is_empty());
}
