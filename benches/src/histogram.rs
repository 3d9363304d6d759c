//! How long things took.

use std::time::Duration;

use hdrhistogram::Histogram;

/// What is told apart at least, in nanoseconds.
const SHORTEST_NS: u64 = 100;

/// The longest that is kept, in nanoseconds: ten minutes. What takes longer counts as this long.
const LONGEST_NS: u64 = 600_000_000_000;

/// Durations, kept to three digits.
#[derive(Clone, Debug)]
pub struct Times(Histogram<u64>, Duration);

// === impl Times ===

impl Default for Times {
    fn default() -> Self {
        #[expect(clippy::expect_used, reason = "the constants are within what hdrhistogram takes")]
        let histogram = Histogram::new_with_bounds(SHORTEST_NS, LONGEST_NS, 3)
            .expect("the longest is more than twice the shortest, and three digits are at most five");
        Self(histogram, Duration::ZERO)
    }
}

impl Times {
    /// Counts one.
    pub fn record(&mut self, took: Duration) {
        self.1 = took;
        self.0.saturating_record(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
    }

    /// Counts all of another.
    pub fn add(&mut self, other: &Self) {
        self.0 += &other.0;
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.0.len()
    }

    /// The one that was counted last.
    pub fn last(&self) -> Duration {
        self.1
    }

    /// The median.
    pub fn p50(&self) -> Duration {
        self.quantile(0.50)
    }

    /// What one in a hundred exceeds.
    pub fn p99(&self) -> Duration {
        self.quantile(0.99)
    }

    /// The longest.
    pub fn longest(&self) -> Duration {
        Duration::from_nanos(self.0.max())
    }

    fn quantile(&self, share: f64) -> Duration {
        Duration::from_nanos(self.0.value_at_quantile(share))
    }
}

/// Milliseconds, for a table.
pub fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// Microseconds, for a table.
pub fn us(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Times;

    #[test]
    fn percentiles_are_what_a_sorted_list_says() {
        let mut times = Times::default();
        (1..=1_000).rev().for_each(|us| times.record(Duration::from_micros(us)));
        assert_eq!(times.count(), 1_000);
        for (measured, us) in [(times.p50(), 500.0), (times.p99(), 990.0), (times.longest(), 1_000.0)] {
            assert!((super::us(measured) / us - 1.0).abs() < 0.002, "{measured:?} for {us} µs");
        }
    }
}
