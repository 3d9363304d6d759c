//! One client's connection, kept open from call to call.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::ways::{MODEL, Way};
use crate::failure::{Failure, failure};

/// What every prompt begins with, so that it has the size of a short real one.
const SYSTEM: &str = "You are an assistant that answers briefly. You look things up before you state them, say when you do \
     not know, and never repeat what was said before unless you are asked to do so by the user.";

/// What an answer of the provider begins with.
const FIRST: &str = "\"content\":\"the";

/// How a stream of chat completions ends.
const LAST: &str = "[DONE]";

/// A call.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// What the provider is told beside the prompt.
    pub directives: &'a str,
    /// Whether the answer is streamed.
    pub stream: bool,
    /// The limit of the answer, in tokens.
    pub max_tokens: u32,
}

/// A connection.
pub struct Client {
    sender: SendRequest<Full<Bytes>>,
    address: SocketAddr,
    path: &'static str,
    headers: Vec<(&'static str, String)>,
}

// === impl Client ===

impl Client {
    /// Connects.
    pub async fn open(way: &Way) -> Result<Self, Failure> {
        let sender = connect(way.address).await?;
        Ok(Self { sender, address: way.address, path: way.path, headers: way.headers.clone() })
    }

    /// Sends a call. Its number makes it different from all others.
    pub async fn send(&mut self, number: u64, ask: Ask<'_>) -> Result<Response<Incoming>, Failure> {
        let Ask { directives, stream, max_tokens } = ask;
        let options = if stream { r#","stream":true,"stream_options":{"include_usage":true}"# } else { "" };
        let body = format!(
            r#"{{"model":"{MODEL}","messages":[{{"role":"system","content":"{SYSTEM}"}},{{"role":"user","content":"Question {number}: what is the state? mock:{directives}"}}],"max_tokens":{max_tokens}{options}}}"#
        );
        let mut request = Request::post(self.path)
            .header(HOST, self.address.to_string())
            .header(CONTENT_TYPE, "application/json");
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        let request = request.body(Full::new(body.into()))?;
        // Servers hang up on clients that were idle for seconds, and after so many requests.
        if self.sender.ready().await.is_err() {
            self.sender = connect(self.address).await?;
        }
        Ok(self.sender.send_request(request).await?)
    }

    /// Makes a call to its end and holds the answer against what has to come. Returns the time to the first piece of
    /// text, for streams, and to the end.
    pub async fn call(&mut self, number: u64, ask: Ask<'_>) -> Result<(Duration, Duration), Failure> {
        let started = Instant::now();
        let answer = self.send(number, ask).await?;
        let status = answer.status();
        let (mut first, mut whole, mut body) = (None, Vec::new(), answer.into_body());
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame?.into_data() else { continue };
            whole.extend_from_slice(&data);
            if first.is_none() && has(&whole, FIRST) {
                first = Some(started.elapsed());
            }
        }
        let took = started.elapsed();
        match first {
            Some(first) if status == StatusCode::OK && (!ask.stream || has(&whole, LAST)) => {
                Ok((first, took))
            }
            _ => Err(failure(format!("a call was answered {status}: {}", String::from_utf8_lossy(&whole)))),
        }
    }
}

async fn connect(address: SocketAddr) -> Result<SendRequest<Full<Bytes>>, Failure> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (sender, driver) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(driver);
    Ok(sender)
}

fn has(text: &[u8], mark: &str) -> bool {
    text.windows(mark.len()).any(|window| window == mark.as_bytes())
}
