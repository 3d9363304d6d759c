//! From a number as it is written to nano-dollars, exactly.

use ringfence_json::Number;
use ringfence_types::Money;

/// Dollars for one token are this power of ten more nano-dollars for a million of them.
const PER_TOKEN: i64 = 15;

/// Dollars are this power of ten more nano-dollars.
const DOLLARS: i64 = 9;

/// Powers of ten above this are more than any amount, below its negative nothing but what is rounded up.
const EXPONENT_MAX: i64 = 400;

/// An amount, and whether it had to be rounded up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Amount {
    pub money: Money,
    pub rounded: bool,
}

/// Why a number is no amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bad {
    Negative,
    TooMuch,
}

/// Dollars for one token, as the price of a million.
pub fn per_token(number: &Number) -> Result<Amount, Bad> {
    scaled(number.as_str(), PER_TOKEN)
}

/// Dollars.
pub fn dollars(number: &Number) -> Result<Amount, Bad> {
    scaled(number.as_str(), DOLLARS)
}

/// A whole number, however it is written (`200000`, `200000.0`, `2e5`).
pub fn whole(number: &Number) -> Option<u64> {
    let amount = scaled(number.as_str(), 0).ok()?;
    (!amount.rounded).then(|| amount.money.nanos())
}

/// `literal × 10^power`, rounded up to a whole number.
fn scaled(literal: &str, power: i64) -> Result<Amount, Bad> {
    let (mantissa, exponent) = match literal.split_once(['e', 'E']) {
        // Anything that does not fit is far outside on its own side.
        Some((mantissa, exponent)) => {
            let far = if exponent.starts_with('-') { -EXPONENT_MAX } else { EXPONENT_MAX };
            (mantissa, exponent.trim_start_matches('+').parse::<i64>().unwrap_or(far))
        }
        None => (literal, 0),
    };
    let (negative, digits) = mantissa.strip_prefix('-').map_or((false, mantissa), |rest| (true, rest));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all: String = [whole, fraction].concat();
    let significant = all.trim_start_matches('0');
    if significant.is_empty() {
        return Ok(Amount { money: Money::ZERO, rounded: false });
    }
    if negative {
        return Err(Bad::Negative);
    }
    let places = i64::try_from(fraction.len()).unwrap_or(i64::MAX);
    let shift = exponent.clamp(-EXPONENT_MAX, EXPONENT_MAX).saturating_add(power).saturating_sub(places);
    shifted(significant, shift)
}

/// `digits × 10^shift`, rounded up.
fn shifted(digits: &str, shift: i64) -> Result<Amount, Bad> {
    let length = i64::try_from(digits.len()).unwrap_or(i64::MAX);
    let kept = usize::try_from(length.saturating_add(shift.min(0)).max(0)).unwrap_or(0);
    let (kept, cut) = digits.split_at(kept.min(digits.len()));
    let rounded = cut.bytes().any(|digit| digit != b'0');
    let mut nanos: u64 = 0;
    let zeros = std::iter::repeat_n(b'0', usize::try_from(shift.max(0)).unwrap_or(0));
    for digit in kept.bytes().chain(zeros) {
        let grown = nanos.checked_mul(10).and_then(|nanos| nanos.checked_add(u64::from(digit - b'0')));
        nanos = grown.ok_or(Bad::TooMuch)?;
    }
    let nanos = nanos.checked_add(u64::from(rounded)).ok_or(Bad::TooMuch)?;
    Ok(Amount { money: Money::from_nanos(nanos), rounded })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn number(text: &str) -> Number {
        Number::new(text).unwrap()
    }

    #[test]
    fn literals_become_nano_dollars_without_a_float() {
        for (literal, nanos, rounded) in [
            ("1.25e-06", 1_250_000_000, false),
            ("0.00000125", 1_250_000_000, false),
            ("1E-6", 1_000_000_000, false),
            ("0.0", 0, false),
            ("0e999999999999999999999", 0, false),
            ("-0.0", 0, false),
            ("7.999999999999999e-07", 800_000_000, true),
            ("1e-15", 1, false),
            ("1.5e-15", 2, true),
            ("1e-16", 1, true),
            ("1e-99999999999999999999", 1, true),
            ("1.0000000000e-15", 1, false),
            ("3e-05", 30_000_000_000, false),
        ] {
            let amount = per_token(&number(literal)).unwrap();
            assert_eq!((amount.money.nanos(), amount.rounded), (nanos, rounded), "{literal}");
        }
        assert_eq!(dollars(&number("0.01")).unwrap().money.to_string(), "0.01");
        assert_eq!(per_token(&number("-1e-6")), Err(Bad::Negative));
        assert_eq!(per_token(&number("1e9")), Err(Bad::TooMuch));
        assert_eq!(per_token(&number("1e99999999999999999999")), Err(Bad::TooMuch));
        assert_eq!(per_token(&number("123456789012345678901234567890")), Err(Bad::TooMuch));
    }

    #[test]
    fn whole_numbers_may_be_written_as_floats() {
        for (literal, expected) in
            [("200000", Some(200_000)), ("256000.0", Some(256_000)), ("2.5e5", Some(250_000)), ("0.5", None)]
        {
            assert_eq!(whole(&number(literal)), expected, "{literal}");
        }
    }

    proptest! {
        #[test]
        fn however_it_is_written_it_is_the_same(nanos in 1u64..u64::MAX / 10, places in 0u32..12) {
            let plain = format!("{nanos}e-15");
            let zeros = "0".repeat(places as usize);
            let longer = format!("{nanos}.{}e-15", if zeros.is_empty() { "0" } else { &zeros });
            let shifted = format!("{nanos}{zeros}e-{}", 15 + places);
            for literal in [plain, longer, shifted] {
                let amount = per_token(&number(&literal)).unwrap();
                prop_assert_eq!((amount.money.nanos(), amount.rounded), (nanos, false));
            }
        }

        #[test]
        fn rounding_is_up_and_by_less_than_one(nanos in 0u64..u64::MAX / 1000, rest in 1u32..1000) {
            let amount = per_token(&number(&format!("{nanos}.{rest:03}e-15"))).unwrap();
            prop_assert_eq!((amount.money.nanos(), amount.rounded), (nanos + 1, true));
        }
    }
}
