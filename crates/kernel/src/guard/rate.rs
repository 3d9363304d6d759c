//! Rates: so many in so long, without bursts above the count.

use std::time::Duration;

use ringfence_types::{Rate, Timestamp};

/// A rate's state: the generic cell rate algorithm (ITU-T I.371), which is a token bucket in one number.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Meter {
    /// When the bucket will be full again.
    full_at: Timestamp,
}

impl Meter {
    /// Whether one more fits now.
    pub(crate) fn check(self, rate: Rate, now: Timestamp) -> Result<(), Duration> {
        let ahead = self.full_at.since(now);
        let allowed = rate.per.saturating_sub(interval(rate));
        if ahead <= allowed { Ok(()) } else { Err(ahead.saturating_sub(allowed)) }
    }

    /// Counts one.
    pub(crate) fn take(&mut self, rate: Rate, now: Timestamp) {
        self.full_at = self.full_at.max(now).after(interval(rate));
    }
}

fn interval(rate: Rate) -> Duration {
    rate.per / rate.count.max(1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_window_ever_holds_twice_the_count_and_the_first_burst_is_the_count(
            count in 1u32..50, steps in prop::collection::vec(0u64..3_000_000, 1..200),
        ) {
            let rate = Rate { count, per: Duration::from_mins(1) };
            let mut meter = Meter::default();
            let mut now = Timestamp::from_micros(1_000_000_000);
            let mut taken = Vec::new();
            for step in steps {
                now = now.after(Duration::from_micros(step));
                if meter.check(rate, now).is_ok() {
                    meter.take(rate, now);
                    taken.push(now);
                }
            }
            for (index, start) in taken.iter().enumerate() {
                let within = taken[index..].iter().filter(|at| at.since(*start) < rate.per).count();
                prop_assert!(within < 2 * count as usize, "{within} in one window of {count}");
            }
        }
    }

    #[test]
    fn the_count_goes_through_at_once_and_then_one_by_one() {
        let rate: Rate = "3/m".parse().unwrap();
        let mut meter = Meter::default();
        let now = Timestamp::from_micros(1_000_000_000);
        for _ in 0..3 {
            assert_eq!(meter.check(rate, now), Ok(()));
            meter.take(rate, now);
        }
        assert_eq!(meter.check(rate, now), Err(Duration::from_secs(20)));
        assert_eq!(meter.check(rate, now.after(Duration::from_secs(20))), Ok(()));
    }
}
