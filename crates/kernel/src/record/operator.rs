//! What people and the node itself do.

use ringfence_json::Object;
use ringfence_types::{
    AgentName, ConversationName, Digest, PersonName, RunId, Scope, SuspensionId, Timestamp, UserName,
    WorkspaceName,
};

use super::read::{Damaged, Members, damaged};
use crate::{Ancestor, Run, RunBounds};

/// Something was cut off, or let go on.
#[derive(Debug, Clone)]
pub(crate) struct SuspensionRecord {
    pub suspension: SuspensionId,
    pub scope: Scope,
    /// Whether this cuts off or lets go on.
    pub active: bool,
    pub reason: String,
    pub until: Option<Timestamp>,
    pub by: PersonName,
}

/// A run token was minted.
#[derive(Debug, Clone)]
pub(crate) struct TokenRecord {
    pub run: Run,
    /// Of the token.
    pub token: Digest,
    pub by: PersonName,
}

/// What happened to a run, or to the node when there is no run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NodeEvent {
    Started,
    Stopped,
    Ended,
    /// Payloads whose time was over were removed.
    Pruned,
}

/// A run ended, or the node started or stopped.
#[derive(Debug, Clone)]
pub(crate) struct RunRecord {
    pub event: NodeEvent,
    /// The run that ended; none when it is the node.
    pub run: Option<(WorkspaceName, AgentName, RunId)>,
    pub reason: String,
    pub by: PersonName,
}

/// A configuration took effect.
#[derive(Debug, Clone)]
pub(crate) struct ConfigRecord {
    pub config: Digest,
    pub by: PersonName,
}

/// The state before entry `covers` was written to a file with this digest.
#[derive(Debug, Clone)]
pub(crate) struct SnapshotRecord {
    pub covers: u64,
    pub digest: Digest,
}

// === impl SuspensionRecord ===

impl SuspensionRecord {
    pub(crate) fn body(&self) -> Object {
        self.scope
            .to_object()
            .with("suspension", self.suspension.to_string())
            .with("active", self.active)
            .with("reason", self.reason.as_str())
            .with_some("until", self.until)
            .with("by", &self.by)
    }

    pub(crate) fn read(members: Members<'_>) -> Result<Self, Damaged> {
        Ok(Self {
            suspension: members.parse("suspension")?,
            scope: Scope::from_object(members.0).map_err(|_| damaged("scope"))?,
            active: members.flag("active")?,
            reason: members.text("reason")?.to_owned(),
            until: members.optional("until")?,
            by: members.parse("by")?,
        })
    }
}

// === impl TokenRecord ===

impl TokenRecord {
    pub(crate) fn body(&self) -> Object {
        Self::run_body(&self.run).with("token", self.token.to_string()).with("by", &self.by)
    }

    /// The members that say which run.
    pub(crate) fn run_body(run: &Run) -> Object {
        Object::new()
            .with("workspace", &run.workspace)
            .with("agent", &run.agent)
            .with("run", run.id.to_string())
            .with_some("user", run.user.as_ref())
            .with_some("conversation", run.conversation.as_ref())
            .with("minted_at", run.minted_at)
            .with("expires_at", run.expires_at)
            .with_some("ancestors", Ancestor::list(&run.above))
            .with_some("bounds", (!run.bounds.is_empty()).then(|| run.bounds.body()))
    }

    pub(crate) fn read(members: Members<'_>) -> Result<Self, Damaged> {
        Ok(Self { run: Self::read_run(members)?, token: members.parse("token")?, by: members.parse("by")? })
    }

    /// Reads what [`TokenRecord::run_body`] writes.
    pub(crate) fn read_run(members: Members<'_>) -> Result<Run, Damaged> {
        Ok(Run {
            id: members.parse("run")?,
            workspace: members.parse("workspace")?,
            agent: members.parse::<AgentName>("agent")?,
            user: members.optional::<UserName>("user")?,
            conversation: members.optional::<ConversationName>("conversation")?,
            minted_at: members.parse("minted_at")?,
            expires_at: members.parse("expires_at")?,
            above: Ancestor::read_list(members)?,
            bounds: members.optional_object("bounds", RunBounds::read)?.unwrap_or_default(),
        })
    }
}

// === impl NodeEvent ===

impl NodeEvent {
    fn as_str(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Stopped => "stopped",
            Self::Ended => "ended",
            Self::Pruned => "pruned",
        }
    }
}

impl std::str::FromStr for NodeEvent {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        [Self::Started, Self::Stopped, Self::Ended, Self::Pruned]
            .into_iter()
            .find(|each| each.as_str() == text)
            .ok_or(())
    }
}

// === impl RunRecord ===

impl RunRecord {
    pub(crate) fn body(&self) -> Object {
        let (workspace, agent, run) = match &self.run {
            Some((workspace, agent, run)) => (Some(workspace), Some(agent), Some(run.to_string())),
            None => (None, None, None),
        };
        Object::new()
            .with_some("workspace", workspace)
            .with_some("agent", agent)
            .with_some("run", run)
            .with("event", self.event.as_str())
            .with("reason", self.reason.as_str())
            .with("by", &self.by)
    }

    pub(crate) fn read(members: Members<'_>) -> Result<Self, Damaged> {
        let run = match members.optional("run")? {
            Some(run) => Some((members.parse("workspace")?, members.parse("agent")?, run)),
            None => None,
        };
        Ok(Self {
            event: members.parse("event")?,
            run,
            reason: members.text("reason")?.to_owned(),
            by: members.parse("by")?,
        })
    }
}

// === impl ConfigRecord ===

impl ConfigRecord {
    pub(crate) fn body(&self) -> Object {
        Object::new().with("config", self.config.to_string()).with("by", &self.by)
    }

    pub(crate) fn read(members: Members<'_>) -> Result<Self, Damaged> {
        Ok(Self { config: members.parse("config")?, by: members.parse("by")? })
    }
}

// === impl SnapshotRecord ===

impl SnapshotRecord {
    pub(crate) fn body(&self) -> Object {
        Object::new().with("covers", self.covers).with("digest", self.digest.to_string())
    }

    pub(crate) fn read(members: Members<'_>) -> Result<Self, Damaged> {
        Ok(Self { covers: members.number("covers")?, digest: members.parse("digest")? })
    }
}
