//! Whether what a suspension names exists: a name that was mistyped would be a switch that does nothing.

use ringfence_kernel::PinView;
use ringfence_types::{Scope, ServerName, ToolName, WorkspaceName};

use super::desk::Desk;
use super::problem::Problem;
use crate::config::WorkspaceConfig;
use crate::setup::named_tools;

/// What is asked for that is no tool, in the words of grants.
const ACTIONS: [&str; 2] = ["resources/read", "prompts/get"];

/// Refuses a scope with a name that the configuration does not have. A tool or a model that was never seen may exist all
/// the same, and whoever suspends is in a hurry: of these the answer only warns.
pub(super) fn check(desk: &Desk, scope: &Scope) -> Result<Option<String>, Problem> {
    let in_force = desk.in_force();
    let all = &in_force.compiled.loaded.config.workspaces;
    if let Some(workspace) = &scope.workspace {
        among("workspace", workspace.as_str(), all.iter().map(|workspace| workspace.name.as_str()))?;
    }
    let here: Vec<&WorkspaceConfig> =
        all.iter().filter(|known| scope.workspace.as_ref().is_none_or(|name| known.name == *name)).collect();
    if let Some(agent) = &scope.agent {
        let agents = here.iter().flat_map(|workspace| &workspace.agents);
        among("agent", agent.as_str(), agents.map(|agent| agent.name.as_str()))?;
    }
    if let Some(run) = scope.run
        && desk.kernel.run(run).is_none()
    {
        return Err(unknown("run", &run.to_string(), None));
    }
    if let Some(server) = &scope.server {
        let servers = here.iter().flat_map(|workspace| &workspace.servers);
        among("server", server.as_str(), servers.map(|server| server.name.as_str()))?;
    }
    let of_tool = scope.tool.as_ref().and_then(|tool| {
        let known = tools(desk, all, scope);
        unseen("tool", tool.as_str(), known.iter().map(ToolName::as_str).chain(ACTIONS))
    });
    // This version has no models, so none is known.
    let of_model = scope.model.as_ref().and_then(|model| unseen("model", model.as_str(), std::iter::empty()));
    Ok(of_tool.or(of_model))
}

fn unseen<'a>(what: &str, name: &str, known: impl Iterator<Item = &'a str> + Clone) -> Option<String> {
    if known.clone().any(|known| known == name) {
        return None;
    }
    let shown = crate::shown::line(name);
    Some(format!("no {what} `{shown}` was ever seen here{}", meant(ringfence_document::nearest(name, known))))
}

fn meant(near: Option<&str>) -> String {
    near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default()
}

/// The tools in a scope that were seen, or that the configuration names.
fn tools(desk: &Desk, workspaces: &[WorkspaceConfig], scope: &Scope) -> Vec<ToolName> {
    let is_here = |workspace: &WorkspaceName, server: &ServerName| {
        scope.workspace.as_ref().is_none_or(|name| name == workspace)
            && scope.server.as_ref().is_none_or(|name| name == server)
    };
    let seen = desk
        .kernel
        .pins()
        .into_iter()
        .map(|PinView { workspace, server, tool, .. }| (workspace, server, tool));
    let named = named_tools(workspaces).into_iter().map(|known| (known.workspace, known.server, known.name));
    let all = seen.chain(named).filter(|(workspace, server, _)| is_here(workspace, server));
    // A suspension takes names as they are, so a grant's glob is none.
    all.map(|(_, _, tool)| tool).filter(|tool| !tool.as_str().contains(['*', '?'])).collect()
}

fn among<'a>(what: &str, name: &str, known: impl Iterator<Item = &'a str> + Clone) -> Result<(), Problem> {
    if known.clone().any(|known| known == name) {
        return Ok(());
    }
    Err(unknown(what, name, ringfence_document::nearest(name, known)))
}

fn unknown(what: &str, name: &str, near: Option<&str>) -> Problem {
    let name = crate::shown::line(name);
    Problem::unknown(format!("there is no {what} `{name}` here, so nothing was suspended{}", meant(near)))
        .hint("`even_if_unknown: true` (`--even-if-unknown`) suspends it all the same")
}
