//! What runs inside a sandbox for the bench `egress`, and outside for comparison: a client as fast as it can be.
//!
//! `ringfence-benches inside WHAT PORT MILLISECONDS CLIENTS`; it prints one JSON object.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, IpAddr, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::json;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::failure::{Failure, failure};
use crate::histogram::{Times, us};

/// The word that has this done.
pub const WORD: &str = "inside";

/// The variable without which the gateway is the way: its presence says that the host is reached as it is.
pub const DIRECT: &str = "BENCH_DIRECT";

/// What is taken or given at once.
const PIECE_BYTES: usize = 1 << 20;

/// Bytes of one stream of HTTP/2, and of a connection, that may be on their way.
const WINDOW_BYTES: u32 = 8 << 20;

/// What it is told to do.
struct Job {
    what: String,
    port: u16,
    until: Instant,
    clients: usize,
}

/// What came of it.
#[derive(Default)]
struct Done {
    /// Bytes, or requests.
    count: u64,
    times: Times,
}

/// Does what the arguments say, if they are for this.
pub fn run_if_asked() -> Option<Result<(), Failure>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    (arguments.first().map(String::as_str) == Some(WORD)).then(|| run(&arguments))
}

fn run(arguments: &[String]) -> Result<(), Failure> {
    let [_, what, port, milliseconds, clients] = arguments else {
        return Err(failure("inside WHAT PORT MILLISECONDS CLIENTS"));
    };
    let started = Instant::now();
    let long = Duration::from_millis(milliseconds.parse()?);
    let job =
        Job { what: what.clone(), port: port.parse()?, until: started + long, clients: clients.parse()? };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let done = runtime.block_on(job.run())?;
    let seconds = started.elapsed().as_secs_f64();
    let (p50, p99) = (us(done.times.p50()), us(done.times.p99()));
    println!("{}", json!({ "count": done.count, "seconds": seconds, "p50_us": p50, "p99_us": p99 }));
    Ok(())
}

/// A connection on which one asks.
enum Sender {
    One(http1::SendRequest<Empty<Bytes>>),
    Two(http2::SendRequest<Empty<Bytes>>),
}

// === impl Sender ===

impl Sender {
    /// Asks, and reads the whole answer.
    async fn ask(&mut self, request: Request<Empty<Bytes>>) -> Result<(), Failure> {
        let answer = match self {
            Self::One(sender) => {
                sender.ready().await?;
                sender.send_request(request).await?
            }
            Self::Two(sender) => sender.send_request(request).await?,
        };
        let status = answer.status();
        let body = answer.into_body().collect().await?.to_bytes();
        if status.is_success() { Ok(()) } else { Err(failure(String::from_utf8_lossy(&body))) }
    }
}

// === impl Job ===

impl Job {
    async fn run(self) -> Result<Done, Failure> {
        let mut done = Done::default();
        match self.what.as_str() {
            "down" => {
                let mut stream = self.open().await?;
                stream.write_all(b"d").await?;
                done.count = self.take(&mut stream).await?;
            }
            "up" => {
                let mut stream = self.open().await?;
                stream.write_all(b"u").await?;
                done.count = self.give(&mut stream).await?;
            }
            "tls" => {
                let mut stream = self.secure(b"http/1.1").await?;
                let request = format!("GET /endless HTTP/1.1\r\nHost: 127.0.0.1:{}\r\n\r\n", self.port);
                stream.write_all(request.as_bytes()).await?;
                done.count = self.take(&mut stream).await?;
            }
            "tls2" => {
                let mut body = self.http2().await?.send_request(self.request("/endless")?).await?.into_body();
                while Instant::now() < self.until {
                    let frame = body.frame().await.ok_or("the host ended")??;
                    done.count += frame.data_ref().map_or(0, |data| data.len() as u64);
                }
            }
            "http" | "https" | "https2" => done = self.requests().await?,
            what => return Err(failure(format!("nobody knows how to do {what}"))),
        }
        Ok(done)
    }

    /// A connection to the host: through the gateway, or as it is.
    async fn open(&self) -> Result<TcpStream, Failure> {
        if std::env::var_os(DIRECT).is_some() {
            let stream = TcpStream::connect(("127.0.0.1", self.port)).await?;
            stream.set_nodelay(true)?;
            return Ok(stream);
        }
        let mut stream = TcpStream::connect(("gateway", 3128)).await?;
        stream.set_nodelay(true)?;
        let ask = format!("CONNECT 127.0.0.1:{0} HTTP/1.1\r\nHost: 127.0.0.1:{0}\r\n\r\n", self.port);
        stream.write_all(ask.as_bytes()).await?;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await?);
        }
        let head = String::from_utf8_lossy(&head);
        if head.split(' ').nth(1) == Some("200") { Ok(stream) } else { Err(failure(head)) }
    }

    async fn secure(&self, protocol: &[u8]) -> Result<TlsStream<TcpStream>, Failure> {
        let trusted = std::env::var("SSL_CERT_FILE")?;
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_file_iter(trusted)? {
            roots.add(certificate?)?;
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        let mut config = config.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = vec![protocol.to_vec()];
        let name = ServerName::IpAddress(IpAddr::try_from("127.0.0.1")?);
        Ok(TlsConnector::from(Arc::new(config)).connect(name, self.open().await?).await?)
    }

    async fn http2(&self) -> Result<http2::SendRequest<Empty<Bytes>>, Failure> {
        let stream = TokioIo::new(self.secure(b"h2").await?);
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder.initial_stream_window_size(WINDOW_BYTES).initial_connection_window_size(WINDOW_BYTES);
        let (sender, driver) = builder.handshake(stream).await?;
        tokio::spawn(driver);
        Ok(sender)
    }

    async fn http1<S>(stream: S) -> Result<http1::SendRequest<Empty<Bytes>>, Failure>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (sender, driver) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(driver);
        Ok(sender)
    }

    fn request(&self, path: &str) -> Result<Request<Empty<Bytes>>, Failure> {
        let scheme = if self.what == "http" { "http" } else { "https" };
        // HTTP/1.1 has the path alone in its first line.
        let uri = if self.what.ends_with('2') {
            format!("{scheme}://127.0.0.1:{}{path}", self.port)
        } else {
            path.to_owned()
        };
        let host = format!("127.0.0.1:{}", self.port);
        Ok(Request::get(uri).header("host", host).body(Empty::new())?)
    }

    /// Clients that each ask, wait for the answer, and ask again.
    async fn requests(self) -> Result<Done, Failure> {
        let job = Arc::new(self);
        let shared = if job.what == "https2" { Some(job.http2().await?) } else { None };
        let mut clients = JoinSet::new();
        for _ in 0..job.clients {
            let (job, shared) = (Arc::clone(&job), shared.clone());
            clients.spawn(async move {
                let mut sender = match (shared, job.what.as_str()) {
                    (Some(shared), _) => Sender::Two(shared),
                    (None, "https") => Sender::One(Self::http1(job.secure(b"http/1.1").await?).await?),
                    (None, _) => Sender::One(Self::http1(job.open().await?).await?),
                };
                let mut times = Times::default();
                while Instant::now() < job.until {
                    let asked = Instant::now();
                    sender.ask(job.request("/small")?).await?;
                    times.record(asked.elapsed());
                }
                Ok::<_, Failure>(times)
            });
        }
        let mut all = Done::default();
        while let Some(times) = clients.join_next().await {
            all.times.add(&times??);
        }
        all.count = all.times.count();
        Ok(all)
    }

    async fn take(&self, stream: &mut (impl AsyncRead + Unpin)) -> Result<u64, Failure> {
        let (mut buffer, mut bytes) = (vec![0; PIECE_BYTES], 0);
        while Instant::now() < self.until {
            match stream.read(&mut buffer).await? {
                0 => return Err(failure("the host ended")),
                read => bytes += read as u64,
            }
        }
        Ok(bytes)
    }

    async fn give(&self, stream: &mut (impl AsyncWrite + Unpin)) -> Result<u64, Failure> {
        let (piece, mut bytes) = (vec![1; PIECE_BYTES], 0);
        while Instant::now() < self.until {
            bytes += stream.write(&piece).await? as u64;
        }
        Ok(bytes)
    }
}
