//! A client that sees everything: what came, in which pieces, and how the connection ended.

use std::net::SocketAddr;
use std::time::Duration;

use ringfence_mock_model::{MockModel, Options};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// How long anything may take that is meant to come.
const PATIENCE: Duration = Duration::from_secs(10);

/// What came.
#[derive(Debug)]
pub struct Came {
    /// The status line and the headers.
    pub head: String,
    /// The body, without the sizes of its chunks.
    pub body: Vec<u8>,
    /// The chunks the body came in, if it came in chunks.
    pub chunks: Vec<Vec<u8>>,
    /// Whether it came to its end.
    pub complete: bool,
}

pub async fn start() -> MockModel {
    MockModel::start(Options::default()).await.unwrap()
}

/// Posts a body and reads until the connection ends.
pub async fn post(address: SocketAddr, path: &str, headers: &str, body: &str) -> Came {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let length = body.len();
    let request = format!(
        "POST {path} HTTP/1.1\r\nhost: mock\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n{body}"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut all = Vec::new();
    tokio::time::timeout(PATIENCE, stream.read_to_end(&mut all))
        .await
        .expect("an answer")
        .unwrap_or_default();
    came(&all)
}

fn came(all: &[u8]) -> Came {
    let Some(end) = all.windows(4).position(|window| window == b"\r\n\r\n") else {
        return Came { head: String::new(), body: Vec::new(), chunks: Vec::new(), complete: false };
    };
    let (head, mut rest) = (String::from_utf8_lossy(&all[..end]).to_lowercase(), &all[end + 4..]);
    if !head.contains("transfer-encoding: chunked") {
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
        return Came { complete: length == Some(rest.len()), head, body: rest.to_vec(), chunks: Vec::new() };
    }
    let (mut chunks, mut complete) = (Vec::new(), false);
    while let Some(line) = rest.windows(2).position(|window| window == b"\r\n") {
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..line]).unwrap(), 16).unwrap();
        rest = &rest[line + 2..];
        if size == 0 {
            complete = true;
            break;
        }
        chunks.push(rest[..size].to_vec());
        rest = &rest[size + 2..];
    }
    Came { head, body: chunks.concat(), chunks, complete }
}

// === impl Came ===

impl Came {
    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).expect("text")
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }

    /// The data of every event that is JSON.
    pub fn events(&self) -> Vec<serde_json::Value> {
        let text = self.text();
        let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
        data.filter(|data| *data != "[DONE]").map(|data| serde_json::from_str(data).expect(data)).collect()
    }
}

/// A request of any of the three APIs that can stream.
pub fn ask(path: &str, directives: &str, more: &str) -> String {
    let message = format!(r#"[{{"role":"user","content":"Hello mock:{directives}"}}]"#);
    let field = if path.ends_with("responses") { "input" } else { "messages" };
    format!(r#"{{"model":"m","{field}":{message}{more}}}"#)
}
