//! A scanner of canonical JSON (RFC 8785, with numbers as written): one pass, no allocation.

use std::cmp::Ordering;

use crate::check::EntryError;
use ringfence_json::canonical_order;

pub(crate) struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

type Scan<T> = Result<T, EntryError>;

// === impl Scanner ===

impl<'a> Scanner<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    fn fail<T>(&self, what: &'static str) -> Scan<T> {
        Err(EntryError { offset: self.at, what })
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, byte: u8) -> Scan<()> {
        if self.take(byte) { Ok(()) } else { self.fail("not canonical JSON") }
    }

    /// Nothing may follow.
    pub(crate) fn end(&self) -> Scan<()> {
        if self.at == self.text.len() { Ok(()) } else { self.fail("text after the entry") }
    }

    /// Scans an object, giving `member` each name and the text of its value.
    pub(crate) fn object(&mut self, depth_left: usize, mut member: impl FnMut(&'a str, &'a str)) -> Scan<()> {
        let Some(depth_left) = depth_left.checked_sub(1) else { return self.fail("nested too deep") };
        self.expect(b'{')?;
        if self.take(b'}') {
            return Ok(());
        }
        let mut previous: Option<&str> = None;
        loop {
            let name_at = self.at;
            let name = self.string()?;
            if previous.is_some_and(|previous| name_order(previous, name) != Ordering::Less) {
                return Err(EntryError { offset: name_at, what: "members out of order, or twice" });
            }
            previous = Some(name);
            self.expect(b':')?;
            let value_at = self.at;
            self.value(depth_left)?;
            member(name, &self.text[value_at..self.at]);
            if !self.take(b',') {
                return self.expect(b'}');
            }
        }
    }

    /// Scans an array, giving `element` the text of each.
    pub(crate) fn array(&mut self, depth_left: usize, mut element: impl FnMut(&'a str)) -> Scan<()> {
        let Some(depth_left) = depth_left.checked_sub(1) else { return self.fail("nested too deep") };
        self.expect(b'[')?;
        if self.take(b']') {
            return Ok(());
        }
        loop {
            let from = self.at;
            self.value(depth_left)?;
            element(&self.text[from..self.at]);
            if !self.take(b',') {
                return self.expect(b']');
            }
        }
    }

    fn value(&mut self, depth_left: usize) -> Scan<()> {
        match self.peek() {
            Some(b'{') => self.object(depth_left, |_, _| {}),
            Some(b'[') => self.array(depth_left, |_| {}),
            Some(b'"') => self.string().map(drop),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word("true"),
            Some(b'f') => self.word("false"),
            Some(b'n') => self.word("null"),
            _ => self.fail("not canonical JSON"),
        }
    }

    fn word(&mut self, word: &str) -> Scan<()> {
        if !self.text[self.at..].starts_with(word) {
            return self.fail("not canonical JSON");
        }
        self.at += word.len();
        Ok(())
    }

    /// RFC 8259 §6.
    fn number(&mut self) -> Scan<()> {
        self.take(b'-');
        if !self.take(b'0') {
            self.digits()?;
        }
        if self.take(b'.') {
            self.digits()?;
        }
        if self.take(b'e') || self.take(b'E') {
            if !self.take(b'+') {
                self.take(b'-');
            }
            self.digits()?;
        }
        Ok(())
    }

    /// At least one.
    fn digits(&mut self) -> Scan<()> {
        let from = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at > from { Ok(()) } else { self.fail("malformed number") }
    }

    /// The text between the quotes, escapes as written.
    fn string(&mut self) -> Scan<&'a str> {
        self.expect(b'"')?;
        let from = self.at;
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(&self.text[from..self.at - 1]);
                }
                Some(b'\\') => self.escape()?,
                Some(0x20..) => self.at += 1,
                _ => return self.fail("a string that does not end, or a raw control character in it"),
            }
        }
    }

    /// RFC 8785 §3.2.2.2: the two-character escapes where there are any, `\u00xx` in lowercase for other controls.
    fn escape(&mut self) -> Scan<()> {
        let rest = &self.text.as_bytes()[self.at + 1..];
        let length = match rest {
            [b'"' | b'\\' | b'b' | b'f' | b'n' | b'r' | b't', ..] => 2,
            [b'u', b'0', b'0', high @ (b'0' | b'1'), low, ..] if is_control(*high, *low) => 6,
            _ => return self.fail("an escape that is not canonical"),
        };
        self.at += length;
        Ok(())
    }
}

/// Whether `\u00xy` is the canonical escape of a control character: a lowercase digit, and no shorter form.
fn is_control(high: u8, low: u8) -> bool {
    let is_digit = matches!(low, b'0'..=b'9' | b'a'..=b'f');
    let has_short_form = high == b'0' && matches!(low, b'8' | b'9' | b'a' | b'c' | b'd');
    is_digit && !has_short_form
}

/// The order of names whose escapes are as written: only names with escapes have to be unescaped to be compared.
fn name_order(left: &str, right: &str) -> Ordering {
    if left.contains('\\') || right.contains('\\') {
        canonical_order(&unescape(left), &unescape(right))
    } else {
        canonical_order(left, right)
    }
}

/// Undoes canonical escapes.
fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(next) = rest.next() {
        if next != '\\' {
            out.push(next);
            continue;
        }
        out.push(match rest.next() {
            Some('b') => '\u{8}',
            Some('f') => '\u{c}',
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some('u') => {
                let code: String = rest.by_ref().take(4).collect();
                u32::from_str_radix(&code, 16).ok().and_then(char::from_u32).unwrap_or_default()
            }
            Some(other) => other,
            None => '\\',
        });
    }
    out
}
