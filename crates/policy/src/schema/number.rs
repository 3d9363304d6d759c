//! Numbers between their literal text and the doubles that the validator compares.

use ringfence_json::{Number, Value};

/// Whether a double stands for the literal.
pub(super) enum Exact {
    /// This one does: the literal is a whole number that the validator compares as such, or it is the shortest
    /// text of this double. Two such literals compare as their doubles do.
    Double(f64),
    /// Rounding would make it equal to another number, zero or infinity.
    No,
}

/// The double that stands for the literal, if one does.
pub(super) fn denotes(number: &Number) -> Exact {
    let Some(double) = number.as_f64() else { return Exact::No };
    // Rust writes the shortest decimal that reads back as the same double.
    let shortest = Number::new(&format!("{double:e}"));
    if shortest.is_ok_and(|shortest| shortest.compare(number).is_eq()) {
        Exact::Double(double)
    } else {
        Exact::No
    }
}

/// Whether the literal denotes a whole number, whatever its size: `1`, `1.0` and `10e-1` do.
pub(super) fn is_integer(number: &Number) -> bool {
    let (negative_exponent, digits, exponent) = parts(number);
    let fraction_digits = digits.1.trim_end_matches('0').len();
    if !negative_exponent {
        return exponent.is_none_or(|exponent| exponent >= fraction_digits as u64)
            || (fraction_digits == 0)
            || is_zero(number);
    }
    if fraction_digits > 0 {
        return is_zero(number);
    }
    let trailing_zeros = digits.0.len() - digits.0.trim_end_matches('0').len();
    is_zero(number) || exponent.is_some_and(|exponent| exponent <= trailing_zeros as u64)
}

fn is_zero(number: &Number) -> bool {
    let mantissa = number.as_str().split(['e', 'E']).next().unwrap_or_default();
    mantissa.bytes().all(|byte| matches!(byte, b'0' | b'-' | b'.'))
}

/// Whether the exponent is negative, the digits before and after the point, and the exponent if it is of a size
/// that can matter.
fn parts(number: &Number) -> (bool, (&str, &str), Option<u64>) {
    let text = number.as_str().trim_start_matches('-');
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let digits = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let negative = exponent.starts_with('-');
    (negative, digits, exponent.trim_start_matches(['-', '+']).parse().ok())
}

/// A text that two values share exactly when JSON Schema calls them equal (2020-12 core §4.2.2): numbers by value,
/// objects whatever the order of their members.
pub(super) fn comparable(value: &Value) -> Vec<u8> {
    with_plain_numbers(value).to_canonical()
}

fn with_plain_numbers(value: &Value) -> Value {
    match value {
        Value::Number(number) => Value::String(plain(number).into()),
        // Marked, so that no text can be taken for a number.
        Value::String(text) => Value::String(format!("s{text}").into()),
        Value::Array(elements) => Value::Array(elements.iter().map(with_plain_numbers).collect()),
        Value::Object(object) => object
            .iter()
            .map(|(name, value)| (name.clone(), with_plain_numbers(value)))
            .collect::<ringfence_json::Object>()
            .into(),
        other => other.clone(),
    }
}

/// The significant digits and the power of ten, the same for every way to write a number: `15e-1`, and `0` for zero.
pub(crate) fn plain(number: &Number) -> String {
    let (negative_exponent, (whole, fraction), exponent) = parts(number);
    if is_zero(number) {
        return "0".to_owned();
    }
    let Some(exponent) = exponent.and_then(|exponent| i64::try_from(exponent).ok()) else {
        // Beyond what can be counted, a number is only equal to itself.
        return number.as_str().to_owned();
    };
    let exponent = if negative_exponent { -exponent } else { exponent };
    let all = format!("{whole}{fraction}");
    let digits = all.trim_start_matches('0').trim_end_matches('0');
    let trailing = all.len() - all.trim_end_matches('0').len();
    let power = i128::from(exponent) - fraction.len() as i128 + trailing as i128;
    let sign = if number.as_str().starts_with('-') { "-" } else { "" };
    format!("{sign}{digits}e{power}")
}
