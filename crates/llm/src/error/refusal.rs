//! Refusals of the gateway.

use std::time::Duration;

use ringfence_types::{Code, Refusal};

use super::shape::{Kind, body};
use super::{Answer, NO_RETRY};
use crate::Family;

/// How an answer to a refusal looks.
struct Look {
    status: u16,
    kind: Kind,
    /// Whether the same call may go through later.
    retry: Again,
}

/// Whether it makes sense to send the same call again.
enum Again {
    /// No.
    Futile,
    /// After a while: `retry-after` always says how long.
    Later,
    /// Perhaps at once.
    Perhaps,
}

/// What `retry-after` says where the refusal does not say how long.
const RETRY_AFTER: Duration = Duration::from_secs(2);

/// The answer to a refused call. `param` names the request's member at fault, as in `messages[2].content`.
///
/// A model that the agent does not hold and one that does not exist look the same, so that nobody can list them.
pub fn refusal(family: Family, refusal: &Refusal, param: Option<&str>) -> Answer {
    let look = look(family, refusal.code);
    let code = word(family, refusal.code);
    let decision = refusal.to_object();
    // What is missing looks the same wherever it is found missing: in the request's reading, or by the agent's grants.
    let param = param.or((refusal.code == Code::NotGranted).then_some("model"));
    let body = body(family, look.kind, code, &refusal.reason, param, Some(&decision));
    let headers = match look.retry {
        Again::Futile => vec![header(NO_RETRY)],
        Again::Later => vec![after(refusal.retry_after.unwrap_or(RETRY_AFTER))],
        Again::Perhaps => refusal.retry_after.map(after).into_iter().collect(),
    };
    Answer { status: look.status, body, headers }
}

/// The answer to a token that is missing, unknown, expired or revoked.
pub fn unauthenticated(family: Family, message: &str) -> Answer {
    let code = match family {
        Family::OpenAi => "invalid_api_key",
        Family::Anthropic => "invalid_token",
    };
    let body = body(family, Kind::Authentication, code, message, None, None);
    Answer { status: 401, body, headers: vec![header(NO_RETRY)] }
}

/// The answer to a path or method that the gateway does not serve.
pub fn no_such_path(family: Family, message: &str) -> Answer {
    let body = body(family, Kind::NotFound, "unknown_url", message, None, None);
    Answer { status: 404, body, headers: vec![header(NO_RETRY)] }
}

fn look(family: Family, code: Code) -> Look {
    // Anthropic's own status for too much to do.
    let busy = if family == Family::Anthropic { 529 } else { 503 };
    let (status, kind, retry) = match code {
        Code::OverBudget => (402, Kind::Billing, Again::Futile),
        Code::DeniedByPolicy
        | Code::ApprovalDenied
        | Code::ApprovalExpired
        | Code::Suspended
        | Code::Repetition
        | Code::Deadline
        | Code::DefinitionChanged => (403, Kind::Permission, Again::Futile),
        Code::NotGranted => (404, Kind::NotFound, Again::Futile),
        // A person decides: a library that tries again within seconds would only hide that from whoever waits.
        Code::ApprovalRequired => (409, Kind::Request, Again::Futile),
        Code::RateLimited => (429, Kind::RateLimit, Again::Later),
        Code::InvalidInput => (400, Kind::Request, Again::Futile),
        Code::TooLarge => (413, Kind::TooLarge, Again::Futile),
        Code::BreakerOpen | Code::Overloaded | Code::LedgerUnavailable => {
            (busy, Kind::Overloaded, Again::Later)
        }
        Code::UpstreamFailed => (502, Kind::Server, Again::Perhaps),
        Code::OutcomeUnknown => (502, Kind::Server, Again::Futile),
    };
    Look { status, kind, retry }
}

/// The reason for programs: the refusal's code, or the word that OpenAI's clients know for it.
fn word(family: Family, code: Code) -> &'static str {
    match (family, code) {
        (Family::OpenAi, Code::NotGranted) => "model_not_found",
        (Family::OpenAi, Code::RateLimited) => "rate_limit_exceeded",
        _ => code.as_str(),
    }
}

fn header((name, value): (&'static str, &str)) -> (&'static str, String) {
    (name, value.to_owned())
}

/// In whole seconds, rounded up (RFC 9110 §10.2.3).
fn after(wait: Duration) -> (&'static str, String) {
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    ("retry-after", seconds.to_string())
}

/// The kind of error that a refusal is, for an event at the end of a stream.
pub(crate) fn refusal_body(
    family: Family,
    code: Code,
    message: &str,
    decision: Option<&ringfence_json::Object>,
) -> ringfence_json::Object {
    body(family, look(family, code).kind, word(family, code), message, None, decision)
}
