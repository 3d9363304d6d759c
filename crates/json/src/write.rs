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
        members.sort_unstable_by(|(left, _), (right, _)| canonical_order(left, right));
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

/// The order of names in canonical JSON: RFC 8785 §3.2.3 sorts by UTF-16 code units.
pub fn canonical_order(left: &str, right: &str) -> Ordering {
    let differ = left.bytes().zip(right.bytes()).find(|(left, right)| left != right);
    match differ {
        // What comes before is the same, so these two code units decide.
        Some((left, right)) if left.is_ascii() && right.is_ascii() => left.cmp(&right),
        Some(_) => left.encode_utf16().cmp(right.encode_utf16()),
        None => left.len().cmp(&right.len()),
    }
}

/// RFC 8785 §3.2.2.2.
fn write_string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    let mut rest = text.as_bytes();
    while let Some(index) = first_escaped(rest) {
        out.extend_from_slice(&rest[..index]);
        if let Some(escape) = escape(rest[index]) {
            out.extend_from_slice(escape.as_bytes());
        }
        rest = &rest[index + 1..];
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

/// Where the first byte is that has to be escaped. Nearly all texts have none, so eight bytes are looked at at once.
fn first_escaped(bytes: &[u8]) -> Option<usize> {
    const EACH: u64 = 0x0101_0101_0101_0101;
    const TOP: u64 = EACH << 7;
    // A byte below `than`, which is at most 128, sets its own top bit; a borrow may set those of bytes above it, too.
    let below = |word: u64, than: u64| word.wrapping_sub(EACH * than) & !word & TOP;
    let is = |word: u64, byte: u8| below(word ^ (EACH * u64::from(byte)), 1);
    let (words, _) = bytes.as_chunks::<8>();
    let clean = words.iter().take_while(|word| {
        let word = u64::from_le_bytes(**word);
        below(word, 0x20) | is(word, b'"') | is(word, b'\\') == 0
    });
    let from = clean.count() * 8;
    let rest = &bytes[from..];
    rest.iter().position(|byte| matches!(byte, 0..0x20 | b'"' | b'\\')).map(|index| from + index)
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
    fn a_text_is_escaped_wherever_it_has_to_be_and_nowhere_else() {
        for byte in 0..=0x7f_u8 {
            for at in 0..20 {
                let mut text = "é".repeat(10).into_bytes();
                text.splice(at * 2 % 20..at * 2 % 20, [byte]);
                let text = String::from_utf8(text).unwrap();
                let written = crate::Value::from(text.as_str()).to_string();
                assert_eq!(written, serde_json::to_string(&text).unwrap(), "{byte:#x} at {at}");
            }
        }
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
