//! What lets a message go out to a tool server. Whatever sends one asks for a passage, so nothing reaches a server
//! that was neither cleared, nor allowed as a visit, nor is the node's own errand; and it goes out only for as long as
//! that holds.

use ringfence_kernel::{Cancel, Clearance, Errand, Lease};
use ringfence_types::{ServerName, WorkspaceName};
use tokio::time::Instant;

use super::upstream::UpstreamError;
use crate::Limits;
use crate::gate::Gate;
use crate::targets::Target;

/// What lets a message go out.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Passage<'a> {
    /// It is part of a cleared action.
    Cleared(&'a Clearance),
    /// It is no action, and its run may turn to the server with it.
    Visit(&'a Lease),
    /// The node asks on its own behalf.
    Own(&'a Errand),
}

// === impl Passage ===

impl Passage<'_> {
    /// Where the server is: for a cleared action as the configuration has it that decided it, else as it is now.
    pub(crate) fn target(
        self,
        gate: &Gate,
        workspace: &WorkspaceName,
        server: &ServerName,
    ) -> Result<Target, UpstreamError> {
        let target = match self {
            Self::Cleared(clearance) => gate.targets.of_config(clearance.config(), workspace, server),
            Self::Visit(_) | Self::Own(_) => gate.targets.get(workspace, server),
        };
        target.ok_or(UpstreamError::Gone)
    }

    /// What `future` gives, unless it is cut off or takes too long.
    pub(crate) async fn hold<T>(
        self,
        limits: &Limits,
        future: impl Future<Output = Result<T, UpstreamError>>,
    ) -> Result<T, UpstreamError> {
        let patience = Instant::now() + limits.errand_time;
        let (cancel, until): (Option<&Cancel>, Instant) = match self {
            Self::Cleared(clearance) => (Some(clearance.cancel()), clearance.deadline()),
            Self::Visit(lease) => (Some(lease.cancel()), patience),
            Self::Own(_) => (None, patience),
        };
        let cut = async {
            match cancel {
                Some(cancel) => cancel.cancelled().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            cut = cut => Err(UpstreamError::Cut(cut)),
            done = tokio::time::timeout_at(until, future) => done.unwrap_or_else(|_| {
                if let Self::Own(errand) = self {
                    tracing::debug!(workspace = %errand.workspace(), server = %errand.server(), "an errand took too long");
                }
                Err(UpstreamError::Timeout)
            }),
        }
    }
}
