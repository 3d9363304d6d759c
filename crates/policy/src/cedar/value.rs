//! JSON as Cedar values, made one by one: nothing an agent writes is ever parsed as Cedar.
//!
//! Equal JSON values become equal Cedar values and different ones different, so that a test for equality cannot be
//! dodged by writing a number another way:
//!
//! - a number whose schema says `integer` is a Long, one whose schema says `number` a decimal; where the schema does
//!   not settle it, whole numbers (`5`, `5.0`, `50e-1`) are Longs and others decimals;
//! - what does not fit (beyond i64, more than four places, beyond the range of decimals) becomes an entity of a type
//!   of its own, with the value as its id. The attribute is there, so `has` says yes; every comparison of size is a
//!   type error, so the rule fails and the call is refused; and it equals nothing that Cedar can write, which is true.
//!   Leaving it out instead would make `has` say no, and a `forbid` that asks first would let the call through;
//! - arrays are sets, null is absent, objects are records. A member called `__entity` is a member of that name.

use cedar_policy::{EntityId, EntityTypeName, EntityUid, RestrictedExpression};
use ringfence_json::{Number, Object, Value};

use crate::schema::{Shape, plain_number};

/// The type of what Cedar cannot represent.
pub(super) const UNREPRESENTABLE: &str = "Unrepresentable";
/// Places after the point of a Cedar decimal.
const DECIMAL_PLACES: i64 = 4;
/// The most digits that an i64 has.
const DIGITS_MAX: i64 = 19;

/// Makes values of one request.
pub(super) struct Values<'n> {
    /// The parsed name of [`UNREPRESENTABLE`].
    pub(super) unrepresentable: &'n EntityTypeName,
}

impl Values<'_> {
    /// The members of an object that are not null.
    pub(super) fn record(&self, object: &Object, shape: &Shape) -> Option<RestrictedExpression> {
        let members = object.iter().filter_map(|(name, value)| {
            self.value(value, shape.member(name)).map(|value| (name.to_string(), value))
        });
        // The names of an object are unique, which is all that could be wrong here.
        RestrictedExpression::new_record(members).ok()
    }

    /// The value; `None` for null.
    fn value(&self, value: &Value, shape: &Shape) -> Option<RestrictedExpression> {
        Some(match value {
            Value::Null => return None,
            Value::Bool(flag) => RestrictedExpression::new_bool(*flag),
            Value::String(text) => RestrictedExpression::new_string(text.to_string()),
            Value::Number(number) => self.number(number, shape),
            Value::Array(elements) => RestrictedExpression::new_set(
                elements.iter().filter_map(|element| self.value(element, shape.element())),
            ),
            Value::Object(object) => return self.record(object, shape),
        })
    }

    fn number(&self, number: &Number, shape: &Shape) -> RestrictedExpression {
        let decimal = matches!(shape, Shape::Number);
        represented(number, decimal).unwrap_or_else(|| {
            let id = EntityId::new(plain_number(number));
            RestrictedExpression::new_entity_uid(EntityUid::from_type_name_and_id(
                self.unrepresentable.clone(),
                id,
            ))
        })
    }
}

/// The number as a Long or a decimal, if it is one exactly.
fn represented(number: &Number, always_decimal: bool) -> Option<RestrictedExpression> {
    if let (Some(whole), false) = (number.as_i64(), always_decimal) {
        return Some(RestrictedExpression::new_long(whole));
    }
    let (negative, digits, power) = significant(number)?;
    // `digits × 10^power` with at most 19 digits on either side of where the point can be.
    if !(-DIGITS_MAX..=DIGITS_MAX).contains(&power) {
        return None;
    }
    if power >= 0 && !always_decimal {
        let magnitude =
            digits.parse::<i128>().ok()?.checked_mul(10_i128.checked_pow(u32::try_from(power).ok()?)?)?;
        return i64::try_from(if negative { -magnitude } else { magnitude })
            .ok()
            .map(RestrictedExpression::new_long);
    }
    if power < -DECIMAL_PLACES {
        return None;
    }
    let scale = u32::try_from(power + DECIMAL_PLACES).ok()?;
    let magnitude = digits.parse::<i128>().ok()?.checked_mul(10_i128.checked_pow(scale)?)?;
    // A Cedar decimal is an i64 of ten-thousandths.
    let value = i64::try_from(if negative { -magnitude } else { magnitude }).ok()?;
    let (whole, fraction) = (value.unsigned_abs() / 10_000, value.unsigned_abs() % 10_000);
    let sign = if value < 0 { "-" } else { "" };
    Some(RestrictedExpression::new_decimal(format!("{sign}{whole}.{fraction:04}")))
}

/// Whether it is negative, its significant digits and the power of ten they are multiplied by. `None` where the
/// power is beyond counting.
fn significant(number: &Number) -> Option<(bool, String, i64)> {
    let plain = plain_number(number);
    let negative = plain.starts_with('-');
    let plain = plain.trim_start_matches('-');
    let (digits, power) = plain.split_once(['e', 'E']).unwrap_or((plain, "0"));
    if digits.len() > 40 || digits.contains('.') {
        return None;
    }
    Some((negative, digits.to_owned(), power.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(literal: &str, decimal: bool) -> String {
        match represented(&Number::new(literal).unwrap(), decimal) {
            Some(expression) => format!("{}", expression.as_ref()),
            None => "unrepresentable".to_owned(),
        }
    }

    #[test]
    fn numbers_become_what_they_are() {
        let cases = [
            ("5", "5", r#"decimal("5.0000")"#),
            ("-5", "-5", r#"decimal("-5.0000")"#),
            ("0", "0", r#"decimal("0.0000")"#),
            ("-0", "0", r#"decimal("0.0000")"#),
            ("5.0", "5", r#"decimal("5.0000")"#),
            ("50e-1", "5", r#"decimal("5.0000")"#),
            ("1e3", "1000", r#"decimal("1000.0000")"#),
            ("1.5", r#"decimal("1.5000")"#, r#"decimal("1.5000")"#),
            ("-0.0001", r#"decimal("-0.0001")"#, r#"decimal("-0.0001")"#),
            ("1.23450", r#"decimal("1.2345")"#, r#"decimal("1.2345")"#),
            ("0.00001", "unrepresentable", "unrepresentable"),
            ("1e999", "unrepresentable", "unrepresentable"),
            ("1e-999", "unrepresentable", "unrepresentable"),
            ("1e99999999999999999999999", "unrepresentable", "unrepresentable"),
            ("9223372036854775807", "9223372036854775807", "unrepresentable"),
            ("-9223372036854775808", "-9223372036854775808", "unrepresentable"),
            ("9223372036854775808", "unrepresentable", "unrepresentable"),
            ("-9223372036854775809", "unrepresentable", "unrepresentable"),
            (
                "922337203685477.5807",
                r#"decimal("922337203685477.5807")"#,
                r#"decimal("922337203685477.5807")"#,
            ),
            ("922337203685477.5808", "unrepresentable", "unrepresentable"),
        ];
        for (literal, free, decimal) in cases {
            assert_eq!(
                shown(literal, false).replace(['(', ')'], ""),
                free.replace(['(', ')'], ""),
                "{literal}"
            );
            assert_eq!(
                shown(literal, true).replace(['(', ')'], ""),
                decimal.replace(['(', ')'], ""),
                "{literal}"
            );
        }
    }
}
