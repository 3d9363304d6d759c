//! What is allowed in a workspace and probably not meant.

use std::collections::HashSet;

use ringfence_document::{Key, Node, Report};
use ringfence_llm::request::HOSTED_UNBOUNDED;
use ringfence_types::ServerName;

use super::super::{AgentConfig, ServerConfig, WorkspaceConfig};

/// Says it.
pub(super) fn all(workspace: &WorkspaceConfig, key: &Key, agents: Option<&Node>, report: &mut Report) {
    tools(workspace, key, report);
    models(workspace, report);
    for agent in &workspace.agents {
        let Some((key, node)) = written(agents, agent) else { continue };
        hosted(workspace, agent, key, report);
        spending(workspace, agent, key, node, report);
        unreached(agent, key, report);
    }
}

/// Of tools and rules.
fn tools(workspace: &WorkspaceConfig, key: &Key, report: &mut Report) {
    let name = &workspace.name;
    if workspace.policy.is_empty() {
        report.warning_with_hint(
            key.place,
            format!("workspace `{name}` has no policy: every action is denied by default"),
            "write `policy: [safety-policy.yaml]`",
        );
    }
    if workspace.agents.is_empty() {
        report.warning(key.place, format!("workspace `{name}` has no agents"));
    }
    let unheld = workspace.servers.iter().map(|server: &ServerConfig| &server.name);
    for server in unheld.filter(|server| !is_held(workspace, server)) {
        report.warning(key.place, format!("no agent of workspace `{name}` holds a tool of `{server}`"));
    }
}

fn is_held(workspace: &WorkspaceConfig, server: &ServerName) -> bool {
    let grants = workspace.agents.iter().flat_map(|agent| &agent.grants);
    let mut servers = grants.filter_map(|grant| grant.split_once('/'));
    servers.any(|(held, _)| held == server.as_str())
}

/// Of an agent that holds what its driver lets it not reach.
fn unreached(agent: &AgentConfig, key: &Key, report: &mut Report) {
    let Some(run) = agent.run.as_ref().filter(|run| !run.driver.has_network()) else { return };
    let held = [
        (!agent.models.is_empty(), "models"),
        (!agent.grants.is_empty(), "tools"),
        (!agent.egress.is_empty(), "egress"),
        (!agent.spawn.is_empty(), "spawn"),
    ];
    let held: Vec<&str> = held.into_iter().filter_map(|(holds, name)| holds.then_some(name)).collect();
    if !held.is_empty() {
        report.warning_with_hint(
            key.place,
            format!(
                "agent `{}` runs under `driver: {}`, which has no network: it reaches none of its {}",
                agent.name,
                run.driver,
                held.join(", ")
            ),
            "leave `driver` out where the machine gives user namespaces; `ringfence doctor` says",
        );
    }
}

/// Where an agent stands in the file.
fn written<'n>(agents: Option<&'n Node>, agent: &AgentConfig) -> Option<(&'n Key, &'n Node)> {
    let members = agents.and_then(Node::as_mapping)?;
    members.iter().find(|(key, _)| key.text == agent.name.as_str()).map(|(key, node)| (key, node))
}

/// Of models that nobody can call, and routes that leave calls without one.
fn models(workspace: &WorkspaceConfig, report: &mut Report) {
    let held = reachable(workspace);
    for model in &workspace.models {
        if !held.contains(model.name.as_str()) {
            report.warning_with_hint(
                model.place,
                format!("no agent of workspace `{}` holds the model `{}`", workspace.name, model.name),
                "write its name into the `models` of an agent",
            );
        }
        let open = model.route.last().filter(|last| model.served.is_none() && !last.when.is_always());
        if let Some(last) = open {
            report.warning_with_hint(
                last.place,
                format!("a call to `{}` that no rule fits is refused", model.name),
                "end the route with a rule without `when`",
            );
        }
    }
}

/// The models that agents hold, and all that calls to those may end at.
fn reachable(workspace: &WorkspaceConfig) -> HashSet<&str> {
    let mut open: Vec<&str> = workspace
        .agents
        .iter()
        .flat_map(|agent| agent.models.iter().map(ringfence_types::ModelName::as_str))
        .collect();
    let mut held = HashSet::new();
    while let Some(name) = open.pop() {
        if held.insert(name)
            && let Some(model) = workspace.model(name)
        {
            open.extend(model.leads_to().map(ringfence_types::ModelName::as_str));
        }
    }
    held
}

/// Of hosted tools whose use is refused: because it cannot be bounded, or no model of the agent has a price for it.
fn hosted(workspace: &WorkspaceConfig, agent: &AgentConfig, key: &Key, report: &mut Report) {
    let models = agent.models.iter().filter_map(|name| workspace.model(name.as_str()));
    let prices: Vec<_> =
        models.filter_map(|model| model.served.as_ref()).map(|served| &served.price).collect();
    for tool in &agent.hosted_tools {
        if HOSTED_UNBOUNDED.contains(&tool.as_str()) {
            let message = format!(
                "agent `{}` cannot hold the hosted tool `{tool}`: no API bounds how often it is used, so nobody knows what to \
                 set aside",
                agent.name
            );
            report.error_with_hint(key.place, message, "leave it out of `hosted_tools`");
            continue;
        }
        let is_priced = prices.iter().any(|price| price.hosted.iter().any(|(known, _)| known == tool));
        if !is_priced {
            report.warning_with_hint(
                key.place,
                format!(
                    "no model of agent `{}` has a price for the hosted tool `{}`: using it is refused",
                    agent.name,
                    crate::shown::line(tool)
                ),
                "write `hosted: { … }` into the `price` of a model",
            );
        }
    }
}

/// Of runs that may spend more than all of them together.
fn spending(workspace: &WorkspaceConfig, agent: &AgentConfig, key: &Key, node: &Node, report: &mut Report) {
    let stated = node.get("budget").and_then(|budget| budget.get("usd"));
    let Some(run) = agent.budget.usd.filter(|_| stated.is_some() || !agent.models.is_empty()) else { return };
    let place = stated.map_or(key.place, |node| node.place);
    let budgets = &workspace.budgets;
    for (whose, levels) in [
        ("the workspace", &workspace.budget),
        ("an agent", &budgets.agent),
        ("a user", &budgets.user),
        ("a conversation", &budgets.conversation),
    ] {
        let least =
            levels.iter().filter(|budget| budget.usd.is_some_and(|usd| usd < run)).min_by_key(|b| b.usd);
        if let Some(ringfence_types::Budget { usd: Some(usd), per, .. }) = least {
            let per = per.map(|per| format!(" per {}", per.as_str())).unwrap_or_default();
            let message = format!(
                "a run of agent `{}` may spend {run} dollars, and {whose} only {usd}{per}",
                agent.name
            );
            report.warning_with_hint(
                place,
                message,
                "write a lower `budget: { usd: … }` for each run of the agent",
            );
        }
    }
}
