//! Reading, under limits.

use std::collections::HashSet;

use smol_str::SmolStr;

use crate::number::literal_length;
use crate::{Number, Object, Value};

/// What one document may be at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Length of the text, in bytes.
    pub bytes: usize,
    /// Objects and arrays inside one another.
    pub depth: usize,
    /// Values in total, of every kind.
    pub values: usize,
    /// Length of one number's literal, in bytes.
    pub number_bytes: usize,
}

/// The text is not JSON as this crate takes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{kind} at byte {offset}")]
pub struct ParseError {
    /// Where, in bytes from the start.
    pub offset: usize,
    /// What.
    pub kind: ParseErrorKind,
}

/// What is wrong with a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseErrorKind {
    /// Not UTF-8 (RFC 8259 §8.1).
    #[error("invalid UTF-8")]
    InvalidUtf8,
    /// The text ends within a value.
    #[error("unexpected end of the text")]
    UnexpectedEnd,
    /// A byte that cannot stand here.
    #[error("unexpected character")]
    UnexpectedCharacter,
    /// Something follows the value.
    #[error("text after the value")]
    TrailingText,
    /// Not a number of RFC 8259 §6.
    #[error("malformed number")]
    MalformedNumber,
    /// A backslash sequence that does not exist, or half a surrogate pair.
    #[error("malformed escape in a string")]
    MalformedEscape,
    /// A raw control character inside a string (RFC 8259 §7).
    #[error("unescaped control character in a string")]
    ControlCharacter,
    /// Two members of one object share a name.
    #[error("duplicate member name")]
    DuplicateName,
    /// More bytes than [`Limits::bytes`].
    #[error("the text is longer than the limit")]
    TooLong,
    /// Deeper than [`Limits::depth`].
    #[error("nested deeper than the limit")]
    TooDeep,
    /// More values than [`Limits::values`].
    #[error("more values than the limit")]
    TooManyValues,
    /// A number longer than [`Limits::number_bytes`].
    #[error("a number is longer than the limit")]
    NumberTooLong,
}

/// Reads one JSON document.
///
/// # Errors
/// When the text is not strict JSON, is over a limit, or names a member twice.
pub fn parse(text: &[u8], limits: &Limits) -> Result<Value, ParseError> {
    if text.len() > limits.bytes {
        return Err(ParseError { offset: limits.bytes, kind: ParseErrorKind::TooLong });
    }
    let text = std::str::from_utf8(text)
        .map_err(|error| ParseError { offset: error.valid_up_to(), kind: ParseErrorKind::InvalidUtf8 })?;
    let mut parser = Parser { text, at: 0, values_left: limits.values, limits };
    parser.skip_space();
    let value = parser.value(limits.depth)?;
    parser.skip_space();
    if parser.at < text.len() {
        return parser.fail(ParseErrorKind::TrailingText);
    }
    Ok(value)
}

/// Objects with more members than this are checked for duplicates by hash instead of one by one.
const LINEAR_MEMBERS_MAX: usize = 16;

struct Parser<'a> {
    text: &'a str,
    at: usize,
    values_left: usize,
    limits: &'a Limits,
}

// === impl Limits ===

impl Default for Limits {
    /// 4 MiB, 64 deep, a quarter of a million values: generous for a message, small for a machine.
    fn default() -> Self {
        Self { bytes: 4 << 20, depth: 64, values: 250_000, number_bytes: 256 }
    }
}

// === impl Parser ===

impl Parser<'_> {
    fn fail<T>(&self, kind: ParseErrorKind) -> Result<T, ParseError> {
        Err(ParseError { offset: self.at, kind })
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// Skips space, then `byte`.
    fn expect(&mut self, byte: u8) -> Result<(), ParseError> {
        self.skip_space();
        match self.peek() {
            Some(found) if found == byte => {
                self.at += 1;
                Ok(())
            }
            Some(_) => self.fail(ParseErrorKind::UnexpectedCharacter),
            None => self.fail(ParseErrorKind::UnexpectedEnd),
        }
    }

    /// Skips space; takes `byte` if it comes next.
    fn take(&mut self, byte: u8) -> bool {
        self.skip_space();
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn value(&mut self, depth_left: usize) -> Result<Value, ParseError> {
        if self.values_left == 0 {
            return self.fail(ParseErrorKind::TooManyValues);
        }
        self.values_left -= 1;
        match self.peek() {
            Some(b'{') => self.object(depth_left),
            Some(b'[') => self.array(depth_left),
            Some(b'"') => Ok(Value::String(self.string()?)),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word("true", Value::Bool(true)),
            Some(b'f') => self.word("false", Value::Bool(false)),
            Some(b'n') => self.word("null", Value::Null),
            Some(_) => self.fail(ParseErrorKind::UnexpectedCharacter),
            None => self.fail(ParseErrorKind::UnexpectedEnd),
        }
    }

    fn word(&mut self, word: &str, value: Value) -> Result<Value, ParseError> {
        if !self.text[self.at..].starts_with(word) {
            return self.fail(ParseErrorKind::UnexpectedCharacter);
        }
        self.at += word.len();
        Ok(value)
    }

    fn number(&mut self) -> Result<Value, ParseError> {
        let rest = &self.text[self.at..];
        let Some(length) = literal_length(rest.as_bytes()) else {
            return self.fail(ParseErrorKind::MalformedNumber);
        };
        if length > self.limits.number_bytes {
            return self.fail(ParseErrorKind::NumberTooLong);
        }
        self.at += length;
        if matches!(self.peek(), Some(b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-')) {
            return self.fail(ParseErrorKind::MalformedNumber);
        }
        Ok(Value::Number(Number::from_checked(&rest[..length])))
    }

    fn array(&mut self, depth_left: usize) -> Result<Value, ParseError> {
        let Some(depth_left) = depth_left.checked_sub(1) else {
            return self.fail(ParseErrorKind::TooDeep);
        };
        self.at += 1;
        let mut elements = Vec::new();
        if self.take(b']') {
            return Ok(Value::Array(elements));
        }
        loop {
            self.skip_space();
            elements.push(self.value(depth_left)?);
            if !self.take(b',') {
                self.expect(b']')?;
                return Ok(Value::Array(elements));
            }
        }
    }

    fn object(&mut self, depth_left: usize) -> Result<Value, ParseError> {
        let Some(depth_left) = depth_left.checked_sub(1) else {
            return self.fail(ParseErrorKind::TooDeep);
        };
        self.at += 1;
        let mut members: Vec<(SmolStr, Value)> = Vec::new();
        let mut names: HashSet<SmolStr> = HashSet::new();
        if self.take(b'}') {
            return Ok(Value::Object(Object::new()));
        }
        loop {
            self.skip_space();
            if self.peek() != Some(b'"') {
                return self.fail(match self.peek() {
                    Some(_) => ParseErrorKind::UnexpectedCharacter,
                    None => ParseErrorKind::UnexpectedEnd,
                });
            }
            let name_at = self.at;
            let name = self.string()?;
            if is_duplicate(&name, &members, &mut names) {
                return Err(ParseError { offset: name_at, kind: ParseErrorKind::DuplicateName });
            }
            self.expect(b':')?;
            self.skip_space();
            let value = self.value(depth_left)?;
            members.push((name, value));
            if !self.take(b',') {
                self.expect(b'}')?;
                return Ok(Value::Object(Object::from_unique(members)));
            }
        }
    }

    /// Reads a string, the opening quote being next.
    fn string(&mut self) -> Result<SmolStr, ParseError> {
        self.at += 1;
        let start = self.at;
        self.skip_plain();
        if self.peek() == Some(b'"') {
            let text = &self.text[start..self.at];
            self.at += 1;
            return Ok(SmolStr::new(text));
        }
        let mut text = String::from(&self.text[start..self.at]);
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(SmolStr::from(text));
                }
                Some(b'\\') => text.push(self.escape()?),
                Some(_) => return self.fail(ParseErrorKind::ControlCharacter),
                None => return self.fail(ParseErrorKind::UnexpectedEnd),
            }
            let from = self.at;
            self.skip_plain();
            text.push_str(&self.text[from..self.at]);
        }
    }

    /// Skips what stands for itself inside a string.
    fn skip_plain(&mut self) {
        while matches!(self.peek(), Some(byte) if byte != b'"' && byte != b'\\' && byte >= 0x20) {
            self.at += 1;
        }
    }

    fn escape(&mut self) -> Result<char, ParseError> {
        let plain = match self.text.as_bytes().get(self.at + 1) {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode_escape(),
            Some(_) => return self.fail(ParseErrorKind::MalformedEscape),
            None => return self.fail(ParseErrorKind::UnexpectedEnd),
        };
        self.at += 2;
        Ok(plain)
    }

    fn unicode_escape(&mut self) -> Result<char, ParseError> {
        let first = self.code_unit()?;
        let scalar = match first {
            0xd800..=0xdbff => {
                let second = self.code_unit()?;
                if !(0xdc00..=0xdfff).contains(&second) {
                    return self.fail(ParseErrorKind::MalformedEscape);
                }
                0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00)
            }
            other => other,
        };
        // A lone low surrogate is no scalar value and ends here.
        char::from_u32(scalar).map_or_else(|| self.fail(ParseErrorKind::MalformedEscape), Ok)
    }

    /// Reads one `\uXXXX`.
    fn code_unit(&mut self) -> Result<u32, ParseError> {
        let digits =
            self.text.as_bytes().get(self.at..self.at + 6).and_then(|escape| escape.strip_prefix(b"\\u"));
        let unit = digits.filter(|digits| digits.iter().all(u8::is_ascii_hexdigit)).and_then(|digits| {
            let digits = std::str::from_utf8(digits).ok()?;
            u32::from_str_radix(digits, 16).ok()
        });
        match unit {
            Some(unit) => {
                self.at += 6;
                Ok(unit)
            }
            None => self.fail(ParseErrorKind::MalformedEscape),
        }
    }
}

/// Whether `name` stands among the members already; `names` is used once there are many.
fn is_duplicate(name: &SmolStr, members: &[(SmolStr, Value)], names: &mut HashSet<SmolStr>) -> bool {
    if members.len() < LINEAR_MEMBERS_MAX {
        return members.iter().any(|(known, _)| known == name);
    }
    if names.is_empty() {
        names.extend(members.iter().map(|(known, _)| known.clone()));
    }
    !names.insert(name.clone())
}

#[cfg(test)]
mod tests;
