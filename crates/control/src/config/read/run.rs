//! `run:` of an agent: the program that `ringfence run` starts.

use std::path::{Component, Path, PathBuf};

use ringfence_document::{Fields, Node, Report};
use ringfence_sandbox::LayerName;

use super::super::{MountConfig, RunConfig};
use super::Origin;
use super::value::mapping;

/// Reads it.
pub(super) fn read(node: &Node, origin: Origin<'_>, report: &mut Report) -> Option<RunConfig> {
    let mut fields = Fields::of(node, "`run`", report)?;
    let command = fields.require("command", report).and_then(|node| command(node, report));
    let files = fields.get("files").and_then(|node| folder(node, origin, report));
    let environment = fields.get("env").map(|node| environment(node, report)).unwrap_or_default();
    let mounts = fields.get("mounts").map(|node| mounts(node, origin, report)).unwrap_or_default();
    let stdin = fields.get("stdin").and_then(|node| node.boolean("`stdin`", report)).unwrap_or(false);
    let require = fields.get("require").map(|node| layers(node, report)).unwrap_or_default();
    for later in ["python", "node", "image", "driver", "state"] {
        fields.later(later, report);
    }
    fields.finish(report);
    Some(RunConfig { command: command?, files, mounts, environment, stdin, require })
}

fn command(node: &Node, report: &mut Report) -> Option<Vec<String>> {
    let parts = node.list("`command`", report)?;
    let texts =
        parts.iter().filter_map(|part| part.text("a part of `command`", report)).map(ToString::to_string);
    let texts: Vec<String> = texts.collect();
    if texts.len() < parts.len() {
        return None;
    }
    if texts.first().is_none_or(String::is_empty) {
        report.error_with_hint(
            node.place,
            "`command` names no program",
            "write `command: [python3, agent.py]`",
        );
        return None;
    }
    Some(texts)
}

/// A folder or file that must be there: what it is through links, because a sandbox shows nothing else than what was named.
fn there(node: &Node, what: &str, origin: Origin<'_>, report: &mut Report) -> Option<PathBuf> {
    let text = node.text(what, report)?;
    let path = origin.folder.join(text.as_str());
    match path.canonicalize() {
        Ok(path) => Some(path),
        Err(error) => {
            report.error(node.place, format!("{what} {} cannot be used: {error}", path.display()));
            None
        }
    }
}

fn folder(node: &Node, origin: Origin<'_>, report: &mut Report) -> Option<PathBuf> {
    let path = there(node, "the folder of `files`", origin, report)?;
    if !path.is_dir() {
        report.error(
            node.place,
            format!("{} is no folder; `files` names the folder with the agent's files", path.display()),
        );
        return None;
    }
    Some(path)
}

fn environment(node: &Node, report: &mut Report) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for (key, value) in mapping(node, "`env`", report).unwrap_or_default() {
        if key.text.is_empty() || key.text.contains(['=', '\0']) {
            report.error(key.place, "no environment variable can be called so");
            continue;
        }
        let Some(text) = value.text("a variable", report) else { continue };
        if text.starts_with("env:") || text.starts_with("file:") {
            report.error_with_hint(
                value.place,
                "a secret cannot stand in an agent's environment: everything it starts could read it",
                "reach what needs the secret through the gateway, which adds it outside of the sandbox",
            );
        } else if text.contains('\0') {
            report.error(value.place, "a variable cannot hold a NUL");
        } else {
            all.push((key.text.to_string(), text.to_string()));
        }
    }
    all
}

fn mounts(node: &Node, origin: Origin<'_>, report: &mut Report) -> Vec<MountConfig> {
    let list = node.list("`mounts`", report).unwrap_or_default();
    list.iter().filter_map(|node| mount(node, origin, report)).collect()
}

fn mount(node: &Node, origin: Origin<'_>, report: &mut Report) -> Option<MountConfig> {
    let mut fields = Fields::of(node, "a mount", report)?;
    let source = fields.require("source", report).and_then(|node| there(node, "the source", origin, report));
    let target = fields.require("target", report).and_then(|node| target(node, report));
    let writable =
        fields.get("writable").and_then(|node| node.boolean("`writable`", report)).unwrap_or(false);
    fields.finish(report);
    Some(MountConfig { source: source?, target: target?, writable, place: node.place })
}

fn target(node: &Node, report: &mut Report) -> Option<PathBuf> {
    let text = node.text("`target`", report)?;
    let path = Path::new(text.as_str());
    let mut parts = path.components();
    let is_absolute = parts.next() == Some(Component::RootDir);
    let names: Vec<Component<'_>> = parts.collect();
    let own =
        names.first().and_then(|first| first.as_os_str().to_str()).is_some_and(|first| OWN.contains(&first));
    if !is_absolute
        || names.is_empty()
        || own
        || !names.iter().all(|part| matches!(part, Component::Normal(_)))
    {
        report.error(
            node.place,
            "`target` is an absolute path inside, without `..`, and not in /proc, /dev, /sys, /etc or /agent",
        );
        return None;
    }
    Some(path.to_owned())
}

/// Folders that a sandbox makes itself.
const OWN: [&str; 5] = ["proc", "dev", "sys", "etc", "agent"];

fn layers(node: &Node, report: &mut Report) -> Vec<LayerName> {
    let names: Vec<&str> = LayerName::ALL.iter().map(|layer| layer.as_str()).collect();
    let mut layers = Vec::new();
    for element in node.one_or_many() {
        let Some(text) = element.text("a layer", report) else { continue };
        if let Some(layer) = LayerName::ALL.iter().find(|layer| layer.as_str() == text.as_str()) {
            layers.push(*layer);
        } else {
            let shown = crate::shown::line(text);
            report.unknown(element.place, format!("there is no layer `{shown}`"), text, &names);
        }
    }
    layers
}
