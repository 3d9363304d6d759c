//! A run as server-sent events (WHATWG HTML, "Server-sent events"): where it stands, and what it writes, until it has ended.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http_body_util::StreamBody;
use ringfence_json::{Object, Value};
use ringfence_kernel::RunError;
use ringfence_runs::Follower;
use ringfence_types::RunId;
use tokio::sync::mpsc;

use super::super::call::{Answer, Call};
use super::super::desk::Desk;
use super::super::lines::Receiving;
use super::super::problem::Problem;
use super::super::show;
use super::started::follower_place;

/// Events that wait for a slow reader; then what the run writes is read no further for them.
const QUEUE: usize = 64;

/// How often it is looked where the run stands.
const LOOK: Duration = Duration::from_millis(50);

/// A comment is sent after so long without news, so that a reader who has gone is noticed.
const KEEPALIVE: Duration = Duration::from_secs(15);

pub(in crate::api) async fn events(call: Call) -> Result<Answer, Problem> {
    let run: RunId = call.part("run")?;
    call.desk.kernel.run(run).ok_or(RunError::Unknown(run))?;
    let place = follower_place(&call)?;
    let (sender, receiver) = mpsc::channel(QUEUE);
    let (desk, credential) = (Arc::clone(&call.desk), call.credential);
    tokio::spawn(async move {
        let mut events = Events { desk: &desk, run, sender, told: String::new() };
        let still = || desk.still_lets_look(credential);
        // Whoever has gone needs no last event.
        let _ = events.tell(still).await;
        drop(place);
    });
    Ok(Answer::Events(Body::new(StreamBody::new(Receiving(receiver)))))
}

/// The reader has gone.
struct Gone;

struct Events<'a> {
    desk: &'a Desk,
    run: RunId,
    sender: mpsc::Sender<Bytes>,
    /// Where the run stood when that was last told.
    told: String,
}

impl Events<'_> {
    async fn tell(&mut self, still: impl Fn() -> bool) -> Result<(), Gone> {
        let mut follower: Option<Follower> = None;
        let mut complete = false;
        let mut quiet = Duration::ZERO;
        while still() {
            let ended = self.state().await?;
            if follower.is_none() {
                follower = self.desk.runs.follow(self.run).ok();
            }
            let lines = match &mut follower {
                Some(follower) if !complete => tokio::select! {
                    lines = follower.next(true) => Some(lines.unwrap_or_default()),
                    () = tokio::time::sleep(LOOK) => None,
                },
                _ => {
                    tokio::time::sleep(LOOK).await;
                    None
                }
            };
            // Without lines there will be no more.
            complete |= lines.as_ref().is_some_and(Vec::is_empty);
            quiet = if lines.is_some() { Duration::ZERO } else { quiet + LOOK };
            for line in lines.unwrap_or_default() {
                self.send("output", line.to_object()).await?;
            }
            if ended && (complete || follower.is_none()) {
                return Ok(());
            }
            if quiet >= KEEPALIVE {
                quiet = Duration::ZERO;
                self.sender.send(Bytes::from_static(b": \n\n")).await.map_err(|_| Gone)?;
            }
        }
        Ok(())
    }

    /// Tells where it stands, if that has changed; whether it has ended.
    async fn state(&mut self) -> Result<bool, Gone> {
        // One that is forgotten has ended long ago.
        let Some(view) = self.desk.kernel.run(self.run) else { return Ok(true) };
        let shown = show::run(&view, self.desk.kernel.now());
        let state = shown.text("state").unwrap_or_default();
        if state != self.told {
            state.clone_into(&mut self.told);
            self.send("state", shown).await?;
        }
        Ok(view.ended.is_some())
    }

    async fn send(&self, event: &str, data: Object) -> Result<(), Gone> {
        // JSON has no line breaks of its own, so it is one line of data.
        let data = String::from_utf8_lossy(&Value::Object(data).to_bytes()).into_owned();
        let event = format!("event: {event}\ndata: {data}\n\n");
        self.sender.send(event.into()).await.map_err(|_| Gone)
    }
}
