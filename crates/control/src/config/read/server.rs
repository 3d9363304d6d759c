//! `tools:`: the tool servers of a workspace.

use std::time::Duration;

use ringfence_document::{Fields, Key, Node, Report};
use ringfence_sandbox::LayerName;
use ringfence_types::{ActionType, ServerName, ToolName};
use smol_str::SmolStr;

use super::super::{ActionConfig, EnvironmentValue, ServerConfig, ServerSandbox, Share, Transport};
use super::endpoint::{self, Carried, breaker, secret};
use super::value::{duration_within, key_name, mapping, word, words};
use super::{Origin, run, sandbox};

/// How long one call may take unless something else is written.
const TIMEOUT_DEFAULT: Duration = Duration::from_mins(1);

/// The longest a call may be given, in seconds.
const TIMEOUT_MAX_SECONDS: u64 = 86_400;

/// Headers of MCP, which the node sets itself.
const RESERVED_HEADERS: &[&str] =
    &["mcp-session-id", "mcp-protocol-version", "mcp-method", "mcp-name", "last-event-id"];

/// Under what name agents find what the gateway itself does for them.
const OWN_NAME: &str = "ringfence";

/// Reads every server.
pub(super) fn read_all(
    node: &Node,
    floor: &[LayerName],
    origin: Origin<'_>,
    report: &mut Report,
) -> Vec<ServerConfig> {
    let Some(members) = node.as_mapping() else {
        if !node.is_null() {
            report.error(node.place, format!("`tools` must be a mapping of servers, not {}", node.kind()));
        }
        return Vec::new();
    };
    members.iter().filter_map(|(key, value)| server(key, value, floor, origin, report)).collect()
}

fn server(
    key: &Key,
    node: &Node,
    floor: &[LayerName],
    origin: Origin<'_>,
    report: &mut Report,
) -> Option<ServerConfig> {
    let name = key_name(key, "a server", ServerName::new, report);
    if key.text.as_str() == OWN_NAME {
        let message = "no server can be called `ringfence`: the gateway's own tools have this name";
        report.error(key.place, message);
    }
    let mut fields = Fields::of(node, "a server", report)?;
    let transport = transport(&mut fields, key, origin, report);
    let capability = fields.get("capability").and_then(|node| word(node, "`capability`", report));
    let trust_hints = fields.get("trust_hints").and_then(|node| node.boolean("`trust_hints`", report));
    let actions = fields.get("actions").map(|node| actions(node, report)).unwrap_or_default();
    let timeout = fields.get("timeout");
    let timeout = timeout.and_then(|node| duration_within(node, "`timeout`", TIMEOUT_MAX_SECONDS, report));
    let breaker = fields.get("breaker").and_then(|node| breaker(node, report));
    let own = fields.get("require");
    let require = require(own, floor, transport.as_ref(), key, report);
    for later in ["oauth", "credential", "relaxed", "image", "cache"] {
        fields.later(later, report);
    }
    fields.finish(report);
    let (breaker_failures, breaker_open_for) = breaker.unwrap_or(endpoint::BREAKER_DEFAULT);
    Some(ServerConfig {
        name: name?,
        transport: transport?,
        capability,
        trust_hints: trust_hints.unwrap_or(false),
        actions,
        timeout: timeout.unwrap_or(TIMEOUT_DEFAULT),
        breaker_failures,
        breaker_open_for,
        require,
    })
}

/// The layers without which it is not started: its workspace's and its own. Of one that is reached over HTTP nothing is started here.
fn require(
    own: Option<&Node>,
    floor: &[LayerName],
    transport: Option<&Transport>,
    key: &Key,
    report: &mut Report,
) -> Vec<LayerName> {
    let mut all = floor.to_vec();
    if let Some(node) = own {
        all.extend(run::layers(node, report));
    }
    all.sort_unstable();
    all.dedup();
    match transport {
        None => {}
        Some(Transport::Http { .. }) => {
            if let Some(node) = own {
                report.error(node.place, "`require` goes with `command` only");
            }
            all.clear();
        }
        Some(Transport::Stdio { sandbox, .. }) => {
            let never = all.iter().find(|layer| !LayerName::TOOL_SERVER.contains(layer));
            if let Some(layer) = never.filter(|_| sandbox.is_none()) {
                report.error_with_hint(
                    own.map_or(key.place, |node| node.place),
                    format!(
                        "server `{}` is required to have the layer {layer}, which it never has without a sandbox of its own",
                        crate::shown::line(&key.text)
                    ),
                    "write `mounts` with what it may see, or `egress: []`",
                );
            }
        }
    }
    all
}

/// How the server is reached: `url` with what belongs to it, or `command` with what belongs to that.
fn transport(
    fields: &mut Fields<'_>,
    key: &Key,
    origin: Origin<'_>,
    report: &mut Report,
) -> Option<Transport> {
    let (url, command) = (fields.get("url"), fields.get("command"));
    let (headers, bearer) = (fields.get("headers"), fields.get("key"));
    let (environment, directory, share) = (fields.get("env"), fields.get("directory"), fields.get("share"));
    let (mounts, egress, limits) = (fields.get("mounts"), fields.get("egress"), fields.get("limits"));
    let only = |of: &str, parts: &[(&str, Option<&Node>)], report: &mut Report| {
        for (name, node) in parts {
            if let Some(node) = node {
                report.error(node.place, format!("`{name}` goes with `{of}` only"));
            }
        }
    };
    match (url, command) {
        (Some(url), None) => {
            let parts =
                [("env", environment), ("directory", directory), ("share", share), ("limits", limits)];
            only("command", &parts, report);
            only("command", &[("mounts", mounts), ("egress", egress)], report);
            http(url, headers, bearer, origin, report)
        }
        (None, Some(command)) => {
            only("url", &[("headers", headers), ("key", bearer)], report);
            let sandbox = sandbox::read(&sandbox::Written { mounts, egress, limits }, key, origin, report);
            stdio(command, environment, directory, (share, sandbox), origin, report)
        }
        (Some(_), Some(command)) => {
            report.error(command.place, "a server has a `url` or a `command`, not both");
            None
        }
        (None, None) => {
            report.error_with_hint(
                key.place,
                format!("server `{}` needs a `url` or a `command`", key.text),
                "write `url: https://…/mcp`, or `command: [program, argument]` for one that speaks over stdio",
            );
            None
        }
    }
}

fn http(
    url: &Node,
    headers: Option<&Node>,
    bearer: Option<&Node>,
    origin: Origin<'_>,
    report: &mut Report,
) -> Option<Transport> {
    let address = endpoint::url(url, "`url`", report);
    let asked = Carried { headers, key: bearer, reserved: RESERVED_HEADERS, of_key: &["authorization"] };
    let (headers, bearer) = asked.read(origin, report);
    endpoint::warn_exposed(url, address.as_ref(), bearer.is_some() || !headers.is_empty(), report);
    Some(Transport::Http { url: address?, headers, bearer })
}

fn stdio(
    command: &Node,
    environment: Option<&Node>,
    directory: Option<&Node>,
    (share, sandbox): (Option<&Node>, Option<ServerSandbox>),
    origin: Origin<'_>,
    report: &mut Report,
) -> Option<Transport> {
    let parts = command.list("`command`", report);
    let parts = parts.map(|parts| {
        parts.iter().filter_map(|part| part.text("a part of `command`", report)).map(ToString::to_string)
    });
    let parts: Option<Vec<String>> = parts.map(Iterator::collect);
    if parts.as_ref().is_some_and(Vec::is_empty) {
        report.error(command.place, "`command` names no program");
    }
    let variables = environment.and_then(|node| mapping(node, "`env`", report)).unwrap_or_default();
    let environment =
        variables.iter().filter_map(|(key, node)| variable(key, node, origin, report)).collect();
    let directory = directory.and_then(|node| match &sandbox {
        // What is inside has no folder of the configuration's.
        Some(_) => sandbox::target(node, "`directory`", report),
        None => node.text("`directory`", report).map(|path| origin.folder.join(path.as_str())),
    });
    let share = share.and_then(|node| self::share(node, report)).unwrap_or(Share::Run);
    Some(Transport::Stdio { command: parts?, environment, directory, share, sandbox })
}

fn variable(
    key: &Key,
    node: &Node,
    origin: Origin<'_>,
    report: &mut Report,
) -> Option<(SmolStr, EnvironmentValue)> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if key.text.is_empty() || !key.text.bytes().all(fits) {
        report.error(key.place, format!("`{}` is not the name of a variable", crate::shown::line(&key.text)));
        return None;
    }
    let text = node.text("a variable", report)?;
    let is_source = text.starts_with("env:") || text.starts_with("file:");
    let value = if is_source {
        EnvironmentValue::Secret(secret(node, "a variable", origin, report)?)
    } else {
        EnvironmentValue::Plain(text.clone())
    };
    Some((key.text.clone(), value))
}

fn share(node: &Node, report: &mut Report) -> Option<Share> {
    let text = node.text("`share`", report)?;
    match text.as_str() {
        "run" => Some(Share::Run),
        "workspace" => Some(Share::Workspace),
        other => {
            let message = format!("`share` cannot be `{}`", crate::shown::line(other));
            report.unknown(node.place, message, other, &["run", "workspace"]);
            None
        }
    }
}

fn actions(node: &Node, report: &mut Report) -> Vec<ActionConfig> {
    let members = mapping(node, "`actions`", report).unwrap_or_default();
    members.iter().filter_map(|(key, value)| action(key, value, report)).collect()
}

fn action(key: &Key, node: &Node, report: &mut Report) -> Option<ActionConfig> {
    let tool = key_name(key, "a tool", ToolName::new, report);
    let mut fields = Fields::of(node, "a tool's words", report)?;
    let action = fields.get("action").and_then(|node| word(node, "`action`", report));
    let action_type = fields.get("action_type");
    let action_type =
        action_type.and_then(|node| node.word::<ActionType>("`action_type`", &["read", "write"], report));
    let risk = fields.get("risk").and_then(|node| word(node, "`risk`", report));
    let labels = fields.get("labels").map(|node| words(node, "a label", report)).unwrap_or_default();
    fields.later("relaxed", report);
    fields.finish(report);
    Some(ActionConfig { tool: tool?, action, action_type, risk, labels })
}
