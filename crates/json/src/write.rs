//! Writing: as it came, or canonically.

use std::borrow::Cow;
use std::cmp::Ordering;

use crate::{Object, Value};

impl Value {
    /// Appends the value as compact JSON, members in the order in which they came.
    pub fn write(&self, out: &mut Vec<u8>) {
        write_value(self, out, false);
    }

    /// The value as compact JSON, members in the order in which they came.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(256);
        self.write(&mut out);
        out
    }

    /// Appends the canonical form: RFC 8785, with numbers as written.
    pub fn write_canonical(&self, out: &mut Vec<u8>) {
        write_value(self, out, true);
    }

    /// The canonical form: RFC 8785, with numbers as written.
    pub fn to_canonical(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(256);
        self.write_canonical(&mut out);
        out
    }
}

impl Object {
    /// Appends the canonical form: RFC 8785, with numbers as written.
    pub fn write_canonical(&self, out: &mut Vec<u8>) {
        write_object(self, out, true);
    }

    /// The canonical form: RFC 8785, with numbers as written.
    pub fn to_canonical(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(512);
        self.write_canonical(&mut out);
        out
    }
}

impl std::fmt::Display for Value {
    /// Compact JSON, members in the order in which they came. This shows contents: never for logs.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The writer emits only whole strings and ASCII, so this borrows.
        f.write_str(&String::from_utf8_lossy(&self.to_bytes()))
    }
}

fn write_value(value: &Value, out: &mut Vec<u8>, canonical: bool) {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Number(number) => out.extend_from_slice(number.as_str().as_bytes()),
        Value::String(text) => write_string(text, out),
        Value::Array(elements) => {
            out.push(b'[');
            for (index, element) in elements.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write_value(element, out, canonical);
            }
            out.push(b']');
        }
        Value::Object(object) => write_object(object, out, canonical),
    }
}

fn write_object(object: &Object, out: &mut Vec<u8>, canonical: bool) {
    let mut member = {
        let mut first = true;
        move |name: &str, value: &Value, out: &mut Vec<u8>| {
            if !std::mem::replace(&mut first, false) {
                out.push(b',');
            }
            write_string(name, out);
            out.push(b':');
            write_value(value, out, canonical);
        }
    };
    out.push(b'{');
    if canonical {
        let mut members: Vec<_> = object.iter().collect();
        members.sort_unstable_by(|(left, _), (right, _)| utf16_order(left, right));
        for (name, value) in members {
            member(name, value, out);
        }
    } else {
        for (name, value) in object.iter() {
            member(name, value, out);
        }
    }
    out.push(b'}');
}

/// RFC 8785 §3.2.3 sorts by UTF-16 code units; for ASCII that is the order of bytes.
fn utf16_order(left: &str, right: &str) -> Ordering {
    if left.is_ascii() && right.is_ascii() {
        left.cmp(right)
    } else {
        left.encode_utf16().cmp(right.encode_utf16())
    }
}

/// RFC 8785 §3.2.2.2.
fn write_string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    let bytes = text.as_bytes();
    let mut clean_from = 0;
    for (index, byte) in bytes.iter().enumerate() {
        let Some(escape) = escape(*byte) else { continue };
        out.extend_from_slice(&bytes[clean_from..index]);
        out.extend_from_slice(escape.as_bytes());
        clean_from = index + 1;
    }
    out.extend_from_slice(&bytes[clean_from..]);
    out.push(b'"');
}

fn escape(byte: u8) -> Option<Cow<'static, str>> {
    let short = match byte {
        b'"' => "\\\"",
        b'\\' => "\\\\",
        0x08 => "\\b",
        b'\t' => "\\t",
        b'\n' => "\\n",
        0x0c => "\\f",
        b'\r' => "\\r",
        0x00..=0x1f => return Some(format!("\\u{byte:04x}").into()),
        _ => return None,
    };
    Some(short.into())
}

#[cfg(test)]
mod tests {
    use crate::{Limits, parse};

    fn canonical(text: &str) -> String {
        String::from_utf8(parse(text.as_bytes(), &Limits::default()).unwrap().to_canonical()).unwrap()
    }

    #[test]
    fn members_sort_by_utf16_code_units() {
        // The example of RFC 8785 §3.2.3: U+1F600 sorts before U+FB33 because its first code unit is a surrogate.
        let sorted = canonical(r#"{"\ufb33":1,"\ud83d\ude00":2,"€":3,"\r":4,"1":5,"\u0080":6,"ö":7}"#);
        assert_eq!(sorted, "{\"\\r\":4,\"1\":5,\"\u{80}\":6,\"ö\":7,\"€\":3,\"😀\":2,\"\u{fb33}\":1}");
    }

    #[test]
    fn numbers_and_inner_order_of_arrays_stay_as_written() {
        assert_eq!(canonical(r#"{"b":[3,1.50,1e2],"a":-0}"#), r#"{"a":-0,"b":[3,1.50,1e2]}"#);
    }

    #[test]
    fn strings_use_the_shortest_escapes() {
        assert_eq!(
            canonical(r#""\u0000\u001f\b\t\n\f\r\"\\\/\u00e9""#),
            "\"\\u0000\\u001f\\b\\t\\n\\f\\r\\\"\\\\/é\""
        );
    }
}
