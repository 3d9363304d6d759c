//! Money and tokens, in integers.

use std::fmt;
use std::iter::Sum;
use std::str::FromStr;

use ringfence_json::{Number, Value};

/// US dollars, in whole nano-dollars: 18 billion dollars at most. Sums that would be more stay there, which refuses
/// everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Money(u64);

/// A text that is no amount of money.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// Not digits with at most one point.
    #[error("not an amount in US dollars: write digits such as 20 or 0.25")]
    Form,
    /// More decimal places than are kept.
    #[error("an amount can have at most nine decimal places")]
    Places,
    /// More than can be kept.
    #[error("an amount can be at most 18446744073 dollars")]
    TooMuch,
}

/// Nano-dollars in a dollar.
const NANOS: u64 = 1_000_000_000;

// === impl Money ===

impl Money {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// The most that can be written.
    pub const MAX: Self = Self(u64::MAX);

    /// From nano-dollars.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// In nano-dollars.
    pub const fn nanos(self) -> u64 {
        self.0
    }

    /// The sum; [`Money::MAX`] where it would be more.
    pub const fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// The difference; nothing where it would be less.
    pub const fn minus(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// Whether it is nothing.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }
}

impl Sum for Money {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Self::plus)
    }
}

impl FromStr for Money {
    type Err = MoneyError;

    /// Reads `20`, `20.00`, `0.000000001`.
    fn from_str(text: &str) -> Result<Self, MoneyError> {
        let (whole, places) = text.split_once('.').unwrap_or((text, "0"));
        let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if !is_digits(whole) || !is_digits(places) {
            return Err(MoneyError::Form);
        }
        let places = places.trim_end_matches('0');
        if places.len() > 9 {
            return Err(MoneyError::Places);
        }
        let whole: u64 = whole.parse().map_err(|_| MoneyError::TooMuch)?;
        let nanos: u64 = format!("{places:0<9}").parse().map_err(|_| MoneyError::Form)?;
        let total = whole.checked_mul(NANOS).and_then(|dollars| dollars.checked_add(nanos));
        total.map(Self).ok_or(MoneyError::TooMuch)
    }
}

impl fmt::Display for Money {
    /// Dollars with at least two places and as many more as it takes to be exact: `0.25`, `0.000125`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let places = format!("{:09}", self.0 % NANOS);
        let kept = places.trim_end_matches('0').len().max(2);
        f.pad(&format!("{}.{}", self.0 / NANOS, &places[..kept]))
    }
}

impl From<Money> for Value {
    /// Nano-dollars, as a number.
    fn from(money: Money) -> Self {
        Self::Number(Number::from(money.0))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn amounts_are_read_to_the_nano_dollar_or_refused() {
        for (text, nanos) in [
            ("20", 20 * NANOS),
            ("0.25", NANOS / 4),
            ("0.000000001", 1),
            ("1.50000000000", 3 * NANOS / 2),
            ("18446744073.709551615", u64::MAX),
        ] {
            assert_eq!(text.parse(), Ok(Money(nanos)), "{text}");
        }
        for (text, error) in [
            ("", MoneyError::Form),
            (".5", MoneyError::Form),
            ("5.", MoneyError::Form),
            ("-1", MoneyError::Form),
            ("1e3", MoneyError::Form),
            ("1,5", MoneyError::Form),
            ("0.0000000001", MoneyError::Places),
            ("18446744074", MoneyError::TooMuch),
        ] {
            assert_eq!(text.parse::<Money>(), Err(error), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(nanos: u64) {
            prop_assert_eq!(Money(nanos).to_string().parse(), Ok(Money(nanos)));
        }
    }
}
