//! What a run may not do to the node.

use std::time::Duration;

use super::support::{NEAR, Sandbox, limits, read_all, read_answer, say, world};
use crate::{EgressLimits, Limits};

fn small(change: impl FnOnce(&mut EgressLimits)) -> Limits {
    let mut limits = limits();
    change(&mut limits.egress);
    limits
}

#[tokio::test]
async fn a_run_has_its_places_and_is_told_when_they_are_taken() {
    let limits = small(|limits| limits.connections_per_run = 2);
    let mut sandbox = Sandbox::start_in(&["*"], world(&[("api.example", NEAR)], Vec::new()), limits).await;
    let one = sandbox.dial("api.example", 80).await;
    let _two = sandbox.dial("api.example", 80).await;
    let mut three = sandbox.dial("api.example", 80).await;
    assert!(read_all(&mut three).await.is_empty());
    assert_eq!(sandbox.refusals(1).await, ["overloaded"]);
    drop(one);
    for _ in 0..100 {
        let mut again = sandbox.dial("api.example", 80).await;
        say(&mut again, "GET / HTTP/1.1\r\n\r\n").await;
        if read_answer(&mut again).await.0.starts_with("HTTP/1.1 403") {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("a place that was left is not given again");
}

#[tokio::test]
async fn a_head_that_does_not_end_is_not_kept() {
    let limits = small(|limits| {
        limits.head_bytes = 8 << 10;
        limits.head_time = Duration::from_millis(200);
    });
    let mut sandbox = Sandbox::start_in(&["*"], world(&[], Vec::new()), limits).await;
    let mut long = sandbox.dial("api.example", 80).await;
    say(&mut long, &format!("GET / HTTP/1.1\r\nx: {}", "y".repeat(20_000))).await;
    assert!(String::from_utf8(read_all(&mut long).await).unwrap().starts_with("HTTP/1.1 431"));
    let mut slow = sandbox.dial("api.example", 80).await;
    say(&mut slow, "GET / HTTP/1.1\r\n").await;
    let mut rest = Vec::new();
    let reading = tokio::io::AsyncReadExt::read_to_end(&mut slow, &mut rest);
    assert!(tokio::time::timeout(Duration::from_secs(10), reading).await.is_ok(), "it is waited for");
}

#[tokio::test]
async fn a_connection_on_which_nothing_goes_either_way_ends() {
    let limits = small(|limits| limits.idle = Duration::from_millis(100));
    let port = super::support::a_host(|mut stream| async move {
        read_all(&mut stream).await;
    })
    .await;
    let mut sandbox =
        Sandbox::start_in(&["api.example:25"], world(&[("api.example", NEAR)], Vec::new()), limits).await;
    sandbox.lead(25, port);
    let mut stream = sandbox.dial("api.example", 25).await;
    assert!(read_all(&mut stream).await.is_empty());
    assert_eq!(sandbox.outcome(1).await, "completed");
}

#[tokio::test]
async fn a_rule_bounds_what_passes_through_too() {
    let port = super::support::a_host(|mut stream| async move {
        // Nobody takes all of it.
        let _ = tokio::io::AsyncWriteExt::write_all(&mut stream, &vec![7; 1 << 20]).await;
    })
    .await;
    let mut sandbox = Sandbox::start(&["small.example:25"]).await;
    sandbox.lead(25, port);
    let mut stream = sandbox.dial("small.example", 25).await;
    say(&mut stream, "hello").await;
    assert!(read_all(&mut stream).await.len() <= 100_000);
    let outcome = sandbox.entries("outcome", 1).await.remove(0);
    assert_eq!((outcome.text("status"), outcome.text("code")), (Some("failed"), Some("too_large")));
}

#[tokio::test]
async fn a_flood_of_refusals_does_not_fill_the_log() {
    let mut sandbox = Sandbox::start(&["api.example:80"]).await;
    let mut stream = sandbox.dial("other.example", 80).await;
    for _ in 0..200 {
        say(&mut stream, "GET / HTTP/1.1\r\nHost: other.example\r\n\r\n").await;
        assert!(read_answer(&mut stream).await.0.starts_with("HTTP/1.1 403"));
    }
    assert!(sandbox.entries("refusal", 1).await.len() < 100);
}
