//! An operator with nothing but a socket: what is sent and what comes back is seen as it is.
#![allow(dead_code, reason = "each test binary uses a part")]

use ringfence_control::{Node, NodeOptions, PersonToken, StartError};
use ringfence_json::{Limits, parse};
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};

const POLICY: &str = "rules:\n  - name: reads\n    match: { action_type: read }\n    decision: ALLOW\n";

/// A folder with a configuration, and the tokens of its people.
pub struct Place {
    folder: TempDir,
    hashes: [String; 4],
    pub viewer: String,
    pub operator: String,
    pub approver: String,
    pub admin: String,
}

/// What came back.
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

/// A stream of lines.
pub struct Follower {
    stream: UnixStream,
    seen: String,
}

impl Place {
    pub fn new() -> Self {
        let tokens: [PersonToken; 4] = std::array::from_fn(|_| PersonToken::generate().unwrap());
        let reveal = |index: usize| tokens[index].reveal().to_owned();
        let place = Self {
            folder: tempfile::tempdir().unwrap(),
            hashes: std::array::from_fn(|index| tokens[index].hash()),
            viewer: reveal(0),
            operator: reveal(1),
            approver: reveal(2),
            admin: reveal(3),
        };
        place.write("ringfence.yaml", &place.configuration());
        place.write("safety-policy.yaml", POLICY);
        place
    }

    pub fn configuration(&self) -> String {
        let [viewer, operator, approver, admin] = &self.hashes;
        format!(
            "organization: acme
people:
  vera: {{ roles: [viewer], token_hash: \"{viewer}\" }}
  olga: {{ roles: [operator], token_hash: \"{operator}\" }}
  adam: {{ roles: [approver], token_hash: \"{approver}\" }}
  dana: {{ roles: [admin], token_hash: \"{admin}\" }}
workspaces:
  lab:
    environment: test
    agents: {{ assistant: {{ tools: [] }} }}
    policy: [safety-policy.yaml]
"
        )
    }

    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.folder.path().join(name), text).unwrap();
    }

    pub fn options(&self) -> NodeOptions {
        NodeOptions {
            config: self.folder.path().join("ringfence.yaml"),
            data: self.folder.path().join("data"),
            gateway: "127.0.0.1:0".parse().unwrap(),
            control: "127.0.0.1:0".parse().unwrap(),
            name: None,
            spawner: None,
        }
    }

    pub async fn try_start(&self) -> Result<Node, StartError> {
        Node::start(self.options()).await
    }

    pub async fn start(&self) -> Node {
        self.try_start().await.unwrap_or_else(|error| panic!("{error}"))
    }

    pub async fn tcp(
        &self,
        node: &Node,
        method: &str,
        path: &str,
        token: Option<&str>,
        body: &str,
    ) -> Answer {
        let host = node.addresses().control.strip_prefix("http://").unwrap();
        let authorization =
            token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
        let stream = TcpStream::connect(host).await.unwrap();
        exchange(stream, &request(method, path, host, &authorization, body)).await
    }

    pub async fn raw(&self, node: &Node, host: &str, origin: Option<&str>) -> Answer {
        let address = node.addresses().control.strip_prefix("http://").unwrap();
        let origin = origin.map(|origin| format!("Origin: {origin}\r\n")).unwrap_or_default();
        let headers = format!("{origin}Authorization: Bearer {}\r\n", self.viewer);
        let stream = TcpStream::connect(address).await.unwrap();
        exchange(stream, &request("GET", "/api/v1/status", host, &headers, "")).await
    }

    pub async fn socket(&self, node: &Node, method: &str, path: &str, body: &str) -> Answer {
        let stream = UnixStream::connect(&node.addresses().socket).await.unwrap();
        exchange(stream, &request(method, path, "localhost", "", body)).await
    }

    pub async fn follow(&self, node: &Node, path: &str) -> Follower {
        let mut stream = UnixStream::connect(&node.addresses().socket).await.unwrap();
        stream.write_all(request("GET", path, "localhost", "", "").as_bytes()).await.unwrap();
        let mut follower = Follower { stream, seen: String::new() };
        follower.line_with("HTTP/1.1 200").await;
        follower
    }
}

impl Answer {
    /// A text member of the body.
    pub fn text(&self, name: &str) -> String {
        let value = parse(self.body.as_bytes(), &Limits::default()).unwrap();
        value.get(name).and_then(|value| value.as_str()).unwrap_or_else(|| panic!("{}", self.body)).to_owned()
    }
}

impl Follower {
    /// Reads until a line with this text.
    pub async fn line_with(&mut self, text: &str) -> String {
        loop {
            if let Some(line) = self.seen.lines().find(|line| line.contains(text)) {
                return line.to_owned();
            }
            let mut buffer = [0; 4096];
            let count = self.stream.read(&mut buffer).await.unwrap();
            assert!(count > 0, "the stream ended: {}", self.seen);
            self.seen.push_str(&String::from_utf8_lossy(&buffer[..count]));
        }
    }
}

fn request(method: &str, path: &str, host: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "{method} {path} HTTP/1.1\r\nHost: {host}\r\n{headers}Connection: close\r\nContent-Length: {length}\r\n\r\n{body}"
    )
}

async fn exchange(mut stream: impl AsyncRead + AsyncWrite + Unpin, request: &str) -> Answer {
    // A node that refuses a long body may close before it has all of it.
    let _ = stream.write_all(request.as_bytes()).await;
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes).await;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text}"));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap();
    Answer { status, head: head.to_owned(), body: body.to_owned() }
}
