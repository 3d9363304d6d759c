//! A host that agents reach from their sandboxes: bytes without end, and small answers, plain and in TLS, from one thread.

use std::convert::Infallible;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Frame;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, SanType};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::failure::Failure;

/// What is given at once.
const PIECE_BYTES: usize = 256 << 10;

/// The body of a small answer.
const SMALL: &str =
    r#"{"items":[{"id":1,"name":"one"},{"id":2,"name":"two"},{"id":3,"name":"three"}],"more":false}"#;

/// A host, and where it listens.
#[derive(Clone, Copy, Debug)]
pub struct Site {
    /// Bytes alone.
    pub bytes: u16,
    /// HTTP/1.1.
    pub http: u16,
    /// HTTP/1.1 and HTTP/2 in TLS.
    pub https: u16,
}

/// What it does with a connection.
#[derive(Clone)]
enum Speaks {
    Bytes,
    Http,
    Https(TlsAcceptor),
}

/// A body that does not end.
struct Endless(Bytes);

impl Site {
    /// Starts it on free ports, on a thread that ends with the process. Writes whom to trust to `authority`.
    pub fn start(authority: &Path) -> Result<Self, Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let acceptor = acceptor(authority)?;
        let (mut ports, mut listeners) = (Vec::new(), Vec::new());
        for speaks in [Speaks::Bytes, Speaks::Http, Speaks::Https(acceptor)] {
            let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
            listener.set_nonblocking(true)?;
            ports.push(listener.local_addr()?.port());
            listeners.push((listener, speaks));
        }
        std::thread::Builder::new().name("site".to_owned()).spawn(move || {
            runtime.block_on(async {
                for (listener, speaks) in listeners {
                    tokio::spawn(serve(listener, speaks));
                }
                std::future::pending::<()>().await;
            });
        })?;
        Ok(Self { bytes: ports[0], http: ports[1], https: ports[2] })
    }
}

async fn serve(listener: std::net::TcpListener, speaks: Speaks) -> Result<(), Failure> {
    let listener = TcpListener::from_std(listener)?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        // How a client ends is its own affair.
        tokio::spawn(answer(stream, speaks.clone()));
    }
}

async fn answer(mut stream: TcpStream, speaks: Speaks) -> Result<(), Failure> {
    match speaks {
        Speaks::Bytes if stream.read_u8().await? == b'u' => {
            let mut buffer = vec![0; PIECE_BYTES];
            while stream.read(&mut buffer).await? > 0 {}
            Ok(())
        }
        Speaks::Bytes => {
            let piece = vec![1; PIECE_BYTES];
            loop {
                stream.write_all(&piece).await?;
            }
        }
        Speaks::Http => web(stream, false).await,
        Speaks::Https(acceptor) => {
            let stream = acceptor.accept(stream).await?;
            let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
            web(stream, is_http2).await
        }
    }
}

async fn web<S>(stream: S, is_http2: bool) -> Result<(), Failure>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (stream, service) = (TokioIo::new(stream), service_fn(page));
    if is_http2 {
        http2::Builder::new(TokioExecutor::new()).serve_connection(stream, service).await?;
    } else {
        http1::Builder::new().serve_connection(stream, service).await?;
    }
    Ok(())
}

async fn page(request: Request<Incoming>) -> Result<Response<BoxBody<Bytes, Infallible>>, Infallible> {
    let body = match request.uri().path() {
        "/endless" => Endless(Bytes::from(vec![1; PIECE_BYTES])).boxed(),
        _ => Full::from(SMALL).boxed(),
    };
    Ok(Response::new(body))
}

impl Body for Endless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(Some(Ok(Frame::data(self.0.clone()))))
    }
}

/// Speaks TLS as the host 127.0.0.1, known by an authority of its own.
fn acceptor(authority: &Path) -> Result<TlsAcceptor, Failure> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    let key = KeyPair::generate()?;
    std::fs::write(authority, params.self_signed(&key)?.pem())?;
    let issuer = Issuer::new(params, key);
    let mut params = CertificateParams::default();
    params.subject_alt_names = vec![SanType::IpAddress(std::net::IpAddr::from([127, 0, 0, 1]))];
    let key = KeyPair::generate()?;
    let certificate = params.signed_by(&key, &issuer)?.into();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let mut config = config.with_no_client_auth().with_single_cert(vec![certificate], key)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}
