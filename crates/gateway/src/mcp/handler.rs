//! What becomes of an agent's HTTP request.

use std::sync::Arc;

use http::header::{ACCEPT, ALLOW, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use hyper::body::{Body as _, Incoming};
use ringfence_json::Object;
use ringfence_kernel::{Lease, Run};
use ringfence_types::ServerName;

use super::answers::{Denied, bare_fault, json, respond_fault};
use super::call;
use super::endpoint::Endpoint;
use super::era::{self, Era};
use super::fault::{self, Fault};
use super::flight::Caller;
use super::link::Link;
use super::message::{self, Message, Request, Response as Answer};
use super::method::{self, Kind};
use super::passage::Passage;
use super::session::Session;
use super::upstream::UpstreamError;
use super::{discovery, handshake, headers, inbox, listen, merged, params, turned_away};
use crate::gate::Gate;
use crate::http::accept::Standing;
use crate::http::inbound::{self, BodyError};
use crate::http::outbound::{self, Outbound};

/// Answers a request under `/mcp`.
pub(crate) async fn answer(
    gate: &Arc<Gate>,
    parts: Parts,
    body: Incoming,
    standing: &Standing,
) -> Response<Outbound> {
    let Some(endpoint) = Endpoint::of_path(parts.uri.path()) else {
        return outbound::status(StatusCode::NOT_FOUND);
    };
    let run = match gate.run_of(&parts.headers, standing) {
        Ok(run) => run,
        Err(presented) => return unauthorized(gate, presented.is_some()),
    };
    if !standing.prove(run.id, &gate.loads) {
        return busy(gate, "this run has as many connections open as it may have");
    }
    match parts.method {
        Method::POST => post(gate, run, endpoint, parts, body).await,
        Method::GET => match session_of(gate, &run, &endpoint, &parts.headers) {
            Some(Ok(session)) => {
                Box::pin(listen::listen(gate, session, accepts_stream(&parts.headers))).await
            }
            Some(Err(fault)) => bare_fault(gate, &fault),
            None => method_not_allowed(),
        },
        Method::DELETE => match session_of(gate, &run, &endpoint, &parts.headers) {
            Some(Ok(session)) => end(gate, &session),
            Some(Err(fault)) => bare_fault(gate, &fault),
            None => method_not_allowed(),
        },
        _ => method_not_allowed(),
    }
}

/// The answer to a request that names another host, or comes from a page that may not speak to this node.
pub(crate) fn turned_away_at_the_door(gate: &Gate, message: &'static str) -> Response<Outbound> {
    let status = StatusCode::FORBIDDEN;
    bare_fault(gate, &Fault { status, ..Fault::bad_request(fault::INVALID_REQUEST, message) })
}

fn unauthorized(gate: &Gate, presented: bool) -> Response<Outbound> {
    let message = if presented {
        "the run token is unknown or has expired; mint a new one with `ringfence token mint`"
    } else {
        "a run token is needed: `Authorization: Bearer rfr_…` (mint one with `ringfence token mint`)"
    };
    let fault =
        Fault { status: StatusCode::UNAUTHORIZED, ..Fault::bad_request(fault::INVALID_REQUEST, message) };
    let mut response = bare_fault(gate, &fault);
    let challenge = if presented {
        r#"Bearer realm="ringfence", error="invalid_token""#
    } else {
        r#"Bearer realm="ringfence""#
    };
    response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
    response
}

/// There is no room now; there may be soon.
fn busy(gate: &Gate, message: &str) -> Response<Outbound> {
    let status = StatusCode::SERVICE_UNAVAILABLE;
    let fault = Fault { status, ..Fault::bad_request(fault::INVALID_REQUEST, message) };
    let mut response = bare_fault(gate, &fault);
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    response
}

fn method_not_allowed() -> Response<Outbound> {
    let mut response = outbound::status(StatusCode::METHOD_NOT_ALLOWED);
    response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
    response
}

/// The session that a request names; `None` when it names none.
pub(super) fn session_of(
    gate: &Gate,
    run: &Run,
    endpoint: &Endpoint,
    headers: &HeaderMap,
) -> Option<Result<Arc<Session>, Fault>> {
    let named = match headers::single(headers, &headers::SESSION) {
        Ok(named) => named?,
        Err(message) => return Some(Err(Fault::bad_request(fault::INVALID_REQUEST, message))),
    };
    Some(gate.sessions.get(named, run, endpoint).ok_or_else(Fault::no_session))
}

fn end(gate: &Arc<Gate>, session: &Session) -> Response<Outbound> {
    if let Some(ended) = gate.sessions.end(session) {
        gate.say_farewell(ended);
    }
    outbound::status(StatusCode::NO_CONTENT)
}

async fn post(
    gate: &Arc<Gate>,
    run: Arc<Run>,
    endpoint: Endpoint,
    parts: Parts,
    body: Incoming,
) -> Response<Outbound> {
    if !is_json(&parts.headers) {
        let message = "the body has to be JSON: `Content-Type: application/json`";
        let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        return bare_fault(gate, &Fault { status, ..Fault::bad_request(fault::INVALID_REQUEST, message) });
    }
    // As much as it says that it has; as much as it may have, where it does not say.
    let announced = body.size_hint().exact().and_then(|bytes| usize::try_from(bytes).ok());
    let bytes = announced.unwrap_or(gate.limits.body_bytes).min(gate.limits.body_bytes);
    let Some(_room) = gate.loads.body(run.id, bytes) else {
        return busy(gate, "this run, or all of them together, has too much under way; wait for an answer");
    };
    let body = match inbound::read(body, gate.limits.body_bytes, gate.limits.body_time).await {
        Ok(body) => body,
        Err(error) => return bare_fault(gate, &body_fault(error)),
    };
    match message::parse(&body, &gate.limits.request_json()) {
        Ok(Message::Request(message)) => request(gate, run, endpoint, &parts.headers, message).await,
        Ok(Message::Notification(message)) => {
            Box::pin(inbox::notification(gate, &run, &endpoint, &parts.headers, message)).await
        }
        Ok(Message::Response(message)) => {
            Box::pin(inbox::answer(gate, &run, &endpoint, &parts.headers, message)).await
        }
        Err(error) => respond_fault(gate, &Fault::from(&error), error.id),
    }
}

fn body_fault(error: BodyError) -> Fault {
    let status = match error {
        BodyError::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
        BodyError::TooSlow => StatusCode::REQUEST_TIMEOUT,
        BodyError::Broken => StatusCode::BAD_REQUEST,
    };
    Fault { status, ..Fault::bad_request(fault::INVALID_REQUEST, error.to_string()) }
}

pub(crate) fn is_json(headers: &HeaderMap) -> bool {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json")
}

/// Whether the client takes a stream; one that does not say takes everything.
fn accepts_stream(headers: &HeaderMap) -> bool {
    let mut values = headers.get_all(ACCEPT).iter().peekable();
    values.peek().is_none()
        || values.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')).any(|range| {
            let media = range.split(';').next().unwrap_or_default().trim();
            ["text/event-stream", "text/*", "*/*"].iter().any(|wanted| media.eq_ignore_ascii_case(wanted))
        })
}

async fn request(
    gate: &Arc<Gate>,
    run: Arc<Run>,
    endpoint: Endpoint,
    headers: &HeaderMap,
    mut request: Request,
) -> Response<Outbound> {
    let era = match era::of_request(headers, &request, &[]) {
        Ok(era) => era,
        Err(fault) => {
            let fault = Box::pin(named_versions(gate, &run, &endpoint, fault)).await;
            return respond_fault(gate, &fault, Some(request.id));
        }
    };
    let mut caller =
        Caller { gate: Arc::clone(gate), run, era, session: None, streams: accepts_stream(headers) };
    if era == Era::Modern {
        if let Err(fault) = era::check_modern(headers, &request) {
            return respond_fault(gate, &fault, Some(request.id));
        }
        handshake::hide_tasks(&mut request);
    }
    let Some(kind) = method::kind(era, &request.method) else {
        return unknown_method(&caller, &endpoint, headers, &request);
    };
    if era == Era::Legacy && !matches!(kind, Kind::Initialize) {
        match session_of(gate, &caller.run, &endpoint, headers) {
            Some(Ok(session)) => caller.session = Some(session),
            Some(Err(fault)) => return respond_fault(gate, &fault, Some(request.id)),
            None => {
                let message = "the Mcp-Session-Id header is missing: begin with `initialize`";
                return respond_fault(
                    gate,
                    &Fault::bad_request(fault::INVALID_REQUEST, message),
                    Some(request.id),
                );
            }
        }
    }
    match params::cut(&mut request, &gate.limits) {
        Ok(()) => dispatch(caller, endpoint, headers, kind, request).await,
        Err(fault) => turned_away::misfit(&caller, &endpoint, kind, &request, &fault),
    }
}

/// A method that nothing is behind. Legacy clients have a session to be told in.
fn unknown_method(
    caller: &Caller,
    endpoint: &Endpoint,
    headers: &HeaderMap,
    request: &Request,
) -> Response<Outbound> {
    let fault = match session_of(&caller.gate, &caller.run, endpoint, headers) {
        Some(Err(fault)) if caller.era == Era::Legacy => fault,
        _ => Fault::method_not_found(caller.era, &request.method),
    };
    respond_fault(&caller.gate, &fault, Some(request.id.clone()))
}

async fn dispatch(
    caller: Caller,
    endpoint: Endpoint,
    headers: &HeaderMap,
    kind: Kind,
    request: Request,
) -> Response<Outbound> {
    match (kind, &endpoint) {
        (Kind::Ping, _) => json(&caller, &Answer::result(request.id, Object::new())),
        (Kind::Initialize, _) => Box::pin(handshake::initialize(&caller, endpoint, request)).await,
        (Kind::Discover, _) => Box::pin(handshake::discover(&caller, &endpoint, &request)).await,
        (Kind::Listen, _) => Box::pin(listen::subscribe(caller, endpoint, request)).await,
        (Kind::List(list), Endpoint::Merged) => Box::pin(merged::list(&caller, list, request)).await,
        (Kind::List(list), Endpoint::Server(server)) => {
            Box::pin(call::list(&caller, server, list, request)).await
        }
        (Kind::LogLevel, Endpoint::Server(server)) => {
            Box::pin(call::log_level(&caller, server, request)).await
        }
        (_, Endpoint::Server(server)) => {
            let server = server.clone();
            call::call(caller, server, headers, kind, request).await
        }
        (_, Endpoint::Merged) => merged::call(caller, headers, kind, request).await,
    }
}

/// A complaint about a revision, with the revisions that this path does speak.
async fn named_versions(gate: &Arc<Gate>, run: &Run, endpoint: &Endpoint, fault: Fault) -> Fault {
    let Some(requested) = fault.data.as_ref().and_then(|data| data.text("requested")) else { return fault };
    let all: Vec<&str> = [era::MODERN].into_iter().chain(era::LEGACY_ALL).collect();
    match endpoint {
        Endpoint::Server(server) if gate.holds(run, server) => {
            match discovery::spoken(gate, &run.workspace, server).await {
                Ok(spoken) => {
                    Fault::unsupported_version(requested, &spoken.versions(), fault.message.clone())
                }
                Err(_) => Fault::unsupported_version(requested, &all, fault.message.clone()),
            }
        }
        _ => Fault::unsupported_version(requested, &all, fault.message.clone()),
    }
}

/// Whether something that is no action may go to a server: the agent holds something of it, and nothing above it is
/// cut off. The lease goes with it.
pub(crate) fn allowed(caller: &Caller, server: &ServerName, method: &str) -> Result<Lease, Denied> {
    let leased = caller.gate.kernel.visit(&caller.run, server, method);
    leased.map_err(|refusal| Denied::Refused(Box::new(refusal)))
}

/// The way to a server for a modern client, if it speaks that era.
pub(crate) async fn modern_link(caller: &Caller, lease: &Lease, server: &ServerName) -> Result<Link, Denied> {
    let spoken = discovery::spoken(&caller.gate, &caller.run.workspace, server).await?;
    if !spoken.speaks(Era::Modern) {
        return Err(spoken.refuse(server.as_str(), era::MODERN).into());
    }
    Ok(Link::modern(&caller.gate, Passage::Visit(lease), &caller.run, server).await?)
}

/// The way to a server in the era of the client.
pub(crate) async fn link(caller: &Caller, lease: &Lease, server: &ServerName) -> Result<Link, Denied> {
    match &caller.session {
        None => modern_link(caller, lease, server).await,
        Some(session) => Ok(Link::legacy(&caller.gate, Passage::Visit(lease), session, server).await?),
    }
}

/// What `future` gives, unless what allowed it is cut off before.
pub(crate) async fn while_leased<T>(
    lease: &Lease,
    future: impl Future<Output = Result<T, Denied>>,
) -> Result<T, Denied> {
    tokio::select! {
        biased;
        cut = lease.cancel().cancelled() => Err(UpstreamError::Cut(cut).into()),
        done = future => done,
    }
}
