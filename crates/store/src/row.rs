//! An entry as the index knows it.

use ringfence_types::{Decision, EntryKind, Timestamp};
use smol_str::SmolStr;

use crate::error::EntryFault;
use crate::fields::{Fields, Text};

/// The indexed members of an entry. Its bytes are in the log, by its `id`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Its index in the log. Ids are in the order of time.
    pub id: u64,
    /// When, in log time.
    pub at: Timestamp,
    /// What it records.
    pub kind: EntryKind,
    /// Whose workspace.
    pub workspace: Option<SmolStr>,
    /// Whose agent.
    pub agent: Option<SmolStr>,
    /// Whose run.
    pub run: Option<SmolStr>,
    /// For whom the run works.
    pub user: Option<SmolStr>,
    /// What it is part of.
    pub conversation: Option<SmolStr>,
    /// On which server.
    pub server: Option<SmolStr>,
    /// Which tool, by the name its server gives it.
    pub tool: Option<SmolStr>,
    /// Which model, by its name in the configuration.
    pub model: Option<SmolStr>,
    /// The model that the agent named, where the call was led on to another.
    pub named: Option<SmolStr>,
    /// The action it belongs to.
    pub action: Option<SmolStr>,
    /// What policy said.
    pub decision: Option<Decision>,
    /// The code of a refusal or a failure.
    pub code: Option<SmolStr>,
    /// What became of it: an outcome's `status`, an approval's `answer`, a run's or an incident's `event`, a pin's `state`.
    pub status: Option<SmolStr>,
    /// The rule that decided.
    pub rule: Option<SmolStr>,
    /// Every rule that counted, the one that decided first: those that matched, those that ask for an approval, those
    /// that an approval answers.
    pub rules: Vec<SmolStr>,
    /// The request for approval it belongs to.
    pub approval: Option<SmolStr>,
    /// Who answered it.
    pub approver: Option<SmolStr>,
    /// How many alike it stands for; 1 but for repeated refusals.
    pub count: u64,
}

// === impl Row ===

impl Row {
    /// Reads what would be indexed of an entry.
    ///
    /// # Errors
    /// When the bytes are not an entry.
    pub fn read(entry: &[u8]) -> Result<Self, EntryFault> {
        let fields = Fields::read(entry)?;
        let own = |text: Text<'_>| text.map(SmolStr::from);
        Ok(Self {
            id: fields.id,
            at: fields.at,
            kind: fields.kind,
            rules: fields.rules.names()?,
            workspace: own(fields.workspace),
            agent: own(fields.agent),
            run: own(fields.run),
            user: own(fields.user),
            conversation: own(fields.conversation),
            server: own(fields.server),
            tool: own(fields.tool),
            model: own(fields.model),
            named: own(fields.named),
            action: own(fields.action),
            decision: fields.decision,
            code: own(fields.code),
            status: own(fields.status),
            rule: own(fields.rule),
            approval: own(fields.approval),
            approver: own(fields.approver),
            count: fields.count,
        })
    }
}
