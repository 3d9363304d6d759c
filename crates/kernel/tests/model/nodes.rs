//! The small world as a kernel is told of it.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use ringfence_json::Value;
use ringfence_kernel::{
    AgentModels, AgentSetup, BreakerSetup, EgressGrants, Grants, RunLimits, ServerSetup, Setup, ToolWords,
    Trust, WorkspaceBudgets, WorkspaceSetup,
};
use ringfence_policy::{PolicySet, Source, ToolDefinition, Vocabulary};
use ringfence_types::{ActionType, AgentName, Digest, OrganizationName, ServerName, ToolName, WorkspaceName};

pub use crate::common::folder;
use crate::common::json;
use crate::world::{self, AGENTS, BREAKER, CALL_TIMEOUT, CONFIGS, Config, SERVERS, TOOLS};

fn compiled(config: Config) -> Arc<PolicySet> {
    static POLICIES: OnceLock<Vec<Arc<PolicySet>>> = OnceLock::new();
    let policies = POLICIES.get_or_init(|| {
        let compile = |config: &Config| {
            let text = config.rules();
            let source = [Source::yaml("policy.yaml", &text)];
            Arc::new(PolicySet::compile(&source, &Vocabulary::default()).unwrap().set)
        };
        CONFIGS.iter().map(compile).collect()
    });
    Arc::clone(&policies[CONFIGS.iter().position(|it| *it == config).unwrap()])
}

/// A version of a tool's definition.
pub fn definition(tool: &str, version: u8) -> Arc<ToolDefinition> {
    static DEFINITIONS: OnceLock<HashMap<(&str, u8), Arc<ToolDefinition>>> = OnceLock::new();
    let all = DEFINITIONS.get_or_init(|| {
        let both = TOOLS.iter().flat_map(|tool| [(*tool, 0), (*tool, 1)]);
        both.map(|(tool, version)| ((tool, version), parsed(tool, version))).collect()
    });
    Arc::clone(&all[&(tool, version)])
}

fn parsed(tool: &str, version: u8) -> Arc<ToolDefinition> {
    let text = format!(
        r#"{{"name":"{tool}","description":"version {version}","inputSchema":{{"type":"object","properties":{{"q":{{"type":"string"}},"replicas":{{"type":"integer"}},"amount":{{"type":"number"}}}}}}}}"#
    );
    Arc::new(ToolDefinition::parse(&Value::Object(json(&text))).unwrap())
}

pub fn setup(config: Config) -> Setup {
    let workspace = |name: &str| {
        let agents = AGENTS.iter().enumerate().filter(|(_, (workspace, _))| *workspace == name);
        WorkspaceSetup {
            environment: "production".into(),
            trust: Trust::FirstUse,
            retention: Duration::from_hours(24 * 365),
            servers: ["tools", "other"].map(|name| (ServerName::new(name).unwrap(), server())).into(),
            models: HashMap::new(),
            budgets: WorkspaceBudgets::default(),
            agents: agents
                .map(|(at, (_, name))| (AgentName::new(name).unwrap(), agent(config, at)))
                .collect(),
            policy: compiled(config),
        }
    };
    Setup {
        digest: Digest::of(config.rules().as_bytes()),
        organization: OrganizationName::new("acme").unwrap(),
        workspaces: ["research", "sales"]
            .map(|name| (WorkspaceName::new(name).unwrap(), workspace(name)))
            .into(),
        people: HashMap::new(),
        approval_wait: Duration::from_hours(1),
        builds: ringfence_kernel::Builds::default(),
    }
}

fn server() -> ServerSetup {
    let read = ToolWords { action_type: Some(ActionType::Read), ..ToolWords::default() };
    ServerSetup {
        capability: None,
        trust_hints: false,
        actions: HashMap::from([(ToolName::new("query").unwrap(), read)]),
        breaker: BreakerSetup { failures: BREAKER.0, open_for: Duration::from_secs(BREAKER.1) },
        call_timeout: Duration::from_secs(CALL_TIMEOUT),
        holds: None,
    }
}

fn agent(config: Config, at: usize) -> AgentSetup {
    let narrow = |number: usize| u32::try_from(number).unwrap();
    AgentSetup {
        grants: Grants::parse(config.grants(at).iter().copied()).unwrap(),
        models: AgentModels::default(),
        egress: EgressGrants::default(),
        spawn: Vec::new(),
        limits: RunLimits {
            wall: world::wall(at).map(Duration::from_secs),
            concurrent: world::concurrent(at).map(narrow),
            repetition: world::repetition(at).map(narrow),
            actions: config.actions(at),
        },
    }
}

pub fn place(server: usize) -> (WorkspaceName, ServerName) {
    let (workspace, server) = SERVERS[server];
    (WorkspaceName::new(workspace).unwrap(), ServerName::new(server).unwrap())
}
