//! Digests of what stands in messages.

use ringfence_json::{Limits, Value, parse};
use ringfence_types::Digest;

/// Texts up to this length are digested as a whole.
const WHOLE_BYTES_MAX: usize = 24 << 10;
/// Of longer ones, their length and so many bytes of the beginning, the middle and the end: inline images are long,
/// and a conversation carries them along.
const SAMPLE_BYTES: usize = 8 << 10;
/// Marks that move through a conversation from request to request.
const VOLATILE_MEMBERS: [&str; 2] = ["cache_control", "prompt_cache_breakpoint"];

/// The digest of contents; of nothing where there are none. A text is the same as a list with one part that is this
/// text.
pub(super) fn contents<'a>(contents: impl IntoIterator<Item = &'a Value>, bytes: &mut Vec<u8>) -> Digest {
    bytes.clear();
    for content in contents {
        match content {
            Value::Array(parts) => {
                for part in parts {
                    write_part(part, bytes);
                }
            }
            other => write_part(other, bytes),
        }
        bytes.push(b';');
    }
    Digest::of(bytes)
}

/// The digest of a call. Arguments that are a text which is JSON are the same however that is written.
pub(super) fn call(name: &str, arguments: Option<&Value>, bytes: &mut Vec<u8>) -> Digest {
    bytes.clear();
    write_text(name, bytes);
    match arguments {
        Some(Value::String(text)) => match parse(text.as_bytes(), &Limits::default()) {
            Ok(arguments) => arguments.write_canonical(bytes),
            Err(_) => write_text(text, bytes),
        },
        Some(arguments) => arguments.write_canonical(bytes),
        None => {}
    }
    Digest::of(bytes)
}

fn write_part(part: &Value, bytes: &mut Vec<u8>) {
    match (part, part.get("text")) {
        (Value::String(text), _) | (_, Some(Value::String(text))) => write_text(text, bytes),
        _ => write_any(part, bytes),
    }
}

fn write_any(value: &Value, bytes: &mut Vec<u8>) {
    match value {
        Value::Null => bytes.push(b'n'),
        Value::Bool(value) => bytes.push(if *value { b't' } else { b'f' }),
        Value::Number(number) => {
            bytes.push(b'#');
            write_text(number.as_str(), bytes);
        }
        Value::String(text) => write_text(text, bytes),
        Value::Array(elements) => {
            bytes.push(b'[');
            for element in elements {
                write_any(element, bytes);
            }
            bytes.push(b']');
        }
        Value::Object(object) => {
            bytes.push(b'{');
            for (name, value) in object.iter().filter(|(name, _)| !VOLATILE_MEMBERS.contains(&name.as_str()))
            {
                write_text(name, bytes);
                write_any(value, bytes);
            }
            bytes.push(b'}');
        }
    }
}

/// The length goes first, so that no two sequences of texts are written alike.
fn write_text(text: &str, bytes: &mut Vec<u8>) {
    let text = text.as_bytes();
    bytes.push(b'"');
    bytes.extend_from_slice(&text.len().to_le_bytes());
    if text.len() <= WHOLE_BYTES_MAX {
        bytes.extend_from_slice(text);
        return;
    }
    let middle = (text.len() - SAMPLE_BYTES) / 2;
    for from in [0, middle, text.len() - SAMPLE_BYTES] {
        bytes.extend_from_slice(&text[from..from + SAMPLE_BYTES]);
    }
}

#[cfg(test)]
mod tests {
    use ringfence_json::Object;

    use super::*;

    fn of(value: impl Into<Value>) -> Digest {
        contents(Some(&value.into()), &mut Vec::new())
    }

    #[test]
    fn contents_that_mean_the_same_have_one_digest() {
        let part = Object::new().with("type", "text").with("text", "hello");
        let marked = part.clone().with("cache_control", Object::new().with("type", "ephemeral"));
        assert_eq!(of("hello"), of(vec![part]));
        assert_eq!(of("hello"), of(vec![marked]));
        let image = Object::new().with("type", "image");
        let marked = image.clone().with("cache_control", Object::new().with("type", "ephemeral"));
        assert_eq!(of(vec![image.clone()]), of(vec![marked]));
        assert_ne!(of(vec![image.clone()]), of(vec![image.with("source", "x")]));
        assert_ne!(of("hello"), of("hello "));
        assert_ne!(of(vec!["a", "b"]), of(vec!["ab"]));
        assert_ne!(of(vec!["a", "b"]), of(vec!["b", "a"]));
        assert_eq!(contents(None, &mut Vec::new()), Digest::of(b""));
    }

    #[test]
    fn arguments_are_one_however_they_are_written() {
        let of = |name: &str, text: &str| call(name, Some(&text.into()), &mut Vec::new());
        assert_eq!(of("t", r#"{"a":1,"b":[2]}"#), of("t", "{\"b\": [2],\n\"a\": 1}"));
        assert_ne!(of("t", r#"{"a":1}"#), of("u", r#"{"a":1}"#));
        assert_ne!(of("t", r#"{"a":1}"#), of("t", r#"{"a":2}"#));
        assert_ne!(of("t", "{not json"), of("t", "{not json "));
        let object = Value::from(Object::new().with("b", vec![2_u64]).with("a", 1_u64));
        assert_eq!(call("t", Some(&object), &mut Vec::new()), of("t", r#"{"a":1,"b":[2]}"#));
    }

    #[test]
    fn long_texts_differ_where_they_are_looked_at() {
        let long = "x".repeat(WHOLE_BYTES_MAX + 2);
        for at in [0, long.len() / 2, long.len() - 1] {
            let mut other = long.clone();
            other.replace_range(at..=at, "y");
            assert_ne!(of(long.as_str()), of(other), "at {at}");
        }
        assert_ne!(of(long.as_str()), of(format!("{long}x")));
    }
}
