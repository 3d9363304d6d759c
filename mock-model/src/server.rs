//! The listener and its connections.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use hyper_util::server::graceful::{GracefulConnection, GracefulShutdown};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;

use crate::behaviour::Behaviour;
use crate::service::Service;
use crate::stats::Stats;

/// How long answers under way may take when the server stops.
const GRACE: Duration = Duration::from_secs(5);

/// After a failed accept: most often there are no file descriptors left for a moment.
const PAUSE: Duration = Duration::from_millis(10);

/// How a server is set up.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where it listens; a free port of the loopback interface unless set.
    pub listen: SocketAddr,
    /// What requests that say nothing get.
    pub behaviour: Behaviour,
    /// The key that requests must have; any will do if it is empty.
    pub key: String,
    /// The models that are listed; any name is answered.
    pub models: Vec<String>,
    /// What chance is made from.
    pub seed: u64,
    /// Connections at once; more have to wait.
    pub connections: usize,
}

/// A running server. Dropping it ends it, with everything under way.
#[derive(Debug)]
pub struct MockModel {
    address: SocketAddr,
    service: Arc<Service>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

// === impl Options ===

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            behaviour: Behaviour::default(),
            key: String::new(),
            models: vec!["gpt-mock".to_owned(), "claude-mock".to_owned()],
            seed: 1,
            connections: 20_000,
        }
    }
}

// === impl MockModel ===

impl MockModel {
    /// Starts a server on the current runtime.
    ///
    /// # Errors
    /// When the address cannot be listened on.
    pub async fn start(options: Options) -> io::Result<Self> {
        let listener = TcpListener::bind(options.listen).await?;
        let address = listener.local_addr()?;
        let connections = options.connections;
        let service = Arc::new(Service::new(options));
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(serve(listener, Arc::clone(&service), connections, stopped));
        Ok(Self { address, service, stop, task })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its address, without a path.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What it has counted.
    pub fn stats(&self) -> Stats {
        self.service.counters.stats()
    }

    /// Forgets what it has counted.
    pub fn reset(&self) {
        self.service.counters.reset();
    }

    /// Takes no more requests, and ends when all are answered, or after five seconds.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        let _ = tokio::time::timeout(GRACE + PAUSE, &mut self.task).await;
    }
}

impl Drop for MockModel {
    fn drop(&mut self) {
        // Connections end with the sender of the stop: their tasks see that it is gone.
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, service: Arc<Service>, most: usize, stopped: watch::Receiver<bool>) {
    let graceful = GracefulShutdown::new();
    let places = Arc::new(Semaphore::new(most));
    let mut stop = stopped.clone();
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { break };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.changed() => break,
        };
        let Ok((stream, _)) = accepted else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        let connection = connection(stream, &service);
        let connection = graceful.watch(connection);
        let mut gone = stopped.clone();
        tokio::spawn(async move {
            tokio::select! {
                // A connection that breaks off is the client's business, or was wanted.
                _ = connection => {}
                // Only the end of the sender, not a stop: that one is graceful.
                () = async { while gone.changed().await.is_ok() {} } => {}
            }
            drop(place);
        });
    }
    let _ = tokio::time::timeout(GRACE, graceful.shutdown()).await;
}

fn connection(
    stream: TcpStream,
    service: &Arc<Service>,
) -> impl GracefulConnection<Error = hyper::Error, Output = hyper::Result<()>> + use<> {
    let _ = stream.set_nodelay(true);
    let service = Arc::clone(service);
    let answer = service_fn(move |request| Arc::clone(&service).answer(request));
    // No timer for the head of the next request: it would end connections that are idle for half a minute.
    hyper::server::conn::http1::Builder::new()
        .header_read_timeout(None)
        .serve_connection(TokioIo::new(stream), answer)
}
