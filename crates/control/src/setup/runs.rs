//! From what the configuration says of programs in sandboxes to what is started.

use ringfence_gateway::targets::Sandboxed;
use ringfence_runs::{Mount, Plan, PlansByAgent};
use ringfence_sandbox::{Limits, Root};

use crate::config::{AgentConfig, Config, ServerSandbox, WorkspaceConfig};

/// What a tool server has in a sandbox of its own.
pub(super) fn sandboxed(sandbox: &ServerSandbox) -> Sandboxed {
    let limits = Limits {
        processes: sandbox.limits.processes,
        memory_bytes: sandbox.limits.memory,
        cpu_percent: sandbox.limits.cpu_percent,
        home_bytes: sandbox.limits.disk,
        ..Limits::default()
    };
    let root = sandbox.mounts.iter().fold(Root::system(), |root, mount| {
        let (source, target) = (&mount.source, &mount.target);
        if mount.writable { root.writable(source, target) } else { root.read_only(source, target) }
    });
    Sandboxed { root, limits }
}

/// The plan of every agent that a program is configured for.
pub fn run_plans(config: &Config) -> PlansByAgent {
    let agents = config.workspaces.iter().flat_map(|workspace| {
        let plans = workspace
            .agents
            .iter()
            .filter_map(move |agent| Some((agent, run_plan(config, workspace, agent)?)));
        plans.map(move |(agent, plan)| ((workspace.name.clone(), agent.name.clone()), plan))
    });
    agents.collect()
}

/// The plan of a run of this agent; `None` when no program is configured for it.
pub fn run_plan(config: &Config, workspace: &WorkspaceConfig, agent: &AgentConfig) -> Option<Plan> {
    let run = agent.run.as_ref()?;
    let limits = agent.limits.sandbox;
    let prefix = |server: &str| format!("{server}/");
    let is_held = |server: &str| agent.grants.iter().any(|grant| grant.starts_with(&prefix(server)));
    let servers = workspace.servers.iter().map(|server| server.name.as_str()).filter(|name| is_held(name));
    let mounts = run.mounts.iter().map(|mount| Mount {
        source: mount.source.clone(),
        target: mount.target.clone(),
        writable: mount.writable,
    });
    Some(Plan {
        command: run.command.clone(),
        files: run.files.clone(),
        mounts: mounts.collect(),
        recipes: run.recipes.clone(),
        builds: config.environments.settings(),
        environment: run.environment.clone(),
        servers: servers.map(str::to_owned).collect(),
        memory_bytes: limits.memory,
        processes: limits.processes,
        cpu_percent: limits.cpu_percent,
        work_bytes: limits.disk,
        out_bytes: limits.artifacts,
        state_bytes: run.state,
        output_bytes: limits.output,
        idle: limits.idle,
        takes_input: run.stdin,
        spawns: !agent.spawn.is_empty(),
        require: run.require.clone(),
        driver: run.driver,
        rootfs: run.rootfs.clone(),
    })
}
