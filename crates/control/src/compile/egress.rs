//! The hosts that are held under one policy.

use ringfence_kernel::{EgressCall, EgressGrant, EgressGrants, EgressProtocol};
use ringfence_policy::{KnownEgress, Source};
use ringfence_types::{ActionType, AgentName, HostName, Principal, ServerName};
use smol_str::SmolStr;

use crate::config::{Loaded, WorkspaceConfig};

/// The port on which TLS is passed through.
const HTTPS: u16 = 443;

/// What agents and tool servers hold in every workspace that has these policies.
pub(super) fn held(loaded: &Loaded, sources: &[Source]) -> Vec<KnownEgress> {
    let policies =
        |workspace: &WorkspaceConfig| loaded.policies.get(&workspace.name).map_or(&[][..], Vec::as_slice);
    let ruled = loaded.config.workspaces.iter().filter(|workspace| policies(workspace) == sources);
    ruled.flat_map(of_workspace).collect()
}

fn of_workspace(workspace: &WorkspaceConfig) -> Vec<KnownEgress> {
    let mut all = Vec::new();
    for agent in &workspace.agents {
        all.extend(agent.egress.iter().flat_map(|grant| known(workspace, &agent.name, None, grant)));
    }
    for server in &workspace.servers {
        let (Some(sandbox), Ok(name)) = (server.sandbox(), Principal::server_name(&server.name)) else {
            continue;
        };
        let grants = sandbox.egress.iter();
        all.extend(grants.flat_map(|grant| known(workspace, &name, Some(&server.name), grant)));
    }
    all
}

fn known(
    workspace: &WorkspaceConfig,
    agent: &AgentName,
    server: Option<&ServerName>,
    written: &str,
) -> Vec<KnownEgress> {
    let grants = EgressGrants::parse([written]).unwrap_or_default();
    let one = |grant: EgressGrant<'_>| KnownEgress {
        workspace: workspace.name.clone(),
        environment: workspace.environment.clone(),
        agent: agent.clone(),
        server: server.cloned(),
        grant: crate::shown::line(written).into(),
        hosts: grant.hosts().into(),
        actions: actions(grant),
    };
    grants.each().map(one).collect()
}

/// What rules can see as the action of what a grant holds; nothing where that can be anything.
fn actions(grant: EgressGrant<'_>) -> Vec<(SmolStr, ActionType)> {
    let seen = |method: Option<&str>| {
        let host = HostName::new("host.invalid").ok()?;
        let method = method.map(SmolStr::new);
        let call = EgressCall { host, port: HTTPS, protocol: EgressProtocol::Tls, method, path: None };
        Some((call.action(), call.action_type()))
    };
    match grant.methods() {
        Some(methods) => methods.iter().filter_map(|method| seen(Some(method))).collect(),
        // Without a port, 443 is what nearly everybody means; on port 80, and any other, requests are seen too.
        None if grant.port().is_none_or(|port| port == HTTPS) => seen(None).into_iter().collect(),
        None => Vec::new(),
    }
}
