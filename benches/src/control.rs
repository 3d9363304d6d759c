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

use crate::config::WORKSPACE;
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

    /// Starts an agent. Returns its run.
    pub async fn start(&mut self, agent: &str) -> Result<String, Failure> {
        let ask = json!({ "workspace": WORKSPACE, "agent": agent });
        let said = self.post("/api/v1/runs", &ask).await?;
        said["run"].as_str().map(str::to_owned).ok_or_else(|| failure("no run"))
    }

    /// Kills a run.
    pub async fn kill(&mut self, run: &str) -> Result<(), Failure> {
        self.post(&format!("/api/v1/runs/{run}/kill"), &json!({})).await.map(drop)
    }

    /// Where a run stands.
    pub async fn state(&mut self, run: &str) -> Result<String, Failure> {
        let said = self.send(Method::GET, &format!("/api/v1/runs/{run}"), Bytes::new()).await?;
        said["state"].as_str().map(str::to_owned).ok_or_else(|| failure("no state"))
    }

    /// Waits until a run has come to a state.
    pub async fn until(&mut self, run: &str, wanted: &str) -> Result<(), Failure> {
        loop {
            match self.state(run).await? {
                state if state == wanted => return Ok(()),
                state if state == "ended" => return Err(failure(format!("{run} has ended too early"))),
                _ => tokio::time::sleep(LOOK).await,
            }
        }
    }

    /// All entries of a kind.
    pub async fn entries(&mut self, kind: &str) -> Result<Vec<Value>, Failure> {
        let (mut all, mut from) = (Vec::new(), 0);
        loop {
            let path = format!("/api/v1/audit/entries?kind={kind}&from={from}");
            let mut said = self.send(Method::GET, &path, Bytes::new()).await?;
            let entries = said["entries"].as_array_mut().map(std::mem::take).unwrap_or_default();
            all.extend(entries);
            match said["next"].as_u64() {
                Some(next) if next > from => from = next,
                _ => return Ok(all),
            }
        }
    }

    /// Waits until the program of a run has begun; it may be over by then.
    pub async fn until_begun(&mut self, run: &str) -> Result<(), Failure> {
        while matches!(self.state(run).await?.as_str(), "queued" | "starting") {
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }

    /// The runs in such a state.
    pub async fn runs(&mut self, wanted: impl Fn(&str) -> bool) -> Result<Vec<String>, Failure> {
        let said = self.send(Method::GET, "/api/v1/runs?limit=1000", Bytes::new()).await?;
        let all = said["runs"].as_array().cloned().unwrap_or_default();
        let wanted = all.iter().filter(|run| run["state"].as_str().is_some_and(&wanted));
        Ok(wanted.filter_map(|run| run["run"].as_str().map(str::to_owned)).collect())
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
