//! Accepting connections: bounded in number and in time, on TCP and on the socket.
//!
//! Each entrance has places of its own, so that nobody who fills one of them keeps operators out of the other.

use std::convert::Infallible;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::response::Response;
use http::{HeaderValue, header};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use ringfence_gateway::Impatient;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio_util::either::Either;
use tokio_util::sync::CancellationToken;
use tower_service::Service;

use super::Entrance;
use crate::limits::{HEAD_TIMEOUT, SOCKET_CONNECTIONS_MAX, TCP_CONNECTIONS_MAX, WRITE_STALL};

/// How long requests under way may take once the node stops; whatever is left after that is a stream.
const FAREWELL: Duration = Duration::from_secs(1);

/// Where operators come in.
pub(crate) struct Listeners {
    /// The loopback address.
    pub tcp: TcpListener,
    /// The socket in the data folder.
    pub socket: UnixListener,
    /// Who owns that folder.
    pub owner: u32,
}

/// What connections may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// Connections at once on the loopback address.
    pub tcp: usize,
    /// Connections at once on the socket.
    pub socket: usize,
    /// From the start of a connection, or the end of an answer, to the end of the next request's head.
    pub head: Duration,
    /// For how long a client may take no byte of an answer.
    pub stall: Duration,
}

/// That whoever asked is known. In the extensions of an answer; without it, its connection ends with the answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Known;

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
pub(crate) async fn serve(listeners: Listeners, router: Router, stop: CancellationToken, bounds: Bounds) {
    let Listeners { tcp, socket, owner } = listeners;
    let port = tcp.local_addr().map_or(0, |address| address.port());
    let door = |listener, places| Door {
        listener,
        places: Arc::new(Semaphore::new(places)),
        bounds,
        router: router.clone(),
        stop: stop.clone(),
    };
    let by_tcp = door(Listener::Tcp { listener: tcp, port }, bounds.tcp);
    let by_socket = door(Listener::Socket { listener: socket, owner }, bounds.socket);
    tokio::join!(by_tcp.serve(), by_socket.serve());
}

/// A connection by either entrance.
type Stream = Either<TcpStream, UnixStream>;

/// What one entrance listens on.
enum Listener {
    Tcp { listener: TcpListener, port: u16 },
    Socket { listener: UnixListener, owner: u32 },
}

/// One entrance.
struct Door {
    listener: Listener,
    places: Arc<Semaphore>,
    bounds: Bounds,
    router: Router,
    stop: CancellationToken,
}

/// Somebody who came in, and the place that they take.
struct Guest {
    stream: Stream,
    entrance: Entrance,
    place: OwnedSemaphorePermit,
}

// === impl Bounds ===

impl Default for Bounds {
    fn default() -> Self {
        Self {
            tcp: TCP_CONNECTIONS_MAX,
            socket: SOCKET_CONNECTIONS_MAX,
            head: HEAD_TIMEOUT,
            stall: WRITE_STALL,
        }
    }
}

// === impl Listener ===

impl Listener {
    async fn accept(&self) -> io::Result<(Stream, Entrance)> {
        match self {
            Self::Tcp { listener, port } => {
                let (stream, _) = listener.accept().await?;
                Ok((Either::Left(stream), Entrance::Tcp { port: *port }))
            }
            Self::Socket { listener, owner } => {
                let (stream, _) = listener.accept().await?;
                let uid = stream.peer_cred()?.uid();
                Ok((Either::Right(stream), Entrance::Socket { uid, owner: *owner }))
            }
        }
    }
}

// === impl Door ===

impl Door {
    async fn serve(self) {
        let mut connections = JoinSet::new();
        loop {
            // A full house waits for somebody to leave, and new guests wait with it; the stop waits for nobody.
            let guest = tokio::select! {
                biased;
                () = self.stop.cancelled() => break,
                guest = self.next() => guest,
            };
            // Those that have left are let go of.
            while connections.try_join_next().is_some() {}
            match guest {
                Ok(guest) => {
                    let (router, stop) = (self.router.clone(), self.stop.clone());
                    connections.spawn(guest.serve(router, stop, self.bounds));
                }
                Err(error) => pause_after(&error).await,
            }
        }
        let all_left = async { while connections.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(FAREWELL, all_left).await;
        // Whoever is left is cut off by the end of the set.
    }

    async fn next(&self) -> io::Result<Guest> {
        let place = Arc::clone(&self.places).acquire_owned().await.map_err(io::Error::other)?;
        let (stream, entrance) = self.listener.accept().await?;
        Ok(Guest { stream, entrance, place })
    }
}

// === impl Guest ===

impl Guest {
    async fn serve(self, router: Router, stop: CancellationToken, bounds: Bounds) {
        let Self { stream, entrance, place: _place } = self;
        let mut builder = hyper::server::conn::http1::Builder::new();
        builder.timer(TokioTimer::new()).header_read_timeout(bounds.head).max_buf_size(64 << 10);
        let service = service_fn(move |request| answer(router.clone(), entrance, request));
        let io = TokioIo::new(Impatient::new(stream, bounds.stall));
        let mut connection = std::pin::pin!(builder.serve_connection(io, service));
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = stop.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "an operator's connection ended early");
        }
    }
}

/// Out of files or memory: a moment later there may be some again.
async fn pause_after(error: &io::Error) {
    tracing::warn!(%error, "cannot accept a connection");
    tokio::time::sleep(Duration::from_millis(50)).await;
}

/// Answers a request, which is told where it came in. Whoever is not known does not keep a connection.
async fn answer(
    mut router: Router,
    entrance: Entrance,
    mut request: hyper::Request<Incoming>,
) -> Result<Response, Infallible> {
    request.extensions_mut().insert(entrance);
    let mut response = router.call(request).await?;
    if response.extensions().get::<Known>().is_none() {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(response)
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse;
    use axum::routing::get;
    use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
    use tokio::task::JoinHandle;

    use super::*;

    /// What would hang must not; how long it takes is no test.
    const PATIENCE: Duration = Duration::from_secs(30);

    /// As few places as there can be, and none that time makes free.
    const TIGHT: Bounds =
        Bounds { tcp: 2, socket: 2, head: Duration::from_hours(1), stall: Duration::from_hours(1) };

    struct Open {
        address: std::net::SocketAddr,
        socket: std::path::PathBuf,
        stop: CancellationToken,
        serving: JoinHandle<()>,
        _folder: tempfile::TempDir,
    }

    impl Open {
        async fn new(bounds: Bounds) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let socket = folder.path().join("sock");
            let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = tcp.local_addr().unwrap();
            let listeners = Listeners { tcp, socket: listen_socket(&socket).unwrap(), owner: 0 };
            let known = || async {
                let mut response = "known".into_response();
                response.extensions_mut().insert(Known);
                response
            };
            let router = Router::new().route("/known", get(known)).route("/stranger", get(|| async { "?" }));
            let stop = CancellationToken::new();
            let serving = tokio::spawn(serve(listeners, router, stop.clone(), bounds));
            Self { address, socket, stop, serving, _folder: folder }
        }

        async fn tcp(&self) -> TcpStream {
            TcpStream::connect(self.address).await.unwrap()
        }

        /// Takes every place on TCP, and one more.
        async fn fill(&self) -> Vec<TcpStream> {
            let mut idle = Vec::new();
            for _ in 0..TIGHT.tcp {
                let mut stream = self.tcp().await;
                ask(&mut stream, "/known").await;
                idle.push(stream);
            }
            idle.push(self.tcp().await);
            idle
        }
    }

    /// Asks and reads until the answer's text has come.
    async fn ask(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), path: &str) -> String {
        stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).await.unwrap();
        let (mut seen, mut buffer) = (String::new(), [0; 1024]);
        while !seen.ends_with("known") && !seen.ends_with('?') {
            let read = tokio::time::timeout(PATIENCE, stream.read(&mut buffer)).await.unwrap().unwrap();
            assert!(read > 0, "no answer: {seen}");
            seen.push_str(std::str::from_utf8(&buffer[..read]).unwrap());
        }
        seen
    }

    #[tokio::test]
    async fn idle_connections_on_tcp_do_not_keep_anybody_from_the_socket() {
        let open = Open::new(TIGHT).await;
        let idle = open.fill().await;
        let mut socket = UnixStream::connect(&open.socket).await.unwrap();
        assert!(ask(&mut socket, "/known").await.starts_with("HTTP/1.1 200"));
        drop(idle);
    }

    #[tokio::test]
    async fn idle_connections_do_not_keep_it_from_stopping() {
        let open = Open::new(TIGHT).await;
        let idle = open.fill().await;
        open.stop.cancel();
        tokio::time::timeout(PATIENCE, open.serving).await.unwrap().unwrap();
        drop(idle);
    }

    #[tokio::test]
    async fn strangers_do_not_keep_a_connection_and_the_known_do() {
        let open = Open::new(TIGHT).await;
        let mut stream = open.tcp().await;
        for _ in 0..2 {
            ask(&mut stream, "/known").await;
        }
        assert!(ask(&mut stream, "/stranger").await.contains("connection: close"));
        let read = tokio::time::timeout(PATIENCE, stream.read(&mut [0; 1])).await.unwrap();
        assert_eq!(read.unwrap(), 0, "the connection is still open");
    }

    #[tokio::test]
    async fn whoever_says_nothing_makes_room() {
        let head = Duration::from_millis(50);
        let open = Open::new(Bounds { head, ..TIGHT }).await;
        let mut silent = Vec::new();
        for _ in 0..TIGHT.tcp {
            silent.push(open.tcp().await);
        }
        assert!(ask(&mut open.tcp().await, "/known").await.starts_with("HTTP/1.1 200"));
    }
}
