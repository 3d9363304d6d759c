//! Connections to the web on which nothing was asked that could be read.

use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use super::passing::secure;
use super::requests::a_site;
use super::support::{NEAR, Sandbox, limits, read_all, read_answer, say, world};
use crate::{EgressLimits, Limits};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// What is no request, and one that does not end.
const UNREAD: [&[u8]; 6] = [
    b"\x01\x02\x03 any bytes\r\n\r\n",
    b"SSH-2.0-x\r\n",
    PREFACE,
    &[22, 3, 1, 0, 5, 1, 0, 0, 1, 0],
    b"GET / HTTP/1.1\r\nHost: api.exam",
    b"GET / HTTP/1.1\r\nHost api.example\r\n\r\n",
];

/// Sends this as a program inside does, and goes away.
async fn send(sandbox: &mut Sandbox, name: &str, bytes: &[u8]) {
    let mut stream = sandbox.dial(name, 80).await;
    stream.write_all(bytes).await.unwrap();
    stream.shutdown().await.unwrap();
    read_all(&mut stream).await;
}

/// Host and code of the refusals, once there are `count`, all of them to that port.
async fn refused(sandbox: &Sandbox, count: usize, port: u64) -> Vec<(String, String)> {
    let entries = sandbox.entries("refusal", count).await;
    let of = |entry: &ringfence_json::Object| {
        assert_eq!(entry.get("port").and_then(ringfence_json::Value::as_u64), Some(port));
        (entry.text("host").unwrap().to_owned(), entry.text("code").unwrap().to_owned())
    };
    entries.iter().map(of).collect()
}

fn pair(host: &str, code: &str) -> (String, String) {
    (host.to_owned(), code.to_owned())
}

#[tokio::test]
async fn whatever_is_sent_to_a_host_that_is_not_held_is_on_record_and_so_is_nothing() {
    let mut sandbox = Sandbox::start(&["api.example", "other.example:443"]).await;
    let mut expected = Vec::new();
    for bytes in [&b""[..]].into_iter().chain(UNREAD) {
        send(&mut sandbox, "other.example", bytes).await;
        expected.push(pair("other.example", "not_granted"));
        assert_eq!(refused(&sandbox, expected.len(), 80).await, expected, "{bytes:02x?}");
    }
    // One that is reset, and one that is open when the run ends.
    let stream = sandbox.dial("other.example", 80).await;
    rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO)).unwrap();
    drop(stream);
    expected.push(pair("other.example", "not_granted"));
    assert_eq!(refused(&sandbox, expected.len(), 80).await, expected);
    let _silent = sandbox.dial("192.0.2.9", 80).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    sandbox.berth.stop.cancel();
    expected.push(pair("192.0.2.9", "not_granted"));
    assert_eq!(refused(&sandbox, expected.len(), 80).await, expected);
}

#[tokio::test]
async fn a_request_to_a_host_that_is_not_held_is_one_refusal() {
    let mut sandbox = Sandbox::start(&["api.example"]).await;
    send(&mut sandbox, "other.example", b"GET / HTTP/1.1\r\nHost: other.example\r\n\r\n").await;
    sandbox.berth.stop.cancel();
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(refused(&sandbox, 1, 80).await, [pair("other.example", "not_granted")]);
}

#[tokio::test]
async fn what_is_no_request_is_on_record_where_the_host_is_held_too() {
    let mut sandbox = Sandbox::start(&["api.example:80"]).await;
    sandbox.lead(80, a_site().await);
    let mut expected = Vec::new();
    for bytes in UNREAD {
        send(&mut sandbox, "api.example", bytes).await;
        expected.push(pair("api.example", "invalid_input"));
        assert_eq!(refused(&sandbox, expected.len(), 80).await, expected, "{bytes:02x?}");
    }
    // Behind a request that was answered, too; an end is no offence there, and neither is one without a word.
    for then in [&b"\x01 any bytes\r\n\r\n"[..], b""] {
        let mut stream = sandbox.dial("api.example", 80).await;
        say(&mut stream, "GET / HTTP/1.1\r\nHost: api.example\r\n\r\n").await;
        assert!(read_answer(&mut stream).await.0.starts_with("HTTP/1.1 200"));
        stream.write_all(then).await.unwrap();
        stream.shutdown().await.unwrap();
        read_all(&mut stream).await;
    }
    send(&mut sandbox, "api.example", b"").await;
    let long = format!("GET / HTTP/1.1\r\nx: {}", "y".repeat(70_000));
    let mut stream = sandbox.dial("api.example", 80).await;
    stream.write_all(long.as_bytes()).await.unwrap();
    assert!(String::from_utf8(read_all(&mut stream).await).unwrap().starts_with("HTTP/1.1 431"));
    expected.extend([pair("api.example", "invalid_input"), pair("api.example", "too_large")]);
    assert_eq!(refused(&sandbox, expected.len(), 80).await, expected);
}

#[tokio::test]
async fn a_request_that_does_not_come_is_on_record_and_one_that_came_may_be_the_last() {
    let egress = EgressLimits { head_time: Duration::from_millis(200), ..limits().egress };
    let limits = Limits { egress, ..limits() };
    let mut sandbox =
        Sandbox::start_in(&["api.example:80"], world(&[("api.example", NEAR)], Vec::new()), limits).await;
    sandbox.lead(80, a_site().await);
    let mut idle = sandbox.dial("api.example", 80).await;
    say(&mut idle, "GET / HTTP/1.1\r\nHost: api.example\r\n\r\n").await;
    read_all(&mut idle).await;
    let mut silent = sandbox.dial("api.example", 80).await;
    read_all(&mut silent).await;
    assert_eq!(refused(&sandbox, 1, 80).await, [pair("api.example", "invalid_input")]);
}

#[tokio::test]
async fn what_is_no_request_to_the_proxy_is_on_record() {
    let mut sandbox = Sandbox::start(&["api.example:80"]).await;
    let mut expected = Vec::new();
    for bytes in UNREAD {
        let mut stream = sandbox.dial("gateway", 3_128).await;
        stream.write_all(bytes).await.unwrap();
        stream.shutdown().await.unwrap();
        read_all(&mut stream).await;
        expected.push(pair("gateway", "invalid_input"));
        assert_eq!(refused(&sandbox, expected.len(), 3_128).await, expected, "{bytes:02x?}");
    }
}

#[tokio::test]
async fn what_is_no_request_is_on_record_where_tls_ends_here() {
    let mut sandbox = Sandbox::start(&["api.example:443 GET /*"]).await;
    let ours = sandbox.berth.authority().unwrap().pem().to_owned();
    let alpn: [&[&[u8]]; 2] = [&[], &[b"h2"]];
    for (number, alpn) in alpn.into_iter().enumerate() {
        let stream: TcpStream = sandbox.dial("api.example", 443).await;
        let mut stream = secure(stream, "api.example", ours.as_bytes(), alpn).await.unwrap();
        stream.write_all(b"no request and no preface either\r\n\r\n").await.unwrap();
        read_all(&mut stream).await;
        let found = refused(&sandbox, number + 1, 443).await;
        assert_eq!(found[number..], [pair("api.example", "invalid_input")], "{alpn:?}");
    }
}
