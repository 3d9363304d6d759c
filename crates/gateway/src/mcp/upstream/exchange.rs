//! One message out, and what comes back for it, whatever the way.

use super::UpstreamError;
use super::child::ChildExchange;
use super::http::HttpExchange;
use crate::mcp::message::Message;

/// What comes back for one message. Dropped before its answer came, the upstream is told or sees it.
#[derive(Debug)]
pub(crate) enum Exchange {
    /// Over HTTP.
    Http(HttpExchange),
    /// With a child.
    Child(ChildExchange),
}

// === impl Exchange ===

impl Exchange {
    /// Whether the upstream chose to answer with a stream, as far as that is known before its first message.
    pub(crate) fn streams(&self) -> Option<bool> {
        match self {
            Self::Http(exchange) => Some(exchange.streams()),
            Self::Child(_) => None,
        }
    }

    /// The next message; `None` at the end. Safe to drop and ask again between messages, not within one.
    pub(crate) async fn next(&mut self) -> Result<Option<Message>, UpstreamError> {
        match self {
            Self::Http(exchange) => exchange.next().await,
            Self::Child(exchange) => Ok(exchange.next().await?),
        }
    }
}
