//! A breaker per upstream: after so many failures in a row nothing is sent for a while, then one call may try.

use std::time::Duration;

use ringfence_types::Timestamp;

use crate::BreakerSetup;

/// How a call to an upstream ended, as far as the upstream's health goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Health {
    /// It answered; whether the tool liked the arguments is another matter.
    Answered,
    /// Transport error, timeout, 5xx, malformed answer.
    Failed,
    /// Nothing can be said: never sent, or cut off from this side.
    Untold,
}

/// The state of one upstream's breaker.
#[derive(Debug, Clone, Default)]
pub(crate) struct Breaker {
    failures: u32,
    state: State,
}

#[derive(Debug, Clone, Copy, Default)]
enum State {
    #[default]
    Closed,
    Open {
        until: Timestamp,
    },
    /// One call is on its way to find out.
    Probing,
}

impl Breaker {
    /// Whether a call may go; otherwise in how long to ask again.
    pub(crate) fn check(&self, setup: BreakerSetup, now: Timestamp) -> Result<(), Duration> {
        match self.state {
            State::Closed => Ok(()),
            State::Open { until } if now >= until => Ok(()),
            State::Open { until } => Err(until.since(now)),
            State::Probing => Err(setup.open_for.min(Duration::from_secs(1))),
        }
    }

    /// A call that [may go](Breaker::check) goes. Whether it is the probe: its end must be [told](Breaker::ended).
    pub(crate) fn take(&mut self) -> bool {
        let probe = matches!(self.state, State::Open { .. });
        if probe {
            self.state = State::Probing;
        }
        probe
    }

    /// A call ended. Returns whether this opened the breaker.
    pub(crate) fn ended(&mut self, health: Health, probe: bool, setup: BreakerSetup, now: Timestamp) -> bool {
        match (health, probe) {
            (Health::Answered, _) => {
                *self = Self::default();
                false
            }
            (Health::Failed, _) => {
                let was_closed = matches!(self.state, State::Closed);
                self.failures = self.failures.saturating_add(1);
                let opens = probe || (was_closed && self.failures >= setup.failures);
                if opens {
                    self.state = State::Open { until: now.after(setup.open_for) };
                }
                opens && was_closed
            }
            // The probe told nothing: the next call is one.
            (Health::Untold, true) => {
                self.state = State::Open { until: now };
                false
            }
            (Health::Untold, false) => false,
        }
    }

    /// A call was given up and nobody will say how it ended. If it was the probe, the next call is one.
    pub(crate) fn lost(&mut self, now: Timestamp) {
        if matches!(self.state, State::Probing) {
            self.state = State::Open { until: now };
        }
    }

    /// Whether calls are held back at present.
    pub(crate) fn is_open(&self) -> bool {
        !matches!(self.state, State::Closed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETUP: BreakerSetup = BreakerSetup { failures: 3, open_for: Duration::from_secs(30) };

    fn opened(now: Timestamp) -> Breaker {
        let mut breaker = Breaker::default();
        for _ in 0..3 {
            assert_eq!(breaker.check(SETUP, now), Ok(()));
            let probe = breaker.take();
            breaker.ended(Health::Failed, probe, SETUP, now);
        }
        breaker
    }

    #[test]
    fn failures_in_a_row_open_it_and_one_probe_closes_it() {
        let now = Timestamp::from_micros(1_000_000);
        let mut breaker = opened(now);
        assert_eq!(breaker.check(SETUP, now), Err(Duration::from_secs(30)));
        let later = now.after(Duration::from_secs(30));
        assert_eq!(breaker.check(SETUP, later), Ok(()));
        assert!(breaker.take(), "the first call after the pause is the probe");
        assert!(breaker.check(SETUP, later).is_err(), "and the only one");
        breaker.ended(Health::Answered, true, SETUP, later);
        assert_eq!(breaker.check(SETUP, later), Ok(()));
        assert!(!breaker.is_open());
    }

    #[test]
    fn a_failing_probe_opens_it_again_and_a_lost_one_lets_the_next_try() {
        let now = Timestamp::from_micros(1_000_000);
        let later = now.after(Duration::from_secs(30));
        let mut breaker = opened(now);
        let probe = breaker.take();
        breaker.ended(Health::Failed, probe, SETUP, later);
        assert_eq!(breaker.check(SETUP, later), Err(Duration::from_secs(30)));

        let mut breaker = opened(now);
        let probe = breaker.take();
        breaker.ended(Health::Untold, probe, SETUP, later);
        assert_eq!(breaker.check(SETUP, later), Ok(()));
    }

    #[test]
    fn an_answer_in_between_starts_the_count_again() {
        let now = Timestamp::from_micros(1_000_000);
        let mut breaker = Breaker::default();
        for health in [Health::Failed, Health::Failed, Health::Answered, Health::Failed, Health::Failed] {
            breaker.ended(health, false, SETUP, now);
        }
        assert_eq!(breaker.check(SETUP, now), Ok(()));
    }
}
