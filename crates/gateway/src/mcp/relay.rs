//! A call whose upstream streams: progress, log messages and questions reach the client while it is under way.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ringfence_json::Object;
use ringfence_kernel::Lease;
use ringfence_types::{ActionId, Code, Refusal};

use super::era::Era;
use super::executor::Waits;
use super::fault::Fault;
use super::flight::{End, Flight, refused_bytes};
use super::message::{Id, Message, Notification, Request, Response};
use super::method;
use super::question::Question;
use super::refusal::Effect;
use super::upstream::{Exchange, UpstreamError};
use super::{discovery, sse};
use crate::http::outbound::{self, Outbound, Piece, Sender};

/// Answers with a stream and relays what comes, in a task of its own: a client that does not read must not keep a
/// suspension from reaching the upstream.
pub(crate) fn start(flight: Flight, exchange: Exchange, first: Option<Message>) -> http::Response<Outbound> {
    let gate = Arc::clone(&flight.caller.gate);
    let lease =
        match gate.kernel.lease(&flight.caller.run, Some((flight.server(), flight.call().tool_name()))) {
            Ok(lease) => lease,
            Err(refusal) => return refuse(flight, refusal),
        };
    let (sender, receiver) = outbound::channel(&gate.limits, gate.limits.stream_backlog_bytes);
    let response = outbound::events(receiver, lease.cancel().clone(), gate.limits.piece_bytes);
    tokio::spawn(relay(flight, exchange, first, sender, lease));
    response
}

/// Cut off in the moment between.
fn refuse(flight: Flight, refusal: Refusal) -> http::Response<Outbound> {
    let piece = flight.caller.gate.limits.piece_bytes;
    let cut = ringfence_kernel::CutOff { code: refusal.code, reason: refusal.reason, action: None };
    let landed = flight.land(End::Cut(cut), true);
    outbound::json(landed.status, landed.body, None, piece)
}

async fn relay(
    mut flight: Flight,
    mut exchange: Exchange,
    first: Option<Message>,
    sender: Sender,
    lease: Lease,
) {
    let Some(end) = converse(&mut flight, &mut exchange, first, &sender).await else {
        // The client has gone: dropping the flight says so everywhere.
        return;
    };
    if !matches!(end, End::Answered(_)) {
        // Ends the way to the upstream before anything else is done.
        drop(exchange);
    }
    let mut last = LastWord {
        era: flight.caller.era,
        kind: flight.kind,
        request: flight.request.clone(),
        action: flight.action(),
        effect: Effect::Refused,
        stall: flight.caller.gate.limits.write_stall,
    };
    let (was_cut, called_off) = (matches!(end, End::Cut(_)), matches!(end, End::CalledOff));
    let landed = flight.land(end, true);
    last.effect = landed.effect;
    if !called_off {
        // Nobody waits for the answer to what was called off (MCP 2025-11-25, "Cancellation").
        last.give(landed.body, was_cut, &sender, lease).await;
    }
}

/// The last event of a stream.
struct LastWord {
    era: Era,
    kind: method::Kind,
    request: Request,
    action: ActionId,
    effect: Effect,
    stall: Duration,
}

// === impl LastWord ===

impl LastWord {
    /// Gives out the answer. A suspension that comes while it is on its way takes its place.
    async fn give(self, body: Vec<u8>, was_cut: bool, sender: &Sender, lease: Lease) {
        let event = Bytes::from(sse::event(&body));
        let stall = self.stall;
        let piece = if was_cut {
            Piece::Last(event)
        } else {
            Piece::Answer(
                event,
                lease,
                Box::new(move |cut| sse::event(&self.refused(cut.code, cut.reason)).into()),
            )
        };
        // A client that takes nothing is cut off by its connection; this bounds how long the task is kept for it.
        if tokio::time::timeout(stall, sender.last(piece)).await.is_err() {
            tracing::debug!("a client did not take the end of a stream");
        }
    }

    fn refused(&self, code: Code, reason: String) -> Vec<u8> {
        let refusal = Refusal::new(code, self.action, reason);
        refused_bytes(self.era, self.kind, &self.request, &refusal, self.effect)
    }
}

/// Relays until the call ends; `None` when the client has gone.
async fn converse(
    flight: &mut Flight,
    exchange: &mut Exchange,
    mut first: Option<Message>,
    sender: &Sender,
) -> Option<End> {
    let waits = Waits::of(flight);
    let keep_alive = flight.caller.gate.limits.keep_alive;
    loop {
        let next = async {
            match first.take() {
                Some(message) => Ok(Some(message)),
                None => waits.next(exchange).await,
            }
        };
        let came = tokio::select! {
            biased;
            () = sender.closed() => return None,
            came = tokio::time::timeout(keep_alive, next) => came,
        };
        let piece = match came {
            Err(_) => Bytes::from_static(sse::COMMENT),
            Ok(Err(end)) => return Some(end),
            Ok(Ok(None)) => return Some(End::Failed(UpstreamError::Broken)),
            Ok(Ok(Some(Message::Response(response)))) => return Some(End::Answered(response)),
            Ok(Ok(Some(Message::Notification(notification)))) => match admit(flight, notification) {
                Some(notification) => sse::event(&notification.to_bytes()).into(),
                None => continue,
            },
            Ok(Ok(Some(Message::Request(question)))) => {
                let asked = tokio::select! {
                    biased;
                    () = sender.closed() => return None,
                    asked = waits.for_the(ask(flight, question)) => asked,
                };
                match asked.and_then(|asked| asked) {
                    Ok(Some(question)) => sse::event(&question.to_bytes()).into(),
                    Ok(None) => continue,
                    Err(end) => return Some(end),
                }
            }
        };
        match waits.for_the(sender.event(piece)).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return None,
            Err(end) => return Some(end),
        }
    }
}

/// What of an upstream's notification reaches the client during a call; unknown ones do not.
fn admit(flight: &Flight, mut notification: Notification) -> Option<Notification> {
    match notification.method.as_str() {
        "notifications/progress" => {
            let token = flight.request.meta().and_then(|meta| meta.get("progressToken"))?;
            if notification.param("progressToken") != Some(token) {
                return None;
            }
            if !flight.may_tell() {
                notification.params.as_mut().map(|params| params.remove("message"));
            }
        }
        "notifications/message"
        | "notifications/resources/updated"
        | "notifications/elicitation/complete"
            if flight.may_tell() => {}
        "notifications/cancelled" => return withdraw(flight, notification),
        method if method::is_list_change(method) => {
            discovery::refresh(&flight.caller.gate, &flight.caller.run.workspace, flight.server());
        }
        _ => return None,
    }
    Some(notification)
}

/// A server withdraws a question: under the identifier that the client knows.
fn withdraw(flight: &Flight, mut notification: Notification) -> Option<Notification> {
    let id = Id::read(notification.param("requestId")?.clone()).ok()?;
    let known = flight.caller.session.as_ref()?.withdraw(flight.server(), &id)?;
    notification.params.as_mut()?.insert("requestId", known.to_value());
    Some(notification)
}

/// Asks the client what a legacy server wants to know. Gives the question under an identifier of the gate's own.
async fn ask(flight: &mut Flight, mut question: Request) -> Result<Option<Request>, End> {
    if flight.caller.session.is_none() {
        // Modern servers ask in their results (MCP 2026-07-28, "Multi Round-Trip Requests").
        return Err(End::Failed(UpstreamError::Malformed("a request on the stream of an answer")));
    }
    let asked = match (&flight.link, method::is_question(&question.method)) {
        // A question may hold what is to be redacted of the result.
        (Some(link), true) if flight.may_tell() => {
            let noted = Question::new(flight.server(), link, &question);
            flight.asker.as_ref().and_then(|asker| asker.ask(noted, &flight.caller.gate.limits))
        }
        _ => None,
    };
    let Some(id) = asked else {
        decline(flight, &question).await;
        return Ok(None);
    };
    question.id = id;
    Ok(Some(question))
}

/// Tells a server that nobody answers its question; or that the gate is there, if that is all it asks.
pub(crate) async fn decline(flight: &Flight, question: &Request) {
    let Some(link) = &flight.link else { return };
    let answer = declined(question);
    let gate = &flight.caller.gate;
    let answer = Message::Response(answer);
    let sending = link.send(gate, flight.passage(), &answer);
    let sent = tokio::time::timeout(gate.limits.errand_time, sending).await;
    tracing::debug!(sent = matches!(sent, Ok(Ok(()))), "a question was declined");
}

/// The gate's own answer to a server's request.
pub(crate) fn declined(question: &Request) -> Response {
    match question.method.as_str() {
        "ping" => Response::result(question.id.clone(), Object::new()),
        method => {
            let fault = Fault::method_not_found(Era::Legacy, method);
            fault.to_response(Some(question.id.clone()))
        }
    }
}
