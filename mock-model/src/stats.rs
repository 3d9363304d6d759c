//! What this server saw: what a gateway's own figures are held against.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use bytes::Bytes;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Models, keys and repeated directives that are counted apart; the rest is counted as "others".
const MOST_NAMES: usize = 10_000;

/// Requests that are kept, and bytes of each body.
const MOST_SEEN: usize = 64;
const MOST_BODY: usize = 64 << 10;

/// What was counted since the start or the last reset.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Stats {
    /// All of it.
    pub all: Counts,
    /// Answers under way.
    pub running: u64,
    /// The most that were ever under way.
    pub running_most: u64,
    /// By API: chat_completions, responses, embeddings, messages, count_tokens.
    pub by_api: BTreeMap<String, Counts>,
    /// By the name of the model.
    pub by_model: BTreeMap<String, Counts>,
    /// By the key: `sha256:` and the first 16 hexadecimal digits of its digest.
    pub by_key: BTreeMap<String, Counts>,
    /// The last requests, oldest first.
    pub last: Vec<Seen>,
}

/// Counts of one kind of request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Requests that came.
    pub requests: u64,
    /// Answers that were given to their end.
    pub finished: u64,
    /// Refusals, with a status that is no success.
    pub refused: u64,
    /// Answers that this server cut.
    pub cut: u64,
    /// Answers that the client did not wait for.
    pub cut_by_client: u64,
    /// Tokens of input that were read, and tokens of output that were written: the truth, whatever usage said.
    pub input: u64,
    /// See `input`.
    pub output: u64,
}

/// A request that came.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Seen {
    /// Its path.
    pub path: String,
    /// Its headers; of keys only the digest.
    pub headers: Vec<(String, String)>,
    /// Its body, up to 64 KiB.
    pub body: String,
}

/// The counters.
#[derive(Debug, Default)]
pub struct Counters {
    running: AtomicU64,
    running_most: AtomicU64,
    all: Arc<Counter>,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    by_api: BTreeMap<String, Arc<Counter>>,
    by_model: BTreeMap<String, Arc<Counter>>,
    by_key: BTreeMap<String, Arc<Counter>>,
    /// How often directives with `times` came.
    repeated: BTreeMap<String, u32>,
    last: VecDeque<(String, HeaderMap, Bytes)>,
}

#[derive(Debug, Default)]
struct Counter {
    requests: AtomicU64,
    finished: AtomicU64,
    refused: AtomicU64,
    cut: AtomicU64,
    cut_by_client: AtomicU64,
    input: AtomicU64,
    output: AtomicU64,
}

/// How an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It was given to its end.
    Finished,
    /// It was a refusal.
    Refused,
    /// This server cut it.
    Cut,
}

/// An answer under way. Dropped without an end, the client did not wait for it.
#[derive(Debug)]
pub struct Running {
    counters: Arc<Counters>,
    counted: [Arc<Counter>; 4],
    end: Option<End>,
}

// === impl Counters ===

impl Counters {
    /// Counts a request.
    pub fn begin(self: &Arc<Self>, api: &str, model: &str, key: &str) -> Running {
        let running = self.running.fetch_add(1, Relaxed) + 1;
        self.running_most.fetch_max(running, Relaxed);
        let mut inner = self.inner.lock();
        let counted = [
            Arc::clone(&self.all),
            counter(&mut inner.by_api, api),
            counter(&mut inner.by_model, model),
            counter(&mut inner.by_key, key),
        ];
        drop(inner);
        for counter in &counted {
            counter.requests.fetch_add(1, Relaxed);
        }
        Running { counters: Arc::clone(self), counted, end: None }
    }

    /// Keeps a request.
    pub fn keep(&self, path: &str, headers: &HeaderMap, body: &Bytes) {
        let body =
            if body.len() > MOST_BODY { Bytes::copy_from_slice(&body[..MOST_BODY]) } else { body.clone() };
        let mut inner = self.inner.lock();
        if inner.last.len() == MOST_SEEN {
            inner.last.pop_front();
        }
        inner.last.push_back((path.to_owned(), headers.clone(), body));
    }

    /// How often the same directives have come, this time included.
    pub fn repeated(&self, directives: &str) -> u32 {
        let mut inner = self.inner.lock();
        if inner.repeated.len() >= MOST_NAMES {
            inner.repeated.clear();
        }
        let times = inner.repeated.entry(directives.to_owned()).or_default();
        *times += 1;
        *times
    }

    /// What was counted.
    pub fn stats(&self) -> Stats {
        let inner = self.inner.lock();
        let read = |counters: &BTreeMap<String, Arc<Counter>>| {
            counters.iter().map(|(name, counter)| (name.clone(), counter.read())).collect()
        };
        Stats {
            all: self.all.read(),
            running: self.running.load(Relaxed),
            running_most: self.running_most.load(Relaxed),
            by_api: read(&inner.by_api),
            by_model: read(&inner.by_model),
            by_key: read(&inner.by_key),
            last: inner.last.iter().map(seen).collect(),
        }
    }

    /// Forgets everything but what is under way.
    pub fn reset(&self) {
        *self.inner.lock() = Inner::default();
        self.all.clear();
        self.running_most.store(self.running.load(Relaxed), Relaxed);
    }
}

fn counter(counters: &mut BTreeMap<String, Arc<Counter>>, name: &str) -> Arc<Counter> {
    if let Some(counter) = counters.get(name) {
        return Arc::clone(counter);
    }
    let name = if counters.len() < MOST_NAMES { name } else { "others" };
    Arc::clone(counters.entry(name.to_owned()).or_default())
}

fn seen((path, headers, body): &(String, HeaderMap, Bytes)) -> Seen {
    let headers = headers.iter().map(|(name, value)| {
        let secret = *name == AUTHORIZATION || name == "x-api-key";
        let value = String::from_utf8_lossy(value.as_bytes());
        (name.to_string(), if secret { digest(&value) } else { value.into_owned() })
    });
    Seen { path: path.clone(), headers: headers.collect(), body: String::from_utf8_lossy(body).into_owned() }
}

/// The name of the key of a request: "none" if it has none.
pub fn key(headers: &HeaderMap) -> String {
    let value = headers.get("x-api-key").or_else(|| headers.get(AUTHORIZATION));
    value.and_then(|value| value.to_str().ok()).map_or_else(|| "none".to_owned(), digest)
}

/// The name of a key.
pub fn digest(key: &str) -> String {
    let key = key.strip_prefix("Bearer ").unwrap_or(key);
    let digest = Sha256::digest(key.as_bytes());
    let hex = digest.iter().take(8).fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
    format!("sha256:{hex}")
}

// === impl Counter ===

impl Counter {
    fn read(&self) -> Counts {
        Counts {
            requests: self.requests.load(Relaxed),
            finished: self.finished.load(Relaxed),
            refused: self.refused.load(Relaxed),
            cut: self.cut.load(Relaxed),
            cut_by_client: self.cut_by_client.load(Relaxed),
            input: self.input.load(Relaxed),
            output: self.output.load(Relaxed),
        }
    }

    fn clear(&self) {
        let all = [&self.requests, &self.finished, &self.refused, &self.cut, &self.cut_by_client];
        all.into_iter().chain([&self.input, &self.output]).for_each(|counter| counter.store(0, Relaxed));
    }
}

// === impl Running ===

impl Running {
    /// Input that was read.
    pub fn read(&self, tokens: u64) {
        for counter in &self.counted {
            counter.input.fetch_add(tokens, Relaxed);
        }
    }

    /// Output that was written.
    pub fn wrote(&self, tokens: u64) {
        for counter in &self.counted {
            counter.output.fetch_add(tokens, Relaxed);
        }
    }

    /// It has ended.
    pub fn end(&mut self, end: End) {
        self.end = Some(end);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.counters.running.fetch_sub(1, Relaxed);
        for counter in &self.counted {
            let counted = match self.end {
                Some(End::Finished) => &counter.finished,
                Some(End::Refused) => &counter.refused,
                Some(End::Cut) => &counter.cut,
                None => &counter.cut_by_client,
            };
            counted.fetch_add(1, Relaxed);
        }
    }
}
