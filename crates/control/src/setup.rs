//! From the configuration to what the kernel and the gateway know of it.

mod models;
mod runs;

use std::collections::HashMap;
use std::sync::Arc;

use http::HeaderName;
pub use models::check_scripts;
use ringfence_gateway::targets::{
    CacheBounds, HttpTarget, Share as TargetShare, Source, StdioTarget, Table, Target,
};
use ringfence_kernel::{
    AgentSetup, BreakerSetup, Builds, EgressGrants, Grants, PinView, RunLimits, ServerSetup, Setup,
    ToolWords, Trust, WorkspaceSetup, hinted_type,
};
use ringfence_policy::{KnownTool, ToolDefinition};
use ringfence_types::{ActionType, ModelName, ToolName, WorkspaceName};
pub use runs::{run_bounds, run_plan, run_plans};
use smol_str::SmolStr;

use crate::compile::Compiled;
use crate::config::{
    AgentConfig, EnvironmentValue, EnvironmentsConfig, IndexConfig, SecretError, SecretSource, ServerConfig,
    ServerSandbox, Share, Transport, TrustConfig, WorkspaceConfig,
};

/// A part of a configuration that passed its checks and cannot be used after all.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// A secret that the configuration names is not there.
    #[error("{what} of workspace `{workspace}`: {cause}")]
    Secret {
        /// Where.
        workspace: WorkspaceName,
        /// Whose: a server's or a model's.
        what: String,
        /// Why.
        cause: SecretError,
    },
    /// A script or a recording that a model answers from.
    #[error("model `{model}` of workspace `{workspace}`: {cause}")]
    Answers {
        /// Where.
        workspace: WorkspaceName,
        /// Whose.
        model: ModelName,
        /// Everything that is wrong with it, a line each.
        cause: String,
    },
    /// A grant, a header or a command that the checks of this program should have refused.
    #[error("{what} of workspace `{workspace}` cannot be used in this version")]
    Unusable {
        /// Where.
        workspace: WorkspaceName,
        /// What.
        what: String,
    },
}

/// What the kernel knows of it.
///
/// # Errors
/// When a grant cannot be used.
pub fn kernel_setup(compiled: &Compiled) -> Result<Setup, SetupError> {
    let config = &compiled.loaded.config;
    let workspaces = config.workspaces.iter().map(|workspace| {
        let setup = workspace_setup(workspace, compiled)?;
        Ok((workspace.name.clone(), setup))
    });
    Ok(Setup {
        digest: compiled.loaded.digest,
        organization: config.organization.clone(),
        workspaces: workspaces.collect::<Result<_, SetupError>>()?,
        people: config.people.iter().map(|person| (person.name.clone(), person.roles.clone())).collect(),
        approval_wait: config.approval_wait,
        builds: builds(&config.environments),
    })
}

/// The hosts of package indexes. What cannot be read, which the checks have refused, is not reached.
fn builds(environments: &EnvironmentsConfig) -> Builds {
    let hosts =
        |index: &IndexConfig| EgressGrants::parse(index.hosts.iter().map(String::as_str)).unwrap_or_default();
    Builds::reaching(hosts(&environments.python), hosts(&environments.node))
}

fn workspace_setup(workspace: &WorkspaceConfig, compiled: &Compiled) -> Result<WorkspaceSetup, SetupError> {
    let unusable =
        |what: &str| SetupError::Unusable { workspace: workspace.name.clone(), what: what.to_owned() };
    let agents = workspace.agents.iter().map(|agent| {
        let setup = agent_setup(agent).ok_or_else(|| unusable(agent.name.as_str()))?;
        Ok((agent.name.clone(), setup))
    });
    let policy = compiled.policies.get(&workspace.name).map(Arc::clone).ok_or_else(|| unusable("policy"))?;
    Ok(WorkspaceSetup {
        environment: workspace.environment.clone(),
        trust: match workspace.trust {
            TrustConfig::Explicit => Trust::Explicit,
            TrustConfig::FirstUse => Trust::FirstUse,
        },
        retention: workspace.retention,
        servers: workspace.servers.iter().map(|server| (server.name.clone(), server_setup(server))).collect(),
        models: models::model_setups(workspace),
        budgets: models::budgets(workspace),
        agents: agents.collect::<Result<_, SetupError>>()?,
        policy,
    })
}

fn agent_setup(agent: &AgentConfig) -> Option<AgentSetup> {
    Some(AgentSetup {
        grants: Grants::parse(agent.grants.iter().map(String::as_str)).ok()?,
        models: models::agent_models(agent),
        egress: EgressGrants::parse(agent.egress.iter().map(String::as_str)).ok()?,
        spawn: agent.spawn.clone(),
        limits: RunLimits {
            wall: agent.limits.wall,
            concurrent: agent.limits.concurrent,
            repetition: agent.limits.repetition,
            actions: agent.limits.actions,
        },
    })
}

/// What a tool server in a sandbox of its own may reach.
fn held_hosts(sandbox: &ServerSandbox) -> Option<AgentSetup> {
    let egress = EgressGrants::parse(sandbox.egress.iter().map(String::as_str)).ok()?;
    Some(AgentSetup::reaching(egress))
}

fn server_setup(server: &ServerConfig) -> ServerSetup {
    let words = server.actions.iter().map(|action| {
        let words = ToolWords {
            action: action.action.clone(),
            action_type: action.action_type,
            risk: action.risk.clone(),
            labels: action.labels.clone(),
        };
        (action.tool.clone(), words)
    });
    ServerSetup {
        capability: server.capability.clone(),
        trust_hints: server.trust_hints,
        actions: words.collect(),
        breaker: BreakerSetup { failures: server.breaker_failures, open_for: server.breaker_open_for },
        call_timeout: server.timeout,
        holds: server.sandbox().and_then(held_hosts).map(Box::new),
    }
}

/// Where the gateway finds the servers. Secrets in files are read now, those in the environment for every call;
/// either has to be there now.
///
/// # Errors
/// When a secret is not there.
pub fn gateway_table(compiled: &Compiled) -> Result<Table, SetupError> {
    let cache = compiled.loaded.config.cache;
    let cache = CacheBounds { memory: cache.memory, disk: cache.disk };
    let world = Arc::new(compiled.loaded.config.egress.world());
    let mut table = Table { cache, world, ..Table::default() };
    for workspace in &compiled.loaded.config.workspaces {
        let mut servers = HashMap::new();
        for server in &workspace.servers {
            servers.insert(server.name.clone(), target(workspace, server)?);
        }
        table.workspaces.insert(workspace.name.clone(), servers);
        table.models.insert(workspace.name.clone(), models::model_targets(workspace)?);
    }
    Ok(table)
}

fn target(workspace: &WorkspaceConfig, server: &ServerConfig) -> Result<Target, SetupError> {
    let unusable =
        |what: &str| SetupError::Unusable { workspace: workspace.name.clone(), what: what.to_owned() };
    let resolve = |source: &SecretSource, prefix: &str| {
        resolved(source, prefix).map_err(|cause| SetupError::Secret {
            workspace: workspace.name.clone(),
            what: format!("server `{}`", server.name),
            cause,
        })
    };
    match &server.transport {
        Transport::Http { url, headers, bearer } => {
            let mut sent = Vec::new();
            for (name, source) in headers {
                let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| unusable(name))?;
                sent.push((name, resolve(source, "")?));
            }
            if let Some(source) = bearer {
                sent.push((http::header::AUTHORIZATION, resolve(source, "Bearer ")?));
            }
            Ok(Target::Http(Arc::new(HttpTarget { url: url.uri().clone(), headers: sent })))
        }
        Transport::Stdio { command, environment, directory, share, sandbox } => {
            let (program, arguments) = command.split_first().ok_or_else(|| unusable("command"))?;
            let mut variables = Vec::new();
            for (name, value) in environment {
                let value = match value {
                    EnvironmentValue::Plain(text) => Source::Fixed(text.clone()),
                    EnvironmentValue::Secret(source) => resolve(source, "")?,
                };
                variables.push((name.to_string(), value));
            }
            Ok(Target::Stdio(Arc::new(StdioTarget {
                program: program.clone(),
                arguments: arguments.to_vec(),
                environment: variables,
                directory: directory.clone(),
                share: match share {
                    Share::Run => TargetShare::Run,
                    Share::Workspace => TargetShare::Workspace,
                },
                require: server.require.clone(),
                sandbox: sandbox.as_ref().map(|sandbox| Box::new(runs::sandboxed(sandbox))),
            })))
        }
    }
}

/// A source as the gateway takes it. What needs something before it is put together now, and renewed at a reload.
fn resolved(source: &SecretSource, prefix: &str) -> Result<Source, SecretError> {
    let secret = source.resolve()?;
    Ok(match source {
        SecretSource::Environment(name) if prefix.is_empty() => Source::Environment(name.clone()),
        _ => Source::Fixed(SmolStr::from(format!("{prefix}{}", secret.reveal()))),
    })
}

/// The pinned tools in the policy's words, for the compiler of policies.
pub fn known_tools(workspaces: &[WorkspaceConfig], pins: &[PinView]) -> Vec<KnownTool> {
    pins.iter().filter_map(|pin| known_tool(workspaces, pin)).collect()
}

/// The tools that a configuration names itself, in grants without a glob and under `actions`; their definitions are
/// not known.
pub fn named_tools(workspaces: &[WorkspaceConfig]) -> Vec<KnownTool> {
    let mut tools: Vec<KnownTool> = Vec::new();
    for workspace in workspaces {
        let grants = workspace.agents.iter().flat_map(|agent| &agent.grants);
        let granted =
            grants.filter_map(|grant| grant.split_once('/')).filter(|(_, tool)| !tool.contains(['*', '?']));
        let worded = workspace.servers.iter().flat_map(|server| {
            server.actions.iter().map(|action| (server.name.as_str(), action.tool.as_str()))
        });
        for (server, tool) in granted.chain(worded) {
            let Some(server) = workspace.servers.iter().find(|known| known.name.as_str() == server) else {
                continue;
            };
            let Ok(name) = ToolName::new(tool) else { continue };
            let is_known = |known: &KnownTool| {
                known.workspace == workspace.name && known.server == server.name && known.name == name
            };
            if !tools.iter().any(is_known) {
                tools.push(tool_of(workspace, server, &name, ActionType::Write, None));
            }
        }
        tools.extend(others(workspace));
    }
    tools
}

/// What a grant with a glob stands for beside the tools that are named: some tool that writes, some tool that reads.
fn others(workspace: &WorkspaceConfig) -> Vec<KnownTool> {
    let mut tools: Vec<KnownTool> = Vec::new();
    for grant in workspace.agents.iter().flat_map(|agent| &agent.grants) {
        let Some((server, pattern)) = grant.split_once('/').filter(|(_, tool)| tool.contains(['*', '?']))
        else {
            continue;
        };
        let server = workspace.servers.iter().find(|known| known.name.as_str() == server);
        for (suffix, hinted) in [("", ActionType::Write), (" (a read)", ActionType::Read)] {
            let name = ToolName::new(&format!("{pattern}{suffix}"));
            if let (Some(server), Ok(name)) = (server, name)
                && !tools.iter().any(|known| known.server == server.name && known.name == name)
            {
                tools.push(tool_of(workspace, server, &name, hinted, None));
            }
        }
    }
    tools
}

/// A tool in the policy's words; `hinted` is what it counts as where nothing is configured.
fn tool_of(
    workspace: &WorkspaceConfig,
    server: &ServerConfig,
    name: &ToolName,
    hinted: ActionType,
    definition: Option<Arc<ToolDefinition>>,
) -> KnownTool {
    let words = server.actions.iter().find(|action| action.tool == *name);
    KnownTool {
        workspace: workspace.name.clone(),
        server: server.name.clone(),
        name: name.clone(),
        action: words.and_then(|words| words.action.clone()).unwrap_or_else(|| name.as_str().into()),
        action_type: words.and_then(|words| words.action_type).unwrap_or(hinted),
        risk: words.and_then(|words| words.risk.clone()),
        labels: words.map(|words| words.labels.clone()).unwrap_or_default(),
        definition,
    }
}

fn known_tool(workspaces: &[WorkspaceConfig], pin: &PinView) -> Option<KnownTool> {
    let definition = pin.pinned.as_ref()?;
    let workspace = workspaces.iter().find(|workspace| workspace.name == pin.workspace)?;
    let server = workspace.servers.iter().find(|server| server.name == pin.server)?;
    let hinted = hinted_type(definition, pin.by_person, server.trust_hints);
    Some(tool_of(workspace, server, &pin.tool, hinted, Some(Arc::clone(definition))))
}
