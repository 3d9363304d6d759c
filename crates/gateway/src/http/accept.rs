//! The listener and its connections.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::outbound::Outbound;
use super::stall::Impatient;
use crate::Limits;

/// Answers requests.
pub(crate) trait Answer: Send + Sync + 'static {
    /// Answers one request. Dropped when the client goes away.
    fn answer(
        self: &Arc<Self>,
        request: Request<Incoming>,
    ) -> impl Future<Output = Response<Outbound>> + Send;
}

/// How long the last answers may take once no new request is taken.
const FAREWELL: std::time::Duration = std::time::Duration::from_secs(5);

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
    let places = Arc::new(Semaphore::new(limits.connections));
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
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            tracing::warn!(
                connections = limits.connections,
                "as many agents' connections as allowed are open"
            );
            continue;
        };
        let connection =
            Connection { answers: Arc::clone(&answers), shutdown: shutdown.clone(), _place: place };
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

/// Out of descriptors is passing trouble; anything else about the listener itself is not.
async fn pause_after(error: &io::Error) -> io::Result<()> {
    match error.kind() {
        io::ErrorKind::InvalidInput | io::ErrorKind::NotConnected => {
            Err(io::Error::new(error.kind(), "the agents' listener cannot be used any more"))
        }
        _ => {
            tracing::warn!(%error, "an agent's connection could not be accepted");
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
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
    _place: OwnedSemaphorePermit,
}

// === impl Connection ===

impl<A: Answer> Connection<A> {
    async fn serve(self, stream: TcpStream, builder: http1::Builder, write_stall: std::time::Duration) {
        // Without it small answers wait for acknowledgements; that it cannot be set is no reason to refuse.
        let _ = stream.set_nodelay(true);
        let service = service_fn(|request| {
            let answers = Arc::clone(&self.answers);
            async move { Ok::<_, Infallible>(answers.answer(request).await) }
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
