//! Accepting connections: bounded in number and in time, on TCP and on the socket.

use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use axum::Router;
use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tower_service::Service;

use super::Entrance;
use crate::limits::{CONNECTIONS_MAX, REQUEST_TIMEOUT};

/// Where operators come in.
pub(crate) struct Listeners {
    /// The loopback address.
    pub tcp: TcpListener,
    /// The socket in the data folder.
    pub socket: UnixListener,
    /// Who owns that folder.
    pub owner: u32,
}

/// Listens on the socket at `path`, for its owner alone until `people` with a `uid` are let in by their group: mode
/// 0600. A socket that a dead node left there is replaced; the caller holds the folder's lock.
pub(crate) fn listen_socket(path: &Path) -> io::Result<UnixListener> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    // Bound under a name of its own and moved, so that it is never there with another mode.
    let fresh = path.with_extension("sock.new");
    let _ = std::fs::remove_file(&fresh);
    let listener = UnixListener::bind(&fresh)?;
    std::fs::set_permissions(&fresh, std::fs::Permissions::from_mode(0o600))?;
    std::fs::rename(&fresh, path)?;
    Ok(listener)
}

/// Serves until `stop`, then lets requests under way end; streams are cut off.
pub(crate) async fn serve(listeners: Listeners, router: Router, stop: CancellationToken) {
    let Listeners { tcp, socket, owner } = listeners;
    let port = tcp.local_addr().map_or(0, |address: SocketAddr| address.port());
    let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let graceful = GracefulShutdown::new();
    loop {
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { break };
        tokio::select! {
            () = stop.cancelled() => break,
            accepted = tcp.accept() => match accepted {
                Ok((stream, _)) => connection(stream, Entrance::Tcp { port }, &router, &graceful, slot),
                Err(error) => refused(&error).await,
            },
            accepted = socket.accept() => match accepted {
                Ok((stream, _)) => {
                    if let Some(entrance) = peer(&stream, owner) {
                        connection(stream, entrance, &router, &graceful, slot);
                    } else {
                        tracing::warn!("a connection whose user cannot be told was closed");
                    }
                }
                Err(error) => refused(&error).await,
            },
        }
    }
    // Requests are short; whatever is left after that is a stream.
    let _ = tokio::time::timeout(std::time::Duration::from_secs(1), graceful.shutdown()).await;
}

fn peer(stream: &UnixStream, owner: u32) -> Option<Entrance> {
    let uid = stream.peer_cred().ok()?.uid();
    Some(Entrance::Socket { uid, owner })
}

/// Out of files or memory: a moment later there may be some again.
async fn refused(error: &io::Error) {
    tracing::warn!(%error, "cannot accept a connection");
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
}

fn connection<S>(
    stream: S,
    entrance: Entrance,
    router: &Router,
    graceful: &GracefulShutdown,
    slot: OwnedSemaphorePermit,
) where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let router = router.clone();
    let service = tower_layer(entrance, router);
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(REQUEST_TIMEOUT).max_buf_size(64 << 10);
    let connection = builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
    let watched = graceful.watch(connection);
    tokio::spawn(async move {
        // A connection that breaks is its client's affair.
        let _ = watched.await;
        drop(slot);
    });
}

/// Tells every request where it came in.
fn tower_layer(entrance: Entrance, router: Router) -> Entered {
    Entered { entrance, router }
}

#[derive(Clone)]
struct Entered {
    entrance: Entrance,
    router: Router,
}

impl Service<hyper::Request<Incoming>> for Entered {
    type Response = <Router as Service<hyper::Request<Incoming>>>::Response;
    type Error = <Router as Service<hyper::Request<Incoming>>>::Error;
    type Future = <Router as Service<hyper::Request<Incoming>>>::Future;

    fn poll_ready(
        &mut self,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), Self::Error>> {
        Service::<hyper::Request<Incoming>>::poll_ready(&mut self.router, context)
    }

    fn call(&mut self, mut request: hyper::Request<Incoming>) -> Self::Future {
        request.extensions_mut().insert(self.entrance);
        self.router.call(request)
    }
}
