//! Log time.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A moment in log time: microseconds since 1970-01-01T00:00:00Z. Its text is RFC 3339 in UTC with six digits of
/// fraction, so that texts sort as moments do.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(u64);

/// The text is not a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a moment: write RFC 3339, such as 2026-11-21T09:30:00Z")]
pub struct TimestampError;

// === impl Timestamp ===

impl Timestamp {
    /// The end of what RFC 3339 can write, 9999-12-31T23:59:59.999999Z: "never" where a moment is needed.
    pub const MAX: Self = Self(253_402_300_799_999_999);

    /// A moment by its microseconds; past [`Timestamp::MAX`] it is that.
    pub const fn from_micros(micros: u64) -> Self {
        if micros > Self::MAX.0 { Self::MAX } else { Self(micros) }
    }

    /// Microseconds since 1970.
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// The moment `duration` later; at most [`Timestamp::MAX`].
    pub fn after(self, duration: Duration) -> Self {
        Self::from_micros(self.0.saturating_add(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)))
    }

    /// How long ago `earlier` was; zero if it is not earlier.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }

    /// The first moment of the month it is in, and that of the next (UTC).
    pub(crate) fn month(self) -> (Self, Self) {
        let days = self.0 / DAY_MICROS;
        let (_, _, day) = civil_from_days(days);
        let first = days + 1 - day;
        // The day after the longest month is in the next one, wherever this one began.
        let (_, _, over) = civil_from_days(first + 31);
        (Self::from_micros(first * DAY_MICROS), Self::from_micros((first + 32 - over) * DAY_MICROS))
    }
}

/// Microseconds of a day.
pub(crate) const DAY_MICROS: u64 = 86_400_000_000;

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, rest) = (self.0 / DAY_MICROS, self.0 % DAY_MICROS);
        let (year, month, day) = civil_from_days(days);
        let (seconds, micros) = (rest / 1_000_000, rest % 1_000_000);
        let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z")
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Timestamp {
    type Err = TimestampError;

    /// Any RFC 3339 moment with an offset, from 1970 on.
    fn from_str(text: &str) -> Result<Self, TimestampError> {
        let moment: jiff::Timestamp = text.parse().map_err(|_| TimestampError)?;
        u64::try_from(moment.as_microsecond()).map(Self::from_micros).map_err(|_| TimestampError)
    }
}

impl From<Timestamp> for ringfence_json::Value {
    fn from(at: Timestamp) -> Self {
        at.to_string().into()
    }
}

/// The proleptic Gregorian date of a day number since 1970: eras of 400 years, years starting in March.
fn civil_from_days(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_end_of_time_is_written_and_read() {
        assert_eq!(Timestamp::MAX.to_string(), "9999-12-31T23:59:59.999999Z");
        assert_eq!(Timestamp::from_micros(u64::MAX), Timestamp::MAX);
        assert_eq!("2026-11-21T10:00:00+01:00".parse(), Ok(Timestamp::from_micros(1_795_251_600_000_000)));
        assert_eq!("yesterday".parse::<Timestamp>(), Err(TimestampError));
        assert_eq!("1969-12-31T00:00:00Z".parse::<Timestamp>(), Err(TimestampError));
    }

    proptest! {
        #[test]
        fn the_text_agrees_with_another_calendar(micros in 0u64..=253_370_764_800_000_000) {
            let ours = Timestamp::from_micros(micros);
            let theirs = jiff::Timestamp::from_microsecond(i64::try_from(micros).unwrap()).unwrap();
            prop_assert_eq!(ours.to_string(), format!("{theirs:.6}"));
            prop_assert_eq!(ours.to_string().parse(), Ok(ours));
        }
    }
}
