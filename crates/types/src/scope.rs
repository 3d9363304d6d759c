//! What a suspension covers.

use std::fmt;

use ringfence_json::Object;

use crate::{AgentName, ModelName, NameError, RunId, ServerName, ToolName, WorkspaceName};

/// Which actions something applies to: all parts that are given must hold, so an empty scope covers the whole node.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Scope {
    /// Only this workspace.
    pub workspace: Option<WorkspaceName>,
    /// Only this agent.
    pub agent: Option<AgentName>,
    /// Only this run.
    pub run: Option<RunId>,
    /// Only this tool server.
    pub server: Option<ServerName>,
    /// Only this tool.
    pub tool: Option<ToolName>,
    /// Only this model.
    pub model: Option<ModelName>,
}

// === impl Scope ===

impl Scope {
    /// Whether this scope covers `subject`. A part that `subject` does not have (an action without a tool, say) is
    /// not covered by a scope that names one.
    pub fn covers(&self, subject: &Self) -> bool {
        fn holds<T: PartialEq>(scope: Option<&T>, subject: Option<&T>) -> bool {
            scope.is_none() || scope == subject
        }
        holds(self.workspace.as_ref(), subject.workspace.as_ref())
            && holds(self.agent.as_ref(), subject.agent.as_ref())
            && holds(self.run.as_ref(), subject.run.as_ref())
            && holds(self.server.as_ref(), subject.server.as_ref())
            && holds(self.tool.as_ref(), subject.tool.as_ref())
            && holds(self.model.as_ref(), subject.model.as_ref())
    }

    /// Whether it covers everything.
    pub fn is_node(&self) -> bool {
        *self == Self::default()
    }

    /// Its parts as members of an object, those that are given.
    pub fn to_object(&self) -> Object {
        Object::new()
            .with_some("workspace", self.workspace.as_ref())
            .with_some("agent", self.agent.as_ref())
            .with_some("run", self.run.map(|run| run.to_string()))
            .with_some("server", self.server.as_ref())
            .with_some("tool", self.tool.as_ref())
            .with_some("model", self.model.as_ref())
    }

    /// Reads what [`Scope::to_object`] writes; other members are not looked at.
    ///
    /// # Errors
    /// When a part is not a string or not a name of its kind.
    pub fn from_object(object: &Object) -> Result<Self, NameError> {
        let part = |name: &str| match object.get(name) {
            None => Ok(None),
            Some(value) => value.as_str().map(Some).ok_or(NameError::Characters { expected: "a string" }),
        };
        let run = part("run")?.map(str::parse::<RunId>);
        Ok(Self {
            workspace: part("workspace")?.map(WorkspaceName::new).transpose()?,
            agent: part("agent")?.map(AgentName::new).transpose()?,
            run: run.transpose().map_err(|_| NameError::Characters { expected: "a run's identifier" })?,
            server: part("server")?.map(ServerName::new).transpose()?,
            tool: part("tool")?.map(ToolName::new).transpose()?,
            model: part("model")?.map(ModelName::new).transpose()?,
        })
    }
}

impl fmt::Display for Scope {
    /// `workspace research, server search`, or `everything`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_node() {
            return f.write_str("everything");
        }
        let parts = self.to_object();
        let texts =
            parts.iter().map(|(name, value)| format!("{name} {}", value.as_str().unwrap_or_default()));
        f.write_str(&texts.collect::<Vec<_>>().join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_given_must_hold() {
        let call = Scope {
            workspace: Some(WorkspaceName::new("research").unwrap()),
            agent: Some(AgentName::new("assistant").unwrap()),
            server: Some(ServerName::new("search").unwrap()),
            ..Scope::default()
        };
        assert!(Scope::default().covers(&call));
        assert!(call.covers(&call));
        let other_agent = Scope { agent: Some(AgentName::new("other").unwrap()), ..call.clone() };
        assert!(!other_agent.covers(&call));
        let with_tool = Scope { tool: Some(ToolName::new("query").unwrap()), ..call.clone() };
        assert!(!with_tool.covers(&call), "a scope with a tool does not cover a call without one");
    }

    #[test]
    fn scopes_are_written_and_read_back() {
        let scope = Scope {
            workspace: Some(WorkspaceName::new("research").unwrap()),
            server: Some(ServerName::new("search").unwrap()),
            ..Scope::default()
        };
        assert_eq!(Scope::from_object(&scope.to_object()), Ok(scope.clone()));
        assert_eq!(scope.to_string(), "workspace research, server search");
        assert_eq!(Scope::default().to_string(), "everything");
    }
}
