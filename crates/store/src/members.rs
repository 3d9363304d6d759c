//! The members of an entry, without building a value.
//!
//! The log checks its batches and writes canonical JSON, so this only finds where members begin and end. What does not
//! have that shape ends the walk with a fault; nothing is guessed.

use std::borrow::Cow;

use ringfence_json::{Limits, Value, parse};

use crate::error::EntryFault;

/// Walks an entry's members: each name, and the text of its value.
pub(crate) struct Members<'a> {
    text: &'a str,
    at: usize,
    ended: bool,
}

// === impl Members ===

impl<'a> Members<'a> {
    pub(crate) fn new(entry: &'a [u8]) -> Result<Self, EntryFault> {
        let text = std::str::from_utf8(entry).map_err(|_| EntryFault::Malformed)?;
        if !text.starts_with("{\"") {
            return Err(EntryFault::Malformed);
        }
        Ok(Self { text, at: 0, ended: false })
    }

    /// At `{` or `,`: the member behind it.
    fn member(&mut self) -> Option<(&'a str, &'a str)> {
        let bytes = self.text.as_bytes();
        let name_from = self.at + 1;
        let name_to = after_string(bytes, name_from)?;
        if bytes.get(name_to) != Some(&b':') {
            return None;
        }
        let value_to = after_value(bytes, name_to + 1)?;
        match bytes.get(value_to)? {
            b',' => {}
            b'}' if value_to + 1 == bytes.len() => self.ended = true,
            _ => return None,
        }
        self.at = value_to;
        // The cuts are at ASCII bytes, which are never inside a character.
        Some((self.text.get(name_from + 1..name_to - 1)?, self.text.get(name_to + 1..value_to)?))
    }
}

impl<'a> Iterator for Members<'a> {
    type Item = Result<(&'a str, &'a str), EntryFault>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let member = self.member().ok_or(EntryFault::Malformed);
        self.ended |= member.is_err();
        Some(member)
    }
}

/// The place behind the string that begins at `from`.
fn after_string(bytes: &[u8], from: usize) -> Option<usize> {
    if bytes.get(from) != Some(&b'"') {
        return None;
    }
    let mut at = from + 1;
    loop {
        match bytes.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

/// The place behind the value that begins at `from`.
fn after_value(bytes: &[u8], from: usize) -> Option<usize> {
    match bytes.get(from)? {
        b'"' => after_string(bytes, from),
        b'{' | b'[' => after_nested(bytes, from),
        b'-' | b'0'..=b'9' | b't' | b'f' | b'n' => {
            let length = bytes[from..].iter().position(|byte| matches!(byte, b',' | b'}' | b']'))?;
            Some(from + length)
        }
        _ => None,
    }
}

fn after_nested(bytes: &[u8], from: usize) -> Option<usize> {
    let mut depth = 0_usize;
    let mut at = from;
    loop {
        match bytes.get(at)? {
            b'"' => {
                at = after_string(bytes, at)?;
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth -= 1,
            _ => {}
        }
        at += 1;
        if depth == 0 {
            return Some(at);
        }
    }
}

/// The string that a value's text writes; `None` when it is something else.
pub(crate) fn string(value: &str) -> Option<Cow<'_, str>> {
    let inner = value.strip_prefix('"')?.strip_suffix('"')?;
    if !inner.contains('\\') {
        return Some(Cow::Borrowed(inner));
    }
    Some(Cow::Owned(json(value)?.as_str()?.to_owned()))
}

/// The value that a text writes.
pub(crate) fn json(value: &str) -> Option<Value> {
    parse(value.as_bytes(), &Limits::default()).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn members(text: &str) -> Option<Vec<(String, String)>> {
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        Members::new(text.as_bytes()).ok()?.map(|member| member.map(owned).ok()).collect()
    }

    #[test]
    fn members_are_found_whatever_their_values_hold() {
        let text = r#"{"a":"x\"}","b":{"c":["}",{}],"d":"]"},"e":-1.5,"f":null,"g":[]}"#;
        let expected = [
            ("a", r#""x\"}""#),
            ("b", r#"{"c":["}",{}],"d":"]"}"#),
            ("e", "-1.5"),
            ("f", "null"),
            ("g", "[]"),
        ];
        let expected: Vec<_> = expected.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
        assert_eq!(members(text), Some(expected));
    }

    #[test]
    fn what_is_not_an_object_is_refused() {
        for bad in [
            "",
            "{",
            "{}",
            "[1]",
            "{\"a\"",
            "{\"a\":",
            "{\"a\":1",
            "{\"a\":1}x",
            "{\"a\":1,}",
            "{\"a\" :1}",
            "{\"a\":\"\\",
        ] {
            assert_eq!(members(bad), None, "{bad}");
        }
    }

    #[test]
    fn strings_are_read_with_their_escapes() {
        assert_eq!(string(r#""plain""#).unwrap(), "plain");
        assert_eq!(string(r#""a\n\u0001""#).unwrap(), "a\n\u{1}");
        assert_eq!(string("1"), None);
    }

    proptest! {
        #[test]
        fn it_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(walk) = Members::new(&[b"{\"", bytes.as_slice()].concat()) {
                walk.for_each(drop);
            }
        }

        #[test]
        fn it_never_panics_near_json(text in r#"\{"[\[\]{}",:a\\0 ]{0,40}"#) {
            if let Ok(walk) = Members::new(text.as_bytes()) {
                walk.for_each(drop);
            }
        }
    }
}
