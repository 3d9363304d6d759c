//! Rates, breakers and repetition as plain arithmetic. They may be forgotten at a restart.

use crate::world::{Args, BREAKER, PACE};

/// A bucket of calls that fills up steadily.
#[derive(Debug, Clone, Copy, Default)]
pub struct Bucket {
    /// When it is full again, in seconds.
    full_at: u64,
}

impl Bucket {
    const EACH: u64 = PACE.1 / PACE.0;

    pub fn has_one(self, now: u64) -> bool {
        let missing = self.full_at.saturating_sub(now);
        missing + Self::EACH <= PACE.1
    }

    pub fn take(&mut self, now: u64) {
        self.full_at = self.full_at.max(now) + Self::EACH;
    }
}

/// An upstream's breaker.
#[derive(Debug, Clone, Copy, Default)]
pub struct Breaker {
    failures: u32,
    state: State,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum State {
    #[default]
    Closed,
    OpenUntil(u64),
    /// One call finds out.
    Probing,
}

/// What an outcome says of an upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    Well,
    Ill,
    Untold,
}

impl Breaker {
    pub fn lets_through(self, now: u64) -> bool {
        match self.state {
            State::Closed => true,
            State::OpenUntil(until) => now >= until,
            State::Probing => false,
        }
    }

    /// A call goes; whether it is a probe.
    pub fn take(&mut self) -> bool {
        let probe = matches!(self.state, State::OpenUntil(_));
        if probe {
            self.state = State::Probing;
        }
        probe
    }

    pub fn ended(&mut self, health: Health, probe: bool, now: u64) {
        match health {
            Health::Well => *self = Self::default(),
            Health::Ill => {
                self.failures += 1;
                if probe || (self.state == State::Closed && self.failures >= BREAKER.0) {
                    self.state = State::OpenUntil(now + BREAKER.1);
                }
            }
            Health::Untold if probe => self.state = State::OpenUntil(now),
            Health::Untold => {}
        }
    }

    /// A call was given up; the probe's place is free.
    pub fn given_up(&mut self, now: u64) {
        if self.state == State::Probing {
            self.state = State::OpenUntil(now);
        }
    }
}

/// What a run did: call and result.
pub type Done = ((&'static str, &'static str, Args), String);

/// Whether `next` would be one more of what has come back `bound` times: the same, or a cycle of up to four.
pub fn repeats(done: &[Done], next: (&'static str, &'static str, Args), bound: usize) -> bool {
    (1..=4).any(|length| {
        let Some(from) = done.len().checked_sub(length * bound) else { return false };
        let rounds: Vec<&[Done]> = done[from..].chunks(length).collect();
        rounds.iter().all(|round| *round == rounds[0]) && rounds[0][0].0 == next
    })
}
