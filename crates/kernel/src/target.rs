//! What actions are on.

use ringfence_json::Object;
use ringfence_types::{AgentName, HostName, ModelName, Scope, ServerName, ToolName};
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
    /// A host of a network.
    Host {
        /// Which.
        host: HostName,
        /// Where on it.
        port: u16,
    },
    /// An agent, of which a run is to be started.
    Agent {
        /// Which.
        agent: AgentName,
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

    /// What a breaker watches. Hosts have none: which ones there are is the agent's to choose.
    pub(crate) fn upstream(&self) -> Option<Upstream> {
        match self {
            Self::Tool { server, .. } => Some(Upstream::Server(server.clone())),
            Self::Model { model, .. } => Some(Upstream::Model(model.clone())),
            Self::Host { .. } | Self::Agent { .. } => None,
        }
    }

    /// Whether it counts against how many actions a run may have under way: connections to hosts stay open while nothing happens on
    /// them, and have a bound of their own.
    pub(crate) fn takes_turn(&self) -> bool {
        !matches!(self, Self::Host { .. })
    }

    /// The scope with this in it.
    pub(crate) fn within(&self, scope: Scope) -> Scope {
        match self {
            Self::Tool { server, tool } => {
                Scope { server: Some(server.clone()), tool: ToolName::new(tool).ok(), ..scope }
            }
            Self::Model { model, .. } => Scope { model: Some(model.clone()), ..scope },
            Self::Host { .. } | Self::Agent { .. } => scope,
        }
    }

    /// The body of an entry with this in it.
    pub(crate) fn body(&self, body: Object) -> Object {
        match self {
            Self::Tool { server, tool } => body.with("server", server).with("tool", tool.clone()),
            Self::Model { model, operation } => {
                body.with("model", model).with("operation", operation.clone())
            }
            Self::Host { host, port } => body.with("host", host).with("port", u64::from(*port)),
            Self::Agent { agent } => body.with("spawns", agent),
        }
    }

    pub(crate) fn read(members: Members<'_>) -> Result<Self, Damaged> {
        if members.0.contains("model") {
            let operation = members.text("operation")?.into();
            return Ok(Self::Model { model: members.parse("model")?, operation });
        }
        if members.0.contains("host") {
            let port = members.number("port")?.try_into().map_err(|_| Damaged("port".into()))?;
            return Ok(Self::Host { host: members.parse("host")?, port });
        }
        if members.0.contains("spawns") {
            return Ok(Self::Agent { agent: members.parse("spawns")? });
        }
        Ok(Self::Tool { server: members.parse("server")?, tool: members.text("tool")?.into() })
    }

    /// What tells it from all others, as bytes: names have no zero byte.
    pub(crate) fn distinct(&self) -> Vec<u8> {
        // No name is empty, so it is the zero bytes before the first that tell one kind from the others.
        let port;
        let (kind, one, other): (&[u8], _, _) = match self {
            Self::Tool { server, tool } => (&[], server.as_str(), tool.as_str()),
            Self::Model { model, operation } => (&[0], model.as_str(), operation.as_str()),
            Self::Host { host, port: number } => {
                port = number.to_string();
                (&[0, 0], host.as_str(), port.as_str())
            }
            Self::Agent { agent } => (&[0, 0, 0], agent.as_str(), ""),
        };
        let mut bytes = Vec::with_capacity(kind.len() + one.len() + other.len() + 34);
        bytes.extend_from_slice(kind);
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
