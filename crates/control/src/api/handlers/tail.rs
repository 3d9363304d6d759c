//! Following the log: entries as JSON lines, as they become durable.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http_body_util::StreamBody;
use ringfence_json::Value;
use tokio::sync::mpsc;

use super::super::call::{Answer, Call};
use super::super::lines::Receiving;
use super::super::problem::Problem;
use super::audit::filter;
use crate::audit::{Books, Filter};

/// How often the log is looked at for news.
const LOOK: Duration = Duration::from_millis(100);

/// An empty line is sent after so long without news, so that a follower who has gone is noticed.
const KEEPALIVE: Duration = Duration::from_secs(15);

/// Lines that wait for a slow follower; then the log is read no further for them.
const QUEUE: usize = 64;

/// Entries read at once.
const PAGE: usize = 100;

pub(in crate::api) async fn tail(call: Call) -> Result<Answer, Problem> {
    let filter = filter(&call)?;
    let (desk, credential) = (Arc::clone(&call.desk), call.credential);
    let asked = call.asked_as::<u64>("from")?;
    let last = call.asked_as::<u64>("last")?.unwrap_or(0);
    let from = asked.unwrap_or_else(|| desk.books.size().saturating_sub(last));
    let slot = Arc::clone(&desk.followers).try_acquire_owned().map_err(|_| {
        Problem::unavailable("too many follow the log already")
            .hint("end one of the others, or page through /api/v1/audit/entries")
    })?;
    let (sender, receiver) = mpsc::channel(QUEUE);
    tokio::spawn(async move {
        let still = || desk.still_lets_look(credential);
        follow(&desk.books, &filter, from, &sender, still).await;
        drop(slot);
    });
    Ok(Answer::Lines(Body::new(StreamBody::new(Receiving(receiver)))))
}

/// Sends until the follower has gone or may `still` look no more, or the log cannot be read.
async fn follow(
    books: &Books,
    filter: &Filter,
    mut from: u64,
    sender: &mpsc::Sender<Bytes>,
    still: impl Fn() -> bool,
) {
    let mut idle = Duration::ZERO;
    while still() {
        let (reading, filter_now) = (books.clone(), filter.clone());
        let page = tokio::task::spawn_blocking(move || reading.look_through(&filter_now, from, PAGE)).await;
        let Ok(Ok(page)) = page else { return };
        let reached = page.reached;
        for entry in page.entries {
            idle = Duration::ZERO;
            let mut line = Value::Object(entry.object).to_bytes();
            line.push(b'\n');
            if sender.send(line.into()).await.is_err() {
                return;
            }
        }
        from = reached;
        if page.next.is_none() {
            tokio::time::sleep(LOOK).await;
            idle += LOOK;
        }
        if idle >= KEEPALIVE {
            idle = Duration::ZERO;
            if sender.send(Bytes::from_static(b"\n")).await.is_err() {
                return;
            }
        }
        if sender.is_closed() {
            return;
        }
    }
}
