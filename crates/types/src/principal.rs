//! Whose a run is.

use crate::{AgentName, NameError, ServerName};

/// What stands before a tool server's name where an agent's would.
pub(crate) const SERVER: &str = "tool:";

/// What stands where an agent's name would, of what the node builds itself.
pub(crate) const BUILDS: [&str; 2] = ["build:python", "build:node"];

/// An environment for programs that the node builds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Builder {
    /// Of Python packages.
    Python,
    /// Of packages for Node.
    Node,
}

/// Whose a run is: an agent's, or one of those that run in a sandbox as agents do and are none. In logs and rules these stand
/// where an agent's name would, in a form that no configured agent can have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Principal {
    /// An agent.
    Agent,
    /// A tool server: `tool:NAME`.
    Server(ServerName),
    /// The node, which builds an environment: `build:python`, `build:node`.
    Build(Builder),
}

// === impl Principal ===

impl Principal {
    /// Who has this name.
    pub fn of(name: &AgentName) -> Self {
        match Self::server_of(name).and_then(|server| ServerName::new(server).ok()) {
            Some(server) => Self::Server(server),
            None => Builder::of(name).map_or(Self::Agent, Self::Build),
        }
    }

    /// The tool server that has this name.
    pub fn server_of(name: &AgentName) -> Option<&str> {
        name.as_str().strip_prefix(SERVER)
    }

    /// The name of a tool server's runs.
    ///
    /// # Errors
    /// When the server's own is so long that there is no room for it.
    pub fn server_name(server: &ServerName) -> Result<AgentName, NameError> {
        AgentName::new(&format!("{SERVER}{server}"))
    }
}

// === impl Builder ===

impl Builder {
    fn of(name: &AgentName) -> Option<Self> {
        [Self::Python, Self::Node].into_iter().find(|builder| builder.as_str() == name.as_str())
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Python => BUILDS[0],
            Self::Node => BUILDS[1],
        }
    }

    /// The name of the runs in which it is built.
    pub fn name(self) -> AgentName {
        literal(self.as_str())
    }
}

#[expect(clippy::expect_used, reason = "the literals are names")]
fn literal(name: &'static str) -> AgentName {
    AgentName::new(name).expect("a literal name")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_no_agent_has_a_name_that_no_agent_can_have() {
        let server = ServerName::new("files").unwrap();
        let name = Principal::server_name(&server).unwrap();
        assert_eq!((name.as_str(), Principal::of(&name)), ("tool:files", Principal::Server(server)));
        for builder in [Builder::Python, Builder::Node] {
            assert_eq!(Principal::of(&builder.name()), Principal::Build(builder));
        }
        assert_eq!(Principal::of(&AgentName::new("files").unwrap()), Principal::Agent);
        for bad in ["tool:", "tool:Files", "tool:a:b", "build:other", "other:files", "build:node:x", ":"] {
            assert!(AgentName::new(bad).is_err(), "{bad}");
        }
        assert!(Principal::server_name(&ServerName::new(&"x".repeat(124)).unwrap()).is_err());
    }
}
