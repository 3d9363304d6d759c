//! A client of either era.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use ringfence_json::{Object, Value};
use ringfence_types::RunId;
use tokio::net::TcpStream;

pub const META: &str = r#"{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}"#;

#[derive(Clone)]
pub struct Client {
    pub address: SocketAddr,
    pub token: String,
    pub run: RunId,
    pub session: Option<String>,
}

#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: String,
}

/// An answer that is still coming.
pub struct Stream {
    pub status: StatusCode,
    pub headers: HeaderMap,
    body: Incoming,
    rest: String,
    _connection: tokio::task::JoinHandle<()>,
}

impl Client {
    pub fn new(address: SocketAddr, token: &str, run: RunId) -> Self {
        Self { address, token: token.to_owned(), run, session: None }
    }

    pub async fn open(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Stream {
        let mut request = Request::new(Full::new(body.into()));
        *request.method_mut() = method;
        *request.uri_mut() = path.parse().unwrap();
        let mut map = HeaderMap::new();
        let token = format!("Bearer {}", self.token);
        let standard = [
            ("host", "localhost"),
            ("authorization", token.as_str()),
            ("content-type", "application/json"),
            ("accept", "application/json, text/event-stream"),
        ];
        for (name, value) in standard.iter().chain(headers) {
            map.insert(http::HeaderName::try_from(*name).unwrap(), value.parse().unwrap());
        }
        map.retain_filled();
        *request.headers_mut() = map;
        let stream = TcpStream::connect(self.address).await.unwrap();
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        let connection = tokio::spawn(async move { drop(connection.await) });
        let response = sender.send_request(request).await.unwrap();
        let (head, body) = response.into_parts();
        Stream {
            status: head.status,
            headers: head.headers,
            body,
            rest: String::new(),
            _connection: connection,
        }
    }

    pub async fn send(&self, method: Method, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let stream = self.open(method, path, headers, body.to_owned()).await;
        let body =
            stream.body.collect().await.map(|body| String::from_utf8(body.to_bytes().to_vec()).unwrap());
        Answer {
            status: stream.status,
            headers: stream.headers,
            body: body.unwrap_or_else(|_| "broken off".into()),
        }
    }

    /// Begins a legacy session on a path.
    pub async fn initialize(mut self, path: &str) -> Self {
        let answer = self.legacy(path, INITIALIZE).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        self.session = Some(answer.headers["mcp-session-id"].to_str().unwrap().to_owned());
        self.legacy(path, r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#).await;
        self
    }

    fn legacy_headers(&self) -> Vec<(&str, &str)> {
        let session = self.session.as_deref().map(|session| ("mcp-session-id", session));
        session.into_iter().collect()
    }

    pub async fn legacy(&self, path: &str, body: &str) -> Answer {
        self.send(Method::POST, path, &self.legacy_headers(), body).await
    }

    pub async fn legacy_stream(&self, path: &str, body: &str) -> Stream {
        self.open(Method::POST, path, &self.legacy_headers(), body.to_owned()).await
    }

    pub async fn get(&self, path: &str) -> Stream {
        self.open(Method::GET, path, &self.legacy_headers(), "").await
    }

    /// Calls a tool in a legacy session.
    pub async fn call(&self, path: &str, tool: &str, arguments: &str) -> Answer {
        self.legacy(path, &call_body(7, tool, arguments, "")).await
    }

    /// A modern request; `params` without braces.
    pub async fn modern(&self, path: &str, method: &str, name: Option<&str>, params: &str) -> Answer {
        let (headers, body) = modern_parts(method, name, params);
        self.send(Method::POST, path, &headers, &body).await
    }

    pub async fn modern_stream(&self, path: &str, method: &str, name: Option<&str>, params: &str) -> Stream {
        let (headers, body) = modern_parts(method, name, params);
        self.open(Method::POST, path, &headers, body).await
    }
}

pub const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{"elicitation":{}},"clientInfo":{"name":"test","version":"1"}}}"#;

pub fn call_body(id: u64, tool: &str, arguments: &str, more: &str) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"{tool}","arguments":{arguments}{more}}}}}"#
    )
}

fn modern_parts<'a>(
    method: &'a str,
    name: Option<&'a str>,
    params: &str,
) -> (Vec<(&'a str, &'a str)>, String) {
    let mut headers = vec![("mcp-protocol-version", "2026-07-28"), ("mcp-method", method)];
    headers.extend(name.map(|name| ("mcp-name", name)));
    let comma = if params.is_empty() { "" } else { "," };
    let body = format!(
        r#"{{"jsonrpc":"2.0","id":7,"method":"{method}","params":{{{params}{comma}"_meta":{META}}}}}"#
    );
    (headers, body)
}

trait RetainFilled {
    /// An empty value stands for a header that is left out.
    fn retain_filled(&mut self);
}

impl RetainFilled for HeaderMap {
    fn retain_filled(&mut self) {
        let empty: Vec<_> =
            self.iter().filter(|(_, value)| value.is_empty()).map(|(name, _)| name.clone()).collect();
        for name in empty {
            self.remove(name);
        }
    }
}

impl Answer {
    /// The only message of the answer, whether it came as JSON or as the last event.
    pub fn message(&self) -> Value {
        let text = self.body.lines().rev().find_map(|line| line.strip_prefix("data: ")).unwrap_or(&self.body);
        ringfence_json::parse(text.as_bytes(), &ringfence_json::Limits::default())
            .unwrap_or_else(|error| panic!("{error}: {} {}", self.status, self.body))
    }

    pub fn result(&self) -> Object {
        let message = self.message();
        message
            .get("result")
            .and_then(Value::as_object)
            .unwrap_or_else(|| panic!("no result: {}", self.body))
            .clone()
    }

    /// The text of the first block.
    pub fn text(&self) -> String {
        super::at(&self.message(), "/result/content/0/text")
    }

    /// What was decided, as the agent is told: its code, or what it decided if there is none.
    pub fn code(&self) -> String {
        super::at(&self.message(), "/result/_meta/dev.ringfence~1decision/code")
    }

    pub fn error_code(&self) -> String {
        super::at(&self.message(), "/error/code")
    }
}

impl Stream {
    /// The data of the next event; `None` at the end.
    pub async fn event(&mut self) -> Option<Value> {
        loop {
            if let Some((event, rest)) = self.rest.split_once("\n\n") {
                let data: Vec<&str> = event.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
                let known = event.lines().filter_map(|line| line.strip_prefix("event: ")).next_back();
                let value = (known == Some("message")).then(|| data.join("\n"));
                self.rest = String::from(rest);
                if let Some(text) = value {
                    return Some(
                        ringfence_json::parse(text.as_bytes(), &ringfence_json::Limits::default()).unwrap(),
                    );
                }
                continue;
            }
            let frame = tokio::time::timeout(Duration::from_secs(10), self.body.frame())
                .await
                .expect("an event in time")?;
            let data = frame.ok()?.into_data().ok()?;
            self.rest.push_str(std::str::from_utf8(&data).unwrap());
        }
    }

    /// How many bytes come until the end, or until it breaks off.
    pub async fn drain(mut self) -> usize {
        let mut bytes = 0;
        while let Some(Ok(frame)) = self.body.frame().await {
            bytes += frame.into_data().map_or(0, |data| data.len());
        }
        bytes
    }
}
