//! HTTP down to the bytes: a connection for each request, nothing reused, nothing repaired.

use std::path::Path;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::{HeaderMap, Method, Request, Response, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};

use super::strict;
use crate::limits::ANSWER;
use crate::patience::within;

/// Why there was no answer.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// A whole answer.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body, all of it.
    pub body: Bytes,
}

impl Answer {
    /// One header; empty if it is not there.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as strict JSON.
    pub fn json(&self) -> Value {
        strict::parse(&self.body)
            .unwrap_or_else(|error| panic!("{}: not JSON ({error}): {}", self.status, self.text()))
    }
}

/// Sends a POST and reads the whole answer.
pub async fn post(url: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    try_post(url, headers, body).await.unwrap_or_else(|error| panic!("POST {url}: {error}"))
}

/// Sends a POST and reads the whole answer, if there is one.
///
/// # Errors
/// When the connection fails or breaks off.
pub async fn try_post(url: &str, headers: &[(&str, &str)], body: &str) -> Result<Answer, Failure> {
    let open = open(Method::POST, url, headers, Bytes::copy_from_slice(body.as_bytes())).await?;
    within(ANSWER, &format!("the answer of {url}"), open.whole()).await
}

/// Sends a GET and reads the whole answer.
pub async fn get(url: &str) -> Answer {
    send(Method::GET, url, &[], "").await
}

/// Sends any request and reads the whole answer.
pub async fn send(method: Method, url: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let what = format!("{method} {url}");
    let whole =
        async { open(method, url, headers, Bytes::copy_from_slice(body.as_bytes())).await?.whole().await };
    within(ANSWER, &what, whole).await.unwrap_or_else(|error| panic!("{what}: {error}"))
}

/// Sends a request and returns when its headers have come.
///
/// # Errors
/// When the connection fails or breaks off before.
pub async fn open(
    method: Method,
    url: &str,
    headers: &[(&str, &str)],
    body: Bytes,
) -> Result<OpenAnswer, Failure> {
    let uri: Uri = url.parse()?;
    let authority = uri.authority().ok_or("a URL without a host")?.to_string();
    let stream = TcpStream::connect(&authority).await?;
    stream.set_nodelay(true)?;
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let mut request = Request::builder().method(method).uri(path);
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
        request = request.header("host", &authority);
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    open_on(stream, request.body(Full::new(body))?).await
}

/// Sends a GET over a Unix socket and reads the whole answer.
pub async fn get_over(socket: &Path, path: &str) -> Answer {
    let what = format!("GET {path} over {}", socket.display());
    let whole = try_over(socket, Method::GET, path);
    within(ANSWER, &what, whole).await.unwrap_or_else(|error: Failure| panic!("{what}: {error}"))
}

/// Sends a request without a body over a Unix socket and reads the whole answer.
///
/// # Errors
/// When nobody answers, or not to the end.
pub async fn try_over(socket: &Path, method: Method, path: &str) -> Result<Answer, Failure> {
    let stream = UnixStream::connect(socket).await?;
    let request = Request::builder().method(method).uri(path).header("host", "localhost");
    open_on(stream, request.body(Full::default())?).await?.whole().await
}

/// Sends a POST with a JSON document over a Unix socket and reads the whole answer.
///
/// # Errors
/// When nobody answers, or not to the end.
pub async fn try_post_over(socket: &Path, path: &str, body: &Value) -> Result<Answer, Failure> {
    let stream = UnixStream::connect(socket).await?;
    let request = Request::builder().method(Method::POST).uri(path).header("host", "localhost");
    let request = request.header("content-type", "application/json");
    open_on(stream, request.body(Full::new(Bytes::from(body.to_string())))?).await?.whole().await
}

async fn open_on(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    request: Request<Full<Bytes>>,
) -> Result<OpenAnswer, Failure> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(async move { drop(connection.await) });
    let response = sender.send_request(request).await?;
    Ok(OpenAnswer { response, buffer: BytesMut::new(), connection })
}

/// An answer whose body is still coming. Dropping it closes the connection.
pub struct OpenAnswer {
    response: Response<Incoming>,
    buffer: BytesMut,
    connection: tokio::task::JoinHandle<()>,
}

impl Drop for OpenAnswer {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

impl OpenAnswer {
    /// Its status.
    pub fn status(&self) -> StatusCode {
        self.response.status()
    }

    /// Its headers.
    pub fn headers(&self) -> &HeaderMap {
        self.response.headers()
    }

    /// Whether it is a stream of events.
    pub fn is_stream(&self) -> bool {
        let kind = self.headers().get("content-type").and_then(|kind| kind.to_str().ok());
        kind.is_some_and(|kind| kind.starts_with("text/event-stream"))
    }

    /// Reads the rest.
    ///
    /// # Errors
    /// When the body breaks off.
    pub async fn whole(mut self) -> Result<Answer, Failure> {
        while let Some(piece) = self.piece().await? {
            self.buffer.extend_from_slice(&piece);
        }
        Ok(Answer {
            status: self.status(),
            headers: self.headers().clone(),
            body: std::mem::take(&mut self.buffer).freeze(),
        })
    }

    /// The next piece of the body, as it comes from the socket; `None` at its end.
    ///
    /// # Errors
    /// When the body breaks off.
    pub async fn piece(&mut self) -> Result<Option<Bytes>, Failure> {
        while let Some(frame) = self.response.body_mut().frame().await {
            if let Ok(data) = frame?.into_data() {
                return Ok(Some(data));
            }
        }
        Ok(None)
    }

    /// The data of the next event of a stream; `None` at its end. Comments and events without data are passed over.
    ///
    /// # Errors
    /// When the stream breaks off.
    pub async fn event(&mut self) -> Result<Option<String>, Failure> {
        loop {
            while let Some(event) = take_event(&mut self.buffer) {
                if !event.is_empty() {
                    return Ok(Some(event));
                }
            }
            match self.piece().await? {
                Some(piece) => self.buffer.extend_from_slice(&piece),
                None => return Ok(None),
            }
        }
    }
}

/// Cuts the first whole event out of the buffer and returns its data, which may be empty.
fn take_event(buffer: &mut BytesMut) -> Option<String> {
    let text = std::str::from_utf8(buffer).ok()?;
    let (end, gap) = [("\n\n", 2), ("\r\n\r\n", 4)]
        .iter()
        .filter_map(|(gap, length)| text.find(gap).map(|end| (end, *length)))
        .min()?;
    let data: Vec<&str> = text[..end]
        .lines()
        .filter_map(|line| line.strip_prefix("data:"))
        .map(|data| data.strip_prefix(' ').unwrap_or(data))
        .collect();
    let data = data.join("\n");
    let _ = buffer.split_to(end + gap);
    Some(data)
}

/// Writes bytes to a server as they are and reads until it closes, or has been silent for a while.
pub async fn raw(url: &str, request: &[u8], silence: Duration) -> Vec<u8> {
    let uri: Uri = url.parse().unwrap_or_else(|error| panic!("{url}: {error}"));
    let authority = uri.authority().unwrap_or_else(|| panic!("{url} has no host")).to_string();
    let stream = TcpStream::connect(&authority).await;
    let mut stream = stream.unwrap_or_else(|error| panic!("{authority}: {error}"));
    // It may refuse before it has read everything; what it says then is the answer.
    let _ = stream.write_all(request).await;
    let mut answer = Vec::new();
    let mut piece = vec![0; 16 * 1024];
    while let Ok(Ok(length @ 1..)) = tokio::time::timeout(silence, stream.read(&mut piece)).await {
        answer.extend_from_slice(&piece[..length]);
    }
    answer
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;

    use super::take_event;

    #[test]
    fn events_are_cut_where_they_end() {
        let mut buffer =
            BytesMut::from("event: message\ndata: {\"a\":\ndata: 1}\n\n: comment\r\n\r\ndata:x\n\nda");
        assert_eq!(take_event(&mut buffer).as_deref(), Some("{\"a\":\n1}"));
        assert_eq!(take_event(&mut buffer).as_deref(), Some(""));
        assert_eq!(take_event(&mut buffer).as_deref(), Some("x"));
        assert_eq!(take_event(&mut buffer), None);
        assert_eq!(&buffer[..], b"da");
    }
}
