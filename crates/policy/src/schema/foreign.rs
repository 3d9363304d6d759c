//! Our values beside those of the validator.

use ringfence_json::{Number, Object, Value};
use serde_json::Value as Foreign;

use super::SchemaError;
use super::instance::Watch;
use super::number::{Exact, denotes};

/// The schema as the validator takes it. Depth is bounded by the survey.
pub(super) fn foreign(value: &Value) -> Result<Foreign, SchemaError> {
    Ok(match value {
        Value::Null => Foreign::Null,
        Value::Bool(value) => Foreign::Bool(*value),
        Value::String(text) => Foreign::String(text.to_string()),
        Value::Number(number) => Foreign::Number(foreign_number(number)?),
        Value::Array(elements) => Foreign::Array(elements.iter().map(foreign).collect::<Result<_, _>>()?),
        Value::Object(object) => {
            let members = object.iter().map(|(name, value)| Ok((name.to_string(), foreign(value)?)));
            Foreign::Object(members.collect::<Result<_, SchemaError>>()?)
        }
    })
}

fn foreign_number(number: &Number) -> Result<serde_json::Number, SchemaError> {
    if let Some(whole) = number.as_u64() {
        return Ok(whole.into());
    }
    if let Some(whole) = number.as_i64() {
        return Ok(whole.into());
    }
    match denotes(number) {
        Exact::Double(double) => serde_json::Number::from_f64(double).ok_or(SchemaError::Number),
        Exact::No => Err(SchemaError::Number),
    }
}

/// The value with `null` for all that is not a container.
pub(super) fn shape(value: &Value) -> Foreign {
    match value {
        Value::Array(elements) => Foreign::Array(elements.iter().map(shape).collect()),
        Value::Object(object) => shape_of_object(object),
        _ => Foreign::Null,
    }
}

/// As [`shape`], of an object that is no value by itself.
pub(super) fn shape_of_object(object: &Object) -> Foreign {
    Foreign::Object(object.iter().map(|(name, value)| (name.to_string(), shape(value))).collect())
}

/// Whether a value equals one of the schema (2020-12 core §4.2.2).
pub(super) fn equals(value: &Value, expected: &Foreign, watch: &Watch) -> bool {
    match (value, expected) {
        (Value::Null, Foreign::Null) => true,
        (Value::Bool(left), Foreign::Bool(right)) => left == right,
        (Value::String(left), Foreign::String(right)) => left == right,
        (Value::Number(left), Foreign::Number(right)) => {
            // A number of a schema is exact, so its text is the number that was meant.
            Number::new(&right.to_string()).is_ok_and(|right| left.compare(&right).is_eq())
        }
        (Value::Array(left), Foreign::Array(right)) => {
            left.len() == right.len()
                && left.iter().zip(right).all(|(left, right)| watch.spend(1) && equals(left, right, watch))
        }
        (Value::Object(left), right) => equals_object(left, right, watch),
        _ => false,
    }
}

/// As [`equals`], of an object that is no value by itself.
pub(super) fn equals_object(left: &Object, right: &Foreign, watch: &Watch) -> bool {
    let Foreign::Object(right) = right else { return false };
    left.len() == right.len()
        && left.iter().all(|(name, value)| {
            watch.spend(1) && right.get(name.as_str()).is_some_and(|expected| equals(value, expected, watch))
        })
}
