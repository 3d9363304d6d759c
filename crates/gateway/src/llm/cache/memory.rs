//! Answers in memory.

use bytes::Bytes;
use parking_lot::Mutex;
use ringfence_types::{Digest, Timestamp};

use super::lru::Lru;
use super::{Answer, Place};

/// What an answer takes beside its body, in bytes.
const OVERHEAD: u64 = 256;

/// Answers in memory, the ones used last longest.
#[derive(Debug, Default)]
pub(super) struct Memory(Mutex<Lru<Answer>>);

// === impl Memory ===

impl Memory {
    /// The answer that is kept there.
    pub(super) fn get(&self, place: &Place, now: Timestamp) -> Option<Bytes> {
        let mut kept = self.0.lock();
        let answer = kept.touch(&place.key)?;
        if place.allows(answer.until, now) {
            return Some(answer.body.clone());
        }
        kept.remove(&place.key);
        None
    }

    /// Keeps an answer; those that were not used for longest make room. One that alone is too large is not kept.
    pub(super) fn put(&self, answer: Answer, bytes_max: u64) {
        let size = answer.body.len() as u64 + OVERHEAD;
        if size > bytes_max / 4 {
            return;
        }
        let mut kept = self.0.lock();
        kept.remove(&answer.key);
        trim(&mut kept, bytes_max - size);
        kept.insert(answer.key, answer, size);
    }

    /// Forgets what is too old, what another configuration decided, and what is too much.
    pub(super) fn sweep(&self, now: Timestamp, config: Digest, bytes_max: u64) {
        let mut kept = self.0.lock();
        for key in kept.keys_where(|answer| now >= answer.until || answer.config != config) {
            kept.remove(&key);
        }
        trim(&mut kept, bytes_max);
    }
}

fn trim(kept: &mut Lru<Answer>, bytes_max: u64) {
    while kept.bytes() > bytes_max {
        let Some(oldest) = kept.oldest() else { return };
        kept.remove(&oldest);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::tests::{CONFIG, START, answer, place};
    use super::*;

    const HOUR: Duration = Duration::from_hours(1);
    const MOST: u64 = 4 * 1_256;

    #[test]
    fn answers_are_kept_for_their_time_and_within_bounds() {
        let memory = Memory::default();
        let body = |fill: u8| Bytes::from(vec![fill; 1_000]);
        let put = |place: &Place, body: Bytes, now| memory.put(Answer::new(place, body, now), MOST);
        let (one, two) = (place("one", HOUR), place("two", Duration::from_secs(1)));
        put(&one, body(1), START);
        put(&two, body(2), START);
        assert_eq!((memory.get(&one, START), memory.get(&two, START)), (Some(body(1)), Some(body(2))));
        let now = START.after(Duration::from_secs(1));
        assert_eq!((memory.get(&one, now), memory.get(&two, now)), (Some(body(1)), None));
        for name in ["a", "b", "c"] {
            put(&place(name, HOUR), body(3), now);
        }
        assert_eq!(memory.get(&one, now), Some(body(1)), "four fit");
        put(&place("d", HOUR), body(4), now);
        assert_eq!(
            memory.get(&place("a", HOUR), now),
            None,
            "the one that was not used for longest makes room"
        );
        assert!(memory.get(&one, now).is_some());
        put(&place("giant", HOUR), Bytes::from(vec![0; 2_000]), now);
        assert_eq!(memory.get(&place("giant", HOUR), now), None);
        put(&one, body(9), now);
        assert_eq!(memory.get(&one, now), Some(body(9)));
        assert_eq!(memory.0.lock().bytes(), MOST);
        memory.sweep(now, CONFIG, MOST / 2);
        assert_eq!(memory.get(&one, now), Some(body(9)));
        assert_eq!(memory.0.lock().bytes(), MOST / 2, "less fits now");
        memory.sweep(now.after(HOUR), CONFIG, MOST);
        let kept = memory.0.lock();
        assert!(kept.bytes() == 0 && kept.len() == 0);
    }

    #[test]
    fn what_another_configuration_decided_is_forgotten() {
        let memory = Memory::default();
        memory.put(answer("one", b"said", HOUR), MOST);
        memory.sweep(START, CONFIG, MOST);
        assert!(memory.get(&place("one", HOUR), START).is_some());
        memory.sweep(START, Digest::of(b"another"), MOST);
        assert_eq!(memory.get(&place("one", HOUR), START), None);
    }
}
