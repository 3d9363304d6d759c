//! What the log keeps, typed: each entry the kernel writes and how it is read back.
//!
//! Members of an entry's body are listed in `docs/log.md`. Reading is strict: an entry that lacks a member is
//! [`Damaged`], because a fold built from guesses would admit what it must not.

mod action;
mod approval;
mod budget;
mod files;
mod incident;
mod life;
mod operator;
mod pin;
mod read;

pub(crate) use action::{Intent, OutcomeRecord, RefusalRecord, Status, Subject};
pub(crate) use approval::{Answer, ApprovalRecord, PendingRecord};
pub(crate) use budget::BudgetRecord;
pub(crate) use files::FilesRecord;
pub use files::{FilesEvent, FilesOf};
pub(crate) use incident::{Correction, IncidentRecord};
pub(crate) use life::LifeRecord;
pub use life::{EndedBy, Exit, RunStep, Used};
pub(crate) use operator::{
    ConfigRecord, NodeEvent, RunRecord, SnapshotRecord, SuspensionRecord, TokenRecord,
};
pub(crate) use pin::{PinRecord, PinState};
pub use read::Damaged;
pub(crate) use read::{Members, milliseconds, texts};
use ringfence_json::Object;
use ringfence_types::EntryKind;

/// One entry.
#[derive(Debug, Clone)]
pub(crate) enum Record {
    Intent(Intent),
    Outcome(OutcomeRecord),
    Refusal(RefusalRecord),
    Pending(PendingRecord),
    Approval(ApprovalRecord),
    Suspension(SuspensionRecord),
    Token(TokenRecord),
    Run(RunRecord),
    Life(LifeRecord),
    Files(FilesRecord),
    Pin(PinRecord),
    Config(ConfigRecord),
    Snapshot(SnapshotRecord),
    Incident(IncidentRecord),
    Budget(BudgetRecord),
}

impl Record {
    pub(crate) fn kind(&self) -> EntryKind {
        match self {
            Self::Intent(_) => EntryKind::Intent,
            Self::Outcome(_) => EntryKind::Outcome,
            Self::Refusal(_) => EntryKind::Refusal,
            Self::Pending(_) => EntryKind::Pending,
            Self::Approval(_) => EntryKind::Approval,
            Self::Suspension(_) => EntryKind::Suspension,
            Self::Token(_) => EntryKind::Token,
            Self::Run(_) | Self::Life(_) | Self::Files(_) => EntryKind::Run,
            Self::Pin(_) => EntryKind::Pin,
            Self::Config(_) => EntryKind::Config,
            Self::Snapshot(_) => EntryKind::Snapshot,
            Self::Incident(_) => EntryKind::Incident,
            Self::Budget(_) => EntryKind::Budget,
        }
    }

    pub(crate) fn body(&self) -> Object {
        match self {
            Self::Intent(record) => record.body(),
            Self::Outcome(record) => record.body(),
            Self::Refusal(record) => record.body(),
            Self::Pending(record) => record.body(),
            Self::Approval(record) => record.body(),
            Self::Suspension(record) => record.body(),
            Self::Token(record) => record.body(),
            Self::Run(record) => record.body(),
            Self::Life(record) => record.body(),
            Self::Files(record) => record.body(),
            Self::Pin(record) => record.body(),
            Self::Config(record) => record.body(),
            Self::Snapshot(record) => record.body(),
            Self::Incident(record) => record.body(),
            Self::Budget(record) => record.body(),
        }
    }

    /// Reads an entry back; `None` for one that changes no state.
    pub(crate) fn read(kind: EntryKind, body: &Object) -> Result<Option<Self>, Damaged> {
        let members = Members(body);
        Ok(Some(match kind {
            EntryKind::Intent => Self::Intent(Intent::read(members)?),
            EntryKind::Outcome => Self::Outcome(OutcomeRecord::read(members)?),
            EntryKind::Refusal => Self::Refusal(RefusalRecord::read(members)?),
            EntryKind::Pending => Self::Pending(PendingRecord::read(members)?),
            EntryKind::Approval => Self::Approval(ApprovalRecord::read(members)?),
            EntryKind::Suspension => Self::Suspension(SuspensionRecord::read(members)?),
            EntryKind::Token => Self::Token(TokenRecord::read(members)?),
            EntryKind::Run if FilesRecord::is_one(members) => return Ok(None),
            EntryKind::Run if LifeRecord::is_one(members) => Self::Life(LifeRecord::read(members)?),
            EntryKind::Run => Self::Run(RunRecord::read(members)?),
            EntryKind::Pin => Self::Pin(PinRecord::read(members)?),
            EntryKind::Config => Self::Config(ConfigRecord::read(members)?),
            EntryKind::Snapshot => Self::Snapshot(SnapshotRecord::read(members)?),
            EntryKind::Incident => Self::Incident(IncidentRecord::read(members)?),
            EntryKind::Budget => Self::Budget(BudgetRecord::read(members)?),
            EntryKind::Credential => return Ok(None),
        }))
    }
}
