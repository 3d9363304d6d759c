//! What agents are told when the answer is no, and that it stands in the log.

mod common;

use common::client::call_body;
use common::{Node, Reply, Upstream, at};
use http::StatusCode;

const PATH: &str = "/mcp/tools";

#[tokio::test]
async fn a_tool_call_that_is_no_proposal_is_refused_in_the_way_of_all_and_recorded() {
    let upstream = Upstream::legacy().await;
    let node = Node::start(&[("tools", &upstream.url)]).await;
    let own = node.client().await.initialize(PATH).await;
    let merged = node.client().await.initialize("/mcp").await;
    let call =
        |params: &str| format!(r#"{{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{params}}}"#);
    let mut count = 0;
    for (client, path, params, code) in [
        (&own, PATH, r#"{"name":"echo","arguments":[]}"#, "invalid_input"),
        (&own, PATH, r#"{"name":7}"#, "invalid_input"),
        (&own, PATH, "{}", "invalid_input"),
        (&own, PATH, r#"{"name":"echo","task":{}}"#, "invalid_input"),
        (&own, PATH, r#"{"name":"echo","Arguments":{}}"#, "invalid_input"),
        (&merged, "/mcp", r#"{"name":"tools__echo","Arguments":{}}"#, "invalid_input"),
        (&merged, "/mcp", r#"{"name":"made-up"}"#, "not_granted"),
        (&merged, "/mcp", r#"{"name":"nobody__echo"}"#, "not_granted"),
    ] {
        let answer = client.legacy(path, &call(params)).await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (StatusCode::OK, code),
            "{params} {}",
            answer.body
        );
        assert_eq!(at(&answer.message(), "/result/isError"), "true", "{params}");
        assert!(answer.text().starts_with("Not executed: Ringfence refused it."), "{}", answer.text());
        count += 1;
        let entries = node.entries("refusal", count).await;
        assert_eq!(entries.len(), count, "{params}");
    }
    assert!(upstream.seen("tools/call").is_empty());
}

#[tokio::test]
async fn a_session_with_too_many_calls_under_way_refuses_another_on_the_record() {
    let upstream = Upstream::legacy().await;
    let limits = ringfence_gateway::Limits { session_requests: 1, ..common::limits() };
    let node = Node::start_with(&[("tools", &upstream.url)], &["tools/*"], common::POLICY, limits).await;
    let client = node.client().await.initialize(PATH).await;
    upstream.on_call(|_| Reply::Hang);
    let calling = client.clone();
    let call = tokio::spawn(async move { calling.call(PATH, "echo", "{}").await });
    upstream.wait("tools/call", 1).await;
    let answer = client.legacy(PATH, &call_body(8, "echo", "{}", "")).await;
    assert_eq!(answer.code(), "overloaded", "{}", answer.body);
    assert_eq!(node.entries("refusal", 1).await.len(), 1);
    call.abort();
}

#[tokio::test]
async fn an_answer_that_nothing_could_cut_off_is_not_given_out() {
    let upstream = Upstream::legacy().await;
    let node = Node::start(&[("tools", &upstream.url)]).await;
    let client = node.client().await.initialize(PATH).await;
    let large = "x".repeat(100_000);
    upstream.behave(move |seen| match seen.text("/method").as_str() {
        "tools/call" => Reply::Result(format!(r#"{{"content":[{{"type":"text","text":"{large}"}}]}}"#)),
        _ if seen.method == http::Method::GET => Reply::EventsThenHang(Vec::new()),
        _ => Reply::Usual,
    });
    assert_eq!(client.call(PATH, "echo", "{}").await.text().len(), 100_000);
    // The run holds all the streams it may have, so there is no lease for another.
    let mut streams = Vec::new();
    loop {
        let stream = client.get(PATH).await;
        if stream.headers.get("content-type").is_none_or(|kind| kind != "text/event-stream") {
            break;
        }
        streams.push(stream);
    }
    let answer = client.call(PATH, "echo", "{}").await;
    assert_eq!(answer.code(), "rate_limited", "{} bytes", answer.body.len());
    assert!(
        answer.text().starts_with("The call was executed, but its result is withheld."),
        "{}",
        answer.text()
    );
    assert_eq!(at(&answer.message(), "/result/_meta/dev.ringfence~1decision/decision"), "ALLOW");
}
