//! Executing what was cleared: the only way from an agent's request to a tool server.

use std::sync::Arc;

use http::{Response, StatusCode};
use ringfence_json::{Object, Value};
use ringfence_kernel::{Call, Cancel, Clearance};
use tokio::time::{Instant, timeout_at};

use super::endpoint::Endpoint;
use super::era::Era;
use super::fault::Fault;
use super::flight::{Caller, End, Flight, Landed};
use super::headers::ParamHeaders;
use super::link::{Link, Load};
use super::message::{Message, Request};
use super::method::Kind;
use super::relay;
use super::session::InFlight;
use super::upstream::{Exchange, UpstreamError};
use crate::http::outbound::{self, Outbound};

/// Executes one cleared call and gives the answer.
pub(crate) async fn execute(
    caller: Caller,
    kind: Kind,
    request: Request,
    in_flight: Option<InFlight>,
    clearance: Clearance,
) -> Response<Outbound> {
    let mut flight = Flight::new(caller, request, kind, in_flight, clearance);
    match depart(&mut flight).await {
        Ok(exchange) if exchange.streams() == Some(true) && flight.caller.streams => {
            relay::start(flight, exchange, None)
        }
        Ok(mut exchange) => match arrive(&mut flight, &mut exchange).await {
            Ok(Some(first)) => relay::start(flight, exchange, Some(first)),
            Ok(None) => {
                let end = End::Failed(UpstreamError::Malformed("no answer to a request"));
                respond(flight, end)
            }
            Err(end) => respond(flight, end),
        },
        Err(End::Failed(UpstreamError::SessionGone)) if flight.caller.session.is_some() => {
            session_gone(flight).await
        }
        Err(end) => respond(flight, end),
    }
}

/// Finds the way and sends the request.
async fn depart(flight: &mut Flight) -> Result<Exchange, End> {
    let cancel = flight.cancel();
    let deadline = flight.deadline();
    let called_off = flight.underway.as_ref().map(|flight| flight.called_off.clone());
    let off = async {
        match called_off {
            Some(token) => token.cancelled_owned().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        biased;
        cut = cancel.cancelled() => Err(End::Cut(cut)),
        () = off => Err(End::CalledOff),
        sent = timeout_at(deadline, send(flight)) => match sent {
            Ok(Ok(exchange)) => Ok(exchange),
            Ok(Err(error)) => Err(error.into()),
            Err(_) => Err(End::Failed(UpstreamError::Timeout)),
        },
    }
}

async fn send(flight: &mut Flight) -> Result<Exchange, UpstreamError> {
    let gate = Arc::clone(&flight.caller.gate);
    let link = match &flight.caller.session {
        None => Link::modern(&gate, flight.passage(), &flight.caller.run, flight.server()).await?,
        Some(session) => Link::legacy(&gate, flight.passage(), session, flight.server()).await?,
    };
    let repeated = repeated_headers(flight);
    let (replace, arguments) = finalize(flight);
    let load = Load {
        replace: replace.map(|name| (name, &arguments)),
        repeat: repeated.as_deref().map(|repeated| (repeated, &arguments)),
    };
    flight.link = Some(link.clone());
    let opened = link.request(&gate, flight.passage(), &flight.request, load).await;
    if opened.as_ref().is_err_and(|error| error.failure().is_none()) {
        flight.link = None;
    }
    let opened = opened?;
    if flight.caller.era == Era::Modern {
        flight.status = opened.status;
    }
    opened.exchange.ok_or(UpstreamError::Malformed("no answer to a request"))
}

fn repeated_headers(flight: &Flight) -> Option<Arc<ParamHeaders>> {
    let Call::Tool { tool, .. } = flight.call() else { return None };
    let workspace = &flight.caller.run.workspace;
    flight.caller.gate.catalog.headers(workspace, flight.server(), tool.as_str())
}

/// Puts what was decided into the request. Gives the parameter to replace when it is written, and its value.
fn finalize(flight: &mut Flight) -> (Option<&'static str>, Object) {
    let call = flight.call().clone();
    let params = flight.request.params.get_or_insert_with(Object::new);
    match call {
        Call::Tool { tool, arguments, continuation } => {
            params.insert("name", tool.as_str());
            go_on(params, continuation.as_ref());
            (Some("arguments"), arguments)
        }
        Call::Prompt { name, arguments, continuation } => {
            params.insert("name", name);
            go_on(params, continuation.as_ref());
            (Some("arguments"), arguments)
        }
        Call::Resource { uri, continuation } => {
            params.insert("uri", uri);
            go_on(params, continuation.as_ref());
            (None, Object::new())
        }
        Call::Other { parameters, .. } => {
            let meta = params.get("_meta").cloned();
            *params = parameters.with_some("_meta", meta.filter(|meta| !meta.is_null()));
            (None, Object::new())
        }
    }
}

/// Puts back what the agent answers to an earlier round, as it was decided.
fn go_on(params: &mut Object, continuation: Option<&Object>) {
    for (name, value) in continuation.into_iter().flat_map(Object::iter) {
        params.insert(name.clone(), value.clone());
    }
}

/// Waits for the answer of an upstream that does not stream. Gives the first message instead if something else comes
/// first and the client takes a stream.
async fn arrive(flight: &mut Flight, exchange: &mut Exchange) -> Result<Option<Message>, End> {
    let waits = Waits::of(flight);
    loop {
        match waits.next(exchange).await? {
            None => return Ok(None),
            Some(Message::Response(response)) => return Err(End::Answered(response)),
            Some(message) if flight.caller.streams => return Ok(Some(message)),
            // A client that takes no stream cannot be told, nor asked.
            Some(Message::Notification(_)) => {}
            Some(Message::Request(question)) => waits.for_the(relay::decline(flight, &question)).await?,
        }
    }
}

/// What ends the wait for an upstream.
pub(crate) struct Waits {
    pub(crate) cancel: Cancel,
    pub(crate) deadline: Instant,
    pub(crate) called_off: Option<tokio_util::sync::CancellationToken>,
}

// === impl Waits ===

impl Waits {
    pub(crate) fn of(flight: &Flight) -> Self {
        Self {
            cancel: flight.cancel(),
            deadline: flight.deadline(),
            called_off: flight.underway.as_ref().map(|flight| flight.called_off.clone()),
        }
    }

    /// The next message of an upstream, unless something ends the wait before.
    pub(crate) async fn next(&self, exchange: &mut Exchange) -> Result<Option<Message>, End> {
        self.for_the(exchange.next()).await?.map_err(End::from)
    }

    /// What `future` gives, unless something ends the wait before.
    pub(crate) async fn for_the<F: Future>(&self, future: F) -> Result<F::Output, End> {
        let off = async {
            match &self.called_off {
                Some(token) => token.cancelled().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            cut = self.cancel.cancelled() => Err(End::Cut(cut)),
            () = off => Err(End::CalledOff),
            done = timeout_at(self.deadline, future) => done.map_err(|_| End::Failed(UpstreamError::Timeout)),
        }
    }
}

/// Ends a flight with one answer in JSON.
fn respond(flight: Flight, end: End) -> Response<Outbound> {
    let limits = &flight.caller.gate.limits;
    let piece = limits.piece_bytes;
    let cancel = flight.cancel();
    let answered = matches!(end, End::Answered(_));
    let Landed { status, body, lease, .. } = flight.land(end, false);
    match lease {
        Some(lease) => outbound::json_held(status, body, lease, piece),
        // One piece, which goes out at once; but not after it was cut off.
        None if answered && cancel.check().is_ok() => outbound::json(status, body, Some(cancel), piece),
        None => outbound::json(status, body, None, piece),
    }
}

/// The upstream says that it does not know its session any more. A clearance covers one request, so there is no
/// second one: the revisions let a server answer 404 only to what it did not take, but a server that took it and
/// answers so all the same would act twice. So the call has failed, perhaps with an effect, and whoever made it
/// decides whether to make it again, in a new session: on `/mcp` one that the gate begins with the next call, on a
/// path of its own one that the client begins.
async fn session_gone(flight: Flight) -> Response<Outbound> {
    let gate = Arc::clone(&flight.caller.gate);
    let piece = gate.limits.piece_bytes;
    let id = flight.request.id.clone();
    if let Some(session) = flight.caller.session.clone() {
        if session.endpoint == Endpoint::Merged {
            session.upstream(flight.server()).lock().await.take();
            return respond(flight, End::Failed(UpstreamError::SessionGone));
        }
        gate.sessions.end(&session);
    }
    drop(flight.land(End::Failed(UpstreamError::SessionGone), false));
    let fault = Fault::no_session();
    debug_assert_eq!(fault.status, StatusCode::NOT_FOUND);
    outbound::json(fault.status, fault.to_response(Some(id)).to_bytes(), None, piece)
}

/// Whether a value is the name of a log level (MCP 2025-11-25, "Logging").
pub(crate) fn is_log_level(value: Option<&Value>) -> bool {
    const LEVELS: [&str; 8] =
        ["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"];
    value.and_then(Value::as_str).is_some_and(|level| LEVELS.contains(&level))
}
