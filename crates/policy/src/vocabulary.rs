//! What is known when a policy is compiled.

use std::sync::Arc;

use ringfence_types::{
    ActionType, AgentName, ModelName, OrganizationName, Role, ServerName, ToolName, WorkspaceName,
};
use smol_str::SmolStr;

use crate::ToolDefinition;

/// The words that rules can mean, from the configuration and the pinned tools. All of it may be missing (offline):
/// then nothing is said about words, and the policy is the same.
#[derive(Debug, Clone, Default)]
pub struct Vocabulary {
    /// Whom the node works for.
    pub organization: Option<OrganizationName>,
    /// Every agent of every workspace.
    pub agents: Vec<KnownAgent>,
    /// Every tool server.
    pub servers: Vec<KnownServer>,
    /// Every pinned tool.
    pub tools: Vec<KnownTool>,
    /// Every model.
    pub models: Vec<KnownModel>,
    /// The hosts that agents and tool servers hold whom this very policy is for.
    pub egress: Vec<KnownEgress>,
    /// The roles that people hold.
    pub roles: Vec<Role>,
}

/// An agent.
#[derive(Debug, Clone)]
pub struct KnownAgent {
    /// Where it belongs.
    pub workspace: WorkspaceName,
    /// That workspace's environment.
    pub environment: SmolStr,
    /// Its name.
    pub name: AgentName,
    /// Whether its runs may start runs.
    pub spawns: bool,
}

/// A tool server.
#[derive(Debug, Clone)]
pub struct KnownServer {
    /// Where it belongs.
    pub workspace: WorkspaceName,
    /// Its name.
    pub name: ServerName,
    /// What it is for, as configured.
    pub capability: Option<SmolStr>,
}

/// A tool, in the policy's words.
#[derive(Debug, Clone)]
pub struct KnownTool {
    /// Where its server belongs.
    pub workspace: WorkspaceName,
    /// Its server.
    pub server: ServerName,
    /// Its name there.
    pub name: ToolName,
    /// As configured; its name where nothing is.
    pub action: SmolStr,
    /// Whether it changes something.
    pub action_type: ActionType,
    /// As configured.
    pub risk: Option<SmolStr>,
    /// As configured.
    pub labels: Vec<SmolStr>,
    /// Its pinned definition.
    pub definition: Option<Arc<ToolDefinition>>,
}

/// A model.
#[derive(Debug, Clone)]
pub struct KnownModel {
    /// Where it is configured.
    pub workspace: WorkspaceName,
    /// Its name.
    pub name: ModelName,
}

/// A host that programs in a sandbox may reach, as far as rules let them.
#[derive(Debug, Clone)]
pub struct KnownEgress {
    /// Where its holder belongs.
    pub workspace: WorkspaceName,
    /// That workspace's environment.
    pub environment: SmolStr,
    /// Who holds it: an agent, or `tool:NAME`.
    pub agent: AgentName,
    /// The tool server that holds it, if one does.
    pub server: Option<ServerName>,
    /// The grant, as written.
    pub grant: SmolStr,
    /// Its hosts: a name, an address, `*.name`, or `*`.
    pub hosts: SmolStr,
    /// What rules can see of it as an action, and how each counts; empty for anything.
    pub actions: Vec<(SmolStr, ActionType)>,
}

// === impl Vocabulary ===

impl Vocabulary {
    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.agents.is_empty() && self.servers.is_empty() && self.tools.is_empty() && self.models.is_empty()
    }

    /// The server of that workspace and name.
    pub fn server(&self, workspace: &WorkspaceName, name: &ServerName) -> Option<&KnownServer> {
        self.servers.iter().find(|server| server.workspace == *workspace && server.name == *name)
    }
}
