//! Streams that are no call: what servers say unasked. `subscriptions/listen` in modern revisions, GET in legacy
//! ones. They are no actions, but are cut off like them.

use std::sync::Arc;

use bytes::Bytes;
use http::{Response, StatusCode};
use ringfence_json::Object;
use ringfence_kernel::Lease;
use ringfence_types::ServerName;

use super::answers::{self, Denied};
use super::endpoint::Endpoint;
use super::era::{self, Era};
use super::fault::{self, Fault};
use super::flight::Caller;
use super::handler::{self, allowed};
use super::link::{Link, Load};
use super::message::{Id, Message, Notification, Request, Response as Answer, known_of};
use super::passage::Passage;
use super::pump::{Pump, Source, ended};
use super::session::Session;
use super::upstream::{UpstreamError, http as upstream_http};
use super::{list as lists, sse, turned_away};
use crate::gate::Gate;
use crate::http::outbound::{self, Outbound, Piece, Sender};

/// What listening is called in the log, in all revisions.
const LISTEN: &str = "subscriptions/listen";

/// What a client can ask to hear of (MCP 2026-07-28, "Subscriptions").
const FILTER: [&str; 4] =
    ["toolsListChanged", "promptsListChanged", "resourcesListChanged", "resourceSubscriptions"];

/// Answers GET: opens the stream on which legacy servers speak unasked.
pub(crate) async fn listen(gate: &Arc<Gate>, session: Arc<Session>, streams: bool) -> Response<Outbound> {
    if !streams {
        return outbound::status(StatusCode::NOT_ACCEPTABLE);
    }
    let run = Arc::clone(&session.run);
    let endpoint = session.endpoint.clone();
    let caller =
        Caller { gate: Arc::clone(gate), run, era: Era::Legacy, session: Some(session), streams: true };
    match endpoint {
        Endpoint::Server(server) => match listen_one(&caller, &server).await {
            Ok(Some(response)) => response,
            Ok(None) => outbound::status(StatusCode::METHOD_NOT_ALLOWED),
            Err(denied) => denied.respond(&caller, None),
        },
        Endpoint::Merged => match turned_away::lease_on_all(&caller, LISTEN) {
            Ok(lease) => listen_all(caller, lease),
            Err(denied) => denied.respond(&caller, None),
        },
    }
}

async fn listen_one(caller: &Caller, server: &ServerName) -> Result<Option<Response<Outbound>>, Denied> {
    let lease = allowed(caller, server, LISTEN)?;
    let opening = async {
        let link = handler::link(caller, &lease, server).await?;
        let source = unasked(caller, &lease, &link).await?;
        Ok(source.map(|source| (link, source)))
    };
    let Some((link, source)) = handler::while_leased(&lease, opening).await? else { return Ok(None) };
    let (sender, receiver) = outbound::channel(&caller.gate.limits, caller.gate.limits.stream_backlog_bytes);
    let response = outbound::events(receiver, lease.cancel().clone(), caller.gate.limits.piece_bytes);
    let pump = Pump::new(caller, server, link, sender, lease);
    tokio::spawn(pump.run(source));
    Ok(Some(response))
}

/// What a legacy server says unasked; `None` when it never does.
async fn unasked(caller: &Caller, lease: &Lease, link: &Link) -> Result<Option<Source>, UpstreamError> {
    Ok(match link {
        Link::Child(child) => Some(Source::Channel(child.listen())),
        Link::Http(address) => {
            let passage = Passage::Visit(lease);
            let opened =
                upstream_http::listen(&caller.gate.wires, passage, address, &caller.gate.limits).await?;
            opened.map(|exchange| Source::Exchange(Box::new(exchange)))
        }
    })
}

/// One stream for all servers. Each has its own task; the stream lives as long as the client wants it.
fn listen_all(caller: Caller, lease: Lease) -> Response<Outbound> {
    let (sender, receiver) = outbound::channel(&caller.gate.limits, caller.gate.limits.stream_backlog_bytes);
    let response = outbound::events(receiver, lease.cancel().clone(), caller.gate.limits.piece_bytes);
    for server in caller.gate.held(&caller.run) {
        let (caller, sender) = (caller.clone(), sender.clone());
        tokio::spawn(async move {
            // A server that is suspended by itself is left out.
            let Ok(own) = allowed(&caller, &server, LISTEN) else { return };
            let Ok(link) = handler::link(&caller, &own, &server).await else { return };
            let Ok(Some(source)) = unasked(&caller, &own, &link).await else { return };
            Pump::new(&caller, &server, link, sender, own).run(source).await;
        });
    }
    tokio::spawn(stay(caller, sender, lease, None));
    response
}

/// Keeps a stream open that may have nothing to say, until the client goes, it is cut off, or the node stops. The end
/// is said with `last`, if there is anything to say it with.
async fn stay(caller: Caller, sender: Sender, lease: Lease, last: Option<Vec<u8>>) {
    let mut beat = tokio::time::interval(caller.gate.limits.keep_alive);
    loop {
        tokio::select! {
            () = sender.closed() => return,
            _ = lease.cancel().cancelled() => break,
            () = caller.gate.shutdown.cancelled() => break,
            () = ended(caller.session.as_ref()) => break,
            _ = beat.tick() => {
                sender.try_event(Bytes::from_static(sse::COMMENT));
            }
        }
    }
    if let Some(last) = last {
        let piece = Piece::Last(sse::event(&last).into());
        // Whoever does not take it has gone, or is cut off by its connection.
        let _ = tokio::time::timeout(caller.gate.limits.write_stall, sender.last(piece)).await;
    }
}

/// Answers `subscriptions/listen`.
pub(crate) async fn subscribe(
    caller: Caller,
    endpoint: Endpoint,
    mut request: Request,
) -> Response<Outbound> {
    let id = request.id.clone();
    if !caller.streams {
        let fault =
            Fault::bad_request(fault::INVALID_REQUEST, "a subscription needs `Accept: text/event-stream`");
        return answers::fault(&caller, &fault, Some(id));
    }
    let subscribed = match &endpoint {
        Endpoint::Server(server) => subscribe_one(&caller, server, &mut request).await,
        Endpoint::Merged => subscribe_all(&caller, &request),
    };
    subscribed.unwrap_or_else(|denied| denied.respond(&caller, Some(id)))
}

async fn subscribe_one(
    caller: &Caller,
    server: &ServerName,
    request: &mut Request,
) -> Result<Response<Outbound>, Denied> {
    let lease = allowed(caller, server, LISTEN)?;
    let link = handler::while_leased(&lease, handler::modern_link(caller, &lease, server)).await?;
    let filter = request.params.as_mut().and_then(|params| params.get_mut("notifications")?.as_object_mut());
    if let Some(filter) = filter {
        *filter = known_of(filter, &FILTER);
        if !caller.gate.kernel.may_use(&caller.run, server, "resources/subscribe") {
            filter.remove("resourceSubscriptions");
        }
    }
    let passage = Passage::Visit(&lease);
    let opened = link.request(&caller.gate, passage, request, Load::default()).await?;
    let mut exchange = opened.exchange.ok_or(UpstreamError::Malformed("no answer to a request"))?;
    if exchange.streams() == Some(false) {
        let answering = super::link::answer(Some(exchange), &request.id, &caller.gate.limits);
        let answer = passage.hold(&caller.gate.limits, answering).await?;
        return Err(Denied::Rejected(Box::new(answer), opened.status));
    }
    // A child answers at once, one way or the other; over HTTP the head has said that it streams.
    let mut first = None;
    if exchange.streams().is_none() {
        match passage.hold(&caller.gate.limits, exchange.next()).await? {
            Some(Message::Response(answer)) => return Err(Denied::Rejected(Box::new(answer), opened.status)),
            other => first = other,
        }
    }
    let (sender, receiver) = outbound::channel(&caller.gate.limits, caller.gate.limits.stream_backlog_bytes);
    let response = outbound::events(receiver, lease.cancel().clone(), caller.gate.limits.piece_bytes);
    let mut pump = Pump::new(caller, server, link, sender, lease);
    pump.request = Some(request.id.clone());
    tokio::spawn(async move {
        if let Some(first) = first
            && pump.pass(first).await.is_none()
        {
            return;
        }
        pump.run(Source::Exchange(Box::new(exchange))).await;
    });
    Ok(response)
}

/// Subscribes to the lists of all servers. The gate acknowledges; then each server is asked on its own.
fn subscribe_all(caller: &Caller, request: &Request) -> Result<Response<Outbound>, Denied> {
    let lease = turned_away::lease_on_all(caller, LISTEN)?;
    let wanted = |name: &str| {
        request.param("notifications").and_then(|filter| filter.get(name)?.as_bool()) == Some(true)
    };
    let filter = ["toolsListChanged", "promptsListChanged"]
        .into_iter()
        .filter(|name| wanted(name))
        .fold(Object::new(), |filter, name| filter.with(name, true));
    let (sender, receiver) = outbound::channel(&caller.gate.limits, caller.gate.limits.stream_backlog_bytes);
    let response = outbound::events(receiver, lease.cancel().clone(), caller.gate.limits.piece_bytes);
    let subscription = || Object::new().with(era::META_SUBSCRIPTION, request.id.to_value());
    let params = Object::new().with("_meta", subscription()).with("notifications", filter.clone());
    let acknowledged = Notification::new("notifications/subscriptions/acknowledged", params);
    // The channel is new, so there is room.
    sender.try_event(sse::event(&acknowledged.to_bytes()).into());
    for server in caller.gate.held(&caller.run) {
        let own = Request {
            id: lists::next_id(),
            params: Some(with_filter(request, &filter)),
            method: request.method.clone(),
        };
        tokio::spawn(subscribe_of_all(caller.clone(), server, own, request.id.clone(), sender.clone()));
    }
    let last = Answer::result(
        request.id.clone(),
        Object::new().with("resultType", "complete").with("_meta", subscription()),
    );
    tokio::spawn(stay(caller.clone(), sender, lease, Some(last.to_bytes())));
    Ok(response)
}

fn with_filter(request: &Request, filter: &Object) -> Object {
    request.params.clone().unwrap_or_default().with("notifications", filter.clone())
}

async fn subscribe_of_all(
    caller: Caller,
    server: ServerName,
    own: Request,
    subscription: Id,
    sender: Sender,
) {
    let Ok(lease) = allowed(&caller, &server, LISTEN) else { return };
    let Ok(link) = handler::modern_link(&caller, &lease, &server).await else { return };
    let passage = Passage::Visit(&lease);
    let Ok(opened) = link.request(&caller.gate, passage, &own, Load::default()).await else { return };
    let Some(exchange) = opened.exchange else { return };
    let mut pump = Pump::new(&caller, &server, link, sender, lease);
    pump.subscription = Some(subscription);
    pump.run(Source::Exchange(Box::new(exchange))).await;
}

/// Passes a client's notification on to the upstreams of its session.
pub(crate) async fn tell_upstreams(gate: &Arc<Gate>, session: &Session, notification: Notification) {
    let servers = match &session.endpoint {
        Endpoint::Server(server) => vec![server.clone()],
        Endpoint::Merged => gate.held(&session.run),
    };
    let method = notification.method.clone();
    let message = Message::Notification(notification);
    for server in servers {
        let telling = async {
            let lease = gate.kernel.visit(&session.run, &server, &method).ok()?;
            let passage = Passage::Visit(&lease);
            let link = Link::legacy(gate, passage, session, &server).await.ok()?;
            link.send(gate, passage, &message).await.ok()
        };
        let told = tokio::time::timeout(gate.limits.errand_time, telling).await;
        tracing::debug!(%server, told = matches!(told, Ok(Some(()))), "a notification was passed on");
    }
}
