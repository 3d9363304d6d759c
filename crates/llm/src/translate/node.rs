//! Reading strictly what somebody else sent, knowing where.

use ringfence_json::{Limits, Number, Object, Value, parse};

use super::fault::Fault;
use crate::Family;

/// Where something stands, in the words of the API it came from.
#[derive(Clone)]
pub(super) struct At {
    path: String,
    family: Family,
}

/// An object, and where it stands.
#[derive(Clone)]
pub(super) struct Node<'a> {
    pub(super) object: &'a Object,
    pub(super) at: At,
}

/// Something of somebody else's, or why it is not.
pub(super) type Read<T> = Result<T, Fault>;

// === impl At ===

impl At {
    pub(super) fn root(family: Family) -> Self {
        Self { path: String::new(), family }
    }

    pub(super) fn member(&self, name: &str) -> Self {
        let dot = if self.path.is_empty() { "" } else { "." };
        Self { path: format!("{}{dot}{name}", self.path), family: self.family }
    }

    pub(super) fn item(&self, index: usize) -> Self {
        let path = match self.family {
            Family::OpenAi => format!("{}[{index}]", self.path),
            Family::Anthropic => format!("{}.{index}", self.path),
        };
        Self { path, family: self.family }
    }

    pub(super) fn fault(&self, message: impl Into<String>) -> Fault {
        Fault { at: self.path.clone(), message: message.into() }
    }

    pub(super) fn path(&self) -> String {
        self.path.clone()
    }

    pub(super) fn object(self, value: &Value) -> Read<Node<'_>> {
        match value.as_object() {
            Some(object) => Ok(Node { object, at: self }),
            None => Err(self.fault(format!("must be an object, not {}", a(value)))),
        }
    }

    pub(super) fn text<'a>(&self, value: &'a Value) -> Read<&'a str> {
        value.as_str().ok_or_else(|| self.fault(format!("must be a string, not {}", a(value))))
    }
}

// === impl Node ===

impl<'a> Node<'a> {
    pub(super) fn root(object: &'a Object, family: Family) -> Self {
        Self { object, at: At::root(family) }
    }

    /// A member; `null` is the same as none, as both APIs have it.
    pub(super) fn get(&self, name: &str) -> Option<&'a Value> {
        self.object.get(name).filter(|value| !matches!(value, Value::Null))
    }

    pub(super) fn fault(&self, name: &str, message: impl Into<String>) -> Fault {
        self.at.member(name).fault(message)
    }

    fn required<T>(&self, name: &str, found: Option<T>) -> Read<T> {
        found.ok_or_else(|| self.fault(name, "is missing"))
    }

    /// Refuses members of other names: what nobody knows is never passed on or lost.
    pub(super) fn only(&self, names: &[&str]) -> Read<()> {
        let unknown = self
            .object
            .iter()
            .find(|(name, value)| !matches!(value, Value::Null) && !names.contains(&name.as_str()));
        match unknown {
            Some((name, _)) => Err(self.fault(name, UNKNOWN)),
            None => Ok(()),
        }
    }

    pub(super) fn optional_text(&self, name: &str) -> Read<Option<&'a str>> {
        self.get(name).map(|value| self.at.member(name).text(value)).transpose()
    }

    pub(super) fn text(&self, name: &str) -> Read<&'a str> {
        self.required(name, self.optional_text(name)?)
    }

    pub(super) fn flag(&self, name: &str) -> Read<Option<bool>> {
        let read = |value: &Value| {
            value
                .as_bool()
                .ok_or_else(|| self.fault(name, format!("must be true or false, not {}", a(value))))
        };
        self.get(name).map(read).transpose()
    }

    pub(super) fn number(&self, name: &str) -> Read<Option<&'a Number>> {
        let read = |value: &'a Value| {
            value.as_number().ok_or_else(|| self.fault(name, format!("must be a number, not {}", a(value))))
        };
        self.get(name).map(read).transpose()
    }

    /// A whole number that fits.
    pub(super) fn count(&self, name: &str) -> Read<Option<u64>> {
        let read = |value: &Value| {
            value.as_u64().ok_or_else(|| self.fault(name, "must be a whole number, zero or more"))
        };
        self.get(name).map(read).transpose()
    }

    pub(super) fn optional_child(&self, name: &str) -> Read<Option<Node<'a>>> {
        self.get(name).map(|value| self.at.member(name).object(value)).transpose()
    }

    pub(super) fn child(&self, name: &str) -> Read<Node<'a>> {
        self.required(name, self.optional_child(name)?)
    }

    pub(super) fn optional_array(&self, name: &str) -> Read<Option<&'a [Value]>> {
        let read = |value: &'a Value| {
            value.as_array().ok_or_else(|| self.fault(name, format!("must be an array, not {}", a(value))))
        };
        self.get(name).map(read).transpose()
    }

    pub(super) fn array(&self, name: &str) -> Read<&'a [Value]> {
        self.required(name, self.optional_array(name)?)
    }

    /// The objects of an array; none when there is no such member.
    pub(super) fn items(&self, name: &str) -> Read<Vec<Node<'a>>> {
        let at = self.at.member(name);
        let values = self.optional_array(name)?.unwrap_or_default();
        values.iter().enumerate().map(|(index, value)| at.item(index).object(value)).collect()
    }
}

/// What is said of a member that is on no list.
pub(super) const UNKNOWN: &str =
    "is not known, so it cannot be translated for this model's provider: leave it out";

/// Arguments of a tool call, which Chat sends as a text and Messages as an object. An empty text is what models write when
/// a tool takes nothing.
pub(super) fn arguments(text: &str, at: &At) -> Read<Object> {
    if text.trim().is_empty() {
        return Ok(Object::new());
    }
    match parse(text.as_bytes(), &Limits::default()) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(other) => Err(at.fault(format!("must be the text of a JSON object, not of {}", a(&other)))),
        Err(error) => Err(at.fault(format!("must be the text of a JSON object: {error}"))),
    }
}

/// A kind of value with its article.
fn a(value: &Value) -> String {
    match value.kind() {
        "null" => "null".to_owned(),
        kind @ ("array" | "object") => format!("an {kind}"),
        kind => format!("a {kind}"),
    }
}
