//! What agents are told, in the shape that their provider's own libraries read.

use std::sync::Arc;

use http::header::{CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use ringfence_json::Value;
use ringfence_kernel::Run;
use ringfence_llm::{Family, error};
use ringfence_types::{ActionId, Code, Refusal};

use crate::gate::Gate;
use crate::http::outbound::{self, Outbound};

/// Which action an answer belongs to.
pub(crate) const ACTION: HeaderName = HeaderName::from_static("x-ringfence-action");

/// The answer to a refusal. `param` names what of the request is at fault.
pub(crate) fn refused(
    gate: &Gate,
    family: Family,
    refusal: &Refusal,
    param: Option<&str>,
) -> Response<Outbound> {
    let mut response = told(gate, error::refusal(family, refusal, param));
    mark(&mut response, refusal.action);
    response
}

/// Refuses, on the record, what never became a proposal.
pub(crate) fn turned_away(
    gate: &Gate,
    family: Family,
    run: &Arc<Run>,
    (model, operation): (&str, &str),
    code: Code,
    (param, reason): (Option<&str>, &str),
) -> Response<Outbound> {
    let refusal = gate.kernel.turn_away_model(run, model, operation, code, reason);
    refused(gate, family, &refusal, param)
}

/// The answer to a token that is missing, unknown or expired.
pub(crate) fn unauthorized(gate: &Gate, family: Family, presented: bool) -> Response<Outbound> {
    let message = if presented {
        "the run token is unknown or has expired; mint a new one with `ringfence token mint`"
    } else {
        "a run token is needed as the API key: rfr_… (mint one with `ringfence token mint`)"
    };
    let mut response = told(gate, error::unauthenticated(family, message));
    let challenge = HeaderValue::from_static(r#"Bearer realm="ringfence""#);
    response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
    response
}

/// The answer to a path or a method that there is not.
pub(crate) fn no_such_path(gate: &Gate, family: Family, message: &str) -> Response<Outbound> {
    told(gate, error::no_such_path(family, message))
}

/// The answer to a request that names another host, or comes from a page that may not speak to this node.
pub(crate) fn forbidden(gate: &Gate, family: Family, message: &str) -> Response<Outbound> {
    let what = ("forbidden", message);
    let mut response = plain(gate, family, StatusCode::FORBIDDEN, error::Kind::Permission, what);
    set(&mut response, error::NO_RETRY.0, error::NO_RETRY.1);
    response
}

/// There is no room now; there may be soon.
pub(crate) fn busy(gate: &Gate, family: Family, message: &str) -> Response<Outbound> {
    let status = StatusCode::SERVICE_UNAVAILABLE;
    let mut response =
        plain(gate, family, status, error::Kind::Overloaded, (Code::Overloaded.as_str(), message));
    response.headers_mut().insert(http::header::RETRY_AFTER, HeaderValue::from_static("1"));
    response
}

/// A request that cannot be read.
pub(crate) fn unreadable(
    gate: &Gate,
    family: Family,
    status: StatusCode,
    message: &str,
) -> Response<Outbound> {
    let (kind, code) = match status {
        StatusCode::PAYLOAD_TOO_LARGE => (error::Kind::TooLarge, Code::TooLarge),
        _ => (error::Kind::Request, Code::InvalidInput),
    };
    let mut response = plain(gate, family, status, kind, (code.as_str(), message));
    set(&mut response, error::NO_RETRY.0, error::NO_RETRY.1);
    response
}

fn plain(
    gate: &Gate,
    family: Family,
    status: StatusCode,
    kind: error::Kind,
    (code, message): (&str, &str),
) -> Response<Outbound> {
    let body = error::body(family, kind, code, message, None, None);
    outbound::json(status, Value::Object(body).to_bytes(), None, gate.limits.piece_bytes)
}

fn told(gate: &Gate, answer: error::Answer) -> Response<Outbound> {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::BAD_GATEWAY);
    let body = Value::Object(answer.body).to_bytes();
    let mut response = outbound::json(status, body, None, gate.limits.piece_bytes);
    for (name, value) in answer.headers {
        set(&mut response, name, &value);
    }
    response
}

/// Sets a header; what cannot be one is left out.
pub(crate) fn set(response: &mut Response<Outbound>, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(HeaderName::from_static(name), value);
    }
}

/// Says which action an answer belongs to.
pub(crate) fn mark(response: &mut Response<Outbound>, action: ActionId) {
    if let Ok(value) = HeaderValue::from_str(&action.to_string()) {
        response.headers_mut().insert(ACTION, value);
    }
}

/// A provider's own error, on its way through.
pub(crate) fn passed(gate: &Gate, passed: error::Passed) -> Response<Outbound> {
    let status = StatusCode::from_u16(passed.status).unwrap_or(StatusCode::BAD_GATEWAY);
    let mut response = outbound::json(status, passed.body, None, gate.limits.piece_bytes);
    for (name, value) in passed.headers {
        set(&mut response, name, &value);
    }
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
