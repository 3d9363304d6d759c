//! What a client is told when a call does not go through, in the shape that its provider's own libraries read.
//!
//! | | OpenAI | Anthropic |
//! |---|---|---|
//! | the body | `{"error": {message, type, param, code, ringfence}}` | `{"type": "error", "error": {type, message, details, ringfence}}` |
//! | the reason, for programs | `error.code` | `error.details.error_code` |
//!
//! `error.ringfence` is the object that [`ringfence_types::Refusal::to_object`] makes. The official libraries keep it:
//! Python `error.body["ringfence"]` (openai) and `error.body["error"]["ringfence"]` (anthropic), JavaScript
//! `error.error.ringfence` and `error.error.error.ringfence`. They try again by themselves after 408, 409, 429 and 5xx, twice,
//! unless `x-should-retry: false` says that it is futile.
//!
//! [`from_upstream`] is what happens to a provider's own error: it passes on as it is, but no key ever does.

mod refusal;
mod secrets;
mod shape;
mod upstream;

pub(crate) use refusal::refusal_body;
pub use refusal::{no_such_path, refusal, unauthenticated};
pub use secrets::redact;
pub use shape::{Kind, body, event_data};
pub use upstream::{ERROR_BYTES_MAX, Passed, Retry, from_upstream};

use ringfence_json::Object;

/// An answer that says why not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: Object,
    /// Headers beside `content-type: application/json`, in lower case.
    pub headers: Vec<(&'static str, String)>,
}

/// Says that trying again is futile; the official libraries obey.
pub const NO_RETRY: (&str, &str) = ("x-should-retry", "false");

#[cfg(test)]
mod tests;
