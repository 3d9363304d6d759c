//! Comparing the values of a list with those of a call.

use std::cmp::Ordering;

use ringfence_json::{Number, Value};

/// Whether they are the same: numbers by value (`1` is `1.0`), texts to the letter.
pub(crate) fn same(listed: &Value, sent: &Value) -> bool {
    match (listed, sent) {
        (Value::Number(listed), Value::Number(sent)) => listed.compare(sent) == Ordering::Equal,
        _ => listed == sent,
    }
}

/// As [`same`], also across types: who forbids the number 22 means the text "22" too, which many tools take for it.
pub(crate) fn alike(listed: &Value, sent: &Value) -> bool {
    match (listed, sent) {
        (Value::Number(number), Value::String(text)) | (Value::String(text), Value::Number(number)) => {
            Number::new(text.trim()).is_ok_and(|other| number.compare(&other) == Ordering::Equal)
        }
        (Value::Bool(value), Value::String(text)) | (Value::String(text), Value::Bool(value)) => {
            text.trim().eq_ignore_ascii_case(if *value { "true" } else { "false" })
        }
        _ => same(listed, sent),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_knows_its_values() {
        let number = |text: &str| Value::Number(Number::new(text).unwrap());
        let cases = [
            (number("1"), number("1.0"), true, true),
            (number("22"), Value::from("22"), false, true),
            (number("22"), Value::from("022"), false, false),
            (Value::from("22"), number("22"), false, true),
            (Value::Bool(true), Value::from("True"), false, true),
            (Value::from("app"), Value::from("app"), true, true),
            (Value::from("app"), Value::from("App"), false, false),
            (Value::Null, Value::Null, true, true),
            (Value::Null, Value::from("null"), false, false),
        ];
        for (listed, sent, is_same, is_alike) in cases {
            assert_eq!((same(&listed, &sent), alike(&listed, &sent)), (is_same, is_alike), "{listed} {sent}");
        }
    }
}
