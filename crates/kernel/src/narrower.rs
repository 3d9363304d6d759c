//! Whether one value asks for no more than another.

use std::cmp::Ordering;

use ringfence_json::{Number, Object, Value, member_pointer};

/// Where `given` is something else than less of `asked`, as a JSON Pointer; `None` if it is less, or the same.
///
/// Less is: a number nearer to zero, some of an array's elements in their order, some of an object's members. A text
/// has no less.
pub(crate) fn beyond(asked: &Object, given: &Object) -> Option<String> {
    given.iter().find_map(|(name, value)| {
        let at = member_pointer("", name);
        match (asked.get(name), value) {
            (Some(Value::Object(asked)), Value::Object(given)) => beyond(asked, given).map(|rest| at + &rest),
            (Some(asked), given) if is_less(asked, given) => None,
            _ => Some(at),
        }
    })
}

fn is_less(asked: &Value, given: &Value) -> bool {
    match (asked, given) {
        (Value::Number(asked), Value::Number(given)) => is_nearer_to_zero(asked, given),
        (Value::Array(asked), Value::Array(given)) => {
            let mut rest = asked.iter();
            given.iter().all(|given| rest.any(|asked| is_less(asked, given)))
        }
        (Value::Object(asked), Value::Object(given)) => beyond(asked, given).is_none(),
        _ => asked == given,
    }
}

fn is_nearer_to_zero(asked: &Number, given: &Number) -> bool {
    let zero = Number::from(0_u64);
    match asked.compare(&zero) {
        Ordering::Less => given.compare(asked).is_ge() && given.compare(&zero).is_le(),
        _ => given.compare(asked).is_le() && given.compare(&zero).is_ge(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(text: &str) -> Object {
        ringfence_json::parse(text.as_bytes(), &ringfence_json::Limits::default())
            .unwrap()
            .into_object()
            .unwrap()
    }

    #[test]
    fn less_is_told_from_something_else() {
        let asked =
            object(r#"{"n":50,"m":-3,"to":["a","b","c"],"text":"x","spec":{"cpu":2.5,"on":true},"a/b":1}"#);
        for given in [
            r#"{"n":50,"m":-3,"to":["a","b","c"],"text":"x","spec":{"cpu":2.5,"on":true},"a/b":1}"#,
            r#"{"n":10,"m":-1,"to":["a","c"],"spec":{"cpu":0}}"#,
            r#"{"n":5e1,"to":[]}"#,
            "{}",
        ] {
            assert_eq!(beyond(&asked, &object(given)), None, "{given}");
        }
        for (given, at) in [
            (r#"{"n":51}"#, "/n"),
            (r#"{"n":-1}"#, "/n"),
            (r#"{"m":-4}"#, "/m"),
            (r#"{"m":1}"#, "/m"),
            (r#"{"n":"50"}"#, "/n"),
            (r#"{"to":["c","a"]}"#, "/to"),
            (r#"{"to":["a","a"]}"#, "/to"),
            (r#"{"text":"y"}"#, "/text"),
            (r#"{"spec":{"cpu":3}}"#, "/spec/cpu"),
            (r#"{"spec":{"on":false}}"#, "/spec/on"),
            (r#"{"more":1}"#, "/more"),
            (r#"{"a/b":2}"#, "/a~1b"),
        ] {
            assert_eq!(beyond(&asked, &object(given)).as_deref(), Some(at), "{given}");
        }
    }
}
