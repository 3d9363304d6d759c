//! What a legacy client sends besides requests: only what MCP knows goes on, and only to whom it is for.

mod common;

use std::time::Duration;

use common::client::call_body;
use common::{Node, Reply, Upstream, at};
use http::StatusCode;

const PATH: &str = "/mcp/tools";

fn question(token: &str) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":99,"method":"elicitation/create","params":{{"message":"sure?","_meta":{{"progressToken":"{token}"}}}},"Extra":1}}"#
    )
}

#[tokio::test]
async fn a_notification_reaches_servers_without_anything_smuggled_beside_it() {
    let upstream = Upstream::legacy().await;
    let node = Node::start(&[("tools", &upstream.url)]).await;
    let client = node.client().await.initialize(PATH).await;
    let body = r#"{"jsonrpc":"2.0","method":"notifications/roots/list_changed","Method":"tools/call","Params":{"name":"drop"},"params":{"name":"drop"}}"#;
    assert_eq!(client.legacy(PATH, body).await.status, StatusCode::ACCEPTED);
    let seen = &upstream.wait("notifications/roots/list_changed", 1).await[0];
    assert_eq!(seen.body.to_string(), r#"{"jsonrpc":"2.0","method":"notifications/roots/list_changed"}"#);
}

#[tokio::test]
async fn progress_and_an_answer_go_to_the_server_that_asked_and_carry_what_is_known() {
    let (asking, other) = (Upstream::legacy().await, Upstream::legacy().await);
    let node = Node::start(&[("tools", &asking.url), ("other", &other.url)]).await;
    let client = node.client().await.initialize("/mcp").await;
    client.call("/mcp", "other__echo", "{}").await;
    asking.on_call(|_| Reply::EventsThenHang(vec![(0, question("mine"))]));
    let mut stream = client.legacy_stream("/mcp", &call_body(7, "tools__echo", "{}", "")).await;
    let asked = stream.event().await.unwrap();
    assert_eq!(asked.get("Extra"), None, "what JSON-RPC does not know goes neither way");
    for token in ["mine", "guessed"] {
        let body = format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{{"progressToken":"{token}","progress":1,"name":"drop"}},"Method":"tools/call"}}"#
        );
        assert_eq!(client.legacy("/mcp", &body).await.status, StatusCode::ACCEPTED);
    }
    let told = asking.seen("notifications/progress");
    assert_eq!(told.len(), 1);
    assert_eq!(
        told[0].body.to_string(),
        r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"mine","progress":1}}"#
    );
    assert!(other.seen("notifications/progress").is_empty());
    let answer = format!(
        r#"{{"jsonrpc":"2.0","id":"{}","error":{{"code":-1,"message":"no","Code":7}},"Result":{{"action":"accept"}}}}"#,
        at(&asked, "/id")
    );
    assert_eq!(client.legacy("/mcp", &answer).await.status, StatusCode::ACCEPTED);
    let answered = asking.all().into_iter().find(|seen| seen.body.get("error").is_some()).unwrap();
    assert_eq!(answered.body.to_string(), r#"{"jsonrpc":"2.0","id":99,"error":{"code":-1,"message":"no"}}"#);
}

#[tokio::test]
async fn a_question_ends_with_the_call_it_came_with() {
    let upstream = Upstream::legacy().await;
    let node = Node::start(&[("tools", &upstream.url)]).await;
    let client = node.client().await.initialize(PATH).await;
    let done = r#"{"jsonrpc":"2.0","id":7,"result":{"content":[]}}"#;
    upstream.on_call(move |_| Reply::Events(vec![(0, question("t")), (20, done.into())]));
    let mut stream = client.legacy_stream(PATH, &call_body(7, "echo", "{}", "")).await;
    let asked = stream.event().await.unwrap();
    stream.event().await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    let answer =
        format!(r#"{{"jsonrpc":"2.0","id":"{}","result":{{"action":"accept"}}}}"#, at(&asked, "/id"));
    let late = client.legacy(PATH, &answer).await;
    assert_eq!(late.status, StatusCode::BAD_REQUEST, "{late:?}");
    assert!(late.body.contains("nobody asked"), "{late:?}");
}
