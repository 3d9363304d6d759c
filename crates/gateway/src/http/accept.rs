//! The listener and its connections.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use parking_lot::Mutex;
use ringfence_kernel::Run;
use ringfence_types::RunId;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::loads::{Loads, Place};
use super::outbound::Outbound;
use super::stall::Impatient;
use crate::Limits;
use crate::egress::connect;

/// Answers requests.
pub(crate) trait Answer: Send + Sync + 'static {
    /// Answers one request. Dropped when the client goes away.
    fn answer(
        self: &Arc<Self>,
        request: Request<Incoming>,
        standing: &Standing,
    ) -> impl Future<Output = Response<Outbound>> + Send;
}

/// What is known of who is on a connection: nobody, until a run token was shown on it, or, where it comes out of a
/// sandbox, the run of that sandbox.
#[derive(Debug)]
pub(crate) struct Standing {
    held: Mutex<Option<Held>>,
    /// The run whose sandbox it comes from.
    inside: Option<Arc<Run>>,
}

/// What a connection holds besides its place among all.
#[derive(Debug)]
enum Held {
    Unproven(#[expect(dead_code, reason = "held, not looked at")] OwnedSemaphorePermit),
    Run(Place),
    Inside(#[expect(dead_code, reason = "held, not looked at")] connect::Place),
}

/// What clients over the bound are told, on as many connections at once as this, each for as long as this.
const TURNED_AWAY_MAX: usize = 64;
const TURNED_AWAY_TIME: Duration = Duration::from_secs(1);
const TURNED_AWAY: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

/// How long the last answers may take once no new request is taken.
const FAREWELL: Duration = Duration::from_secs(5);

/// Serves connections until `shutdown`, then lets the answers under way end.
///
/// # Errors
/// When the listener cannot be used any more.
pub(crate) async fn serve<A: Answer>(
    answers: Arc<A>,
    listener: TcpListener,
    limits: &Limits,
    shutdown: CancellationToken,
) -> io::Result<()> {
    // Accepted connections inherit it, before they grow a larger one.
    rustix::net::sockopt::set_socket_send_buffer_size(&listener, limits.send_buffer_bytes as usize)?;
    let builder = builder(limits);
    let most = limits.connections.min(connections_within_files());
    let places = Arc::new(Semaphore::new(most));
    let unproven = Arc::new(Semaphore::new(limits.connections_unproven));
    let away = Arc::new(Semaphore::new(TURNED_AWAY_MAX));
    let connections = TaskTracker::new();
    loop {
        let stream = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    pause_after(&error).await?;
                    continue;
                }
            },
        };
        let held =
            Arc::clone(&places).try_acquire_owned().ok().zip(Arc::clone(&unproven).try_acquire_owned().ok());
        let Some((place, unproven)) = held else {
            tracing::warn!(
                connections = most,
                unproven = limits.connections_unproven,
                "as many agents' connections as allowed are open"
            );
            if let Ok(permit) = Arc::clone(&away).try_acquire_owned() {
                connections.spawn(turn_away(stream, permit));
            }
            continue;
        };
        let standing = Standing { held: Mutex::new(Some(Held::Unproven(unproven))), inside: None };
        // Without it small answers wait for acknowledgements; that it cannot be set is no reason to refuse.
        let _ = stream.set_nodelay(true);
        let connection = Connection {
            answers: Arc::clone(&answers),
            shutdown: shutdown.clone(),
            standing,
            _place: Some(place),
        };
        connections.spawn(connection.serve(stream, builder.clone(), limits.write_stall));
    }
    connections.close();
    let ended = tokio::time::timeout(FAREWELL, connections.wait()).await;
    if ended.is_err() {
        tracing::warn!(
            connections = connections.len(),
            "agents' connections did not end in time and are closed"
        );
    }
    Ok(())
}

/// Files that a node needs for itself: its log, its index, its other listener.
const OWN_FILES: u64 = 1_024;

/// How many files this process may have open.
fn open_files() -> u64 {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    limit.current.unwrap_or(u64::MAX)
}

/// How many connections this process has room for.
pub(crate) fn connections_within_files() -> usize {
    connections_within(open_files())
}

/// How many connections there is room for, each with one that goes on from it; a few in any case.
fn connections_within(files: u64) -> usize {
    usize::try_from(files.saturating_sub(OWN_FILES) / 2).unwrap_or(usize::MAX).max(64)
}

/// Says that there is no room, and reads what the client has sent: closed over it, the answer would be lost with it.
async fn turn_away(mut stream: TcpStream, _permit: OwnedSemaphorePermit) {
    let telling = async {
        stream.write_all(TURNED_AWAY).await?;
        stream.shutdown().await?;
        let mut sink = [0; 1_024];
        while stream.read(&mut sink).await? > 0 {}
        Ok::<_, io::Error>(())
    };
    // Whoever does not listen to the end hears the end of the connection.
    let _ = tokio::time::timeout(TURNED_AWAY_TIME, telling).await;
}

/// Out of descriptors is passing trouble; anything else about the listener itself is not.
async fn pause_after(error: &io::Error) -> io::Result<()> {
    match error.kind() {
        io::ErrorKind::InvalidInput | io::ErrorKind::NotConnected => {
            Err(io::Error::new(error.kind(), "the agents' listener cannot be used any more"))
        }
        _ => {
            tracing::warn!(%error, "an agent's connection could not be accepted");
            tokio::time::sleep(Duration::from_millis(50)).await;
            Ok(())
        }
    }
}

fn builder(limits: &Limits) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_time)
        // Both the head's bound and what may be buffered towards the client; the least that hyper takes is 8 KiB.
        .max_buf_size(limits.head_bytes.max(8 << 10));
    builder
}

struct Connection<A> {
    answers: Arc<A>,
    shutdown: CancellationToken,
    standing: Standing,
    _place: Option<OwnedSemaphorePermit>,
}

/// Serves one connection out of a sandbox until `shutdown`, then lets the answer under way end.
pub(crate) async fn serve_one<A, S>(
    answers: Arc<A>,
    stream: S,
    standing: Standing,
    limits: &Limits,
    shutdown: CancellationToken,
) where
    A: Answer,
    S: AsyncRead + AsyncWrite + Unpin,
{
    let connection = Connection { answers, shutdown, standing, _place: None };
    connection.serve(stream, builder(limits), limits.write_stall).await;
}

// === impl Standing ===

impl Standing {
    /// That of a connection out of the sandbox of a run, which has its place already.
    pub(crate) fn inside(run: Arc<Run>, place: Option<connect::Place>) -> Self {
        Self { held: Mutex::new(place.map(Held::Inside)), inside: Some(run) }
    }

    /// The run whose sandbox it comes from.
    pub(crate) fn run(&self) -> Option<&Arc<Run>> {
        self.inside.as_ref()
    }

    /// A run token was shown: the connection is this run's from here on. False when it has as many as it may have.
    pub(crate) fn prove(&self, run: RunId, loads: &Loads) -> bool {
        if self.inside.is_some() {
            return true;
        }
        let mut held = self.held.lock();
        if matches!(&*held, Some(Held::Run(place)) if place.run == run) {
            return true;
        }
        let Some(place) = loads.connection(run) else { return false };
        *held = Some(Held::Run(place));
        true
    }
}

// === impl Connection ===

impl<A: Answer> Connection<A> {
    async fn serve<S>(self, stream: S, builder: http1::Builder, write_stall: Duration)
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let service = service_fn(|request| {
            let answers = Arc::clone(&self.answers);
            let standing = &self.standing;
            async move { Ok::<_, Infallible>(answers.answer(request, standing).await) }
        });
        let io = TokioIo::new(Impatient::new(stream, write_stall));
        let mut connection = std::pin::pin!(builder.serve_connection(io, service));
        let result = tokio::select! {
            result = connection.as_mut() => result,
            () = self.shutdown.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = result {
            tracing::debug!(%error, "an agent's connection ended early");
        }
    }
}
