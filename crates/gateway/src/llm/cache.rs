//! Answers kept for calls that ask exactly the same.
//!
//! Opt-in for each model. A call that is answered from here is decided and recorded like every other; it costs nothing.
//! The key holds everything that could make another answer right: whose call it is, the configuration that decides, and
//! the whole request but for what means nothing to a model.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use bytes::Bytes;
use parking_lot::Mutex;
use ringfence_json::Object;
use ringfence_llm::request::{Asked, canonical_for_cache};
use ringfence_types::Digest;

use super::call::Call;
use super::route::Candidate;

/// What tells a call from all others that could be answered differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Key(Digest);

/// Answers, the ones used last longest.
#[derive(Debug)]
pub(crate) struct Cache {
    bytes_max: usize,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    answers: HashMap<Key, Answer>,
    /// By when they were used.
    used: BTreeMap<u64, Key>,
    next: u64,
    bytes: usize,
}

#[derive(Debug)]
struct Answer {
    body: Bytes,
    until: Instant,
    used: u64,
}

/// Where the answer to a call is to be kept, and for how long.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub(crate) key: Key,
    ttl: Duration,
}

/// What an answer takes beside its body, in bytes.
const OVERHEAD: usize = 256;

/// The place of a call's answer, if its model keeps answers and this one may be kept: nothing that acts, at the
/// provider or, unless the configuration says so, at the client, and nothing that the provider keeps.
pub(crate) fn place(call: &Call, candidate: &Candidate, asked: &Asked, request: &Object) -> Option<Place> {
    let rules = candidate.target.served.as_ref()?.cache?;
    let acts = !asked.hosted.is_empty() || (!asked.tools.is_empty() && !rules.tools);
    let fits = !acts && !asked.stores && !asked.hidden_input && asked.unknown.is_empty();
    fits.then(|| Place { key: Key::of(call, candidate, asked, request), ttl: rules.ttl })
}

// === impl Key ===

impl Key {
    fn of(call: &Call, candidate: &Candidate, asked: &Asked, request: &Object) -> Self {
        let config = call.gate.kernel.setup().digest.to_string();
        let run = &call.run;
        let named = candidate.named.as_ref().map_or("", |named| named.as_str());
        let stream = if asked.stream { "stream" } else { "whole" };
        // A streamed answer has its usage only for those who asked.
        let usage = if asked.usage_asked { "usage" } else { "" };
        let betas = call.said.betas.join(",");
        let parts = [
            config.as_str(),
            run.workspace.as_str(),
            run.agent.as_str(),
            candidate.model.as_str(),
            named,
            call.api.word(),
            stream,
            usage,
            &betas,
        ];
        let mut text = Vec::with_capacity(1_024);
        // Each with its length before it, so that no part runs into the next.
        for part in parts.into_iter().map(str::as_bytes) {
            text.extend_from_slice(&(part.len() as u64).to_be_bytes());
            text.extend_from_slice(part);
        }
        text.extend_from_slice(&canonical_for_cache(call.api, request));
        Self(Digest::of(&text))
    }
}

// === impl Cache ===

impl Cache {
    /// An empty one that keeps at most so many bytes.
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self { bytes_max, kept: Mutex::default() }
    }

    /// The answer that is kept there.
    pub(crate) fn get(&self, place: &Place, now: Instant) -> Option<Bytes> {
        let mut kept = self.kept.lock();
        let kept = &mut *kept;
        let answer = kept.answers.get_mut(&place.key)?;
        if now >= answer.until {
            kept.remove(&place.key);
            return None;
        }
        kept.used.remove(&answer.used);
        answer.used = kept.next;
        kept.used.insert(kept.next, place.key);
        kept.next += 1;
        Some(answer.body.clone())
    }

    /// Keeps an answer; those that were not used for longest make room. One that alone is too large is not kept.
    pub(crate) fn put(&self, place: &Place, body: Bytes, now: Instant) {
        let size = body.len() + OVERHEAD;
        if size > self.bytes_max / 4 {
            return;
        }
        let mut kept = self.kept.lock();
        kept.remove(&place.key);
        while kept.bytes + size > self.bytes_max {
            let Some((_, oldest)) = kept.used.first_key_value() else { break };
            let oldest = *oldest;
            kept.remove(&oldest);
        }
        let used = kept.next;
        kept.next += 1;
        kept.bytes += size;
        kept.used.insert(used, place.key);
        kept.answers.insert(place.key, Answer { body, until: now + place.ttl, used });
    }

    /// Forgets what is too old.
    pub(crate) fn sweep(&self, now: Instant) {
        let mut kept = self.kept.lock();
        let old: Vec<Key> =
            kept.answers.iter().filter(|(_, answer)| now >= answer.until).map(|(key, _)| *key).collect();
        for key in old {
            kept.remove(&key);
        }
    }
}

// === impl Kept ===

impl Kept {
    fn remove(&mut self, key: &Key) {
        if let Some(answer) = self.answers.remove(key) {
            self.used.remove(&answer.used);
            self.bytes -= answer.body.len() + OVERHEAD;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(name: &str, ttl: Duration) -> Place {
        Place { key: Key(Digest::of(name.as_bytes())), ttl }
    }

    const HOUR: Duration = Duration::from_hours(1);

    #[test]
    fn answers_are_kept_for_their_time_and_within_bounds() {
        let cache = Cache::new(4 * 1_256);
        let body = |fill: u8| Bytes::from(vec![fill; 1_000]);
        let (one, two) = (place("one", HOUR), place("two", Duration::from_secs(1)));
        let start = Instant::now();
        cache.put(&one, body(1), start);
        cache.put(&two, body(2), start);
        assert_eq!((cache.get(&one, start), cache.get(&two, start)), (Some(body(1)), Some(body(2))));
        let now = start + Duration::from_secs(1);
        assert_eq!((cache.get(&one, now), cache.get(&two, now)), (Some(body(1)), None));
        for name in ["a", "b", "c"] {
            cache.put(&place(name, HOUR), body(3), now);
        }
        assert_eq!(cache.get(&one, now), Some(body(1)), "four fit");
        cache.put(&place("d", HOUR), body(4), now);
        assert_eq!(
            cache.get(&place("a", HOUR), now),
            None,
            "the one that was not used for longest makes room"
        );
        assert!(cache.get(&one, now).is_some());
        cache.put(&place("giant", HOUR), Bytes::from(vec![0; 2_000]), now);
        assert_eq!(cache.get(&place("giant", HOUR), now), None);
        cache.put(&one, body(9), now);
        assert_eq!(cache.get(&one, now), Some(body(9)));
        assert_eq!(cache.kept.lock().bytes, 4 * 1_256);
        cache.sweep(now + HOUR);
        let kept = cache.kept.lock();
        assert!(kept.bytes == 0 && kept.answers.is_empty() && kept.used.is_empty());
    }
}
