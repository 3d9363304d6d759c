//! What an agent asks of a host, before anything was decided.

use std::sync::Arc;

use ringfence_json::Object;
use ringfence_types::{ActionType, HostName};
use smol_str::SmolStr;

use crate::Run;

/// One connection or request to a host as an agent asks for it.
#[derive(Debug, Clone)]
pub struct EgressProposal {
    /// Whose.
    pub run: Arc<Run>,
    /// What.
    pub call: EgressCall,
}

/// What is asked of a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EgressCall {
    /// Which, by the name that the agent asked for, or by its address if it asked for none.
    pub host: HostName,
    /// Where on it.
    pub port: u16,
    /// How much can be seen.
    pub protocol: EgressProtocol,
    /// The HTTP method; absent where only the connection is seen.
    pub method: Option<SmolStr>,
    /// The path as it is sent, with what follows a `?`; absent where only the connection is seen.
    pub path: Option<String>,
}

/// In what an agent speaks to a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EgressProtocol {
    /// TLS that is passed through: nothing in it is seen.
    Tls,
    /// HTTP in the clear: each request is seen.
    Http,
    /// HTTP in TLS that ends at the gateway: each request is seen.
    Https,
    /// Nothing that is known: bytes.
    Tcp,
    /// A datagram.
    Udp,
}

// === impl EgressProtocol ===

impl EgressProtocol {
    /// The word in logs and rules.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tls => "tls",
            Self::Http => "http",
            Self::Https => "https",
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}

// === impl EgressCall ===

impl EgressCall {
    /// The path without what follows a `?`.
    pub(crate) fn bare_path(&self) -> Option<&str> {
        let path = self.path.as_deref()?;
        Some(path.split_once('?').map_or(path, |(path, _)| path))
    }

    /// What rules see as the arguments.
    pub fn arguments(&self) -> Object {
        let query = self.path.as_deref().and_then(|path| path.split_once('?')).map(|(_, query)| query);
        Object::new()
            .with("host", &self.host)
            .with("port", u64::from(self.port))
            .with("protocol", self.protocol.as_str())
            .with_some("method", self.method.clone())
            .with_some("path", self.bare_path())
            .with_some("query", query)
    }

    /// The action in the words of rules: the method in lower case, or `connect`.
    pub fn action(&self) -> SmolStr {
        self.method.as_ref().map_or_else(|| "connect".into(), |method| method.to_ascii_lowercase().into())
    }

    /// Methods that only look (RFC 9110, section 9.2.1); what is not seen may change anything.
    pub fn action_type(&self) -> ActionType {
        match self.method.as_deref() {
            Some("GET" | "HEAD" | "OPTIONS" | "TRACE") => ActionType::Read,
            _ => ActionType::Write,
        }
    }
}
