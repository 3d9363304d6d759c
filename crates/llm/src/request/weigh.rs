//! How long a value is when written.

use ringfence_json::{Object, Value};

/// The deepest that objects and lists may be inside one another.
const DEPTH_MAX: usize = 96;

/// The length of an object written as JSON in bytes, or a little more; `None` where it is nested deeper than 96.
pub(super) fn weigh_object(object: &Object) -> Option<u64> {
    members(object, DEPTH_MAX)
}

/// The same of any value.
pub(super) fn weigh(value: &Value) -> Option<u64> {
    value_within(value, DEPTH_MAX)
}

fn value_within(value: &Value, depth: usize) -> Option<u64> {
    Some(match value {
        Value::Null | Value::Bool(true) => 4,
        Value::Bool(false) => 5,
        Value::Number(number) => length(number.as_str()),
        Value::String(text) => length(text) + escapes(text) + 2,
        Value::Array(elements) => {
            let depth = depth.checked_sub(1)?;
            let mut sum = 2;
            for element in elements {
                sum += value_within(element, depth)? + 1;
            }
            sum
        }
        Value::Object(object) => members(object, depth.checked_sub(1)?)?,
    })
}

fn members(object: &Object, depth: usize) -> Option<u64> {
    let mut sum = 2;
    for (name, value) in object.iter() {
        sum += length(name) + escapes(name) + 4 + value_within(value, depth)?;
    }
    Some(sum)
}

/// How many bytes escapes add.
fn escapes(text: &str) -> u64 {
    text.bytes().map(|byte| u64::from(EXTRA[usize::from(byte)])).sum()
}

/// How many bytes the escape of a byte adds to it.
const EXTRA: [u8; 256] = {
    let mut extra = [0; 256];
    let mut byte = 0;
    while byte < 0x20 {
        extra[byte] = 5;
        byte += 1;
    }
    let short = [0x08, b'\t', b'\n', 0x0c, b'\r', b'"', b'\\'];
    let mut at = 0;
    while at < short.len() {
        extra[short[at] as usize] = 1;
        at += 1;
    }
    extra
};

// INVARIANT: sums stay far below `u64::MAX`, because everything counted is in memory.
fn length(text: &str) -> u64 {
    u64::try_from(text.len()).unwrap_or(u64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            ".*".prop_map(Value::from),
            "[\\x00-\\x22\\\\]*".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 40, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::Array),
                prop::collection::vec((".*", inner), 0..5).prop_map(|members| {
                    Value::Object(members.into_iter().map(|(name, value)| (name.into(), value)).collect())
                }),
            ]
        })
    }

    proptest! {
        #[test]
        fn nothing_weighs_less_than_it_has_bytes(value in values()) {
            let written = u64::try_from(value.to_bytes().len()).unwrap();
            prop_assert!(weigh(&value).unwrap() >= written);
        }
    }

    #[test]
    fn weights_are_close() {
        let request = Object::new().with("model", "m").with("n", 1_u64).with("stop", vec!["a\n", "\"b\""]);
        let written = u64::try_from(Value::from(request.clone()).to_bytes().len()).unwrap();
        assert_eq!(weigh_object(&request), Some(written + 2), "one comma too many for each level");
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |depth: usize| {
            let mut value = Value::Null;
            for _ in 0..depth {
                value = Value::Array(vec![value]);
            }
            value
        };
        assert!(weigh(&nested(DEPTH_MAX)).is_some());
        assert_eq!(weigh(&nested(DEPTH_MAX + 1)), None);
    }
}
