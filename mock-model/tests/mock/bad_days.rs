//! What goes wrong on request, and how it is counted.

use std::time::Duration;

use crate::client::{ask, post, start};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const CHAT: &str = "/v1/chat/completions";
const MESSAGES: &str = "/v1/messages";
const STREAM: &str = r#","stream":true"#;

#[tokio::test]
async fn refusals_have_the_shape_of_their_provider() {
    let mock = start().await;
    let came = post(mock.address(), CHAT, "", &ask(CHAT, "status=429,retry_after=7", "")).await;
    assert!(came.head.starts_with("http/1.1 429") && came.head.contains("retry-after: 7"), "{}", came.head);
    assert_eq!(came.json()["error"]["code"], "rate_limit_exceeded");
    let came = post(mock.address(), MESSAGES, "", &ask(MESSAGES, "status=529", STREAM)).await;
    assert_eq!(came.json()["error"]["type"], "overloaded_error");
    assert_eq!(mock.stats().all.refused, 2);
}

#[tokio::test]
async fn trouble_ends_after_so_many_times() {
    let mock = start().await;
    let body = ask(CHAT, "status=500,times=2", "");
    for status in ["500", "500", "200"] {
        let came = post(mock.address(), CHAT, "", &body).await;
        assert!(came.head.starts_with(&format!("http/1.1 {status}")), "{}", came.head);
    }
}

#[tokio::test]
async fn a_cut_ends_the_connection_after_the_pieces_before_it() {
    let mock = start().await;
    let came = post(mock.address(), CHAT, "", &ask(CHAT, "cut_after=2,tokens=9,chunks=9", STREAM)).await;
    assert!(!came.complete);
    assert!(came.text().contains("state") && !came.text().contains("\" of\""), "{}", came.text());
    let came = post(mock.address(), CHAT, "", &ask(CHAT, "cut_after=1", "")).await;
    assert!(!came.complete && came.head.starts_with("http/1.1 200") && !came.body.is_empty());
    let came = post(mock.address(), CHAT, "", &ask(CHAT, "cut_after=0", "")).await;
    assert_eq!(came.head, "");
    let stats = mock.stats();
    assert_eq!((stats.all.cut, stats.all.output), (3, 2 + 20));
}

#[tokio::test]
async fn an_error_in_a_stream_is_its_last_event() {
    let mock = start().await;
    let came = post(mock.address(), MESSAGES, "", &ask(MESSAGES, "error_at=3", STREAM)).await;
    assert!(came.complete);
    assert_eq!(came.events().last().unwrap()["error"]["type"], "overloaded_error");
}

#[tokio::test]
async fn characters_are_broken_between_two_writes() {
    let mock = start().await;
    let came = post(mock.address(), CHAT, "", &ask(CHAT, "split_utf8,tokens=3", STREAM)).await;
    assert!(came.chunks.iter().filter(|chunk| std::str::from_utf8(chunk).is_err()).count() >= 6);
    assert!(came.text().contains("theé€😀"));
}

#[tokio::test]
async fn garbage_and_giants_come_where_they_are_wanted() {
    let mock = start().await;
    let came = post(mock.address(), CHAT, "", &ask(CHAT, "garbage_at=1", STREAM)).await;
    assert!(String::from_utf8(came.body).is_err());
    let came = post(mock.address(), CHAT, "", &ask(CHAT, "giant_event=1000000", STREAM)).await;
    assert!(came.text().lines().any(|line| line.len() > 1_000_000));
}

#[tokio::test]
async fn silence_lasts_until_the_client_goes_and_is_counted_as_its_going() {
    let mock = start().await;
    for directives in ["hang", "hang_after=2"] {
        let mut stream = TcpStream::connect(mock.address()).await.unwrap();
        let body = ask(CHAT, directives, STREAM);
        let head = format!("POST {CHAT} HTTP/1.1\r\nhost: mock\r\ncontent-length: {}\r\n\r\n", body.len());
        stream.write_all((head + &body).as_bytes()).await.unwrap();
        let quiet = async {
            let mut all = Vec::new();
            stream.read_to_end(&mut all).await
        };
        assert!(
            tokio::time::timeout(Duration::from_millis(200), quiet).await.is_err(),
            "it is silent, not gone"
        );
        assert_eq!(mock.stats().running, 1);
        drop(stream);
        while mock.stats().running > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    assert_eq!(mock.stats().all.cut_by_client, 2);
}

#[tokio::test]
async fn what_was_seen_is_kept_without_the_key() {
    let mock = start().await;
    post(mock.address(), CHAT, "authorization: Bearer sk-secret\r\n", &ask(CHAT, "tokens=1", "")).await;
    let stats = mock.stats();
    let text = serde_json::to_string(&stats).unwrap();
    assert!(!text.contains("sk-secret"), "{text}");
    assert_eq!(stats.by_key.values().next().unwrap().requests, 1);
    assert!(
        stats.last[0]
            .headers
            .iter()
            .any(|(name, value)| name == "authorization" && value.starts_with("sha256:"))
    );
    mock.reset();
    assert_eq!(mock.stats().all.requests, 0);
}
