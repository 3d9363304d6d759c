//! Errors of the protocol: what is wrong with a message, as JSON-RPC and HTTP say it.

use http::StatusCode;
use ringfence_json::{Object, Value};

use super::era::Era;
use super::message::{Id, MessageError, MessageErrorKind, Response};

/// An error answer. What policy refuses is no fault but a [`ringfence_types::Refusal`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The HTTP status.
    pub status: StatusCode,
    /// The JSON-RPC code.
    pub code: i32,
    /// A sentence.
    pub message: String,
    /// More, for programs.
    pub data: Option<Object>,
}

/// The text is not JSON.
pub const PARSE_ERROR: i32 = -32_700;
/// It is JSON, but not a message, or not one that can come here.
pub const INVALID_REQUEST: i32 = -32_600;
/// There is no such method.
pub const METHOD_NOT_FOUND: i32 = -32_601;
/// The parameters do not fit the method.
pub const INVALID_PARAMS: i32 = -32_602;
/// Something broke here.
pub const INTERNAL_ERROR: i32 = -32_603;
/// Headers and body disagree (MCP 2026-07-28).
pub const HEADER_MISMATCH: i32 = -32_020;
/// The client lacks a capability (MCP 2026-07-28).
pub const MISSING_CAPABILITY: i32 = -32_021;
/// The revision is not spoken here (MCP 2026-07-28).
pub const UNSUPPORTED_VERSION: i32 = -32_022;
/// Policy refuses a request that has no result to say it in. MCP 2026-07-28 ("Error Codes") wants the codes of
/// implementations outside the range that JSON-RPC reserves, -32768 to -32000.
pub const REFUSED: i32 = -31_000;

// === impl Fault ===

impl Fault {
    /// An error with HTTP status 400.
    pub fn bad_request(code: i32, message: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, code, message: message.into(), data: None }
    }

    /// An error that is an ordinary answer, with HTTP status 200.
    pub fn answer(code: i32, message: impl Into<String>) -> Self {
        Self { status: StatusCode::OK, code, message: message.into(), data: None }
    }

    /// There is no such method; since 2026-07-28 with HTTP status 404.
    pub fn method_not_found(era: Era, method: &str) -> Self {
        let status = match era {
            Era::Modern => StatusCode::NOT_FOUND,
            Era::Legacy => StatusCode::OK,
        };
        // The name comes from an agent and goes back to it, bounded.
        let shown: String = method.chars().take(64).filter(|character| !character.is_control()).collect();
        Self {
            status,
            code: METHOD_NOT_FOUND,
            message: format!("there is no method `{shown}` here"),
            data: None,
        }
    }

    /// The session is not known (any more); the client starts a new one.
    pub fn no_session() -> Self {
        Self {
            status: StatusCode::NOT_FOUND,
            code: INVALID_REQUEST,
            message: "there is no such session: start a new one with `initialize`".to_owned(),
            data: None,
        }
    }

    /// The upstream gave no usable answer.
    pub fn upstream(message: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_GATEWAY, code: INTERNAL_ERROR, message: message.into(), data: None }
    }

    /// The revision is not spoken; `supported` are those that are.
    pub fn unsupported_version(requested: &str, supported: &[&str], message: impl Into<String>) -> Self {
        let shown: String = requested.chars().take(64).collect();
        let data = Object::new()
            .with("supported", supported.iter().map(|version| Value::from(*version)).collect::<Vec<_>>())
            .with("requested", shown);
        Self { data: Some(data), ..Self::bad_request(UNSUPPORTED_VERSION, message) }
    }

    /// The JSON-RPC error object.
    pub fn to_object(&self) -> Object {
        Object::new()
            .with("code", i64::from(self.code))
            .with("message", self.message.as_str())
            .with_some("data", self.data.clone())
    }

    /// The answer to a request.
    pub fn to_response(&self, id: Option<Id>) -> Response {
        Response::error(id, self.to_object())
    }
}

impl From<&MessageError> for Fault {
    fn from(error: &MessageError) -> Self {
        let code = match error.kind {
            MessageErrorKind::Json(_) => PARSE_ERROR,
            MessageErrorKind::Params => INVALID_PARAMS,
            _ => INVALID_REQUEST,
        };
        Self::bad_request(code, error.to_string())
    }
}
