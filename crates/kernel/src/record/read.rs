//! Reading members of an entry.

use std::str::FromStr;
use std::time::Duration;

use ringfence_json::{Object, Value};

/// An entry lacks a member or has one that cannot be read: the log was written by something else, or damaged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the member `{0}` is missing or cannot be read")]
pub struct Damaged(pub String);

/// The members of an entry's body.
#[derive(Clone, Copy)]
pub(crate) struct Members<'a>(pub(crate) &'a Object);

impl<'a> Members<'a> {
    pub(crate) fn text(self, name: &str) -> Result<&'a str, Damaged> {
        self.0.text(name).ok_or_else(|| damaged(name))
    }

    /// A text that is read as something: a name, an identifier, a digest, a moment.
    pub(crate) fn parse<T: FromStr>(self, name: &str) -> Result<T, Damaged> {
        self.text(name)?.parse().map_err(|_| damaged(name))
    }

    /// As [`Members::parse`], for a member that may be absent.
    pub(crate) fn optional<T: FromStr>(self, name: &str) -> Result<Option<T>, Damaged> {
        if self.0.contains(name) { self.parse(name).map(Some) } else { Ok(None) }
    }

    pub(crate) fn number(self, name: &str) -> Result<u64, Damaged> {
        self.0.get(name).and_then(Value::as_u64).ok_or_else(|| damaged(name))
    }

    pub(crate) fn number_or(self, name: &str, absent: u64) -> Result<u64, Damaged> {
        if self.0.contains(name) { self.number(name) } else { Ok(absent) }
    }

    /// A member `NAME` of so many milliseconds.
    pub(crate) fn milliseconds(self, name: &str) -> Result<Duration, Damaged> {
        self.number(name).map(Duration::from_millis)
    }

    pub(crate) fn flag(self, name: &str) -> Result<bool, Damaged> {
        match self.0.get(name) {
            None => Ok(false),
            Some(value) => value.as_bool().ok_or_else(|| damaged(name)),
        }
    }

    pub(crate) fn object(self, name: &str) -> Result<Members<'a>, Damaged> {
        self.0.get(name).and_then(Value::as_object).map(Members).ok_or_else(|| damaged(name))
    }

    /// An object that is read as something and may be absent.
    pub(crate) fn optional_object<T>(
        self,
        name: &str,
        read: impl Fn(Members<'a>) -> Result<T, Damaged>,
    ) -> Result<Option<T>, Damaged> {
        if self.0.contains(name) { read(self.object(name)?).map(Some) } else { Ok(None) }
    }

    /// The elements of an array; none if the member is absent.
    pub(crate) fn array(self, name: &str) -> Result<&'a [Value], Damaged> {
        match self.0.get(name) {
            None => Ok(&[]),
            Some(value) => value.as_array().ok_or_else(|| damaged(name)),
        }
    }

    /// An array of texts that are each read as something.
    pub(crate) fn list<T: FromStr>(self, name: &str) -> Result<Vec<T>, Damaged> {
        let read =
            |value: &Value| value.as_str().and_then(|text| text.parse().ok()).ok_or_else(|| damaged(name));
        self.array(name)?.iter().map(read).collect()
    }

    /// An array of objects that are each read as something.
    pub(crate) fn objects<T>(
        self,
        name: &str,
        read: impl Fn(Members<'a>) -> Result<T, Damaged>,
    ) -> Result<Vec<T>, Damaged> {
        let object = |value: &'a Value| value.as_object().map(Members).ok_or_else(|| damaged(name));
        self.array(name)?.iter().map(|value| read(object(value)?)).collect()
    }
}

pub(crate) fn damaged(name: &str) -> Damaged {
    Damaged(name.to_owned())
}

/// Whole milliseconds, as the log has durations.
pub(crate) fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Texts as an array, or nothing when there are none.
pub(crate) fn texts<T: ToString>(values: &[T]) -> Option<Value> {
    if values.is_empty() {
        return None;
    }
    Some(Value::Array(values.iter().map(|value| Value::from(value.to_string())).collect()))
}
