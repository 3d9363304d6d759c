//! More than there is room for.

mod common;

use std::time::Duration;

use common::{Node, POLICY, Upstream, limits};
use http::StatusCode;
use ringfence_gateway::Limits;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const PATH: &str = "/mcp/tools";

async fn node(limits: Limits) -> (Node, Upstream) {
    let upstream = Upstream::legacy().await;
    let node = Node::start_with(&[("tools", &upstream.url)], &["tools/*"], POLICY, limits).await;
    (node, upstream)
}

#[expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]
async fn refused(node: &Node) -> String {
    let mut stream = TcpStream::connect(node.address).await.unwrap();
    stream.write_all(b"GET /mcp HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn connections_over_the_bound_are_told_to_come_back() {
    let (node, _upstream) = node(Limits { connections: 1, ..limits() }).await;
    let held = TcpStream::connect(node.address).await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let answer = refused(&node).await;
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("retry-after: 1"), "{answer}");
    drop(held);
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(node.client().await.initialize(PATH).await.call(PATH, "echo", "{}").await.text(), "{}");
}

#[tokio::test]
async fn whoever_shows_no_token_takes_no_place_from_those_who_do() {
    let (node, _upstream) = node(Limits { connections_unproven: 1, ..limits() }).await;
    let client = node.client().await.initialize(PATH).await;
    let stream = client.get(PATH).await;
    let held = TcpStream::connect(node.address).await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(refused(&node).await.starts_with("HTTP/1.1 503 "));
    drop(held);
    drop(stream);
}

#[tokio::test]
async fn a_run_has_only_so_many_connections_and_so_much_in_hand() {
    let (node, upstream) = node(Limits {
        connections_per_run: 2,
        bodies_bytes_per_run: 5_000,
        sessions_per_agent: 16,
        ..limits()
    })
    .await;
    let client = node.client().await.initialize(PATH).await;
    upstream.on_call(|_| common::Reply::Hang);
    let calling = client.clone();
    let call = tokio::spawn(async move { calling.call(PATH, "echo", "{}").await });
    upstream.wait("tools/call", 1).await;
    let large = format!(r#"{{"text":"{}"}}"#, "x".repeat(4_900));
    let refused = client.call(PATH, "echo", &large).await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE, "{}", refused.body);
    assert_eq!(refused.headers["retry-after"], "1");
    let calling = client.clone();
    let another = common::client::call_body(8, "echo", "{}", "");
    let second = tokio::spawn(async move { calling.legacy(PATH, &another).await });
    upstream.wait("tools/call", 2).await;
    assert_eq!(client.call(PATH, "echo", "{}").await.status, StatusCode::SERVICE_UNAVAILABLE);
    let other = node.client().await.legacy(PATH, common::client::INITIALIZE).await;
    assert_eq!(other.status, StatusCode::OK, "another run has room");
    call.abort();
    second.abort();
}
