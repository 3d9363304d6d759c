//! Connections to upstreams over HTTP/1.1, kept while they are idle.
//!
//! A connection is driven by whoever uses it, in the same task: the way to the upstream and back costs no hop
//! between tasks. An idle one is driven by nobody; that its other end has closed it is seen when it is taken.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::future::{Future, poll_fn};
use std::io::ErrorKind;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::uri::{Authority, Scheme};
use http::{Request, Response, Uri};
use http_body_util::Full;
use hyper::body::{Body as _, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::net::TcpStream;
use tower_service::Service as _;

use crate::Limits;

/// Connections to all upstreams.
#[derive(Debug)]
#[expect(clippy::vec_box, reason = "a connection is 2 KiB and goes back and forth with every call")]
pub(crate) struct Wires {
    connector: HttpsConnector<HttpConnector>,
    idle: Mutex<HashMap<Origin, Vec<Box<Wire>>>>,
    limits: Limits,
}

/// Why nothing came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum WireError {
    /// There is no connection, so nothing was sent.
    #[error("cannot be reached: {0}")]
    Unreachable(Why),
    /// The connection broke after something was sent.
    #[error("the connection broke")]
    Broken,
    /// What came back is not HTTP.
    #[error("not HTTP")]
    Malformed,
}

/// Why there is no connection: for whoever runs the node, and no agent's business.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Why {
    /// Nobody listens there.
    #[error("connection refused")]
    Refused,
    /// The name leads nowhere.
    #[error("no such host")]
    NoSuchHost,
    /// There is no way there.
    #[error("no route to the host")]
    NoRoute,
    /// Nobody answered.
    #[error("no connection in time")]
    Late,
    /// It is not shown that it is who it should be.
    #[error("TLS, its certificate is not accepted")]
    Certificate,
    /// It speaks no TLS, or none that is taken.
    #[error("TLS, the handshake failed")]
    Handshake,
    /// The address is none.
    #[error("the address cannot be used")]
    Address,
    /// It was closed again at once.
    #[error("the connection closed before anything was sent")]
    Closed,
    /// Something else, of which the log has more at the level `debug`.
    #[error("no connection")]
    Other,
}

/// Where a connection leads.
type Origin = (Scheme, Authority);

type Io = MaybeHttpsStream<TokioIo<TcpStream>>;
type Connection = http1::Connection<Io, Full<Bytes>>;

/// One connection.
#[derive(Debug)]
struct Wire {
    origin: Origin,
    sender: SendRequest<Full<Bytes>>,
    /// `None` once it has ended.
    connection: Option<Connection>,
    since: Instant,
}

/// The body of an upstream's answer. Read to its end, the connection is kept; dropped before, it is closed.
#[derive(Debug)]
pub(crate) struct AnswerBody {
    wires: Arc<Wires>,
    wire: Option<Box<Wire>>,
    incoming: Incoming,
}

// === impl Wires ===

impl Wires {
    /// No connections yet. The machine's certificate authorities are read once.
    ///
    /// # Errors
    /// When they cannot be read.
    pub(crate) fn new(limits: &Limits) -> std::io::Result<Arc<Self>> {
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        http.set_nodelay(true);
        http.set_connect_timeout(Some(limits.connect_time));
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let tls = HttpsConnectorBuilder::new().with_provider_and_native_roots(provider)?;
        let connector = tls.https_or_http().enable_http1().wrap_connector(http);
        Ok(Arc::new(Self { connector, idle: Mutex::default(), limits: limits.clone() }))
    }

    /// Sends a request and waits for the head of the answer. The URI names the upstream; what is sent has its path.
    pub(crate) async fn send(
        self: &Arc<Self>,
        mut request: Request<Full<Bytes>>,
    ) -> Result<Response<AnswerBody>, WireError> {
        let origin = origin(request.uri())?;
        *request.uri_mut() = path(request.uri());
        let mut wire = match self.take_idle(&origin) {
            Some(wire) => wire,
            None => Box::pin(self.connect(origin)).await?,
        };
        // A request is only queued here; it is sent as the connection is driven.
        let sent = wire.sender.send_request(request);
        let response = wire.drive(Box::pin(sent)).await.map_err(|error| classify(&error))?;
        Ok(response.map(|incoming| AnswerBody { wires: Arc::clone(self), wire: Some(wire), incoming }))
    }

    async fn connect(&self, origin: Origin) -> Result<Box<Wire>, WireError> {
        let uri =
            Uri::builder().scheme(origin.0.clone()).authority(origin.1.clone()).path_and_query("/").build();
        let uri = uri.map_err(|_| WireError::Unreachable(Why::Address))?;
        let mut connector = self.connector.clone();
        let connecting = async {
            poll_fn(|cx| connector.poll_ready(cx)).await.map_err(|_| WireError::Unreachable(Why::Other))?;
            connector.call(uri).await.map_err(|error| {
                tracing::debug!(?error, upstream = %origin.1, "no connection");
                WireError::Unreachable(Why::of(&*error))
            })
        };
        let io = tokio::time::timeout(self.limits.connect_time, connecting).await;
        let io = io.unwrap_or(Err(WireError::Unreachable(Why::Late)))?;
        let (sender, connection) = http1::Builder::new()
            .max_buf_size(self.limits.upstream_head_bytes.max(64 << 10))
            .handshake(io)
            .await
            .map_err(|_| WireError::Unreachable(Why::Closed))?;
        Ok(Box::new(Wire { origin, sender, connection: Some(connection), since: Instant::now() }))
    }

    /// The idle connection that was used last, if one still lives.
    fn take_idle(&self, origin: &Origin) -> Option<Box<Wire>> {
        loop {
            let mut wire = self.idle.lock().get_mut(origin)?.pop()?;
            if wire.is_fresh(self.limits.idle_connection_time) && wire.glance() {
                return Some(wire);
            }
        }
    }

    fn keep(&self, mut wire: Box<Wire>) {
        if !wire.glance() {
            return;
        }
        wire.since = Instant::now();
        let mut idle = self.idle.lock();
        let wires = match idle.entry(wire.origin.clone()) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(Vec::new()),
        };
        if wires.len() < self.limits.idle_connections {
            wires.push(wire);
        }
    }

    /// Closes connections that were idle for too long.
    pub(crate) fn sweep(&self) {
        let time = self.limits.idle_connection_time;
        self.idle.lock().retain(|_, wires| {
            wires.retain(|wire| wire.is_fresh(time));
            !wires.is_empty()
        });
    }
}

fn origin(uri: &Uri) -> Result<Origin, WireError> {
    let scheme = uri.scheme().cloned().ok_or(WireError::Unreachable(Why::Address))?;
    let authority = uri.authority().cloned().ok_or(WireError::Unreachable(Why::Address))?;
    Ok((scheme, authority))
}

/// The origin form of a request's target (RFC 9112 §3.2.1).
fn path(uri: &Uri) -> Uri {
    uri.path_and_query().cloned().map_or_else(Uri::default, Uri::from)
}

/// Whether a request that failed may have arrived.
fn classify(error: &hyper::Error) -> WireError {
    if error.is_canceled() {
        // hyper gives up a request it has not begun to write.
        WireError::Unreachable(Why::Closed)
    } else if error.is_parse() {
        WireError::Malformed
    } else {
        WireError::Broken
    }
}

// === impl Why ===

impl Why {
    /// What lies behind an error of the connector.
    fn of(error: &(dyn std::error::Error + 'static)) -> Self {
        let mut next = Some(error);
        while let Some(error) = next {
            if let Some(tls) = error.downcast_ref::<rustls::Error>() {
                let is_certificate = matches!(tls, rustls::Error::InvalidCertificate(_));
                return if is_certificate { Self::Certificate } else { Self::Handshake };
            }
            let io = error.downcast_ref::<std::io::Error>();
            match io.map(std::io::Error::kind) {
                Some(ErrorKind::ConnectionRefused) => return Self::Refused,
                Some(ErrorKind::TimedOut) => return Self::Late,
                Some(ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable) => return Self::NoRoute,
                Some(ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset) => return Self::Closed,
                _ => {}
            }
            // The resolver's own errors have no kind.
            if error.to_string().starts_with("dns error") {
                return Self::NoSuchHost;
            }
            // An error that was made one of I/O is not its own source.
            let inner =
                io.and_then(|io| io.get_ref().map(|inner| inner as &(dyn std::error::Error + 'static)));
            next = inner.or_else(|| error.source());
        }
        Self::Other
    }
}

// === impl Wire ===

impl Wire {
    /// Drives the connection until `future`, which waits for it, is done.
    async fn drive<F: Future + Unpin>(&mut self, mut future: F) -> F::Output {
        poll_fn(|cx| {
            self.poll_connection(cx);
            Pin::new(&mut future).poll(cx)
        })
        .await
    }

    /// Lets the connection do what it can now.
    fn poll_connection(&mut self, cx: &mut Context<'_>) {
        if let Some(connection) = &mut self.connection
            && Pin::new(connection).poll(cx).is_ready()
        {
            self.connection = None;
        }
    }

    /// Lets the connection do what it can now, once; gives whether it can be used.
    fn glance(&mut self) -> bool {
        self.poll_connection(&mut Context::from_waker(std::task::Waker::noop()));
        self.connection.is_some() && self.sender.is_ready()
    }

    fn is_fresh(&self, time: Duration) -> bool {
        self.since.elapsed() < time
    }
}

// === impl AnswerBody ===

impl AnswerBody {
    /// The next part of the body; `None` at its end.
    pub(crate) async fn data(&mut self) -> Result<Option<Bytes>, WireError> {
        loop {
            let Some(frame) = poll_fn(|cx| self.poll_frame(cx)).await else {
                if let Some(wire) = self.wire.take() {
                    self.wires.keep(wire);
                }
                return Ok(None);
            };
            let frame = frame.map_err(|_| WireError::Broken)?;
            if let Ok(data) = frame.into_data() {
                return Ok(Some(data));
            }
        }
    }

    /// The length of the body, if it was announced.
    pub(crate) fn announced(&self) -> Option<u64> {
        self.incoming.size_hint().exact()
    }

    fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<hyper::body::Frame<Bytes>, hyper::Error>>> {
        if let Some(wire) = &mut self.wire {
            wire.poll_connection(cx);
        }
        Pin::new(&mut self.incoming).poll_frame(cx)
    }
}
