//! HTTP with a JSON body: what both ends of the demo need.

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use ringfence_json::{Limits, Object, Value, parse};
use ringfence_kernel::RunToken;
use tokio::net::TcpStream;

/// The largest message of the demo, in bytes.
const MESSAGE_BYTES_MAX: usize = 1 << 20;

/// The way to the gateway.
pub struct Way {
    address: String,
    /// None where the connection says whose it is.
    token: Option<RunToken>,
}

/// Why a message did not come through.
#[derive(Debug, thiserror::Error)]
pub enum MessageError {
    /// The connection.
    #[error("the connection failed: {0}")]
    Connection(#[from] std::io::Error),
    /// HTTP.
    #[error("the exchange failed: {0}")]
    Http(#[from] hyper::Error),
    /// A request that cannot be made.
    #[error("the request cannot be made: {0}")]
    Request(#[from] http::Error),
    /// The answer.
    #[error("HTTP {status}, and no JSON object in it")]
    Answer {
        /// The status it came with.
        status: StatusCode,
    },
}

// === impl Way ===

impl Way {
    /// From inside a sandbox.
    pub fn of_a_sandbox() -> Self {
        Self { address: "gateway:80".to_owned(), token: None }
    }

    /// From outside of any, with a token.
    pub fn with_token(address: String, token: RunToken) -> Self {
        Self { address, token: Some(token) }
    }
}

/// Posts an object and reads the answer's; an event stream's last message counts as the answer.
pub async fn post(
    way: &Way,
    path: &str,
    headers: &[(&str, &str)],
    body: &Object,
) -> Result<Object, MessageError> {
    let stream = TcpStream::connect(&way.address).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let mut request =
        Request::post(path).header("host", &way.address).header("content-type", "application/json");
    if let Some(token) = &way.token {
        request = request.header("authorization", format!("Bearer {}", token.reveal()));
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let body = Value::from(body.clone()).to_bytes();
    let response = sender.send_request(request.body(Full::new(Bytes::from(body)))?).await?;
    let status = response.status();
    let answer = read(response.into_body()).await;
    connection.abort();
    answer.ok_or(MessageError::Answer { status })
}

/// Reads a body as an object.
pub async fn read(body: Incoming) -> Option<Object> {
    let bytes = Limited::new(body, MESSAGE_BYTES_MAX).collect().await.ok()?.to_bytes();
    let text = std::str::from_utf8(&bytes).ok()?;
    let last_event = text.lines().filter_map(|line| line.strip_prefix("data:")).next_back();
    parse(last_event.unwrap_or(text).trim().as_bytes(), &Limits::default()).ok()?.into_object()
}

/// A response with an object.
pub fn response(status: StatusCode, body: &Object) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(Value::from(body.clone()).to_bytes())));
    *response.status_mut() = status;
    response.headers_mut().insert("content-type", http::HeaderValue::from_static("application/json"));
    response
}
