//! A number as it was written.

use std::cmp::Ordering;
use std::fmt;

use smol_str::SmolStr;

/// A JSON number (RFC 8259 §6), kept as its literal text. Equality is of the text; [`Number::compare`] compares
/// the values exactly, without going through a float.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Number(SmolStr);

/// The text is not a JSON number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a JSON number: write digits like 10, -3 or 2.5")]
pub struct NumberError;

// === impl Number ===

impl Number {
    /// Takes a literal as RFC 8259 §6 allows it.
    ///
    /// # Errors
    /// When the text is anything else, such as `+1`, `01`, `.5` or `NaN`.
    pub fn new(literal: &str) -> Result<Self, NumberError> {
        if literal_length(literal.as_bytes()) == Some(literal.len()) {
            Ok(Self(SmolStr::new(literal)))
        } else {
            Err(NumberError)
        }
    }

    /// Only for the parser, which has checked the literal already.
    pub(crate) fn from_checked(literal: &str) -> Self {
        Self(SmolStr::new(literal))
    }

    /// The literal as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The value, if the literal is a plain integer that fits. `1e3` and `1.0` are not plain.
    pub fn as_u64(&self) -> Option<u64> {
        self.0.parse().ok()
    }

    /// The value, if the literal is a plain integer that fits. `1e3` and `1.0` are not plain.
    pub fn as_i64(&self) -> Option<i64> {
        self.0.parse().ok()
    }

    /// The nearest double; `None` when it would be infinite.
    pub fn as_f64(&self) -> Option<f64> {
        self.0.parse::<f64>().ok().filter(|value| value.is_finite())
    }

    /// Compares the exact values: `1`, `1.0` and `10e-1` are equal.
    pub fn compare(&self, other: &Self) -> Ordering {
        let (left, right) = (Decimal::of(&self.0), Decimal::of(&other.0));
        match (left.sign, right.sign) {
            (a, b) if a != b => a.cmp(&b),
            (1, _) => left.magnitude(&right),
            (-1, _) => right.magnitude(&left),
            _ => Ordering::Equal,
        }
    }
}

impl From<u64> for Number {
    fn from(value: u64) -> Self {
        Self(smol_str::format_smolstr!("{value}"))
    }
}

impl From<i64> for Number {
    fn from(value: i64) -> Self {
        Self(smol_str::format_smolstr!("{value}"))
    }
}

impl From<u32> for Number {
    fn from(value: u32) -> Self {
        u64::from(value).into()
    }
}

impl fmt::Debug for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Number(…)")
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A literal taken apart: `sign × 0.digits × 10^point`, digits without leading or trailing zeros.
struct Decimal {
    sign: i8,
    digits: Vec<u8>,
    point: i64,
}

impl Decimal {
    fn of(literal: &str) -> Self {
        let (negative, rest) = match literal.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, literal),
        };
        let (mantissa, exponent) = match rest.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, saturating_exponent(exponent)),
            None => (rest, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all = || whole.bytes().chain(fraction.bytes());
        let leading = all().take_while(|digit| *digit == b'0').count();
        let mut digits: Vec<u8> = all().skip(leading).collect();
        while digits.last() == Some(&b'0') {
            digits.pop();
        }
        let sign = match (digits.is_empty(), negative) {
            (true, _) => 0,
            (false, false) => 1,
            (false, true) => -1,
        };
        let length = |text: usize| i64::try_from(text).unwrap_or(i64::MAX);
        let point = exponent.saturating_add(length(whole.len())).saturating_sub(length(leading));
        Self { sign, digits, point }
    }

    fn magnitude(&self, other: &Self) -> Ordering {
        // Digits are left-aligned and without trailing zeros, so the order of bytes is the order of values.
        self.point.cmp(&other.point).then_with(|| self.digits.cmp(&other.digits))
    }
}

/// An exponent past `i64` saturates: both ends are far outside what any comparison needs to tell apart.
fn saturating_exponent(text: &str) -> i64 {
    let limit = i64::MAX / 4;
    match text.strip_prefix('-') {
        Some(digits) => -digits.parse::<i64>().unwrap_or(limit).min(limit),
        None => text.trim_start_matches('+').parse::<i64>().unwrap_or(limit).min(limit),
    }
}

/// How many bytes at the start of `text` form a JSON number, if any do.
pub(crate) fn literal_length(text: &[u8]) -> Option<usize> {
    let digits = |from: usize| text[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let mut at = usize::from(text.first() == Some(&b'-'));
    match text.get(at)? {
        b'0' => at += 1,
        b'1'..=b'9' => at += digits(at),
        _ => return None,
    }
    if text.get(at) == Some(&b'.') {
        let count = digits(at + 1);
        if count == 0 {
            return None;
        }
        at += 1 + count;
    }
    if matches!(text.get(at), Some(b'e' | b'E')) {
        let signed = usize::from(matches!(text.get(at + 1), Some(b'+' | b'-')));
        let count = digits(at + 1 + signed);
        if count == 0 {
            return None;
        }
        at += 1 + signed + count;
    }
    Some(at)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn number(text: &str) -> Number {
        Number::new(text).unwrap()
    }

    #[test]
    fn literals_outside_the_grammar_are_refused() {
        for bad in ["", "+1", "01", ".5", "5.", "1e", "1e+", "NaN", "-", "1 ", "0x1", "--1", "-01"] {
            assert!(Number::new(bad).is_err(), "{bad:?} was taken");
        }
        for good in ["0", "-0", "10", "2.50", "1e9", "1E-9", "1.5e+3", "123456789012345678901234567890"] {
            assert_eq!(number(good).as_str(), good);
        }
    }

    #[test]
    fn comparison_is_exact_where_floats_are_not() {
        use Ordering::{Equal, Greater, Less};
        let cases = [
            ("1", "1.0", Equal),
            ("10e-1", "1", Equal),
            ("0", "-0", Equal),
            ("0.0", "0e9", Equal),
            ("9007199254740993", "9007199254740992", Greater),
            ("10.00000000000000001", "10", Greater),
            ("-10.00000000000000001", "-10", Less),
            ("1e400", "1e399", Greater),
            ("-1e400", "1e-400", Less),
            ("0.1", "0.09", Greater),
            ("100", "99.99", Greater),
            ("1e99999999999999999999", "9", Greater),
            ("1e-99999999999999999999", "0", Greater),
        ];
        for (left, right, expected) in cases {
            assert_eq!(number(left).compare(&number(right)), expected, "{left} ~ {right}");
            assert_eq!(number(right).compare(&number(left)), expected.reverse(), "{right} ~ {left}");
        }
    }

    proptest! {
        #[test]
        fn integers_compare_as_integers(left: i64, right: i64) {
            prop_assert_eq!(number(&left.to_string()).compare(&number(&right.to_string())), left.cmp(&right));
        }

        #[test]
        fn scaling_by_the_exponent_changes_nothing(value: i32, shift in 0u32..20) {
            let scaled = format!("{value}{}e-{shift}", "0".repeat(shift as usize));
            prop_assume!(value != 0);
            prop_assert_eq!(number(&value.to_string()).compare(&number(&scaled)), Ordering::Equal);
        }
    }
}
