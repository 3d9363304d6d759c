//! What goes over the wire: the calls of the benches, in both eras of the protocol.

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{Method, Request};
use http_body_util::Full;

use crate::failure::Failure;

/// The size of the arguments of every call, in bytes.
pub const ARGUMENTS: usize = 200;

/// The tool that answers at once.
pub const TOOL: &str = "deploy_app";

/// The tool that tells without end.
pub const STREAM: &str = "watch";

/// A revision of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Era {
    /// 2026-07-28: no sessions.
    Modern,
    /// 2025-11-25: with a session.
    Legacy,
}

/// Whom a call goes to.
#[derive(Clone, Debug)]
pub struct Target {
    /// Host and port.
    pub address: std::net::SocketAddr,
    /// The endpoint.
    pub path: String,
    /// A run token, if it wants one.
    pub token: Option<String>,
    /// How it is spoken to.
    pub era: Era,
}

// === impl Era ===

impl Era {
    /// Its name.
    pub fn version(self) -> &'static str {
        match self {
            Self::Modern => "2026-07-28",
            Self::Legacy => "2025-11-25",
        }
    }

    fn meta(self) -> &'static str {
        match self {
            Self::Modern => {
                r#","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"ringfence-benches","version":"1"},"io.modelcontextprotocol/clientCapabilities":{}}"#
            }
            Self::Legacy => "",
        }
    }
}

// === impl Target ===

impl Target {
    /// A request for a message.
    ///
    /// # Errors
    /// When a name does not fit into a header.
    pub fn request(
        &self,
        method: &str,
        name: Option<&str>,
        session: Option<&str>,
        body: String,
    ) -> Result<Request<Full<Bytes>>, Failure> {
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(&self.path)
            .header(HOST, self.address.to_string())
            .header(CONTENT_TYPE, "application/json")
            .header(ACCEPT, "application/json, text/event-stream");
        if method != "initialize" {
            request = request.header("mcp-protocol-version", self.era.version());
        }
        if self.era == Era::Modern {
            request = request.header("mcp-method", method);
            if let Some(name) = name {
                request = request.header("mcp-name", name);
            }
        }
        if let Some(token) = &self.token {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        if let Some(session) = session {
            request = request.header("mcp-session-id", session);
        }
        Ok(request.body(Full::new(body.into()))?)
    }

    /// Call number `number` of the tool that answers at once.
    pub fn call(&self, number: u64, session: Option<&str>) -> Result<Request<Full<Bytes>>, Failure> {
        let (arguments, meta) = (arguments(number), self.era.meta());
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":{number},"method":"tools/call","params":{{"name":"{TOOL}","arguments":{arguments}{meta}}}}}"#
        );
        self.request("tools/call", Some(TOOL), session, body)
    }

    /// Call number `number` of the tool that tells without end, an event every so many milliseconds.
    pub fn stream(&self, number: u64, pause_ms: u64) -> Result<Request<Full<Bytes>>, Failure> {
        // With the token of progress beside what the era puts there.
        let meta = self.era.meta().replacen('{', r#"{"progressToken":"p","#, 1);
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":{number},"method":"tools/call","params":{{"name":"{STREAM}","arguments":{{"pause_ms":{pause_ms}}}{meta}}}}}"#
        );
        self.request("tools/call", Some(STREAM), None, body)
    }
}

/// Arguments of [`ARGUMENTS`] bytes, no two the same: the guard against repetition is on.
fn arguments(number: u64) -> String {
    let head = format!(
        r#"{{"app":"shop-{number:012}","replicas":5,"namespace":"staging","image":"shop:1.2.3","note":""#
    );
    let note = "x".repeat(ARGUMENTS.saturating_sub(head.len() + 2));
    format!(r#"{head}{note}"}}"#)
}

/// What the answer to call number `number` has to say.
pub fn expected(number: u64) -> String {
    format!("shop-{number:012} is deployed")
}

#[cfg(test)]
mod tests {
    use super::{ARGUMENTS, arguments};

    #[test]
    fn arguments_are_as_long_as_the_figures_say() {
        assert_eq!(arguments(1).len(), ARGUMENTS);
        assert_eq!(arguments(999_999_999).len(), ARGUMENTS);
        assert!(serde_json::from_str::<serde_json::Value>(&arguments(7)).is_ok());
    }
}
