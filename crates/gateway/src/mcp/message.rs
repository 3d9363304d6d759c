//! JSON-RPC 2.0 as MCP uses it: one strict message at a time (MCP 2026-07-28, basic, "Messages").
//!
//! What is read here is the only thing that goes on: a message is forwarded by writing it anew, never by passing on
//! the bytes it came in. Of its own members, those that JSON-RPC 2.0 knows (section 4 and 5) are kept and no others:
//! a server that folds case would read `Method` as another method.

use std::fmt;

use ringfence_json::{Limits, Number, Object, ParseError, Value};
use smol_str::SmolStr;

use super::wire::{Writer, write_object, write_params};

/// The identifier of a request: a string, or an integer of any size, kept as it was written.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Id {
    /// A string.
    Text(SmolStr),
    /// An integer.
    Integer(Number),
}

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// Wants an answer.
    Request(Request),
    /// Wants none.
    Notification(Notification),
    /// An answer.
    Response(Response),
}

/// A request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// What the answer has to carry.
    pub id: Id,
    /// What is wanted.
    pub method: SmolStr,
    /// With what.
    pub params: Option<Object>,
}

/// A notification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notification {
    /// What happened.
    pub method: SmolStr,
    /// With what.
    pub params: Option<Object>,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// Of which request; `None` only for an error about something that could not be read.
    pub id: Option<Id>,
    /// What came of it: the result, or the error object.
    pub outcome: Result<Object, Object>,
}

/// Why a text is not a message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind}")]
pub struct MessageError {
    /// What is wrong.
    pub kind: MessageErrorKind,
    /// The identifier of the request, if there is one to answer to.
    pub id: Option<Id>,
}

/// What is wrong with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MessageErrorKind {
    /// Not JSON as it is taken here.
    #[error("not valid JSON: {0}")]
    Json(ParseError),
    /// Several messages at once, which MCP no longer has since 2025-06-18.
    #[error("batches are not supported: send each message by itself")]
    Batch,
    /// Some other kind of value.
    #[error("a message is a JSON object")]
    NotAnObject,
    /// `jsonrpc` is missing or not `2.0`.
    #[error("`jsonrpc` has to be \"2.0\"")]
    Version,
    /// `id` is neither a string nor an integer.
    #[error("`id` has to be a string or an integer")]
    Id,
    /// `method` is not a string.
    #[error("`method` has to be a string")]
    Method,
    /// `params` is not an object.
    #[error("`params` has to be an object")]
    Params,
    /// Neither a request nor an answer, or both.
    #[error("a message has either `method`, or `result`, or `error`")]
    Shape,
    /// `result` is not an object.
    #[error("`result` has to be an object")]
    Result,
    /// `error` is not an object with an integer `code` and a string `message`.
    #[error("`error` has to be an object with an integer `code` and a string `message`")]
    Error,
}

/// Reads one message.
///
/// # Errors
/// When the text is not strict JSON under `limits`, is a batch, or is not a JSON-RPC 2.0 message.
pub fn parse(text: &[u8], limits: &Limits) -> Result<Message, MessageError> {
    let value = ringfence_json::parse(text, limits)
        .map_err(|error| MessageError { kind: MessageErrorKind::Json(error), id: None })?;
    match value {
        Value::Object(object) => read(object),
        Value::Array(_) => Err(MessageError { kind: MessageErrorKind::Batch, id: None }),
        _ => Err(MessageError { kind: MessageErrorKind::NotAnObject, id: None }),
    }
}

/// Takes an object apart.
fn read(mut members: Object) -> Result<Message, MessageError> {
    // Read first, so that every complaint below can be sent to the request it is about.
    let id = match members.remove("id") {
        None => Ok(None),
        Some(Value::Null) if members.contains("error") => Ok(None),
        Some(value) => Id::read(value).map(Some),
    };
    let fail = |kind| Err(MessageError { kind, id: id.clone().ok().flatten() });
    if members.remove("jsonrpc").as_ref().and_then(Value::as_str) != Some("2.0") {
        return fail(MessageErrorKind::Version);
    }
    let Ok(known) = &id else { return fail(MessageErrorKind::Id) };
    let known = known.clone();
    match (members.remove("method"), members.remove("result"), members.remove("error")) {
        (Some(Value::String(method)), None, None) => {
            let params = match members.remove("params") {
                None => None,
                Some(Value::Object(params)) => Some(params),
                Some(_) => return fail(MessageErrorKind::Params),
            };
            Ok(match known {
                Some(id) => Message::Request(Request { id, method, params }),
                None => Message::Notification(Notification { method, params }),
            })
        }
        (Some(_), None, None) => fail(MessageErrorKind::Method),
        (None, Some(Value::Object(result)), None) if known.is_some() => {
            Ok(Message::Response(Response { id: known, outcome: Ok(result) }))
        }
        (None, Some(Value::Object(_)), None) => fail(MessageErrorKind::Id),
        (None, Some(_), None) => fail(MessageErrorKind::Result),
        (None, None, Some(Value::Object(error))) if is_error(&error) => {
            Ok(Message::Response(Response { id: known, outcome: Err(known_of(&error, &ERROR_MEMBERS)) }))
        }
        (None, None, Some(_)) => fail(MessageErrorKind::Error),
        _ => fail(MessageErrorKind::Shape),
    }
}

/// What an error has (JSON-RPC 2.0, section 5.1).
const ERROR_MEMBERS: [&str; 3] = ["code", "message", "data"];

/// The members of an object that are known by name, in its order.
pub(crate) fn known_of(object: &Object, names: &[&str]) -> Object {
    object
        .iter()
        .filter(|(name, _)| names.contains(&name.as_str()))
        .fold(Object::new(), |known, (name, value)| known.with(name.clone(), value.clone()))
}

fn is_error(error: &Object) -> bool {
    error.get("code").and_then(Value::as_number).is_some_and(is_integer) && error.text("message").is_some()
}

/// Whether the literal has neither a fraction nor an exponent.
fn is_integer(number: &Number) -> bool {
    !number.as_str().contains(['.', 'e', 'E'])
}

// === impl Id ===

impl Id {
    /// Takes a value as an identifier.
    ///
    /// # Errors
    /// When it is neither a string nor an integer.
    pub fn read(value: Value) -> Result<Self, Value> {
        match value {
            Value::String(text) => Ok(Self::Text(text)),
            Value::Number(number) if is_integer(&number) => Ok(Self::Integer(number)),
            other => Err(other),
        }
    }

    /// The identifier as a JSON value.
    pub fn to_value(&self) -> Value {
        match self {
            Self::Text(text) => Value::String(text.clone()),
            Self::Integer(number) => Value::Number(number.clone()),
        }
    }
}

impl From<u64> for Id {
    fn from(number: u64) -> Self {
        Self::Integer(number.into())
    }
}

/// Shows the kind only: an identifier comes from an agent.
impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "Text({} bytes)", text.len()),
            Self::Integer(_) => f.write_str("Integer(…)"),
        }
    }
}

// === impl Message ===

impl Message {
    /// The message as compact JSON.
    pub fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::Request(request) => request.to_bytes(),
            Self::Notification(notification) => notification.to_bytes(),
            Self::Response(response) => response.to_bytes(),
        }
    }
}

// === impl Request ===

impl Request {
    /// A request of the node's own.
    pub fn new(id: Id, method: &str, params: Object) -> Self {
        Self { id, method: method.into(), params: Some(params) }
    }

    /// A parameter.
    pub fn param(&self, name: &str) -> Option<&Value> {
        self.params.as_ref()?.get(name)
    }

    /// The metadata of the request (`params._meta`).
    pub fn meta(&self) -> Option<&Object> {
        self.param("_meta")?.as_object()
    }

    /// The request as compact JSON.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.to_bytes_with("", &Object::new())
    }

    /// The request as compact JSON, with the parameter `name` replaced by `value`, in its place; added at the end
    /// if it was missing and `value` has members. An empty `name` replaces nothing.
    pub fn to_bytes_with(&self, name: &str, value: &Object) -> Vec<u8> {
        let mut out = Writer::new();
        out.member("id", &self.id.to_value());
        out.member("method", &Value::String(self.method.clone()));
        if let Some(params) = &self.params {
            out.name("params");
            write_params(params, name, value, &mut out.bytes);
        } else if !name.is_empty() && !value.is_empty() {
            out.member("params", &Object::new().with(name, value.clone()).into());
        }
        out.finish()
    }
}

// === impl Notification ===

impl Notification {
    /// A notification of the node's own.
    pub fn new(method: &str, params: Object) -> Self {
        Self { method: method.into(), params: Some(params) }
    }

    /// A parameter.
    pub fn param(&self, name: &str) -> Option<&Value> {
        self.params.as_ref()?.get(name)
    }

    /// The notification as compact JSON.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Writer::new();
        out.member("method", &Value::String(self.method.clone()));
        if let Some(params) = &self.params {
            out.name("params");
            write_object(params, &mut out.bytes);
        }
        out.finish()
    }
}

// === impl Response ===

impl Response {
    /// A result.
    pub fn result(id: Id, result: Object) -> Self {
        Self { id: Some(id), outcome: Ok(result) }
    }

    /// An error.
    pub fn error(id: Option<Id>, error: Object) -> Self {
        Self { id, outcome: Err(error) }
    }

    /// The answer as compact JSON.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Writer::new();
        if let Some(id) = &self.id {
            out.member("id", &id.to_value());
        }
        let (name, object) = match &self.outcome {
            Ok(result) => ("result", result),
            Err(error) => ("error", error),
        };
        out.name(name);
        write_object(object, &mut out.bytes);
        out.finish()
    }
}

#[cfg(test)]
#[path = "message_tests.rs"]
mod tests;
