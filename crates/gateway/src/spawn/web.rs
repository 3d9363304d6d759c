//! `/api/v1/runs` on the agents' listener: for programs that speak no MCP.

use std::sync::Arc;

use http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER};
use http::request::Parts;
use http::{HeaderName, HeaderValue, Method, Response, StatusCode};
use hyper::body::{Body as _, Incoming};
use ringfence_json::{Object, Value};
use ringfence_kernel::{Run, RunError, RunView};
use ringfence_types::{Code, Refusal, RunId};

use super::start::{NOT_YOURS, Started, ended, lease, start, stop, take_wait, turn_away};
use super::{shown, tools};
use crate::gate::Gate;
use crate::http::accept::Standing;
use crate::http::inbound;
use crate::http::outbound::{self, Outbound};
use crate::mcp::handler::is_json;

/// Libraries try again on their own unless they are told not to.
const NO_RETRY: (HeaderName, HeaderValue) =
    (HeaderName::from_static("x-should-retry"), HeaderValue::from_static("false"));

/// What is asked for.
enum Endpoint {
    /// All that this run has started.
    Runs,
    /// One of them.
    One(RunId),
    /// What it wrote.
    Output(RunId),
    /// Its end.
    Stop(RunId),
}

/// Why there is no answer.
enum No {
    Refused(Box<Refusal>),
    /// With a status, a word for programs and a sentence for people.
    Wrong(StatusCode, &'static str, String),
}

type Answer = Result<(StatusCode, Object), No>;

/// Whether a path is one of these.
pub(crate) fn is_under(path: &str) -> bool {
    path.strip_prefix("/api").is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The answer to a request that names another host, or comes from a page that may not speak to this node.
pub(crate) fn turned_away_at_the_door(gate: &Gate, message: &str) -> Response<Outbound> {
    respond(gate, Err(No::Wrong(StatusCode::FORBIDDEN, "forbidden", message.to_owned())))
}

/// Answers a request under `/api`.
pub(crate) async fn answer(
    gate: &Arc<Gate>,
    parts: Parts,
    body: Incoming,
    standing: &Standing,
) -> Response<Outbound> {
    let Ok(run) = gate.run_of(&parts.headers, standing) else {
        let message =
            "a run token is needed: `Authorization: Bearer rfr_…`; out of a sandbox of this node, none";
        return respond(gate, wrong(StatusCode::UNAUTHORIZED, "unauthorized", message));
    };
    if !standing.prove(run.id, &gate.loads) {
        let message = "this run has as many connections open as it may have";
        return respond(gate, wrong(StatusCode::SERVICE_UNAVAILABLE, "overloaded", message));
    }
    let Some(endpoint) = Endpoint::of_path(parts.uri.path()) else {
        let message =
            "there is nothing under this path; there are /api/v1/runs, /api/v1/runs/RUN, …/output and …/stop";
        return respond(gate, wrong(StatusCode::NOT_FOUND, "not_found", message));
    };
    let answer = match (&parts.method, endpoint) {
        (&Method::POST, Endpoint::Runs) => match asked(gate, &run, &parts, body).await {
            Ok(asked) => begin(gate, &run, asked).await,
            Err(no) => Err(no),
        },
        (&Method::GET, Endpoint::Runs) => list(gate, &run),
        (&Method::GET, Endpoint::One(child)) => one(gate, &run, child, false).await,
        (&Method::GET, Endpoint::Output(child)) => one(gate, &run, child, true).await,
        (&Method::POST, Endpoint::Stop(child)) => end(gate, &run, child).await,
        (_, endpoint) => return not_allowed(gate, &endpoint),
    };
    respond(gate, answer)
}

async fn begin(gate: &Gate, run: &Arc<Run>, mut asked: Object) -> Answer {
    let waits =
        take_wait(&mut asked, false).map_err(|reason| Box::new(turn_away(gate, run, None, reason)))?;
    // Before anything is started: who may not wait, may not start either.
    let held = lease(gate, run)?;
    let Started { action, run: child, narrowed } = start(gate, run, asked).await?;
    let view = if waits { ended(gate, &held, child.id).await? } else { gate.kernel.run(child.id) };
    let view = view.ok_or_else(not_yours)?;
    let shown = tools::with_narrowed(shown::run(gate, &view), action, &narrowed);
    if !waits {
        return Ok((StatusCode::CREATED, shown));
    }
    Ok((StatusCode::OK, shown::with_output(gate, &view, shown).await))
}

fn list(gate: &Gate, run: &Arc<Run>) -> Answer {
    let _held = lease(gate, run)?;
    Ok((StatusCode::OK, shown::runs(gate, run.id)))
}

async fn one(gate: &Gate, run: &Arc<Run>, child: RunId, output: bool) -> Answer {
    let _held = lease(gate, run)?;
    let view = own(gate, run, child)?;
    let shown = shown::run(gate, &view);
    Ok((StatusCode::OK, if output { shown::with_output(gate, &view, shown).await } else { shown }))
}

async fn end(gate: &Gate, run: &Arc<Run>, child: RunId) -> Answer {
    let _held = lease(gate, run)?;
    own(gate, run, child)?;
    match stop(gate, child).await {
        Ok(()) => Ok((StatusCode::OK, shown::run(gate, &own(gate, run, child)?))),
        Err(RunError::LedgerUnavailable(error)) => {
            Err(No::Wrong(StatusCode::SERVICE_UNAVAILABLE, "ledger_unavailable", error.to_string()))
        }
        Err(_) => Err(not_yours()),
    }
}

/// A run that this one has started.
fn own(gate: &Gate, run: &Run, child: RunId) -> Result<RunView, No> {
    gate.kernel.child_of(run.id, child).ok_or_else(not_yours)
}

fn not_yours() -> No {
    No::Wrong(StatusCode::NOT_FOUND, "not_found", NOT_YOURS.to_owned())
}

fn wrong(status: StatusCode, code: &'static str, message: &str) -> Answer {
    Err(No::Wrong(status, code, message.to_owned()))
}

/// What a request asks for.
async fn asked(gate: &Gate, run: &Run, parts: &Parts, body: Incoming) -> Result<Object, No> {
    if !is_json(&parts.headers) {
        let message = "the body has to be JSON: `Content-Type: application/json`".to_owned();
        return Err(No::Wrong(StatusCode::UNSUPPORTED_MEDIA_TYPE, "invalid_input", message));
    }
    let limits = &gate.limits;
    let announced = body.size_hint().exact().and_then(|bytes| usize::try_from(bytes).ok());
    let bytes = announced.unwrap_or(limits.body_bytes).min(limits.body_bytes);
    let Some(_room) = gate.loads.body(run.id, bytes) else {
        let message =
            "this run, or all of them together, has too much under way; wait for an answer".to_owned();
        return Err(No::Wrong(StatusCode::SERVICE_UNAVAILABLE, "overloaded", message));
    };
    let invalid = |message: String| No::Wrong(StatusCode::BAD_REQUEST, "invalid_input", message);
    let read = inbound::read(body, limits.body_bytes, limits.body_time).await;
    let bytes = read.map_err(|error| invalid(error.to_string()))?;
    let value = ringfence_json::parse(&bytes, &limits.request_json());
    let value = value.map_err(|error| invalid(format!("the body is no JSON: {error}")))?;
    value.into_object().ok_or_else(|| invalid("the body has to be an object".to_owned()))
}

fn not_allowed(gate: &Gate, endpoint: &Endpoint) -> Response<Outbound> {
    let allowed = match endpoint {
        Endpoint::Runs => "GET, POST",
        Endpoint::One(_) | Endpoint::Output(_) => "GET",
        Endpoint::Stop(_) => "POST",
    };
    let message = format!("this takes {allowed}");
    let answer = Err(No::Wrong(StatusCode::METHOD_NOT_ALLOWED, "invalid_input", message));
    let mut response = respond(gate, answer);
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    response
}

fn respond(gate: &Gate, answer: Answer) -> Response<Outbound> {
    let (status, body, retry_after) = match answer {
        Ok((status, body)) => (status, body, None),
        Err(No::Wrong(status, code, message)) => {
            let error =
                Object::new().with("message", message).with("type", "invalid_request").with("code", code);
            (status, Object::new().with("error", error), None)
        }
        Err(No::Refused(refusal)) => (status_of(refusal.code), refused(&refusal), refusal.retry_after),
    };
    let body = Value::Object(body).to_bytes();
    let mut response = outbound::json(status, body, None, gate.limits.piece_bytes);
    let headers = response.headers_mut();
    debug_assert!(headers.contains_key(CONTENT_TYPE));
    match retry_after {
        Some(wait) => drop(headers.insert(RETRY_AFTER, HeaderValue::from(wait.as_secs().max(1)))),
        None if !status.is_success() => drop(headers.insert(NO_RETRY.0, NO_RETRY.1)),
        None => {}
    }
    response
}

fn refused(refusal: &Refusal) -> Object {
    let mut error = Object::new().with("message", refusal.reason.as_str()).with("type", "spawn_refused");
    for (name, value) in refusal.to_object().iter() {
        error.insert(name.clone(), value.clone());
    }
    Object::new().with("error", error)
}

fn status_of(code: Code) -> StatusCode {
    match code {
        Code::InvalidInput | Code::TooLarge => StatusCode::BAD_REQUEST,
        Code::RateLimited => StatusCode::TOO_MANY_REQUESTS,
        Code::Overloaded | Code::LedgerUnavailable => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::FORBIDDEN,
    }
}

impl From<Box<Refusal>> for No {
    fn from(refusal: Box<Refusal>) -> Self {
        Self::Refused(refusal)
    }
}

// === impl Endpoint ===

impl Endpoint {
    fn of_path(path: &str) -> Option<Self> {
        let rest = path.strip_prefix("/api/v1/runs")?;
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if rest.is_empty() {
            return Some(Self::Runs);
        }
        let (run, what) =
            rest.strip_prefix('/')?.split_once('/').map_or((rest.strip_prefix('/')?, ""), |it| it);
        let run = run.parse().ok()?;
        match what {
            "" => Some(Self::One(run)),
            "output" => Some(Self::Output(run)),
            "stop" => Some(Self::Stop(run)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_paths_lead_anywhere() {
        let run = "run_00000000000000000000000000";
        let word = |path: &str| match Endpoint::of_path(path) {
            None => "none",
            Some(Endpoint::Runs) => "runs",
            Some(Endpoint::One(_)) => "one",
            Some(Endpoint::Output(_)) => "output",
            Some(Endpoint::Stop(_)) => "stop",
        };
        for (path, expected) in [
            ("/api/v1/runs".to_owned(), "runs"),
            ("/api/v1/runs/".to_owned(), "runs"),
            (format!("/api/v1/runs/{run}"), "one"),
            (format!("/api/v1/runs/{run}/output"), "output"),
            (format!("/api/v1/runs/{run}/stop"), "stop"),
            (format!("/api/v1/runs/{run}/kill"), "none"),
            (format!("/api/v1/runs/{run}/output/x"), "none"),
            ("/api/v1/runs/other".to_owned(), "none"),
            ("/api/v1/runsx".to_owned(), "none"),
            ("/api/v1/approvals".to_owned(), "none"),
            ("/api".to_owned(), "none"),
        ] {
            assert_eq!(word(&path), expected, "{path}");
        }
        assert!(is_under("/api") && is_under("/api/v1/runs") && !is_under("/apix") && !is_under("/mcp"));
    }
}
