//! What the hand-written server remembers.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::Era;
use crate::calls::Calls;

/// One server, shared by its connections.
pub struct Server {
    /// Where calls are executed.
    pub calls: Calls,
    /// What it speaks.
    pub era: Era,
    counts: Counts,
    description: Mutex<String>,
    /// Calls that wait to be cancelled, by the text of their request id.
    cancellations: Mutex<BTreeMap<String, CancellationToken>>,
    /// Goes off when the test lets go of the calls that wait for it.
    pub released: CancellationToken,
}

#[derive(Default)]
struct Counts {
    started: AtomicU64,
    finished: AtomicU64,
    aborted: AtomicU64,
    sessions: AtomicU64,
}

impl Server {
    /// A server on which nothing has happened.
    pub fn new(calls: Calls, era: Era) -> Self {
        Self {
            calls,
            era,
            counts: Counts::default(),
            description: Mutex::new("As its name says.".to_owned()),
            cancellations: Mutex::default(),
            released: CancellationToken::new(),
        }
    }

    /// How many calls started, finished, and were aborted by the caller before they finished.
    pub fn counts(&self) -> Value {
        let read = |count: &AtomicU64| count.load(Ordering::SeqCst);
        json!({
            "started": read(&self.counts.started),
            "finished": read(&self.counts.finished),
            "aborted": read(&self.counts.aborted),
        })
    }

    /// Counts a call from now until the guard goes, finished or not.
    pub fn started(self: &Arc<Self>) -> Running {
        self.counts.started.fetch_add(1, Ordering::SeqCst);
        Running { server: Arc::clone(self), finished: false }
    }

    /// A fresh session id.
    pub fn session(&self) -> String {
        format!("session-{}", self.counts.sessions.fetch_add(1, Ordering::SeqCst))
    }

    /// The description that every tool carries now.
    pub fn description(&self) -> String {
        self.description.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Changes the description of every tool.
    pub fn redefine(&self, text: String) {
        *self.description.lock().unwrap_or_else(PoisonError::into_inner) = text;
    }

    /// A token that goes off when the request with this id is cancelled.
    pub fn cancellation(&self, id: &Value) -> CancellationToken {
        let mut cancellations = self.cancellations.lock().unwrap_or_else(PoisonError::into_inner);
        cancellations.entry(id.to_string()).or_default().clone()
    }
}

/// A call under way.
pub struct Running {
    server: Arc<Server>,
    finished: bool,
}

impl Running {
    /// The call came to its end.
    pub fn finish(mut self) {
        self.finished = true;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let counts = &self.server.counts;
        let count = if self.finished { &counts.finished } else { &counts.aborted };
        count.fetch_add(1, Ordering::SeqCst);
    }
}
