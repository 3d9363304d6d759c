//! What actions are on.

use ringfence_json::Object;
use ringfence_types::{ModelName, Scope, ServerName, ToolName};
use smol_str::SmolStr;

use crate::record::{Damaged, Members};

/// What an action is on: what breakers watch, grants name and refusals are counted by.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Target {
    /// A tool, or what stands for one.
    Tool {
        /// Whose.
        server: ServerName,
        /// Which, by its server's name for it.
        tool: SmolStr,
    },
    /// A model.
    Model {
        /// Which, by its name in the configuration.
        model: ModelName,
        /// What it is asked to do: `chat`, `messages`, …
        operation: SmolStr,
    },
}

/// What answers to actions, and can be broken: the part of a [`Target`] that a breaker watches.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Upstream {
    /// A tool server.
    Server(ServerName),
    /// A model.
    Model(ModelName),
}

// === impl Target ===

impl Target {
    pub(crate) fn tool(server: &ServerName, tool: &str) -> Self {
        Self::Tool { server: server.clone(), tool: tool.into() }
    }

    pub(crate) fn upstream(&self) -> Upstream {
        match self {
            Self::Tool { server, .. } => Upstream::Server(server.clone()),
            Self::Model { model, .. } => Upstream::Model(model.clone()),
        }
    }

    /// The scope with this in it.
    pub(crate) fn within(&self, scope: Scope) -> Scope {
        match self {
            Self::Tool { server, tool } => {
                Scope { server: Some(server.clone()), tool: ToolName::new(tool).ok(), ..scope }
            }
            Self::Model { model, .. } => Scope { model: Some(model.clone()), ..scope },
        }
    }

    /// The body of an entry with this in it.
    pub(crate) fn body(&self, body: Object) -> Object {
        match self {
            Self::Tool { server, tool } => body.with("server", server).with("tool", tool.clone()),
            Self::Model { model, operation } => {
                body.with("model", model).with("operation", operation.clone())
            }
        }
    }

    pub(crate) fn read(members: Members<'_>) -> Result<Self, Damaged> {
        if members.0.contains("model") {
            let operation = members.text("operation")?.into();
            return Ok(Self::Model { model: members.parse("model")?, operation });
        }
        Ok(Self::Tool { server: members.parse("server")?, tool: members.text("tool")?.into() })
    }

    /// What tells it from all others, as bytes: names have no zero byte.
    pub(crate) fn distinct(&self) -> Vec<u8> {
        let (kind, one, other) = match self {
            Self::Tool { server, tool } => (b't', server.as_str(), tool.as_str()),
            Self::Model { model, operation } => (b'm', model.as_str(), operation.as_str()),
        };
        let mut bytes = Vec::with_capacity(one.len() + other.len() + 35);
        if kind == b'm' {
            // No server's name is empty, so no tool call begins so.
            bytes.push(0);
        }
        for part in [one, other] {
            bytes.extend_from_slice(part.as_bytes());
            bytes.push(0);
        }
        bytes
    }
}

// === impl Upstream ===

impl Upstream {
    /// Its name, for people.
    pub fn name(&self) -> &str {
        match self {
            Self::Server(server) => server.as_str(),
            Self::Model(model) => model.as_str(),
        }
    }

    /// The scope with this in it.
    pub(crate) fn within(&self, scope: Scope) -> Scope {
        match self {
            Self::Server(server) => Scope { server: Some(server.clone()), ..scope },
            Self::Model(model) => Scope { model: Some(model.clone()), ..scope },
        }
    }
}
