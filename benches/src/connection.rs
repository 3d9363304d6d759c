//! One client's connection, kept open from call to call.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::failure::{Failure, failure};
use crate::wire::{Era, Target, expected};

/// A connection, with its session where the era has them.
pub struct Connection {
    target: Target,
    sender: SendRequest<Full<Bytes>>,
    session: Option<String>,
}

// === impl Connection ===

impl Connection {
    /// Connects, with a handshake where the era wants one.
    pub async fn open(target: &Target) -> Result<Self, Failure> {
        let stream = TcpStream::connect(target.address).await?;
        stream.set_nodelay(true)?;
        let (sender, driver) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(driver);
        let mut connection = Self { target: target.clone(), sender, session: None };
        if target.era == Era::Legacy {
            connection.shake_hands().await?;
        }
        Ok(connection)
    }

    /// Makes one call and holds its answer against what has to come. Returns how long it took.
    pub async fn call(&mut self, number: u64) -> Result<Duration, Failure> {
        let request = self.target.call(number, self.session.as_deref())?;
        let started = Instant::now();
        let (status, body) = self.send(request).await?;
        let took = started.elapsed();
        let wanted = expected(number);
        let came = body.windows(wanted.len()).any(|window| window == wanted.as_bytes());
        if status == StatusCode::OK && came {
            return Ok(took);
        }
        Err(failure(format!("call {number} was answered {status}: {}", String::from_utf8_lossy(&body))))
    }

    /// Begins a call that is answered by a stream.
    pub async fn stream(&mut self, number: u64, pause_ms: u64) -> Result<Response<Incoming>, Failure> {
        let request = self.target.stream(number, pause_ms)?;
        Ok(self.sender.send_request(request).await?)
    }

    async fn send(&mut self, request: Request<Full<Bytes>>) -> Result<(StatusCode, Bytes), Failure> {
        self.sender.ready().await?;
        let answer = self.sender.send_request(request).await?;
        let status = answer.status();
        Ok((status, answer.into_body().collect().await?.to_bytes()))
    }

    async fn shake_hands(&mut self) -> Result<(), Failure> {
        let hello = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"ringfence-benches","version":"1"}}}"#;
        let request = self.target.request("initialize", None, None, hello.to_owned())?;
        let answer = self.sender.send_request(request).await?;
        let session = answer.headers().get("mcp-session-id").and_then(|id| id.to_str().ok());
        self.session = session.map(str::to_owned);
        answer.into_body().collect().await?;
        let done = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
        let method = "notifications/initialized";
        let request = self.target.request(method, None, self.session.as_deref(), done.to_owned())?;
        let (status, body) = self.send(request).await?;
        if status == StatusCode::ACCEPTED {
            return Ok(());
        }
        Err(failure(format!("the handshake was answered {status}: {}", String::from_utf8_lossy(&body))))
    }
}
