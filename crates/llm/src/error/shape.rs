//! The two shapes of an error.

use ringfence_json::{Object, Value};

use crate::Family;

/// What kind of error it is: each family has its own word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The request cannot be served as it is.
    Request,
    /// It is too large.
    TooLarge,
    /// Nobody known asks.
    Authentication,
    /// It is not allowed.
    Permission,
    /// There is no money for it.
    Billing,
    /// There is no such model or path.
    NotFound,
    /// Too many at a time.
    RateLimit,
    /// Too much to do.
    Overloaded,
    /// It went wrong behind the gateway.
    Server,
}

// === impl Kind ===

impl Kind {
    /// The word in `error.type`: of OpenAI's API as its answers have it, of Anthropic's as its documentation lists them
    /// ("Errors").
    pub fn word(self, family: Family) -> &'static str {
        match (family, self) {
            (Family::OpenAi, Self::Request | Self::TooLarge | Self::NotFound | Self::Authentication)
            | (Family::Anthropic, Self::Request) => "invalid_request_error",
            (Family::OpenAi, Self::Billing) => "insufficient_quota",
            (Family::OpenAi, Self::Overloaded | Self::Server) => "server_error",
            (_, Self::Permission) => "permission_error",
            (_, Self::RateLimit) => "rate_limit_error",
            (Family::Anthropic, Self::TooLarge) => "request_too_large",
            (Family::Anthropic, Self::Authentication) => "authentication_error",
            (Family::Anthropic, Self::Billing) => "billing_error",
            (Family::Anthropic, Self::NotFound) => "not_found_error",
            (Family::Anthropic, Self::Overloaded) => "overloaded_error",
            (Family::Anthropic, Self::Server) => "api_error",
        }
    }
}

/// The body of an error: `code` is the reason for programs, `decision` the refusal's object if it is one.
pub fn body(
    family: Family,
    kind: Kind,
    code: &str,
    message: &str,
    param: Option<&str>,
    decision: Option<&Object>,
) -> Object {
    let error = match family {
        Family::OpenAi => Object::new()
            .with("message", message)
            .with("type", kind.word(family))
            .with("param", param.map_or(Value::Null, Value::from))
            .with("code", code),
        Family::Anthropic => Object::new()
            .with("type", kind.word(family))
            .with("message", message)
            .with("details", Object::new().with("error_code", code).with_some("param", param)),
    };
    let error = error.with_some("ringfence", decision.cloned());
    match family {
        Family::OpenAi => Object::new().with("error", error),
        Family::Anthropic => Object::new().with("type", "error").with("error", error),
    }
}

/// The data of an error event within a stream of OpenAI's Responses API. Its documentation has the members beside `type`;
/// the libraries raise an error where there is an `error` member. So it has both.
pub fn event_data(body: &Object, sequence_number: u64) -> Object {
    let error = body.get("error");
    let member = |name| error.and_then(|error| error.get(name)).cloned().unwrap_or_default();
    Object::new()
        .with("type", "error")
        .with("sequence_number", sequence_number)
        .with("code", member("code"))
        .with("message", member("message"))
        .with("param", member("param"))
        .with_some("error", error.cloned())
}
