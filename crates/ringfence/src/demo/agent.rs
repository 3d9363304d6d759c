//! The demo's agent: a plain MCP client (2026-07-28). It does what its script says, with no idea of Ringfence.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use ringfence_json::{Object, Value};

use super::message::{MessageError, post};

const REVISION: &str = "2026-07-28";

/// An agent with a run token.
pub struct Agent {
    gateway: SocketAddr,
    token: String,
    last_id: AtomicU64,
}

/// What the agent's model is given as the result of a call.
pub struct Given {
    /// The text of the result.
    pub text: String,
    /// Whether the call failed or was refused.
    pub is_error: bool,
}

// === impl Agent ===

impl Agent {
    pub fn new(gateway: SocketAddr, token: String) -> Self {
        Self { gateway, token, last_id: AtomicU64::new(0) }
    }

    /// Calls a tool of a server.
    pub async fn call(&self, server: &str, tool: &str, arguments: Object) -> Result<Given, MessageError> {
        let parameters = Object::new().with("name", tool).with("arguments", arguments);
        let answer = self.request(server, "tools/call", Some(tool), parameters).await?;
        let result = answer.get("result");
        let blocks =
            result.and_then(|result| result.get("content")).and_then(Value::as_array).unwrap_or_default();
        let texts: Vec<&str> = blocks.iter().filter_map(|block| block.get("text")?.as_str()).collect();
        let is_error =
            result.and_then(|result| result.get("isError")).and_then(Value::as_bool).unwrap_or(true);
        Ok(Given { text: texts.join(" "), is_error })
    }

    /// The names of the tools that a server shows this agent.
    pub async fn tools(&self, server: &str) -> Result<Vec<String>, MessageError> {
        let answer = self.request(server, "tools/list", None, Object::new()).await?;
        let tools = answer.get("result").and_then(|result| result.get("tools")).and_then(Value::as_array);
        let name = |tool: &Value| tool.get("name").and_then(Value::as_str).map(str::to_owned);
        Ok(tools.unwrap_or_default().iter().filter_map(name).collect())
    }

    async fn request(
        &self,
        server: &str,
        method: &str,
        name: Option<&str>,
        parameters: Object,
    ) -> Result<Object, MessageError> {
        let meta = Object::new()
            .with("io.modelcontextprotocol/protocolVersion", REVISION)
            .with(
                "io.modelcontextprotocol/clientInfo",
                Object::new().with("name", "demo-agent").with("version", "1"),
            )
            .with("io.modelcontextprotocol/clientCapabilities", Object::new());
        let id = self.last_id.fetch_add(1, Ordering::Relaxed) + 1;
        let message = Object::new()
            .with("jsonrpc", "2.0")
            .with("id", id)
            .with("method", method)
            .with("params", parameters.with("_meta", meta));
        let authorization = format!("Bearer {}", self.token);
        let mut headers = vec![
            ("authorization", authorization.as_str()),
            ("accept", "application/json, text/event-stream"),
            ("mcp-protocol-version", REVISION),
            ("mcp-method", method),
        ];
        headers.extend(name.map(|name| ("mcp-name", name)));
        post(self.gateway, &format!("/mcp/{server}"), &headers, &message).await
    }
}
