//! One request on one connection.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

use super::Address;
use crate::failure::Failure;

/// How long a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long the head of an answer may take; approvals and suspensions are durable within this.
const ANSWER_TIMEOUT: Duration = Duration::from_mins(1);

/// A token; its text shows nothing.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// Keeps `text`.
    pub fn new(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Sends one request and waits for the head of the answer.
pub async fn send(
    address: &Address,
    token: Option<&Secret>,
    method: Method,
    path: &str,
    body: Option<Vec<u8>>,
) -> Result<Response<Incoming>, Failure> {
    let request = request(address, token, method, path, body)?;
    let exchange = async {
        match address {
            Address::Socket(socket) => over(connect(UnixStream::connect(socket)).await?, request).await,
            Address::Loopback(authority) => {
                over(connect(TcpStream::connect(authority)).await?, request).await
            }
        }
    };
    exchange.await.map_err(|error| unreachable(address, &error))
}

/// Why there is no answer.
enum Broken {
    Connect(std::io::Error),
    Slow,
    Http(hyper::Error),
}

async fn connect<S>(connecting: impl Future<Output = std::io::Result<S>>) -> Result<S, Broken> {
    match tokio::time::timeout(CONNECT_TIMEOUT, connecting).await {
        Ok(connected) => connected.map_err(Broken::Connect),
        Err(_) => Err(Broken::Slow),
    }
}

async fn over<S>(stream: S, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, Broken>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(Broken::Http)?;
    // The connection carries the body of the answer and ends with it.
    tokio::spawn(connection);
    match tokio::time::timeout(ANSWER_TIMEOUT, sender.send_request(request)).await {
        Ok(answer) => answer.map_err(Broken::Http),
        Err(_) => Err(Broken::Slow),
    }
}

fn request(
    address: &Address,
    token: Option<&Secret>,
    method: Method,
    path: &str,
    body: Option<Vec<u8>>,
) -> Result<Request<Full<Bytes>>, Failure> {
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, address.host())
        .header(header::ACCEPT, "application/json, application/problem+json")
        .header(header::USER_AGENT, concat!("ringfence/", env!("CARGO_PKG_VERSION")));
    if body.is_some() {
        request = request.header(header::CONTENT_TYPE, "application/json");
    }
    if let Some(Secret(token)) = token {
        let mut value = HeaderValue::from_str(&format!("Bearer {token}"))
            .map_err(|_| Failure::usage("RINGFENCE_TOKEN has characters that no token has"))?;
        value.set_sensitive(true);
        request = request.header(header::AUTHORIZATION, value);
    }
    request
        .body(Full::new(Bytes::from(body.unwrap_or_default())))
        .map_err(|error| Failure::usage(format!("cannot ask the node that: {error}")))
}

fn unreachable(address: &Address, broken: &Broken) -> Failure {
    use std::io::ErrorKind::{ConnectionRefused, NotFound, PermissionDenied};
    let cause = match broken {
        Broken::Connect(error) => match error.kind() {
            NotFound | ConnectionRefused => "no node is running there".to_owned(),
            PermissionDenied => "permission denied".to_owned(),
            _ => error.to_string(),
        },
        Broken::Slow => "no answer in time".to_owned(),
        Broken::Http(error) => format!("the connection broke: {error}"),
    };
    let denied = matches!(broken, Broken::Connect(error) if error.kind() == PermissionDenied);
    Failure::unreachable(format!("cannot reach the node at {address}: {cause}")).hint(if denied {
        "only the owner of the data folder and people with a `uid:` may use its socket; others use \
         --node http://127.0.0.1:7401 with RINGFENCE_TOKEN"
    } else {
        "start one with `ringfence up`, or name another with --node, RINGFENCE_NODE or --data"
    })
}
