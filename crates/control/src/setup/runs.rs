//! From what the configuration says of programs in sandboxes to what is started.

use std::collections::HashMap;

use ringfence_gateway::targets::Sandboxed;
use ringfence_runs::{Mount, Plan, PlansByAgent};
use ringfence_sandbox::{LayerName, Limits, Root};
use ringfence_types::WorkspaceName;

use crate::config::{AgentConfig, Config, ServerSandbox, WorkspaceConfig};
use crate::limits::RUNS_AT_ONCE;

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

/// The layers of a workspace and those of one of its own.
fn required(workspace: &WorkspaceConfig, own: &[LayerName]) -> Vec<LayerName> {
    let mut all = [workspace.require.as_slice(), own].concat();
    all.sort_unstable();
    all.dedup();
    all
}

/// How many runs of each workspace may have a place at once: as is written, else all there are; half of them where there are others,
/// so that none is kept out by a neighbour.
pub fn run_bounds(config: &Config) -> HashMap<WorkspaceName, usize> {
    let usual = if config.workspaces.len() > 1 { RUNS_AT_ONCE / 2 } else { RUNS_AT_ONCE };
    let bounds = config.workspaces.iter();
    bounds.map(|workspace| (workspace.name.clone(), workspace.runs_at_once.unwrap_or(usual))).collect()
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
    let require = required(workspace, &run.require);
    Some(Plan {
        command: run.command.clone(),
        files: run.files.clone(),
        mounts: mounts.collect(),
        recipes: run.recipes.clone(),
        builds: config.environments.settings(&require),
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
        require,
        driver: run.driver,
        rootfs: run.rootfs.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load_text;

    fn config(workspaces: &str) -> Config {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(
            folder.path().join("p.yaml"),
            "rules:\n  - { name: all, match: {}, decision: ALLOW }\n",
        )
        .unwrap();
        let text = format!("organization: acme\nworkspaces: {{ {workspaces} }}\n");
        load_text("ringfence.yaml", &folder.path().join("ringfence.yaml"), text).unwrap().config
    }

    fn bounds(workspaces: &str) -> Vec<usize> {
        let mut bounds: Vec<_> = run_bounds(&config(workspaces)).into_iter().collect();
        bounds.sort();
        bounds.into_iter().map(|(_, bound)| bound).collect()
    }

    #[test]
    fn a_workspace_alone_has_all_places_and_beside_others_half_unless_it_is_written() {
        assert_eq!(bounds("a: { policy: p.yaml }"), [RUNS_AT_ONCE]);
        assert_eq!(bounds("a: { policy: p.yaml }, b: { policy: p.yaml }"), [RUNS_AT_ONCE / 2; 2]);
        let written =
            "a: { policy: p.yaml, runs: { at_once: 3 } }, b: { policy: p.yaml, runs: { at_once: 128 } }";
        assert_eq!(bounds(written), [3, 128]);
    }

    #[test]
    fn a_run_and_what_is_built_for_it_require_what_the_workspace_does_and_what_it_does_itself() {
        let config = config(
            "a: { policy: p.yaml, require: [seccomp, landlock], agents: { a: { run: { command: [sh], require: [seccomp, private-root] } } } }",
        );
        let workspace = &config.workspaces[0];
        let plan = run_plan(&config, workspace, &workspace.agents[0]).unwrap();
        let mut names: Vec<_> = plan.require.iter().map(|layer| layer.as_str()).collect();
        names.sort_unstable();
        assert_eq!(names, ["landlock", "private-root", "seccomp"]);
        assert_eq!(plan.builds.require, plan.require);
    }
}
