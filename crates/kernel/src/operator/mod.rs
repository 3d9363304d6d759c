//! The operators' side: what people do to runs, approvals, suspensions and tools. Everything here is durable before
//! it answers.

mod approvals;
mod files;
mod life;
mod over;
mod runs;
mod suspensions;
mod tools;

pub use approvals::ApprovalError;
pub use life::Begin;
pub use runs::{Mint, MintError, Minted, RunError};
pub use suspensions::{ResumeError, Suspend, SuspendError};
pub use tools::{PinError, PinSelection};

use ringfence_ledger::{AppendError, Ticket};

/// The log cannot take a record, so nothing was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the log cannot take a record at present, so nothing was changed; see `ringfence status` and try again"
)]
pub struct LedgerUnavailable;

impl From<AppendError> for LedgerUnavailable {
    fn from(_: AppendError) -> Self {
        Self
    }
}

/// Waits until an entry is durable.
pub(crate) async fn durable(ticket: Ticket) -> Result<u64, LedgerUnavailable> {
    let id = ticket.id();
    ticket.durable().await.map(|()| id).map_err(|_| LedgerUnavailable)
}
