//! Connections to a host, for the requests of one connection of a program inside.
//!
//! They are not shared between programs: what one of them sent first cannot become what another is answered.

use std::fmt;
use std::future::Future;
use std::sync::{Arc, Weak};

use http::request::Parts;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use parking_lot::Mutex;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::task::AbortHandle;

use super::Site;
use super::body::Upload;
use super::request::address;
use crate::egress::berth::{Berth, Unreached};
use crate::egress::tunnel::Stream;
use crate::egress::world::World;

/// Idle connections kept.
const IDLE_MAX: usize = 8;

/// The host, as one program's connection sees it.
pub(crate) struct Upstream {
    berth: Arc<Berth>,
    site: Site,
    /// Whether HTTP/2 is worth asking for: the program speaks it too.
    http2: bool,
    idle: Arc<Mutex<Vec<Http1>>>,
    /// The one connection of HTTP/2; held while it is made.
    shared: tokio::sync::Mutex<Shared>,
}

#[derive(Default)]
enum Shared {
    #[default]
    Unknown,
    /// The host does not speak it.
    None,
    /// In a world that said the same.
    Open(http2::SendRequest<Upload>, Arc<Driver>, Arc<World>),
}

/// A connection that an answer is read from.
pub(crate) enum Connection {
    Http1(Http1, Weak<Mutex<Vec<Http1>>>),
    Http2(#[expect(dead_code, reason = "held until the answer is read")] Arc<Driver>),
}

/// A connection of HTTP/1.1: one request at a time.
pub(crate) struct Http1 {
    sender: http1::SendRequest<Upload>,
    /// Where the host was found, and by whom it was trusted.
    world: Arc<World>,
    _driver: Driver,
}

/// The task that a connection lives in; ends with it.
pub(crate) struct Driver(AbortHandle);

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SendError {
    /// Nothing was sent.
    Unreached(Unreached),
    /// The connection broke after something was sent.
    Broken,
    /// What came back is not HTTP.
    Malformed,
}

/// A new connection.
enum Opened {
    Http1(Http1),
    Http2(http2::SendRequest<Upload>, Arc<Driver>),
}

// === impl Upstream ===

impl Upstream {
    pub(crate) fn new(berth: Arc<Berth>, site: Site, http2: bool) -> Self {
        let http2 = http2 && site.secure;
        Self { berth, site, http2, idle: Arc::default(), shared: tokio::sync::Mutex::default() }
    }

    /// Sends a request that was cleared in that world and waits for the head of the answer.
    pub(crate) async fn send(
        &self,
        world: &Arc<World>,
        mut request: Request<Upload>,
    ) -> Result<(Response<Incoming>, Connection), SendError> {
        if self.http2
            && let Some((mut sender, driver)) = self.shared(world).await?
        {
            let request = self.addressed(request, true)?;
            sender.ready().await.map_err(|_| SendError::Broken)?;
            let response = sender.send_request(request).await.map_err(|error| classify(&error))?;
            return Ok((response, Connection::Http2(driver)));
        }
        request = self.addressed(request, false)?;
        loop {
            let idle = self.take_idle(world);
            let fresh = idle.is_none();
            let mut connection = match idle {
                Some(connection) => connection,
                None => match self.open(world, false).await? {
                    Opened::Http1(connection) => connection,
                    Opened::Http2(..) => return Err(SendError::Malformed),
                },
            };
            match connection.sender.try_send_request(request).await {
                Ok(response) => {
                    return Ok((response, Connection::Http1(connection, Arc::downgrade(&self.idle))));
                }
                Err(mut error) => match error.take_message() {
                    // The host closed a connection that was idle; nothing was sent on it.
                    Some(unsent) if !fresh => request = unsent,
                    Some(_) => return Err(SendError::Unreached(Unreached::Silent)),
                    None => return Err(classify(error.error())),
                },
            }
        }
    }

    fn addressed(&self, request: Request<Upload>, http2: bool) -> Result<Request<Upload>, SendError> {
        let (mut parts, body): (Parts, Upload) = request.into_parts();
        address(&mut parts, &self.site, http2).ok_or(SendError::Malformed)?;
        Ok(Request::from_parts(parts, body))
    }

    /// One that is still open and leads where it would now.
    fn take_idle(&self, world: &Arc<World>) -> Option<Http1> {
        let mut idle = self.idle.lock();
        loop {
            let connection = idle.pop()?;
            if connection.sender.is_ready() && connection.world.says_the_same(world) {
                return Some(connection);
            }
        }
    }

    /// The connection of HTTP/2, if the host speaks it.
    async fn shared(
        &self,
        world: &Arc<World>,
    ) -> Result<Option<(http2::SendRequest<Upload>, Arc<Driver>)>, SendError> {
        let mut shared = self.shared.lock().await;
        match &*shared {
            Shared::None => return Ok(None),
            Shared::Open(sender, driver, opened) if !sender.is_closed() && opened.says_the_same(world) => {
                return Ok(Some((sender.clone(), Arc::clone(driver))));
            }
            Shared::Open(..) | Shared::Unknown => {}
        }
        match self.open(world, true).await? {
            Opened::Http1(connection) => {
                *shared = Shared::None;
                self.idle.lock().push(connection);
                Ok(None)
            }
            Opened::Http2(sender, driver) => {
                *shared = Shared::Open(sender.clone(), Arc::clone(&driver), Arc::clone(world));
                Ok(Some((sender, driver)))
            }
        }
    }

    async fn open(&self, world: &Arc<World>, http2: bool) -> Result<Opened, SendError> {
        let reaching = self.berth.reach(world, &self.site.host, self.site.port);
        let stream = reaching.await.map_err(SendError::Unreached)?;
        if !self.site.secure {
            return self.speak_http1(world, stream).await;
        }
        let stream = self.secure(world, stream, http2).await.map_err(SendError::Unreached)?;
        if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
            return self.speak_http2(stream).await;
        }
        self.speak_http1(world, stream).await
    }

    async fn secure(
        &self,
        world: &World,
        stream: TcpStream,
        http2: bool,
    ) -> Result<tokio_rustls::client::TlsStream<TcpStream>, Unreached> {
        let trust = self.berth.gate.outside.trust(world).ok_or(Unreached::Untrusted)?;
        let config = if http2 { &trust.http2 } else { &trust.http1 };
        let name = match self.site.host.address() {
            Some(address) => ServerName::from(address),
            None => ServerName::try_from(self.site.host.to_string()).map_err(|_| Unreached::Untrusted)?,
        };
        let connecting = tokio_rustls::TlsConnector::from(Arc::clone(config)).connect(name, stream);
        match tokio::time::timeout(self.berth.limits().handshake_time, connecting).await {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(error)) => {
                tracing::debug!(%error, host = %self.site.host, "no TLS with a host");
                Err(Unreached::Untrusted)
            }
            Err(_) => Err(Unreached::Silent),
        }
    }

    async fn speak_http1<S: Stream>(&self, world: &Arc<World>, stream: S) -> Result<Opened, SendError> {
        let bytes_max = self.berth.limits().head_bytes.max(64 << 10);
        let (sender, connection) = http1::Builder::new()
            .max_buf_size(bytes_max)
            .preserve_header_case(true)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|_| SendError::Unreached(Unreached::Silent))?;
        let driver = self.drive(connection.with_upgrades());
        Ok(Opened::Http1(Http1 { sender, world: Arc::clone(world), _driver: driver }))
    }

    async fn speak_http2<S: Stream>(&self, stream: S) -> Result<Opened, SendError> {
        let limits = self.berth.limits();
        let (sender, connection) = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .max_header_list_size(u32::try_from(limits.head_bytes).unwrap_or(u32::MAX))
            .initial_stream_window_size(1 << 20)
            .initial_connection_window_size(4 << 20)
            .keep_alive_interval(limits.head_time)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|_| SendError::Unreached(Unreached::Silent))?;
        Ok(Opened::Http2(sender, Arc::new(self.drive(connection))))
    }

    /// Lets a connection live until nobody holds it, or the run is over.
    fn drive<E: fmt::Display + Send>(
        &self,
        connection: impl Future<Output = Result<(), E>> + Send + 'static,
    ) -> Driver {
        let stop = self.berth.stop.clone();
        let driving = tokio::spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                ended = connection => if let Err(error) = ended {
                    tracing::debug!(%error, "a host's connection ended early");
                },
            }
        });
        Driver(driving.abort_handle())
    }
}

fn classify(error: &hyper::Error) -> SendError {
    if error.is_parse() { SendError::Malformed } else { SendError::Broken }
}

// === impl Connection ===

impl Connection {
    /// The answer was read to its end: the next request may go the same way.
    pub(crate) fn give_back(self) {
        if let Self::Http1(connection, home) = self
            && let Some(home) = home.upgrade()
        {
            let mut idle = home.lock();
            if idle.len() < IDLE_MAX && !connection.sender.is_closed() {
                idle.push(connection);
            }
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}
