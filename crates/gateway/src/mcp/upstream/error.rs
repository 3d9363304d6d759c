//! How the way to an upstream fails.

use std::borrow::Cow;

use ringfence_kernel::{CutOff, Failure};
use ringfence_sandbox::SpawnError;

use crate::http::wires::WireError;
use crate::targets::SourceError;

/// Why an upstream gave no usable answer. In this program's words: nothing that the upstream said.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UpstreamError {
    /// It could not be connected to, so nothing was sent.
    #[error("the tool server cannot be reached")]
    Unreachable,
    /// The connection broke after something was sent.
    #[error("the connection to the tool server broke")]
    Broken,
    /// It was cut off from above.
    #[error("cut off: {}", .0.reason)]
    Cut(CutOff),
    /// No answer in time.
    #[error("the tool server did not answer in time")]
    Timeout,
    /// HTTP 5xx.
    #[error("the tool server failed with HTTP status {0}")]
    Server(u16),
    /// HTTP 401 or 403.
    #[error(
        "the tool server does not accept the node's credential (HTTP status {0}); check `headers:` of the server"
    )]
    Credential(u16),
    /// The session is not known there any more.
    #[error("the tool server does not know its session any more")]
    SessionGone,
    /// An answer that is none.
    #[error("the tool server gave a malformed answer: {0}")]
    Malformed(&'static str),
    /// An answer over the bound.
    #[error("the tool server's answer has more than {bytes_max} bytes")]
    TooLarge {
        /// The bound.
        bytes_max: usize,
    },
    /// More messages than the bound.
    #[error("the tool server sent more than {max} messages during one call")]
    TooMany {
        /// The bound.
        max: usize,
    },
    /// The child cannot be started.
    #[error("the tool server cannot be started: {0}")]
    Spawn(#[from] SpawnError),
    /// The run of a child in a sandbox of its own cannot begin.
    #[error("the tool server cannot be started: {0}")]
    NotBegun(String),
    /// The child ended too often and is not tried again yet.
    #[error("the tool server keeps failing; it is tried again in {wait_ms} ms")]
    Resting {
        /// How long.
        wait_ms: u128,
    },
    /// The child ended.
    #[error("the tool server ended ({0})")]
    Ended(String),
    /// What opens it is not there.
    #[error("what opens the tool server is missing: {0}")]
    Source(#[from] SourceError),
    /// It is not in the configuration any more.
    #[error("the tool server is not configured any more")]
    Gone,
    /// The handshake was refused.
    #[error("the tool server refused the handshake")]
    Handshake,
}

impl From<WireError> for UpstreamError {
    fn from(error: WireError) -> Self {
        match error {
            WireError::Unreachable(_) => Self::Unreachable,
            WireError::Broken => Self::Broken,
            WireError::Malformed => Self::Malformed("not HTTP"),
        }
    }
}

// === impl UpstreamError ===

impl UpstreamError {
    /// What an agent is told: nothing of where the server is, how it is started, and what opens it.
    pub(crate) fn for_agents(&self) -> Cow<'static, str> {
        match self {
            Self::Spawn(_) | Self::NotBegun(_) => "the tool server could not be started".into(),
            Self::Source(_) => "the tool server cannot be used now: what opens it is missing".into(),
            Self::Credential(_) => "the tool server does not accept the node".into(),
            other => other.to_string().into(),
        }
    }

    /// Whether it says something about the upstream, and not about what the node lacks to reach it.
    pub(crate) fn is_upstreams(&self) -> bool {
        !matches!(self, Self::SessionGone | Self::Source(_) | Self::NotBegun(_) | Self::Gone | Self::Cut(_))
    }

    /// What it is to the log; `None` when nothing was sent, so nothing happened: that is said only of what goes wrong
    /// before a request is written.
    pub(crate) fn failure(&self) -> Option<Failure> {
        match self {
            Self::Unreachable
            | Self::Spawn(_)
            | Self::NotBegun(_)
            | Self::Resting { .. }
            | Self::Source(_)
            | Self::Gone
            | Self::Handshake => None,
            Self::Broken | Self::Ended(_) | Self::Credential(_) | Self::SessionGone | Self::Cut(_) => {
                Some(Failure::Transport)
            }
            Self::Timeout => Some(Failure::Timeout),
            Self::Server(_) => Some(Failure::ServerError),
            Self::Malformed(_) | Self::TooMany { .. } => Some(Failure::Malformed),
            Self::TooLarge { .. } => Some(Failure::TooLarge),
        }
    }
}
