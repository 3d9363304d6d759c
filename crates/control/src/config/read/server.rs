//! `tools:`: the tool servers of a workspace.

use std::path::PathBuf;
use std::time::Duration;

use ringfence_document::{Diagnostic, Fields, Key, Node, Report};
use ringfence_types::{ActionType, ServerName, ToolName};
use smol_str::SmolStr;

use super::super::{ActionConfig, EnvironmentValue, SecretSource, ServerConfig, ServerUrl, Share, Transport};
use super::Origin;
use super::value::{duration, duration_within, key_name, word, words};

/// How long one call may take unless something else is written.
const TIMEOUT_DEFAULT: Duration = Duration::from_mins(1);

/// The longest a call may be given, in seconds.
const TIMEOUT_MAX_SECONDS: u64 = 86_400;

/// Failures in a row that open a breaker unless something else is written.
const BREAKER_FAILURES_DEFAULT: u32 = 5;

/// How long a breaker stays open unless something else is written.
const BREAKER_OPEN_DEFAULT: Duration = Duration::from_secs(30);

/// Headers that the node sets itself, or that would change where a request goes.
const RESERVED_HEADERS: &[&str] = &[
    "host",
    "content-length",
    "content-type",
    "transfer-encoding",
    "connection",
    "upgrade",
    "te",
    "trailer",
    "accept",
    "mcp-session-id",
    "mcp-protocol-version",
    "mcp-method",
    "mcp-name",
    "last-event-id",
    "origin",
];

/// Reads every server.
pub(super) fn read_all(node: &Node, origin: Origin<'_>, report: &mut Report) -> Vec<ServerConfig> {
    let Some(members) = node.as_mapping() else {
        if !node.is_null() {
            report.error(node.place, format!("`tools` must be a mapping of servers, not {}", node.kind()));
        }
        return Vec::new();
    };
    members.iter().filter_map(|(key, value)| server(key, value, origin, report)).collect()
}

fn server(key: &Key, node: &Node, origin: Origin<'_>, report: &mut Report) -> Option<ServerConfig> {
    let name = key_name(key, "a server", ServerName::new, report);
    let mut fields = Fields::of(node, "a server", report)?;
    let transport = transport(&mut fields, key, origin, report);
    let capability = fields.get("capability").and_then(|node| word(node, "`capability`", report));
    let trust_hints = fields.get("trust_hints").and_then(|node| node.boolean("`trust_hints`", report));
    let actions = fields.get("actions").map(|node| actions(node, report)).unwrap_or_default();
    let timeout = fields.get("timeout");
    let timeout = timeout.and_then(|node| duration_within(node, "`timeout`", TIMEOUT_MAX_SECONDS, report));
    let breaker = fields.get("breaker").and_then(|node| breaker(node, report));
    for later in ["oauth", "credential", "relaxed", "image", "cache"] {
        fields.later(later, report);
    }
    fields.finish(report);
    let (breaker_failures, breaker_open_for) =
        breaker.unwrap_or((BREAKER_FAILURES_DEFAULT, BREAKER_OPEN_DEFAULT));
    Some(ServerConfig {
        name: name?,
        transport: transport?,
        capability,
        trust_hints: trust_hints.unwrap_or(false),
        actions,
        timeout: timeout.unwrap_or(TIMEOUT_DEFAULT),
        breaker_failures,
        breaker_open_for,
    })
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
    let only = |of: &str, parts: [(&str, Option<&Node>); 3], report: &mut Report| {
        for (name, node) in parts {
            if let Some(node) = node {
                report.error(node.place, format!("`{name}` goes with `{of}` only"));
            }
        }
    };
    match (url, command) {
        (Some(url), None) => {
            only("command", [("env", environment), ("directory", directory), ("share", share)], report);
            http(url, headers, bearer, origin, report)
        }
        (None, Some(command)) => {
            only("url", [("headers", headers), ("key", bearer), ("", None)], report);
            stdio(command, environment, directory, share, origin, report)
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
    let parsed = url.parsed("`url`", ServerUrl::parse, report);
    let mut all: Vec<(SmolStr, SecretSource)> = Vec::new();
    for (name, value) in headers.and_then(|node| mapping(node, "`headers`", report)).unwrap_or_default() {
        all.extend(header(name, value, origin, report));
    }
    let is_set = all.iter().any(|(name, _)| name == "authorization");
    if let Some(node) = bearer.filter(|_| is_set) {
        report.error(node.place, "`key` is sent as `authorization`, which `headers` sets too");
    }
    let bearer = bearer.and_then(|node| secret(node, "`key`", origin, report));
    if parsed.as_ref().is_some_and(ServerUrl::is_exposed) && (bearer.is_some() || !all.is_empty()) {
        report.warning_with_hint(url.place, "a secret would travel in the clear to that server", "use https");
    }
    Some(Transport::Http { url: parsed?, headers: all, bearer })
}

fn header(
    name: &Key,
    value: &Node,
    origin: Origin<'_>,
    report: &mut Report,
) -> Option<(SmolStr, SecretSource)> {
    let lower = name.text.to_ascii_lowercase();
    if http::HeaderName::from_bytes(lower.as_bytes()).is_err() {
        report.error(name.place, format!("`{}` is not the name of a header", crate::shown::line(&name.text)));
        return None;
    }
    if RESERVED_HEADERS.contains(&lower.as_str()) {
        report.error(name.place, format!("the header `{lower}` is set by the node itself"));
        return None;
    }
    Some((lower.into(), secret(value, "a header's value", origin, report)?))
}

/// Where a secret is kept. What stands there instead is never shown.
fn secret(node: &Node, what: &str, origin: Origin<'_>, report: &mut Report) -> Option<SecretSource> {
    let text = node.text(what, report)?;
    match SecretSource::parse(text, origin.folder) {
        Ok(source) => Some(source),
        Err(error) => {
            let diagnostic = Diagnostic::error(origin.source, node.place, format!("{what}: {error}"))
                .with_hint("write \"env:NAME\" or \"file:PATH\"");
            report.push(Diagnostic { concealed: true, ..diagnostic });
            None
        }
    }
}

fn stdio(
    command: &Node,
    environment: Option<&Node>,
    directory: Option<&Node>,
    share: Option<&Node>,
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
    let directory = directory.and_then(|node| node.text("`directory`", report));
    let directory: Option<PathBuf> = directory.map(|path| origin.folder.join(path.as_str()));
    let share = share.and_then(|node| self::share(node, report)).unwrap_or(Share::Run);
    Some(Transport::Stdio { command: parts?, environment, directory, share })
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

fn breaker(node: &Node, report: &mut Report) -> Option<(u32, Duration)> {
    let mut fields = Fields::of(node, "a breaker", report)?;
    let failures = fields.get("failures").and_then(|node| node.whole("`failures`", 1..=1000, report));
    let open_for = fields.get("open_for").and_then(|node| duration(node, "`open_for`", report));
    fields.finish(report);
    let failures = failures.and_then(|count| u32::try_from(count).ok()).unwrap_or(BREAKER_FAILURES_DEFAULT);
    Some((failures, open_for.unwrap_or(BREAKER_OPEN_DEFAULT)))
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

fn mapping<'n>(node: &'n Node, what: &str, report: &mut Report) -> Option<&'n [(Key, Node)]> {
    let members = node.as_mapping();
    if members.is_none() {
        report.error(node.place, format!("{what} must be a mapping, not {}", node.kind()));
    }
    members
}
