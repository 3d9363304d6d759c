//! What the kernel knows of the configuration: a model of it, made by `control`, swapped as a whole.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use ringfence_policy::{PolicySet, ToolDefinition};
use ringfence_types::{
    ActionType, AgentName, Budget, Builder, Digest, ModelName, OrganizationName, PersonName, Price,
    Principal, Role, ServerName, ToolName, WorkspaceName,
};
use smol_str::SmolStr;

use crate::{EgressGrants, Grants, LoopLimits, Run, Upstream};

/// One configuration, as a whole.
#[derive(Debug)]
pub struct Setup {
    /// Of the texts it was made from.
    pub digest: Digest,
    /// Whom the node works for.
    pub organization: OrganizationName,
    /// The workspaces by name.
    pub workspaces: HashMap<WorkspaceName, WorkspaceSetup>,
    /// The people by name, with their roles. A run whose user has a person's name has that person's roles.
    pub people: HashMap<PersonName, Vec<Role>>,
    /// How long a call waits for a person before the agent is told to come back.
    pub approval_wait: Duration,
    /// What holds for environments that the node builds itself.
    pub builds: Builds,
}

/// What holds for environments that the node builds itself: the hosts of package indexes.
#[derive(Debug, Clone)]
pub struct Builds {
    /// Of Python packages.
    pub python: AgentSetup,
    /// Of packages for Node.
    pub node: AgentSetup,
}

/// One workspace.
#[derive(Debug)]
pub struct WorkspaceSetup {
    /// `production`, `staging`, …
    pub environment: SmolStr,
    /// When tool definitions are pinned.
    pub trust: Trust,
    /// How long payloads are kept.
    pub retention: Duration,
    /// The tool servers by name.
    pub servers: HashMap<ServerName, ServerSetup>,
    /// The models by name.
    pub models: HashMap<ModelName, Arc<ModelSetup>>,
    /// What may be spent above single runs.
    pub budgets: WorkspaceBudgets,
    /// The agents by name.
    pub agents: HashMap<AgentName, AgentSetup>,
    /// Its rules, compiled.
    pub policy: Arc<PolicySet>,
}

/// When a tool's definition is taken as the right one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// When a person says so.
    Explicit,
    /// At the first list a server gives; later changes and additions need a person.
    FirstUse,
}

/// One tool server.
#[derive(Debug, Clone)]
pub struct ServerSetup {
    /// What it is for, in the policy's words.
    pub capability: Option<SmolStr>,
    /// Whether its `readOnlyHint`s are believed without a person's approval.
    pub trust_hints: bool,
    /// Its tools in the policy's words, where they differ from the defaults.
    pub actions: HashMap<ToolName, ToolWords>,
    /// When it counts as broken.
    pub breaker: BreakerSetup,
    /// How long one call may take.
    pub call_timeout: Duration,
    /// What it holds itself, if it runs in a sandbox: the hosts that it may reach.
    pub holds: Option<Box<AgentSetup>>,
}

/// Whether a tool reads or writes, as far as its definition says: a hint counts where somebody vouches for it, a
/// `person` who took the definition as right, or a configuration that trusts the server's hints.
pub fn hinted_type(definition: &ToolDefinition, person: bool, trust_hints: bool) -> ActionType {
    let reads = definition.read_only_hint == Some(true) && (person || trust_hints);
    if reads { ActionType::Read } else { ActionType::Write }
}

/// A tool in the policy's words.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ToolWords {
    /// Instead of the tool's name.
    pub action: Option<SmolStr>,
    /// Instead of what its definition hints at.
    pub action_type: Option<ActionType>,
    /// `low`, `high`, …
    pub risk: Option<SmolStr>,
    /// Any words.
    pub labels: Vec<SmolStr>,
}

/// When an upstream counts as broken, and when it is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BreakerSetup {
    /// So many failures in a row open the breaker; at least 1.
    pub failures: u32,
    /// So long it stays open; then one call may try.
    pub open_for: Duration,
}

/// One model.
#[derive(Debug, Clone)]
pub struct ModelSetup {
    /// What it costs.
    pub price: Price,
    /// When it counts as broken.
    pub breaker: BreakerSetup,
    /// How long one call may take, to the last token.
    pub call_timeout: Duration,
    /// An output limit that fits no budget is lowered to this many tokens at least; below, the call is refused.
    pub floor: u64,
    /// Models that may be called in its place, by whoever holds it: where its routes and failovers lead.
    pub onward: Vec<ModelName>,
}

/// What may be spent by each of whom, all of them at once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WorkspaceBudgets {
    /// By the whole workspace.
    pub workspace: Vec<Budget>,
    /// By each of its agents.
    pub agent: Vec<Budget>,
    /// By each of its users.
    pub user: Vec<Budget>,
    /// By each conversation.
    pub conversation: Vec<Budget>,
}

/// What an agent may do with models.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AgentModels {
    /// Those it holds; no other exists for it.
    pub held: Vec<ModelName>,
    /// What each of its runs may spend.
    pub budgets: Vec<Budget>,
    /// Calls of models by each of its runs; `None` is `off`.
    pub calls: Option<u64>,
    /// When a run counts as looping.
    pub loops: LoopLimits,
    /// Tools that providers host and that it may have models use.
    pub hosted: Vec<SmolStr>,
    /// Whether it may have providers keep conversations, and refer to what they keep.
    pub stored: bool,
    /// Whether it may have providers fetch what a request only names.
    pub remote: bool,
}

/// One agent.
#[derive(Debug, Clone)]
pub struct AgentSetup {
    /// What it holds; nothing else exists for it.
    pub grants: Grants,
    /// The same for models.
    pub models: AgentModels,
    /// The same for hosts.
    pub egress: EgressGrants,
    /// The agents of which its runs may start runs.
    pub spawn: Vec<AgentName>,
    /// What each of its runs may use up.
    pub limits: RunLimits,
}

/// Bounds of one run; `None` is `off`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunLimits {
    /// From its first action to its end.
    pub wall: Option<Duration>,
    /// Actions under way at once.
    pub concurrent: Option<u32>,
    /// So often may the same happen again without progress.
    pub repetition: Option<u32>,
    /// Actions in total.
    pub actions: Option<u64>,
}

// === impl Setup ===

impl Setup {
    /// The agent's part, if the configuration has one of that name there.
    pub fn agent(
        &self,
        workspace: &WorkspaceName,
        agent: &AgentName,
    ) -> Option<(&WorkspaceSetup, &AgentSetup)> {
        let workspace = self.workspaces.get(workspace)?;
        Some((workspace, workspace.agents.get(agent)?))
    }

    /// What holds for a run, whether it is an agent's, a tool server's or the node's own; `None` where that is no longer
    /// configured.
    pub fn holder(&self, run: &Run) -> Option<(&WorkspaceSetup, &AgentSetup)> {
        let workspace = self.workspaces.get(&run.workspace)?;
        let holds = match run.principal() {
            Principal::Agent => workspace.agents.get(&run.agent)?,
            Principal::Server(server) => workspace.servers.get(&server)?.holds.as_deref()?,
            Principal::Build(Builder::Python) => &self.builds.python,
            Principal::Build(Builder::Node) => &self.builds.node,
        };
        Some((workspace, holds))
    }
}

// === impl Builds ===

impl Builds {
    /// Builds that reach these hosts.
    pub fn reaching(python: EgressGrants, node: EgressGrants) -> Self {
        Self { python: AgentSetup::reaching(python), node: AgentSetup::reaching(node) }
    }
}

impl Default for Builds {
    /// Builds that reach nothing.
    fn default() -> Self {
        Self::reaching(EgressGrants::default(), EgressGrants::default())
    }
}

// === impl AgentSetup ===

impl AgentSetup {
    /// For who is no agent: these hosts, and nothing else.
    pub fn reaching(egress: EgressGrants) -> Self {
        let limits = RunLimits { wall: None, concurrent: None, repetition: None, actions: None };
        Self { grants: Grants::default(), models: AgentModels::default(), egress, spawn: Vec::new(), limits }
    }
}

// === impl WorkspaceSetup ===

impl WorkspaceSetup {
    /// When an upstream counts as broken.
    pub(crate) fn breaker(&self, upstream: &Upstream) -> Option<BreakerSetup> {
        match upstream {
            Upstream::Server(server) => self.servers.get(server).map(|server| server.breaker),
            Upstream::Model(model) => self.models.get(model).map(|model| model.breaker),
        }
    }
}

// === impl AgentModels ===

impl AgentModels {
    /// Whether a model is held, by itself or as where one leads that is.
    pub(crate) fn hold(
        &self,
        workspace: &WorkspaceSetup,
        model: &ModelName,
        named: Option<&ModelName>,
    ) -> bool {
        match named {
            None => self.held.contains(model),
            Some(named) => {
                let leads = workspace.models.get(named).is_some_and(|named| named.onward.contains(model));
                leads && self.held.contains(named)
            }
        }
    }
}

// === impl BreakerSetup ===

impl Default for BreakerSetup {
    fn default() -> Self {
        Self { failures: 5, open_for: Duration::from_secs(30) }
    }
}

// === impl RunLimits ===

impl Default for RunLimits {
    fn default() -> Self {
        Self { wall: Some(Duration::from_mins(5)), concurrent: Some(16), repetition: Some(5), actions: None }
    }
}
