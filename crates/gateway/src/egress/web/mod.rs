//! Requests of HTTP to hosts: each is an action, with its method and path.
//!
//! - [`request`]: what a request asks for, and what of it goes on;
//! - [`forward`]: the executor: a request that was cleared, and its answer;
//! - [`upstream`]: connections to the host, one agent's connection having its own;
//! - [`body`]: bodies on their way, counted and cut off;
//! - [`answers`]: what a program inside is told instead;
//! - [`trace`]: what is on record where it asked nothing that could be read.

pub(crate) mod answers;
pub(crate) mod body;
pub(crate) mod forward;
pub(crate) mod request;
pub(crate) mod trace;
mod upstream;

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use parking_lot::Mutex;
use ringfence_types::HostName;

use self::trace::Trace;
use self::upstream::Upstream;
use super::berth::Berth;
use super::limits::EgressLimits;
use super::tunnel::{HTTP, HTTPS, Stream};

/// Where requests go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Site {
    pub(crate) host: HostName,
    pub(crate) port: u16,
    /// Whether in TLS.
    pub(crate) secure: bool,
}

/// The requests of one connection of a program inside, to one site.
pub(crate) struct Visit {
    pub(crate) berth: Arc<Berth>,
    pub(crate) site: Site,
    pub(crate) upstream: Upstream,
    /// What goes on when HTTP has ended on the connection: another protocol.
    after: Mutex<Option<After>>,
}

/// See [`Visit`].
pub(crate) type After = Pin<Box<dyn Future<Output = ()> + Send>>;

// === impl Site ===

impl Site {
    /// The port that need not be written.
    fn usual_port(&self) -> u16 {
        if self.secure { HTTPS } else { HTTP }
    }
}

// === impl Visit ===

impl Visit {
    pub(crate) fn new(berth: &Arc<Berth>, site: Site, is_http2: bool) -> Arc<Self> {
        let upstream = Upstream::new(Arc::clone(berth), site.clone(), is_http2);
        Arc::new(Self { berth: Arc::clone(berth), site, upstream, after: Mutex::default() })
    }

    /// Has this done when HTTP has ended on the connection.
    fn afterwards(&self, after: After) {
        *self.after.lock() = Some(after);
    }

    pub(crate) fn take_after(&self) -> Option<After> {
        self.after.lock().take()
    }
}

/// How HTTP/1.1 is spoken to programs inside.
pub(crate) fn http1(limits: &EgressLimits) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_time)
        .max_buf_size(limits.head_bytes.max(8 << 10))
        // Some programs are particular about it, though they should not be (RFC 9110 §5.1).
        .preserve_header_case(true);
    builder
}

fn http2(limits: &EgressLimits) -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.streams)
        .max_header_list_size(u32::try_from(limits.head_bytes).unwrap_or(u32::MAX))
        .keep_alive_interval(limits.head_time)
        .keep_alive_timeout(limits.handshake_time);
    builder
}

/// Answers the requests of one connection, all of them to one site.
pub(crate) async fn serve<S: Stream>(berth: &Arc<Berth>, stream: S, site: Site, is_http2: bool) {
    let trace = Trace::new(berth, &site, is_http2);
    let visit = Visit::new(berth, site, is_http2);
    let service = service_fn(|request: Request<Incoming>| {
        trace.asked();
        let visit = Arc::clone(&visit);
        async move { Ok::<_, Infallible>(Box::pin(forward::answer(&visit, request)).await) }
    });
    let io = TokioIo::new(stream);
    let served = if is_http2 {
        http2(berth.limits()).serve_connection(io, service).await
    } else {
        http1(berth.limits()).serve_connection(io, service).with_upgrades().await
    };
    if let Err(error) = served {
        tracing::debug!(%error, "a program's connection ended early");
        trace.failed(&error);
    }
    if let Some(after) = visit.take_after() {
        after.await;
    }
}
