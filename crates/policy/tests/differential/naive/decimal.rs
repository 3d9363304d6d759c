//! Numbers by their text, exactly.

use std::cmp::Ordering;

/// `digits × 10^exponent`, or less than zero.
struct Decimal {
    negative: bool,
    digits: String,
    exponent: i64,
}

fn read(literal: &str) -> Decimal {
    let literal = literal.to_lowercase();
    let (negative, literal) = match literal.strip_prefix('-') {
        Some(rest) => (true, rest.to_owned()),
        None => (false, literal),
    };
    let (mantissa, exponent) = literal.split_once('e').unwrap_or((&literal, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}").trim_start_matches('0').to_owned();
    Decimal {
        negative: negative && !digits.is_empty(),
        digits,
        exponent: exponent.parse::<i64>().unwrap() - i64::try_from(fraction.len()).unwrap(),
    }
}

/// The digits as a whole number of `10^exponent`.
fn scaled(number: &Decimal, exponent: i64) -> String {
    if number.digits.is_empty() {
        return String::new();
    }
    let zeros = usize::try_from(number.exponent - exponent).unwrap();
    format!("{}{}", number.digits, "0".repeat(zeros))
}

pub fn compare(left: &str, right: &str) -> Ordering {
    let (left, right) = (read(left), read(right));
    let exponent = left.exponent.min(right.exponent);
    let (first, second) = (scaled(&left, exponent), scaled(&right, exponent));
    let by_size = first.len().cmp(&second.len()).then_with(|| first.cmp(&second));
    match (left.negative, right.negative) {
        (false, false) => by_size,
        (true, true) => by_size.reverse(),
        (false, true) => Ordering::Greater,
        (true, false) => Ordering::Less,
    }
}

/// The number, if it is whole and fits into 64 bits.
pub fn whole(literal: &str) -> Option<i64> {
    let Decimal { negative, digits, exponent } = read(literal);
    let (digits, exponent) = match digits.trim_end_matches('0') {
        "" => return Some(0),
        trimmed => (trimmed.to_owned(), exponent + i64::try_from(digits.len() - trimmed.len()).unwrap()),
    };
    if !(0..20).contains(&exponent) {
        return None;
    }
    let zeros = "0".repeat(usize::try_from(exponent).unwrap());
    format!("{}{digits}{zeros}", if negative { "-" } else { "" }).parse().ok()
}

#[test]
fn decimals_compare_by_value() {
    let ascending =
        ["-1e3", "-10.5", "-1", "-0", "0.0001", "1", "9.99", "1e1", "10.0000000000000000001", "1e400"];
    for (place, left) in ascending.iter().enumerate() {
        for (other, right) in ascending.iter().enumerate() {
            assert_eq!(compare(left, right), place.cmp(&other), "{left} {right}");
        }
    }
    for equal in [["1e1", "10.0"], ["-0", "0e5"], ["1E+1", "100e-1"]] {
        assert_eq!(compare(equal[0], equal[1]), Ordering::Equal);
    }
    assert_eq!(
        [whole("1e1"), whole("-2.50"), whole("10.0"), whole("1e30")],
        [Some(10), None, Some(10), None]
    );
}
