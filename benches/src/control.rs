//! The operators' side of a node: what a bench asks it for.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::{TcpStream, UnixStream};

use crate::failure::{Failure, failure};

/// How long a node may take until it is ready.
const READY: Duration = Duration::from_mins(2);

/// Between two questions whether it is ready: what the measured start may be too long by.
const LOOK: Duration = Duration::from_millis(1);

/// A connection to a node as its owner.
pub struct Operator {
    connection: SendRequest<Full<Bytes>>,
}

// === impl Operator ===

impl Operator {
    /// Connects by the socket in a node's data folder.
    pub async fn connect(socket: &Path) -> Result<Self, Failure> {
        let stream = UnixStream::connect(socket).await?;
        let (connection, driver) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(driver);
        Ok(Self { connection })
    }

    /// A token for a new run.
    pub async fn mint(&mut self, workspace: &str, agent: &str) -> Result<String, Failure> {
        let ask = json!({ "workspace": workspace, "agent": agent, "user": "robin", "ttl": "4h" });
        let said = self.post("/api/v1/tokens", &ask).await?;
        said["token"].as_str().map(str::to_owned).ok_or_else(|| failure("no token"))
    }

    /// Cuts an agent off. Returns the suspension and how many actions it cut.
    pub async fn suspend(&mut self, agent: &str) -> Result<(String, u64), Failure> {
        let ask = json!({ "agent": agent, "reason": "measured" });
        let said = self.post("/api/v1/suspensions", &ask).await?;
        let id = said["id"].as_str().ok_or("no suspension")?.to_owned();
        Ok((id, said["cut"].as_u64().unwrap_or(0)))
    }

    /// Lifts a suspension.
    pub async fn resume(&mut self, suspension: &str) -> Result<(), Failure> {
        self.post(&format!("/api/v1/suspensions/{suspension}/resume"), &json!({})).await.map(drop)
    }

    /// Entries in the log.
    pub async fn log_size(&mut self) -> Result<u64, Failure> {
        let said = self.send(Method::GET, "/api/v1/status", Bytes::new()).await?;
        said["log"]["durable"].as_u64().ok_or_else(|| failure(format!("no size of the log in {said}")))
    }

    async fn post(&mut self, path: &str, body: &Value) -> Result<Value, Failure> {
        self.send(Method::POST, path, body.to_string().into()).await
    }

    async fn send(&mut self, method: Method, path: &str, body: Bytes) -> Result<Value, Failure> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "localhost")
            .header("content-type", "application/json")
            .body(Full::new(body))?;
        self.connection.ready().await?;
        let answer = self.connection.send_request(request).await?;
        let status = answer.status();
        let body = answer.into_body().collect().await?.to_bytes();
        if !status.is_success() {
            return Err(failure(format!("{path}: {status}: {}", String::from_utf8_lossy(&body))));
        }
        Ok(serde_json::from_slice(&body)?)
    }
}

/// Waits until a node admits actions.
pub async fn ready(control: SocketAddr) -> Result<(), Failure> {
    let started = Instant::now();
    while !is_ready(control).await.unwrap_or(false) {
        if started.elapsed() > READY {
            return Err(failure("the node does not become ready"));
        }
        tokio::time::sleep(LOOK).await;
    }
    Ok(())
}

async fn is_ready(control: SocketAddr) -> Result<bool, Failure> {
    let stream = TcpStream::connect(control).await?;
    let (mut connection, driver) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(driver);
    let request =
        Request::get("/readyz").header("host", control.to_string()).body(Full::<Bytes>::default())?;
    Ok(connection.send_request(request).await?.status() == StatusCode::OK)
}
