//! One exchange with an upstream over streamable HTTP (MCP 2026-07-28 and 2025-11-25, "Streamable HTTP").
//!
//! What goes out is made here, header by header: nothing that an agent sent in a header is passed on, least of all
//! its token. What comes back is bounded; redirects are not followed, and compressed bodies were not asked for.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{ACCEPT, CONTENT_ENCODING, CONTENT_TYPE, HOST, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use ringfence_json::Object;
use smol_str::SmolStr;

use super::UpstreamError;
use super::exchange::Exchange;
use crate::Limits;
use crate::http::wires::{AnswerBody, Wires};
use crate::mcp::headers;
use crate::mcp::message::{self, Id, Message, Notification, Response as Answer};
use crate::mcp::passage::Passage;
use crate::mcp::sse::Reader;
use crate::targets::HttpTarget;

/// The upstream's side of a conversation: what every request to it carries.
#[derive(Debug, Clone)]
pub(crate) struct Address {
    /// Where it is.
    pub(crate) target: Arc<HttpTarget>,
    /// The revision that is spoken; none before the handshake.
    pub(crate) revision: Option<SmolStr>,
    /// Its session, in legacy revisions.
    pub(crate) session: Option<HeaderValue>,
}

/// What came back at once.
#[derive(Debug)]
pub(crate) struct Opened {
    /// The HTTP status; an error only together with a JSON-RPC error.
    pub(crate) status: StatusCode,
    /// The session that the upstream began.
    pub(crate) session: Option<HeaderValue>,
    /// The messages; none for a notification that was taken.
    pub(crate) exchange: Option<Exchange>,
}

/// The messages of one answer.
#[derive(Debug)]
pub(crate) enum HttpExchange {
    /// One message as JSON, and the limits it is read under.
    Json(Box<(AnswerBody, Limits)>),
    /// A message that was read already.
    Ready(Box<Message>),
    /// A stream of events.
    Events(Box<Events>),
    /// Nothing more.
    Done,
}

/// A stream of events, taken up again where the upstream closes it early (MCP 2025-11-25, "Resumability").
#[derive(Debug)]
pub(crate) struct Events {
    body: AnswerBody,
    reader: Reader,
    wires: Arc<Wires>,
    address: Address,
    limits: Limits,
    resumptions: u32,
    answered: bool,
    messages: usize,
}

/// The longest error body that is looked at, in bytes.
const ERROR_BYTES_MAX: usize = 64 << 10;

const PRODUCT: &str = concat!("ringfence/", env!("CARGO_PKG_VERSION"));

/// Posts one message. `routing` are the headers that repeat it, for modern revisions.
pub(crate) async fn post(
    wires: &Arc<Wires>,
    passage: Passage<'_>,
    address: &Address,
    body: Vec<u8>,
    routing: Option<HeaderMap>,
    limits: &Limits,
) -> Result<Opened, UpstreamError> {
    passage.hold(limits, post_now(wires, address, body, routing, limits)).await
}

/// Tells a legacy upstream that a request is called off: all that goes out after an action was settled.
pub(crate) async fn call_off(wires: &Arc<Wires>, address: &Address, id: &Id, limits: &Limits) {
    let params = Object::new().with("requestId", id.to_value()).with("reason", "the call was called off");
    let cancelled = Notification::new("notifications/cancelled", params).to_bytes();
    let telling = post_now(wires, address, cancelled, None, limits);
    let told = tokio::time::timeout(limits.connect_time, telling).await;
    tracing::debug!(told = matches!(told, Ok(Ok(_))), "a call was called off upstream");
}

async fn post_now(
    wires: &Arc<Wires>,
    address: &Address,
    body: Vec<u8>,
    routing: Option<HeaderMap>,
    limits: &Limits,
) -> Result<Opened, UpstreamError> {
    let mut request = request(Method::POST, address, body.into())?;
    if let Some(routing) = routing {
        request.headers_mut().extend(routing);
    }
    let accept = HeaderValue::from_static("application/json, text/event-stream");
    request.headers_mut().insert(ACCEPT, accept);
    request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let response = wires.send(request).await?;
    open(wires, address, response, limits).await
}

/// Opens the stream on which a legacy upstream speaks unasked. `None` when it has none.
pub(crate) async fn listen(
    wires: &Arc<Wires>,
    passage: Passage<'_>,
    address: &Address,
    limits: &Limits,
) -> Result<Option<Exchange>, UpstreamError> {
    let opening = async {
        let response = get(wires, address, None).await?;
        if response.status() == StatusCode::METHOD_NOT_ALLOWED {
            return Ok(None);
        }
        Ok(open(wires, address, response, limits).await?.exchange)
    };
    passage.hold(limits, opening).await
}

/// Ends a legacy upstream's session. Nobody waits for what it says to that.
pub(crate) async fn end_session(wires: &Arc<Wires>, address: &Address) {
    if address.session.is_none() {
        return;
    }
    if let Ok(request) = request(Method::DELETE, address, Bytes::new()) {
        let ended = wires.send(request).await;
        tracing::debug!(
            accepted = ended.is_ok_and(|answer| answer.status().is_success()),
            "session ended upstream"
        );
    }
}

async fn get(
    wires: &Arc<Wires>,
    address: &Address,
    last: Option<&str>,
) -> Result<Response<AnswerBody>, UpstreamError> {
    let mut request = request(Method::GET, address, Bytes::new())?;
    request.headers_mut().insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
    if let Some(last) = last {
        let last = HeaderValue::from_str(last).map_err(|_| UpstreamError::Malformed("an event id"))?;
        request.headers_mut().insert(headers::LAST_EVENT, last);
    }
    Ok(wires.send(request).await?)
}

/// A request with what every one carries.
fn request(method: Method, address: &Address, body: Bytes) -> Result<Request<Full<Bytes>>, UpstreamError> {
    let target = &address.target;
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = method;
    *request.uri_mut() = target.url.clone();
    let map = request.headers_mut();
    map.reserve(12);
    for (name, source) in &target.headers {
        map.insert(name.clone(), source.read_header(name)?);
    }
    let host = target.url.authority().and_then(|authority| HeaderValue::from_str(authority.as_str()).ok());
    map.insert(HOST, host.ok_or(UpstreamError::Unreachable)?);
    map.insert(USER_AGENT, HeaderValue::from_static(PRODUCT));
    if let Some(revision) = &address.revision {
        let revision = HeaderValue::from_str(revision).map_err(|_| UpstreamError::Handshake)?;
        map.insert(headers::VERSION, revision);
    }
    if let Some(session) = &address.session {
        map.insert(headers::SESSION, session.clone());
    }
    Ok(request)
}

async fn open(
    wires: &Arc<Wires>,
    address: &Address,
    response: Response<AnswerBody>,
    limits: &Limits,
) -> Result<Opened, UpstreamError> {
    let (head, body) = response.into_parts();
    let encoded = head.headers.get(CONTENT_ENCODING).is_some_and(|coding| coding != "identity");
    if encoded {
        return Err(UpstreamError::Malformed("a compressed body, which was not asked for"));
    }
    let session = head.headers.get(headers::SESSION).cloned();
    let media = media_type(&head.headers);
    let exchange = match head.status {
        StatusCode::OK if media == "application/json" => {
            Some(HttpExchange::Json(Box::new((body, limits.clone()))))
        }
        StatusCode::OK if media == "text/event-stream" => Some(HttpExchange::Events(Box::new(Events {
            body,
            reader: Reader::new(limits.message_bytes),
            wires: Arc::clone(wires),
            address: address.clone(),
            limits: limits.clone(),
            resumptions: 0,
            answered: false,
            messages: 0,
        }))),
        StatusCode::OK => return Err(UpstreamError::Malformed("neither JSON nor a stream of events")),
        StatusCode::ACCEPTED | StatusCode::NO_CONTENT => {
            drain(body).await;
            None
        }
        StatusCode::NOT_FOUND if address.session.is_some() => return Err(UpstreamError::SessionGone),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            return Err(UpstreamError::Credential(head.status.as_u16()));
        }
        status if status.is_server_error() => return Err(UpstreamError::Server(status.as_u16())),
        status if status.is_redirection() => {
            return Err(UpstreamError::Malformed("a redirect, which is not followed"));
        }
        _ => Some(HttpExchange::Ready(Box::new(refusal(body, limits).await?))),
    };
    Ok(Opened { status: head.status, session, exchange: exchange.map(Exchange::Http) })
}

fn media_type(headers: &HeaderMap) -> String {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// A body nobody needs, read so that the connection can be kept; given up when it is long.
async fn drain(mut body: AnswerBody) {
    let _ = whole(&mut body, ERROR_BYTES_MAX).await;
}

/// The JSON-RPC error that came with an error status.
async fn refusal(mut body: AnswerBody, limits: &Limits) -> Result<Message, UpstreamError> {
    let malformed = UpstreamError::Malformed("an error status without a JSON-RPC error");
    let Ok(bytes) = whole(&mut body, ERROR_BYTES_MAX).await else { return Err(malformed) };
    match message::parse(&bytes, &limits.upstream_json()) {
        Ok(Message::Response(answer @ Answer { outcome: Err(_), .. })) => Ok(Message::Response(answer)),
        _ => Err(malformed),
    }
}

async fn whole(body: &mut AnswerBody, bytes_max: usize) -> Result<Bytes, UpstreamError> {
    if body.announced().is_some_and(|bytes| bytes > bytes_max as u64) {
        return Err(UpstreamError::TooLarge { bytes_max });
    }
    let mut first = Bytes::new();
    let mut all = BytesMut::new();
    while let Some(data) = body.data().await? {
        if first.len() + all.len() + data.len() > bytes_max {
            return Err(UpstreamError::TooLarge { bytes_max });
        }
        if first.is_empty() && all.is_empty() {
            first = data;
            continue;
        }
        all.extend_from_slice(&std::mem::take(&mut first));
        all.extend_from_slice(&data);
    }
    Ok(if all.is_empty() { first } else { all.freeze() })
}

/// Reads a message of an upstream, in this program's words where it is none.
pub(crate) fn read(bytes: &[u8], limits: &Limits) -> Result<Message, UpstreamError> {
    message::parse(bytes, &limits.upstream_json()).map_err(|error| {
        tracing::debug!(%error, "an upstream's message cannot be read");
        UpstreamError::Malformed("not a JSON-RPC message as it is taken here")
    })
}

// === impl HttpExchange ===

impl HttpExchange {
    /// Whether the upstream chose to answer with a stream.
    pub(crate) fn streams(&self) -> bool {
        matches!(self, Self::Events(_))
    }

    /// The next message; `None` at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Message>, UpstreamError> {
        match self {
            Self::Events(events) => events.next().await,
            Self::Json(json) => {
                let (body, limits) = json.as_mut();
                let bytes = whole(body, limits.message_bytes).await?;
                let message = read(&bytes, limits)?;
                *self = Self::Done;
                Ok(Some(message))
            }
            Self::Ready(_) | Self::Done => match std::mem::replace(self, Self::Done) {
                Self::Ready(message) => Ok(Some(*message)),
                _ => Ok(None),
            },
        }
    }
}

// === impl Events ===

impl Events {
    async fn next(&mut self) -> Result<Option<Message>, UpstreamError> {
        loop {
            if let Some(data) = self.reader.next_data() {
                self.messages += 1;
                if self.messages > self.limits.messages_per_call {
                    return Err(UpstreamError::TooMany { max: self.limits.messages_per_call });
                }
                let message = read(&data, &self.limits)?;
                self.answered |= matches!(message, Message::Response(_));
                return Ok(Some(message));
            }
            match self.body.data().await {
                Ok(Some(piece)) => self
                    .reader
                    .push(&piece)
                    .map_err(|error| UpstreamError::TooLarge { bytes_max: error.bytes_max })?,
                Ok(None) if self.answered => return Ok(None),
                Ok(None) if !self.resume().await? => return Ok(None),
                Ok(None) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Takes the stream up again where it ended; false when the upstream gave no place to do so.
    async fn resume(&mut self) -> Result<bool, UpstreamError> {
        let Some(last) = self.reader.last_id() else { return Ok(false) };
        if self.resumptions >= self.limits.resumptions {
            return Ok(false);
        }
        self.resumptions += 1;
        let wait =
            Duration::from_millis(self.reader.retry_ms().unwrap_or(500)).min(self.limits.resumption_wait);
        tokio::time::sleep(wait).await;
        // Whatever stops this, the request of the stream was taken long ago.
        let response = get(&self.wires, &self.address, Some(last)).await.map_err(|error| {
            tracing::debug!(%error, "an upstream's stream cannot be taken up again");
            UpstreamError::Broken
        })?;
        let (head, body) = response.into_parts();
        if head.status != StatusCode::OK || media_type(&head.headers) != "text/event-stream" {
            return Ok(false);
        }
        self.body = body;
        Ok(true)
    }
}
