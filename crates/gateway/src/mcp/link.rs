//! The way to one upstream for one conversation: found anew for every message, so that a new address or key counts
//! at once.

use std::sync::{Arc, Weak};

use ::http::HeaderMap;
use ringfence_json::Object;
use ringfence_kernel::Run;
use ringfence_types::ServerName;

use super::era::{self, Era};
use super::headers::{self, ParamHeaders};
use super::message::{Id, Message, Notification, Request, Response};
use super::passage::Passage;
use super::session::{Session, UpstreamSession};
use super::upstream::child::Child;
use super::upstream::children::Key;
use super::upstream::http::{self, Address, Opened};
use super::upstream::{Exchange, UpstreamError};
use crate::Limits;
use crate::gate::Gate;
use crate::targets::{HttpTarget, Target};

/// A way to an upstream.
#[derive(Debug, Clone)]
pub(crate) enum Link {
    /// Over HTTP.
    Http(Address),
    /// To a child.
    Child(Arc<Child>),
}

/// The way back to an upstream that asked something. It keeps no child alive.
#[derive(Debug, Clone)]
pub(crate) enum WayBack {
    /// Over HTTP.
    Http(Address),
    /// To a child, as long as it is there.
    Child(Weak<Child>),
}

/// What a request carries beside itself.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Load<'a> {
    /// A parameter to put in the place of the request's own.
    pub(crate) replace: Option<(&'a str, &'a Object)>,
    /// The arguments that are repeated in headers, and how.
    pub(crate) repeat: Option<(&'a ParamHeaders, &'a Object)>,
}

/// What came of a legacy handshake.
pub(crate) enum Greeting {
    /// The upstream agreed.
    Welcome(UpstreamSession, Object),
    /// It answered with an error.
    Rejected(Response),
}

// === impl Link ===

impl Link {
    /// The way to a server for a modern client.
    pub(crate) async fn modern(
        gate: &Gate,
        passage: Passage<'_>,
        run: &Run,
        server: &ServerName,
    ) -> Result<Self, UpstreamError> {
        match passage.target(gate, &run.workspace, server)? {
            Target::Http(target) => {
                Ok(Self::Http(Address { target, revision: Some(era::MODERN.into()), session: None }))
            }
            Target::Stdio(target) => {
                let key = Key::new(&run.workspace, server, run.id, target.share, Era::Modern);
                Ok(Self::Child(Box::pin(gate.children.get(&key, passage, &target, &Object::new())).await?))
            }
        }
    }

    /// The way to a server for a legacy client, with the upstream's session begun if it has not been.
    pub(crate) async fn legacy(
        gate: &Gate,
        passage: Passage<'_>,
        session: &Session,
        server: &ServerName,
    ) -> Result<Self, UpstreamError> {
        match passage.target(gate, &session.run.workspace, server)? {
            Target::Http(target) => {
                let place = session.upstream(server);
                let mut begun = place.lock().await;
                let known = begun.as_ref().filter(|known| known.target.url == target.url).cloned();
                let known = match known {
                    Some(known) => known,
                    None => match Box::pin(greet(gate, passage, &target, session.handshake.clone())).await? {
                        Greeting::Welcome(welcome, _) => begun.insert(welcome).clone(),
                        Greeting::Rejected(_) => return Err(UpstreamError::Handshake),
                    },
                };
                Ok(Self::Http(known.address(&target)))
            }
            Target::Stdio(target) => {
                let run = &session.run;
                let key = Key::new(&run.workspace, server, run.id, target.share, Era::Legacy);
                Ok(Self::Child(
                    Box::pin(gate.children.get(&key, passage, &target, &session.handshake)).await?,
                ))
            }
        }
    }

    /// Sends a request.
    pub(crate) async fn request(
        &self,
        gate: &Gate,
        passage: Passage<'_>,
        request: &Request,
        load: Load<'_>,
    ) -> Result<Opened, UpstreamError> {
        match self {
            Self::Http(address) => {
                let (name, value) = load.replace.unwrap_or(("", const { &Object::new() }));
                let body = request.to_bytes_with(name, value);
                let modern = address.revision.as_deref() == Some(era::MODERN);
                let routing = modern.then(|| routing(request, load));
                http::post(&gate.wires, passage, address, body, routing, &gate.limits).await
            }
            Self::Child(child) => {
                let exchange = child.request(passage, request.clone(), load.replace, true).await?;
                let exchange = Some(Exchange::Child(exchange));
                Ok(Opened { status: ::http::StatusCode::OK, session: None, exchange })
            }
        }
    }

    /// Asks something that is no action, and waits for the answer.
    pub(crate) async fn ask(
        &self,
        gate: &Gate,
        passage: Passage<'_>,
        request: &Request,
    ) -> Result<(::http::StatusCode, Response), UpstreamError> {
        let asking = async {
            let opened = self.request(gate, passage, request, Load::default()).await?;
            Ok((opened.status, answer(opened.exchange, &request.id, &gate.limits).await?))
        };
        passage.hold(&gate.limits, asking).await
    }

    /// Sends a notification, or the answer to a question.
    pub(crate) async fn send(
        &self,
        gate: &Gate,
        passage: Passage<'_>,
        message: &Message,
    ) -> Result<(), UpstreamError> {
        match self {
            Self::Http(address) => {
                http::post(&gate.wires, passage, address, message.to_bytes(), None, &gate.limits)
                    .await
                    .map(drop)
            }
            Self::Child(child) => child.send(passage, message).await,
        }
    }

    /// The way back, for later.
    pub(crate) fn way_back(&self) -> WayBack {
        match self {
            Self::Http(address) => WayBack::Http(address.clone()),
            Self::Child(child) => WayBack::Child(Arc::downgrade(child)),
        }
    }

    /// Tells a legacy upstream over HTTP that a request is called off. The others see it: a modern one by the end of
    /// the connection, a child by the end of the exchange.
    pub(crate) async fn call_off(&self, gate: &Gate, id: &Id) {
        let Self::Http(address) = self else { return };
        if address.revision.as_deref() == Some(era::MODERN) {
            return;
        }
        http::call_off(&gate.wires, address, id, &gate.limits).await;
    }
}

// === impl WayBack ===

impl WayBack {
    /// The way, if there is still somebody at its end.
    pub(crate) fn link(&self) -> Result<Link, UpstreamError> {
        match self {
            Self::Http(address) => Ok(Link::Http(address.clone())),
            Self::Child(child) => {
                child.upgrade().map(Link::Child).ok_or_else(|| UpstreamError::Ended("stopped".to_owned()))
            }
        }
    }
}

/// The headers that repeat a modern request.
fn routing(request: &Request, load: Load<'_>) -> HeaderMap {
    let mut map = HeaderMap::with_capacity(4);
    if let Some(method) = headers::encode(&request.method) {
        map.insert(headers::METHOD, method);
    }
    if let Some(name) = headers::name_of(request).and_then(headers::encode) {
        map.insert(headers::NAME, name);
    }
    if let Some((repeated, arguments)) = load.repeat {
        repeated.write(arguments, &mut map);
    }
    map
}

/// Begins a session with a legacy upstream over HTTP: `initialize`, then `notifications/initialized`.
pub(crate) async fn greet(
    gate: &Gate,
    passage: Passage<'_>,
    target: &Arc<HttpTarget>,
    params: Object,
) -> Result<Greeting, UpstreamError> {
    let address = Address { target: Arc::clone(target), revision: None, session: None };
    let request = Request::new(Id::from(0), "initialize", params);
    let greeting = async {
        let opened =
            http::post(&gate.wires, passage, &address, request.to_bytes(), None, &gate.limits).await?;
        Ok((opened.session, answer(opened.exchange, &request.id, &gate.limits).await?))
    };
    let greeting = tokio::time::timeout(gate.limits.errand_time, passage.hold(&gate.limits, greeting)).await;
    let (session, answer) = greeting.unwrap_or(Err(UpstreamError::Timeout))?;
    let Ok(result) = answer.outcome else { return Ok(Greeting::Rejected(answer)) };
    let revision = result.text("protocolVersion").filter(|revision| era::is_legacy(revision));
    let Some(revision) = revision else { return Err(UpstreamError::Handshake) };
    let welcome = UpstreamSession { target: Arc::clone(target), session, revision: revision.into() };
    let ready = Notification { method: "notifications/initialized".into(), params: None };
    let link = Link::Http(welcome.address(target));
    tokio::time::timeout(gate.limits.errand_time, link.send(gate, passage, &Message::Notification(ready)))
        .await
        .unwrap_or(Err(UpstreamError::Timeout))?;
    Ok(Greeting::Welcome(welcome, result))
}

/// The answer to a request of the node's own; what comes before it is not for anybody.
pub(crate) async fn answer(
    exchange: Option<Exchange>,
    id: &Id,
    limits: &Limits,
) -> Result<Response, UpstreamError> {
    let mut exchange = exchange.ok_or(UpstreamError::Malformed("no answer to a request"))?;
    for _ in 0..limits.messages_per_call {
        match exchange.next().await? {
            Some(Message::Response(response)) if response.id.as_ref() == Some(id) => return Ok(response),
            Some(Message::Response(_)) => {
                return Err(UpstreamError::Malformed("an answer to another request"));
            }
            Some(_) => {}
            None => return Err(UpstreamError::Malformed("no answer to a request")),
        }
    }
    Err(UpstreamError::TooMany { max: limits.messages_per_call })
}

// === impl UpstreamSession ===

impl UpstreamSession {
    /// The address with what opens the upstream now.
    pub(crate) fn address(&self, target: &Arc<HttpTarget>) -> Address {
        Address {
            target: Arc::clone(target),
            revision: Some(self.revision.clone()),
            session: self.session.clone(),
        }
    }
}
