//! The client: one message at a time, every answer checked.

use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use hyper::{HeaderMap, Method, StatusCode};
use serde_json::{Value, json};

use super::http::{self, Failure, OpenAnswer};
use super::{ToolAnswer, strict};
use crate::limits::ANSWER;
use crate::patience::within;

/// The protocol's two eras.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Era {
    /// 2026-07-28: no sessions, everything in each request.
    Modern,
    /// The revision named here, with a session: 2025-11-25 and older.
    Legacy(&'static str),
}

impl Era {
    /// Its revision.
    pub fn version(self) -> &'static str {
        match self {
            Self::Modern => "2026-07-28",
            Self::Legacy(version) => version,
        }
    }
}

/// A client of one endpoint.
pub struct Client {
    url: String,
    era: Era,
    token: Option<String>,
    session: Option<String>,
    last_id: AtomicU64,
}

/// The answer to a request.
#[derive(Debug)]
pub struct Reply {
    /// Its HTTP status.
    pub status: StatusCode,
    /// Its HTTP headers.
    pub headers: HeaderMap,
    /// The message with the request's id.
    pub message: Value,
    /// The notifications that came before it.
    pub notifications: Vec<Value>,
}

impl Reply {
    /// The result, if it is not an error.
    #[track_caller]
    pub fn result(&self) -> &Value {
        assert!(self.message.get("result").is_some(), "{}: no result: {}", self.status, self.message);
        &self.message["result"]
    }

    /// The code of the error; 0 if there is none.
    pub fn error_code(&self) -> i64 {
        self.message["error"]["code"].as_i64().unwrap_or(0)
    }
}

impl Client {
    /// A client of 2026-07-28, which needs no handshake.
    pub fn modern(url: &str, token: Option<&str>) -> Self {
        Self {
            url: url.to_owned(),
            era: Era::Modern,
            token: token.map(str::to_owned),
            session: None,
            last_id: AtomicU64::new(0),
        }
    }

    /// A client of an older revision, after its handshake.
    pub async fn legacy(url: &str, token: Option<&str>, version: &'static str) -> Self {
        let mut client = Self { era: Era::Legacy(version), ..Self::modern(url, token) };
        let params = json!({
            "protocolVersion": version,
            "capabilities": { "elicitation": {}, "sampling": {}, "roots": {} },
            "clientInfo": { "name": "ringfence-tests", "version": "1" },
        });
        let reply = client.request("initialize", params).await;
        assert_eq!(reply.result()["protocolVersion"], version);
        client.session =
            reply.headers.get("mcp-session-id").and_then(|id| id.to_str().ok()).map(str::to_owned);
        client.notify("notifications/initialized", json!({})).await;
        client
    }

    /// A client of either era, after what handshake it needs.
    pub async fn connect(url: &str, token: Option<&str>, era: Era) -> Self {
        match era {
            Era::Modern => Self::modern(url, token),
            Era::Legacy(version) => Self::legacy(url, token, version).await,
        }
    }

    /// Its session, if the server gave it one.
    pub fn session(&self) -> Option<&str> {
        self.session.as_deref()
    }

    /// The tools, all pages.
    pub async fn tools(&self) -> Vec<Value> {
        let mut tools = Vec::new();
        let mut params = json!({});
        loop {
            let reply = self.request("tools/list", params).await;
            let result = reply.result();
            tools.extend(result["tools"].as_array().cloned().unwrap_or_default());
            match result.get("nextCursor") {
                Some(cursor) => params = json!({ "cursor": cursor }),
                None => return tools,
            }
        }
    }

    /// The names of the tools.
    pub async fn tool_names(&self) -> Vec<String> {
        let tools = self.tools().await;
        tools.iter().filter_map(|tool| tool["name"].as_str().map(str::to_owned)).collect()
    }

    /// Calls a tool; a JSON-RPC error is a failed test.
    pub async fn call(&self, tool: &str, arguments: Value) -> ToolAnswer {
        let reply = self.request("tools/call", json!({ "name": tool, "arguments": arguments })).await;
        ToolAnswer { result: reply.result().clone() }
    }

    /// Sends a request and reads its answer.
    pub async fn request(&self, method: &str, params: Value) -> Reply {
        let read = async { self.open(method, params).await?.reply().await };
        within(ANSWER * 3, &format!("{method} at {}", self.url), read)
            .await
            .unwrap_or_else(|error| panic!("{method} at {}: {error}", self.url))
    }

    /// Sends a request and returns when the answer begins.
    ///
    /// # Errors
    /// When the connection fails.
    pub async fn open(&self, method: &str, params: Value) -> Result<Streamed, Failure> {
        let id = json!(self.last_id.fetch_add(1, Ordering::SeqCst) + 1);
        let message =
            json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": self.complete(params) });
        let answer = self.send(&message).await?;
        Ok(Streamed { id, answer })
    }

    /// Sends a notification, which is accepted without an answer.
    pub async fn notify(&self, method: &str, params: Value) {
        let message = json!({ "jsonrpc": "2.0", "method": method, "params": self.complete(params) });
        let answer = self.send(&message).await.unwrap_or_else(|error| panic!("{method}: {error}"));
        assert!(answer.status().is_success(), "{method}: {}", answer.status());
    }

    /// The headers that belong to a message.
    pub fn headers(&self, message: &Value) -> Vec<(&'static str, String)> {
        let mut headers = vec![
            ("content-type", "application/json".to_owned()),
            ("accept", "application/json, text/event-stream".to_owned()),
        ];
        if let Some(token) = &self.token {
            headers.push(("authorization", format!("Bearer {token}")));
        }
        if let Some(session) = &self.session {
            headers.push(("mcp-session-id", session.clone()));
        }
        let method = message["method"].as_str().unwrap_or_default();
        if method != "initialize" {
            headers.push(("mcp-protocol-version", self.era.version().to_owned()));
        }
        if self.era == Era::Modern {
            headers.push(("mcp-method", method.to_owned()));
            let params = &message["params"];
            if let Some(name) = params["name"].as_str().or_else(|| params["uri"].as_str()) {
                headers.push(("mcp-name", name.to_owned()));
            }
        }
        headers
    }

    /// The parameters, with the metadata that the era asks for.
    fn complete(&self, mut params: Value) -> Value {
        if self.era == Era::Modern {
            let meta = &mut params["_meta"];
            meta["io.modelcontextprotocol/protocolVersion"] = json!(self.era.version());
            meta["io.modelcontextprotocol/clientInfo"] = json!({ "name": "ringfence-tests", "version": "1" });
            meta["io.modelcontextprotocol/clientCapabilities"] = json!({});
        }
        params
    }

    async fn send(&self, message: &Value) -> Result<OpenAnswer, Failure> {
        let headers = self.headers(message);
        let headers: Vec<(&str, &str)> =
            headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        http::open(Method::POST, &self.url, &headers, Bytes::from(message.to_string())).await
    }
}

/// An answer that is coming, message by message.
pub struct Streamed {
    /// The id of the request, as it must come back.
    pub id: Value,
    answer: OpenAnswer,
}

impl Streamed {
    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        self.answer.status()
    }

    /// The next message of the stream, strictly parsed; `None` at its end.
    ///
    /// # Errors
    /// When the stream breaks off, or what comes is not a message.
    pub async fn next(&mut self) -> Result<Option<Value>, Failure> {
        match self.answer.event().await? {
            Some(data) => Ok(Some(strict::parse(data.as_bytes())?)),
            None => Ok(None),
        }
    }

    /// Reads until the answer.
    ///
    /// # Errors
    /// When the answer does not come, or is not the one to this request.
    pub async fn reply(mut self) -> Result<Reply, Failure> {
        let (status, headers) = (self.answer.status(), self.answer.headers().clone());
        let mut notifications = Vec::new();
        if !self.answer.is_stream() {
            let answer = self.answer.whole().await?;
            let message = strict::parse(&answer.body)
                .map_err(|error| format!("{status}: {error}: {}", answer.text()))?;
            check(&message, &self.id)?;
            return Ok(Reply { status, headers, message, notifications });
        }
        while let Some(message) = self.next().await? {
            if message.get("method").is_some() {
                notifications.push(message);
                continue;
            }
            check(&message, &self.id)?;
            return Ok(Reply { status, headers, message, notifications });
        }
        Err("the stream ended without an answer".into())
    }
}

/// A response has the request's id and either a result or an error.
fn check(message: &Value, id: &Value) -> Result<(), Failure> {
    let parts = [message.get("result"), message.get("error")].iter().flatten().count();
    if message["jsonrpc"] != "2.0" || parts != 1 {
        return Err(format!("not a response: {message}").into());
    }
    if message["id"] != *id {
        return Err(format!("a response to {} instead of {id}: {message}", message["id"]).into());
    }
    Ok(())
}
