//! What a program inside is told where a host does not answer.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use hyper::ext::ReasonPhrase;
use ringfence_json::{Object, Value};
use ringfence_types::{ActionId, Code, Refusal};

use super::body::Reply;

/// Libraries of model providers try again on their own unless they are told not to.
const NO_RETRY: (HeaderName, HeaderValue) =
    (HeaderName::from_static("x-should-retry"), HeaderValue::from_static("false"));

/// Bytes of a reason that stand in the first line: programs that go through a proxy often show nothing else.
const PHRASE_BYTES_MAX: usize = 240;

/// The answer to a refusal.
pub(crate) fn refused(refusal: &Refusal) -> Response<Reply> {
    let status = match refusal.code {
        Code::RateLimited => StatusCode::TOO_MANY_REQUESTS,
        Code::Overloaded | Code::LedgerUnavailable | Code::BreakerOpen => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::FORBIDDEN,
    };
    let mut error = Object::new().with("message", refusal.reason.as_str()).with("type", "egress_refused");
    for (name, value) in refusal.to_object().iter() {
        error.insert(name.clone(), value.clone());
    }
    let mut response = told(status, error, &refusal.reason);
    match refusal.retry_after {
        Some(wait) => {
            let seconds = HeaderValue::from(wait.as_secs().max(1));
            response.headers_mut().insert(RETRY_AFTER, seconds);
        }
        None => {
            response.headers_mut().insert(NO_RETRY.0, NO_RETRY.1);
        }
    }
    response
}

/// The answer where a host did not give any.
pub(crate) fn failed(status: StatusCode, action: ActionId, reason: &str) -> Response<Reply> {
    let error = Object::new()
        .with("message", reason)
        .with("type", "egress_failed")
        .with("code", Code::UpstreamFailed.as_str())
        .with("action", action.to_string());
    told(status, error, reason)
}

fn told(status: StatusCode, error: Object, reason: &str) -> Response<Reply> {
    let body = Value::Object(Object::new().with("error", error)).to_bytes();
    let mut response = Response::new(Reply::Own(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Ok(phrase) = ReasonPhrase::try_from(phrase(reason)) {
        response.extensions_mut().insert(phrase);
    }
    response
}

/// A reason as it can stand in the first line of an answer.
fn phrase(reason: &str) -> Vec<u8> {
    let plain = reason.bytes().map(|byte| if (b' '..=b'~').contains(&byte) { byte } else { b'?' });
    plain.take(PHRASE_BYTES_MAX).collect()
}
