//! `agents:` of a workspace: what each holds, and what each of its runs may use up.

use std::collections::HashSet;

use ringfence_document::{Fields, Key, Node, Report};
use ringfence_types::{AgentName, ServerName};

use super::super::{AgentConfig, LimitsConfig};
use super::budget;
use super::value::{duration, key_name, or_off};

/// The most that can be written where a count of things at once is asked for.
const COUNT_MAX: u64 = 100_000;

/// Reads every agent; `servers` are those of the workspace.
pub(super) fn read_all(node: &Node, servers: &[&str], report: &mut Report) -> Vec<AgentConfig> {
    let Some(members) = node.as_mapping() else {
        if !node.is_null() {
            report.error(node.place, format!("`agents` must be a mapping, not {}", node.kind()));
        }
        return Vec::new();
    };
    members.iter().filter_map(|(key, value)| agent(key, value, servers, report)).collect()
}

fn agent(key: &Key, node: &Node, servers: &[&str], report: &mut Report) -> Option<AgentConfig> {
    let name = key_name(key, "an agent", AgentName::new, report);
    let mut fields = Fields::of(node, "an agent", report)?;
    let grants = fields.get("tools").map(|node| grants(node, servers, report)).unwrap_or_default();
    let actions = fields.get("budget").and_then(|node| budget::read(node, report));
    let limits = fields.get("limits").map(|node| limits(node, report)).unwrap_or_default();
    for later in ["models", "egress", "run", "credentials", "spawn", "state", "route"] {
        fields.later(later, report);
    }
    fields.finish(report);
    Some(AgentConfig { name: name?, grants, limits: LimitsConfig { actions, ..limits } })
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

fn limits(node: &Node, report: &mut Report) -> LimitsConfig {
    let default = LimitsConfig::default();
    let Some(mut fields) = Fields::of(node, "`limits`", report) else { return default };
    let wall = fields.get("wall");
    let wall = wall.and_then(|node| or_off(node, report, |node, report| duration(node, "`wall`", report)));
    let mut count = |fields: &mut Fields<'_>, key: &'static str, least: u64| {
        let node = fields.get(key)?;
        let what = format!("`{key}`");
        let read = |node: &Node, report: &mut Report| node.whole(&what, least..=COUNT_MAX, report);
        let count = or_off(node, report, read)?;
        Some(count.and_then(|count| u32::try_from(count).ok()))
    };
    let concurrent = count(&mut fields, "concurrent", 1);
    // Less than two would refuse every second call.
    let repetition = count(&mut fields, "repetition", 2);
    for later in ["model_calls", "memory", "cpu", "processes", "disk", "spawn"] {
        fields.later(later, report);
    }
    fields.finish(report);
    LimitsConfig {
        wall: wall.unwrap_or(default.wall),
        concurrent: concurrent.unwrap_or(default.concurrent),
        repetition: repetition.unwrap_or(default.repetition),
        actions: default.actions,
    }
}
