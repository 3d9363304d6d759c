//! What a run holds.

use ringfence_types::{AgentName, HostName, ModelName, ServerName};
use smol_str::SmolStr;

use crate::setup::{AgentModels, AgentSetup, WorkspaceSetup};
use crate::{EgressCall, Run, Setup};

/// What a run holds: what its agent holds, as far as the agents of everybody above it hold the same. Nothing is gained by
/// having somebody else do it.
#[derive(Debug, Clone)]
pub struct Holds<'a> {
    workspace: &'a WorkspaceSetup,
    own: &'a AgentSetup,
    above: Vec<&'a AgentSetup>,
}

// === impl Setup ===

impl Setup {
    /// What a run holds; `None` where its agent, or one above it, is no longer configured.
    pub fn holds(&self, run: &Run) -> Option<Holds<'_>> {
        let (workspace, own) = self.holder(run)?;
        let above = run.above.iter().map(|ancestor| workspace.agents.get(&ancestor.agent));
        Some(Holds { workspace, own, above: above.collect::<Option<_>>()? })
    }
}

// === impl Holds ===

impl<'a> Holds<'a> {
    fn all(&self, mut holds: impl FnMut(&AgentSetup) -> bool) -> bool {
        holds(self.own) && self.above.iter().all(|agent| holds(agent))
    }

    /// Whether a tool of that server.
    pub fn tool(&self, server: &ServerName, tool: &str) -> bool {
        self.all(|agent| agent.grants.holds(server, tool))
    }

    /// Whether anything of that server.
    pub fn server(&self, server: &ServerName) -> bool {
        self.all(|agent| agent.grants.holds_server(server))
    }

    /// Whether a model, by itself or as where `named` leads.
    pub fn model(&self, model: &ModelName, named: Option<&ModelName>) -> bool {
        self.all(|agent| agent.models.hold(self.workspace, model, named))
    }

    /// The models that can be named.
    pub fn models(&self) -> Vec<ModelName> {
        let named = self.own.models.held.iter();
        named.filter(|model| self.all(|agent| agent.models.held.contains(model))).cloned().collect()
    }

    /// The tools that providers host and that models may be had to use.
    pub fn hosted(&self) -> Vec<SmolStr> {
        self.own.models.hosted.iter().filter(|tool| self.may_host(tool)).cloned().collect()
    }

    /// Whether models may be had to use this tool of a provider's.
    pub fn may_host(&self, tool: &SmolStr) -> bool {
        self.all(|agent| agent.models.hosted.contains(tool))
    }

    /// Whether all of them are allowed something with models: `|models| models.stored`, say.
    pub fn models_allow(&self, allows: impl Fn(&AgentModels) -> bool) -> bool {
        self.all(|agent| allows(&agent.models))
    }

    /// Whether this connection or request.
    pub fn host(&self, call: &EgressCall) -> bool {
        self.all(|agent| agent.egress.holds(call))
    }

    /// Whether anything of this host, on any port.
    pub fn knows_host(&self, host: &HostName) -> bool {
        self.all(|agent| agent.egress.knows(host))
    }

    /// Whether anything of this host on this port.
    pub fn reaches(&self, host: &HostName, port: u16) -> bool {
        self.all(|agent| agent.egress.reaches(host, port))
    }

    /// Whether a host by its very name or address, and not by a pattern.
    pub fn names_host(&self, host: &HostName) -> bool {
        self.all(|agent| agent.egress.names(host))
    }

    /// Whether requests to this host must be seen one by one: somebody holds some, and not all of it.
    pub fn wants_requests(&self, host: &HostName, port: u16) -> bool {
        let wants = |agent: &&AgentSetup| agent.egress.wants_requests(host, port);
        wants(&self.own) || self.above.iter().any(wants)
    }

    /// Whether requests to any host may have to be seen one by one.
    pub fn names_requests(&self) -> bool {
        self.own.egress.names_requests() || self.above.iter().any(|agent| agent.egress.names_requests())
    }

    /// The agents of which a run may be started.
    pub fn agents(&self) -> Vec<&'a AgentName> {
        self.own.spawn.iter().filter(|agent| self.may_spawn(agent)).collect()
    }

    /// Whether a run of this agent may be started.
    pub fn may_spawn(&self, agent: &AgentName) -> bool {
        self.workspace.agents.contains_key(agent) && self.all(|above| above.spawn.contains(agent))
    }
}
