//! A provider's own error on its way to the client.

use std::time::Duration;

use ringfence_json::{Limits, Value, parse};

use super::NO_RETRY;
use super::secrets::redact;
use super::shape::{Kind, body};
use crate::Family;

/// Bytes of a provider's error that are passed on; of a longer one only that there was one.
pub const ERROR_BYTES_MAX: usize = 64 << 10;

/// Whether the gateway may send the same call again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// The provider says that it did nothing and charges nothing, and that trying again may help.
    pub safe: bool,
    /// How long it wants to be left alone.
    pub after: Option<Duration>,
}

/// What the client is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passed {
    /// The HTTP status.
    pub status: u16,
    /// The body, JSON.
    pub body: Vec<u8>,
    /// Headers beside `content-type: application/json`, in lower case.
    pub headers: Vec<(&'static str, String)>,
    /// Whether the body is the provider's, untouched.
    pub untouched: bool,
    /// Whether to send it again.
    pub retry: Retry,
}

/// Headers of a provider's error that the client gets.
const KEPT: [&str; 5] = ["x-request-id", "request-id", "retry-after", "retry-after-ms", "x-should-retry"];

/// Bytes of one such header.
const HEADER_BYTES_MAX: usize = 256;

/// Waits longer than this are not believed.
const AFTER_MAX: Duration = Duration::from_hours(24);

/// Passes an error on: `header` finds a header's value by its name in lower case, `known` are the secrets that went into
/// the request.
///
/// A body that is a JSON object stays as it is, but for what may be a key. Anything else is replaced by an error in the
/// provider's shape, and so is a 404 that is none of an API's: there is nothing under `path`. A refused key (401, 407) is
/// the operator's to mend and not the client's, whose own token is fine, and so is a redirect: the client gets 502.
pub fn from_upstream<'a>(
    family: Family,
    (status, path): (u16, &str),
    text: &[u8],
    header: impl Fn(&str) -> Option<&'a str>,
    known: &[&[u8]],
) -> Passed {
    let value = if text.len() <= ERROR_BYTES_MAX { parse(text, &Limits::default()).ok() } else { None };
    let retry = retry(status, value.as_ref(), &header);
    let mut headers: Vec<(&'static str, String)> = KEPT
        .into_iter()
        .filter_map(|name| Some((name, header(name)?)))
        .filter(|(_, value)| value.len() <= HEADER_BYTES_MAX && redact(value.as_bytes(), known).is_none())
        .map(|(name, value)| (name, value.to_owned()))
        .collect();
    if let Some(message) = for_the_operator(status) {
        headers.retain(|(name, _)| *name != NO_RETRY.0);
        headers.push((NO_RETRY.0, NO_RETRY.1.to_owned()));
        let body = own(family, Kind::Server, &message);
        return Passed { status: 502, body, headers, untouched: false, retry };
    }
    let is_nowhere = status == 404 && value.as_ref().is_none_or(|value| value.get("error").is_none());
    let passed = value.filter(|value| value.as_object().is_some());
    if is_nowhere {
        let hint = if path.contains("/v1/") {
            "is the model's `base_url` right"
        } else {
            "does the model's `base_url` lack /v1"
        };
        let message = format!("the provider has nothing at {path}; {hint}?");
        return Passed {
            status,
            body: own(family, Kind::NotFound, &message),
            headers,
            untouched: false,
            retry,
        };
    }
    let (body, untouched) = match (passed, redact(text, known)) {
        (Some(_), None) => (text.to_vec(), true),
        (Some(_), Some(redacted)) => (redacted, false),
        (None, _) => {
            let message = format!("the provider answered with status {status} and without a readable error");
            (own(family, kind(status), &message), false)
        }
    };
    Passed { status, body, headers, untouched, retry }
}

/// What the client is told instead of an answer that is no business of its.
fn for_the_operator(status: u16) -> Option<String> {
    let mends = "this is for whoever runs the gateway to mend";
    match status {
        401 | 407 => Some(format!("the provider does not accept the gateway's key: {mends}")),
        300..=399 => Some(format!(
            "the provider answered with a redirect ({status}), and redirects are not followed, as a key would go \
             elsewhere with them: {mends}, in the model's `base_url`"
        )),
        _ => None,
    }
}

fn own(family: Family, kind: Kind, message: &str) -> Vec<u8> {
    Value::from(body(family, kind, "upstream_failed", message, None, None)).to_bytes()
}

fn kind(status: u16) -> Kind {
    match status {
        402 => Kind::Billing,
        403 => Kind::Permission,
        404 => Kind::NotFound,
        413 => Kind::TooLarge,
        429 => Kind::RateLimit,
        503 | 529 => Kind::Overloaded,
        400..=499 => Kind::Request,
        _ => Kind::Server,
    }
}

/// By the rules that OpenAI and Anthropic document for their APIs and their libraries follow: after 408, 429 and 5xx,
/// unless the provider says no or the account has nothing left.
fn retry<'a>(status: u16, body: Option<&Value>, header: &impl Fn(&str) -> Option<&'a str>) -> Retry {
    let error = body.and_then(|body| body.get("error"));
    let says = |name| error.and_then(|error| error.get(name)).and_then(Value::as_str);
    let spent = [says("code"), says("type")].into_iter().flatten();
    let spent = spent
        .into_iter()
        .any(|word| matches!(word, "insufficient_quota" | "billing_error" | "billing_hard_limit_reached"));
    let by_status = matches!(status, 408 | 429 | 500 | 502 | 503 | 504 | 529) && !spent;
    let safe = match header("x-should-retry").map(str::trim) {
        Some("false") => false,
        Some("true") => matches!(status, 400..=599),
        _ => by_status,
    };
    let scaled = |name, unit: f64| seconds(header(name)?, unit);
    let until = || until(header("retry-after")?, header("date")?);
    let after = scaled("retry-after-ms", 1_000.0).or_else(|| scaled("retry-after", 1.0)).or_else(until);
    Retry { safe, after }
}

/// A wait until a date, by the clock of whoever wants it (RFC 9110, section 10.2.3).
fn until(text: &str, now: &str) -> Option<Duration> {
    let date = |text: &str| httpdate::parse_http_date(text.trim()).ok();
    Some(date(text)?.duration_since(date(now)?).unwrap_or_default().min(AFTER_MAX))
}

/// A wait as these headers have it: a number, which may have a fraction.
fn seconds(text: &str, unit: f64) -> Option<Duration> {
    let text = text.trim();
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let wait = text.parse::<f64>().ok().filter(|_| is_number)? / unit;
    Some(Duration::try_from_secs_f64(wait).unwrap_or(AFTER_MAX).min(AFTER_MAX))
}
