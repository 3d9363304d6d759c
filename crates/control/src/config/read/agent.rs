//! `agents:` of a workspace: what each holds, and what each of its runs may use up.

use std::collections::HashSet;

use ringfence_document::{Fields, Key, Node, Report};
use ringfence_types::{AgentName, ModelName, Principal, ServerName};

use super::super::{AgentConfig, LimitsConfig};
use super::value::{key_name, words};
use super::{Origin, budget, egress, limits, route, run};

/// What there is to be held in the workspace, also what could not be read.
#[derive(Clone, Copy)]
pub(super) struct Holdable<'a> {
    /// Its tool servers.
    pub servers: &'a [&'a str],
    /// Its models.
    pub models: &'a [&'a str],
    /// Its agents that a program is configured for.
    pub programs: &'a [&'a str],
}

/// Reads every agent.
pub(super) fn read_all(
    node: &Node,
    known: Holdable<'_>,
    origin: Origin<'_>,
    report: &mut Report,
) -> Vec<AgentConfig> {
    let Some(members) = node.as_mapping() else {
        if !node.is_null() {
            report.error(node.place, format!("`agents` must be a mapping, not {}", node.kind()));
        }
        return Vec::new();
    };
    members.iter().filter_map(|(key, value)| agent(key, value, known, origin, report)).collect()
}

fn agent(
    key: &Key,
    node: &Node,
    known: Holdable<'_>,
    origin: Origin<'_>,
    report: &mut Report,
) -> Option<AgentConfig> {
    let name = key_name(key, "an agent", own_name, report);
    let mut fields = Fields::of(node, "an agent", report)?;
    let grants = fields.get("tools").map(|node| grants(node, known.servers, report)).unwrap_or_default();
    let models = fields.get("models").map(|node| models(node, known.models, report)).unwrap_or_default();
    let egress = fields.get("egress").map(|node| egress::read(node, report)).unwrap_or_default();
    let hosted = fields.get("hosted_tools");
    let hosted_tools = hosted.map(|node| words(node, "a hosted tool", report)).unwrap_or_default();
    let mut flag = |key: &'static str| {
        let node = fields.get(key);
        node.and_then(|node| node.boolean(&format!("`{key}`"), report)).unwrap_or(false)
    };
    let (stored, remote) = (flag("stored"), flag("remote"));
    let (budget, actions) = fields.get("budget").map(|node| budget::of_run(node, report)).unwrap_or_default();
    let limits = fields.get("limits").map(|node| limits::read(node, report)).unwrap_or_default();
    let run = fields.get("run").map(|node| run::read(node, origin, report));
    let spawn = fields.get("spawn").map(|node| spawn(node, known.programs, report)).unwrap_or_default();
    for later in ["credentials", "state"] {
        fields.later(later, report);
    }
    fields.finish(report);
    let limits = LimitsConfig { actions, ..limits };
    Some(AgentConfig {
        name: name?,
        grants,
        models,
        egress,
        spawn,
        hosted_tools,
        stored,
        remote,
        budget,
        limits,
        run: run.flatten(),
    })
}

/// A name that stands for an agent and for nobody else.
fn own_name(text: &str) -> Result<AgentName, String> {
    let name = AgentName::new(text).map_err(|error| error.to_string())?;
    if Principal::of(&name) == Principal::Agent {
        Ok(name)
    } else {
        Err("this name stands for what is no agent".to_owned())
    }
}

/// The models it holds, each by its name.
fn models(node: &Node, known: &[&str], report: &mut Report) -> Vec<ModelName> {
    let mut models: Vec<ModelName> = Vec::new();
    for element in node.list("`models`", report).unwrap_or_default() {
        let Some(model) = route::name(element, known, report) else { continue };
        if models.contains(&model) {
            report.warning(element.place, format!("the model `{model}` stands here twice"));
        } else {
            models.push(model);
        }
    }
    models
}

/// The agents of which its runs may start runs. Circles are fine: how deep they go is bounded.
fn spawn(node: &Node, programs: &[&str], report: &mut Report) -> Vec<AgentName> {
    let mut agents: Vec<AgentName> = Vec::new();
    for element in node.list("`spawn`", report).unwrap_or_default() {
        let Some(agent) = element.parsed("an agent", AgentName::new, report) else { continue };
        if !programs.contains(&agent.as_str()) {
            let message = format!("there is no agent `{agent}` with a program (`run`) in this workspace");
            if programs.is_empty() {
                report.error(element.place, message);
            } else {
                report.unknown(element.place, message, agent.as_str(), programs);
            }
        } else if agents.contains(&agent) {
            report.warning(element.place, format!("the agent `{agent}` stands here twice"));
        } else {
            agents.push(agent);
        }
    }
    agents
}

/// The agents that a program is configured for, also where it could not be read.
pub(super) fn with_program(agents: Option<&Node>) -> Vec<&str> {
    let members = agents.and_then(Node::as_mapping).into_iter().flatten();
    let has_program = |node: &Node| {
        node.as_mapping().is_some_and(|fields| fields.iter().any(|(key, _)| key.text.as_str() == "run"))
    };
    members.filter(|(_, node)| has_program(node)).map(|(key, _)| key.text.as_str()).collect()
}

fn grants(node: &Node, servers: &[&str], report: &mut Report) -> Vec<String> {
    let mut seen = HashSet::new();
    let mut grants = Vec::new();
    for element in node.list("`tools`", report).unwrap_or_default() {
        let Some(text) = element.text("a grant", report) else { continue };
        let Some((server, tool)) = text.split_once('/').filter(|(_, tool)| !tool.is_empty()) else {
            let shown = crate::shown::line(text);
            let message =
                format!("`{shown}` is no grant: write server/tool, such as search/* or files/read_*");
            report.error(element.place, message);
            continue;
        };
        if tool.chars().any(char::is_control) {
            report.error(element.place, "a grant cannot hold control characters");
        } else if !servers.contains(&server) {
            dangling(element, server, servers, report);
        } else if !seen.insert(text.clone()) {
            report.warning(
                element.place,
                format!("the grant `{}` stands here twice", crate::shown::line(text)),
            );
        } else {
            grants.push(text.to_string());
        }
    }
    grants
}

fn dangling(element: &Node, server: &str, servers: &[&str], report: &mut Report) {
    let shown = crate::shown::line(server);
    if server.contains(['*', '?']) && ServerName::new(server).is_err() {
        report.error(
            element.place,
            format!("servers are named, not matched: `{shown}` cannot stand before the slash"),
        );
    } else if servers.is_empty() {
        report.error(element.place, format!("there is no server `{shown}`: this workspace has no `tools`"));
    } else {
        report.unknown(
            element.place,
            format!("there is no server `{shown}` in this workspace"),
            server,
            servers,
        );
    }
}
