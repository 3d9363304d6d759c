//! `workspaces:`

use std::time::Duration;

use ringfence_document::{Fields, Key, Node, Report};
use ringfence_types::WorkspaceName;

use super::super::{TrustConfig, WorkspaceConfig};
use super::agent::Holdable;
use super::value::{duration, key_name, word};
use super::{Origin, agent, budget, model, policy, remark, run, server};
use crate::limits::RUNS_AT_ONCE;

/// The environment of a workspace that names none: the strictest.
const ENVIRONMENT_DEFAULT: &str = "production";

/// How long payloads are kept unless something else is written.
const RETENTION_DEFAULT: Duration = Duration::from_hours(180 * 24);

/// Reads every workspace.
pub(super) fn read_all(node: &Node, origin: Origin<'_>, report: &mut Report) -> Vec<WorkspaceConfig> {
    let members = match node.as_mapping() {
        Some(members) if !members.is_empty() => members,
        _ => {
            report.error_with_hint(
                node.place,
                "`workspaces` must be a mapping with at least one workspace",
                "write `workspaces: { NAME: { tools: …, agents: …, policy: … } }`",
            );
            return Vec::new();
        }
    };
    members.iter().filter_map(|(key, value)| workspace(key, value, origin, report)).collect()
}

fn workspace(key: &Key, node: &Node, origin: Origin<'_>, report: &mut Report) -> Option<WorkspaceConfig> {
    let name = key_name(key, "a workspace", WorkspaceName::new, report);
    let mut fields = Fields::of(node, "a workspace", report)?;
    let environment = fields.get("environment").and_then(|node| word(node, "`environment`", report));
    let environment = environment.unwrap_or_else(|| ENVIRONMENT_DEFAULT.into());
    let trust = fields.get("trust").and_then(|node| trust(node, report));
    let retention = fields.get("retention").and_then(|node| duration(node, "`retention`", report));
    let require = fields.get("require").map(|node| run::layers(node, report)).unwrap_or_default();
    let runs_at_once = fields.get("runs").and_then(|node| runs(node, report));
    let tools = fields.get("tools");
    let servers = tools.map(|node| server::read_all(node, &require, origin, report)).unwrap_or_default();
    let models_node = fields.get("models");
    let models = models_node.map(|node| model::read_all(node, origin, report)).unwrap_or_default();
    let (known_servers, known_models) = (keys(tools), keys(models_node));
    let agents_node = fields.get("agents");
    let programs = agent::with_program(agents_node);
    let known = Holdable { servers: &known_servers, models: &known_models, programs: &programs };
    let agents = agents_node.map(|node| agent::read_all(node, known, origin, report)).unwrap_or_default();
    let budget = fields.get("budget").map(|node| budget::windows(node, report)).unwrap_or_default();
    let budgets = fields.get("budgets").map(|node| budget::levels(node, report)).unwrap_or_default();
    let policy = fields.get("policy").map(|node| policy::read_all(node, origin, report)).unwrap_or_default();
    fields.later("credentials", report);
    fields.later("secrets", report);
    fields.finish(report);
    let default_trust =
        if environment == ENVIRONMENT_DEFAULT { TrustConfig::Explicit } else { TrustConfig::FirstUse };
    let read = WorkspaceConfig {
        name: name?,
        environment,
        trust: trust.unwrap_or(default_trust),
        retention: retention.unwrap_or(RETENTION_DEFAULT),
        servers,
        models,
        budget,
        budgets,
        agents,
        policy,
        require,
        runs_at_once,
    };
    // What is said of a file with mistakes may be their consequence.
    if report.errors() == 0 {
        remark::all(&read, key, agents_node, report);
    }
    Some(read)
}

/// `runs: { at_once: 32 }`: how many of its runs may have a place at once.
fn runs(node: &Node, report: &mut Report) -> Option<usize> {
    let mut fields = Fields::of(node, "`runs`", report)?;
    let at_once = fields.require("at_once", report);
    let at_once = at_once.and_then(|node| node.whole("`at_once`", 1..=RUNS_AT_ONCE as u64, report));
    fields.finish(report);
    at_once.and_then(|count| usize::try_from(count).ok())
}

fn trust(node: &Node, report: &mut Report) -> Option<TrustConfig> {
    let text = node.text("`trust`", report)?;
    match text.as_str() {
        "explicit" => Some(TrustConfig::Explicit),
        "first-use" => Some(TrustConfig::FirstUse),
        other => {
            let message = format!("`trust` cannot be `{}`", crate::shown::line(other));
            report.unknown(node.place, message, other, &["explicit", "first-use"]);
            None
        }
    }
}

/// The names in a mapping. What could not be read still exists: naming it is no mistake too.
fn keys(node: Option<&Node>) -> Vec<&str> {
    node.and_then(Node::as_mapping).into_iter().flatten().map(|(key, _)| key.text.as_str()).collect()
}
