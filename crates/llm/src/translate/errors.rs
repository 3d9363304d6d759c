//! Errors of one provider in the other's shape, so that each SDK raises what it should.

use ringfence_json::{Object, Value};

/// What either provider says when a conversation is too long. Agents look for it to shorten theirs: those that speak Chat
/// by the code, those that speak Messages by how the message begins.
const TOO_LONG_CODE: &str = "context_length_exceeded";
const TOO_LONG_MESSAGE: &str = "prompt is too long";

/// An error of Anthropic's ("Errors") as one of OpenAI's ("Error codes"): status and body. The status is kept, except that
/// `529 overloaded` becomes `503`. What is not in Anthropic's shape is told by its status alone.
pub fn error_to_chat(status: u16, body: &Object) -> (u16, Object) {
    let error = body.get("error").and_then(Value::as_object);
    let kind = error.and_then(|error| error.text("type")).unwrap_or_else(|| messages_type(status));
    let message = error.and_then(|error| error.text("message"));
    let status = if status == 529 { 503 } else { status };
    (status, chat_error(kind, message.unwrap_or(&unexplained(status))))
}

/// The body of an error at OpenAI for a type of Anthropic's.
pub(super) fn chat_error(kind: &str, message: &str) -> Object {
    let (kind, code) = match kind {
        "invalid_request_error" | "request_too_large" if message.starts_with(TOO_LONG_MESSAGE) => {
            ("invalid_request_error", Some(TOO_LONG_CODE))
        }
        "authentication_error" => ("authentication_error", Some("invalid_api_key")),
        "permission_error" => ("permission_error", None),
        "billing_error" => ("insufficient_quota", Some("insufficient_quota")),
        "rate_limit_error" => ("requests", Some("rate_limit_exceeded")),
        "overloaded_error" => ("server_error", Some("overloaded")),
        "timeout_error" => ("server_error", Some("timeout")),
        "api_error" => ("server_error", None),
        _ => ("invalid_request_error", None),
    };
    let error = Object::new()
        .with("message", message)
        .with("type", kind)
        .with("param", Value::Null)
        .with("code", code.map_or(Value::Null, Value::from));
    Object::new().with("error", error)
}

/// An error of OpenAI's ("Error codes") as one of Anthropic's ("Errors"): status and body. The status is kept, except that
/// `503` becomes `529 overloaded`, and `429` for a quota that is used up becomes `402`, which is not tried again. What is not
/// in OpenAI's shape is told by its status alone.
pub fn error_to_messages(status: u16, body: &Object) -> (u16, Object) {
    let error = body.get("error").and_then(Value::as_object);
    let code = error.and_then(|error| error.text("code").or_else(|| error.text("type")));
    let status = match (status, code) {
        (429, Some("insufficient_quota")) => 402,
        (503, _) => 529,
        (status, _) => status,
    };
    let message =
        error.and_then(|error| error.text("message")).map_or_else(|| unexplained(status), str::to_owned);
    let message = match code {
        Some(TOO_LONG_CODE) => format!("{TOO_LONG_MESSAGE}: {message}"),
        _ => message,
    };
    (status, messages_error(messages_type(status), &message))
}

/// The body of an error at Anthropic.
pub(super) fn messages_error(kind: &str, message: &str) -> Object {
    let error = Object::new().with("type", kind).with("message", message);
    Object::new().with("type", "error").with("error", error)
}

/// Anthropic's type of an error for a status.
fn messages_type(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        504 => "timeout_error",
        529 => "overloaded_error",
        500.. => "api_error",
        _ => "invalid_request_error",
    }
}

/// Anthropic's type of an error inside a stream of OpenAI's, which comes without a status.
pub(super) fn messages_type_in_stream(error: &Object) -> &'static str {
    match error.text("code").or_else(|| error.text("type")) {
        Some("rate_limit_exceeded" | "requests" | "tokens" | "rate_limit_error") => "rate_limit_error",
        Some("insufficient_quota") => "billing_error",
        Some("overloaded" | "overloaded_error") => "overloaded_error",
        Some("timeout") => "timeout_error",
        Some("invalid_request_error" | TOO_LONG_CODE) => "invalid_request_error",
        _ => "api_error",
    }
}

pub(super) fn unexplained(status: u16) -> String {
    format!("the model's provider answered with status {status} and no message")
}
