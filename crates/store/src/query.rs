//! What is asked of the log.

use ringfence_types::{
    AgentName, ConversationName, Decision, EntryKind, ModelName, PersonName, RuleName, RunId, ServerName,
    Timestamp, UserName, WorkspaceName,
};

use crate::row::Row;

/// Which entries are wanted: all that is given must hold, so the default asks for everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query {
    /// Of this kind.
    pub kind: Option<EntryKind>,
    /// Of this workspace.
    pub workspace: Option<WorkspaceName>,
    /// Of this agent, in whatever workspace.
    pub agent: Option<AgentName>,
    /// Of this run.
    pub run: Option<RunId>,
    /// For this user.
    pub user: Option<UserName>,
    /// In this conversation.
    pub conversation: Option<ConversationName>,
    /// Of this tool server.
    pub server: Option<ServerName>,
    /// Of this tool: `server/tool`, or a tool's name on whatever server.
    pub tool: Option<String>,
    /// Of this model, or where the agent named it and the call was led on to another.
    pub model: Option<ModelName>,
    /// With this decision.
    pub decision: Option<Decision>,
    /// That name this rule: as the one that decided, or as one of those that counted (see [`Row::rules`]).
    pub rule: Option<RuleName>,
    /// Answered by this person.
    pub approver: Option<PersonName>,
    /// Written at this moment or later.
    pub since: Option<Timestamp>,
    /// Written before this moment.
    pub until: Option<Timestamp>,
    /// At most so many.
    pub limit: Option<u64>,
    /// Behind the entry with this id: where an earlier query stopped.
    pub after: Option<u64>,
    /// Before the entry with this id.
    pub before: Option<u64>,
}

// === impl Query ===

impl Query {
    /// Whether the row is wanted; `limit` is not looked at.
    pub fn matches(&self, row: &Row) -> bool {
        fn holds<T: PartialEq + Copy>(wanted: Option<T>, found: Option<T>) -> bool {
            wanted.is_none() || wanted == found
        }
        holds(self.kind, Some(row.kind))
            && holds(self.workspace.as_ref().map(WorkspaceName::as_str), row.workspace.as_deref())
            && holds(self.agent.as_ref().map(AgentName::as_str), row.agent.as_deref())
            && self.run.is_none_or(|run| row.run.as_deref() == Some(run.to_string().as_str()))
            && holds(self.user.as_ref().map(AsRef::as_ref), row.user.as_deref())
            && holds(self.conversation.as_ref().map(AsRef::as_ref), row.conversation.as_deref())
            && holds(self.server.as_ref().map(ServerName::as_str), row.server.as_deref())
            && self.model.as_ref().is_none_or(|model| is_model(model.as_str(), row))
            && self.tool.as_deref().is_none_or(|tool| is_tool(tool, row))
            && holds(self.decision, row.decision)
            && self.rule.as_ref().is_none_or(|rule| row.rules.iter().any(|name| name == rule.as_str()))
            && holds(self.approver.as_ref().map(PersonName::as_str), row.approver.as_deref())
            && self.since.is_none_or(|since| row.at >= since)
            && self.until.is_none_or(|until| row.at < until)
            && self.after.is_none_or(|after| row.id > after)
            && self.before.is_none_or(|before| row.id < before)
    }
}

/// A call is of the model that it ended at, and of the one that was named.
fn is_model(wanted: &str, row: &Row) -> bool {
    [&row.model, &row.named].into_iter().any(|model| model.as_deref() == Some(wanted))
}

/// A tool's own name may have a slash in it; a server's may not.
fn is_tool(wanted: &str, row: &Row) -> bool {
    let (server, tool) = (row.server.as_deref(), row.tool.as_deref());
    tool == Some(wanted) || split_tool(wanted).is_some_and(|(s, t)| server == Some(s) && tool == Some(t))
}

/// `server/tool` in its parts.
pub(crate) fn split_tool(wanted: &str) -> Option<(&str, &str)> {
    wanted.split_once('/')
}
