//! From what the configuration says of an agent's program to what `runs` starts.

use ringfence_runs::{Mount, Plan};

use crate::config::{AgentConfig, WorkspaceConfig};

/// The plan of a run of this agent; `None` when no program is configured for it.
pub fn run_plan(workspace: &WorkspaceConfig, agent: &AgentConfig) -> Option<Plan> {
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
        environment: run.environment.clone(),
        servers: servers.map(str::to_owned).collect(),
        memory_bytes: limits.memory,
        processes: limits.processes,
        cpu_percent: limits.cpu_percent,
        work_bytes: limits.disk,
        output_bytes: limits.output,
        idle: limits.idle,
        require: run.require.clone(),
    })
}
