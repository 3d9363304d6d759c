//! `run:` of an agent: the program that `ringfence run` starts.

use std::path::PathBuf;

use ringfence_document::{Fields, Node, Report, Scalar};
use ringfence_sandbox::LayerName;
use ringfence_types::Builder;

use super::super::RunConfig;
use super::Origin;
use super::driver::{self, Place};
use super::recipe;
use super::sandbox::{mounts, there};
use super::value::mapping;

/// Reads it.
pub(super) fn read(node: &Node, origin: Origin<'_>, report: &mut Report) -> Option<RunConfig> {
    let mut fields = Fields::of(node, "`run`", report)?;
    let command = fields.require("command", report).and_then(|node| command(node, report));
    let files = fields.get("files").and_then(|node| folder(node, origin, report));
    let environment = fields.get("env").map(|node| environment(node, report)).unwrap_or_default();
    let mounts = fields.get("mounts").map(|node| mounts(node, origin, report)).unwrap_or_default();
    let stdin = fields.get("stdin").is_some_and(|node| stdin(node, report));
    let state = fields.get("state").and_then(|node| state(node, report));
    let require = fields.get("require").map(|node| layers(node, report)).unwrap_or_default();
    let mut recipe = |key: &'static str, builder: Builder| {
        fields.get(key).and_then(|node| recipe::read(node, key, builder, origin, report))
    };
    let recipes = [recipe("python", Builder::Python), recipe("node", Builder::Node)];
    let Place { driver, rootfs } = driver::read(&mut fields, origin, report);
    fields.finish(report);
    let recipes = recipes.into_iter().flatten().collect();
    let (command, place) = (command?, node.place);
    let run = RunConfig {
        command,
        files,
        mounts,
        recipes,
        environment,
        stdin,
        state,
        require,
        driver,
        rootfs,
        place,
    };
    driver::fits(&run, node, report);
    Some(run)
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

fn stdin(node: &Node, report: &mut Report) -> bool {
    let value = node.as_scalar().and_then(Scalar::as_bool);
    if value.is_none() {
        report.error_with_hint(
            node.place,
            "`stdin` must be true or false",
            "write `stdin: true`; what it then reads is named when it is started: `ringfence run AGENT -w WORKSPACE --input FILE`",
        );
    }
    value.unwrap_or(false)
}

/// `state: { size: 256Mi }`: what the agent keeps between runs, in bytes at most.
fn state(node: &Node, report: &mut Report) -> Option<u64> {
    let mut fields = Fields::shaped(node, "`state`", "state: { size: 256Mi }", report)?;
    let bytes = fields.require("size", report).and_then(|node| super::limits::size(node, "`size`", report));
    fields.finish(report);
    bytes
}

/// `require`: layers without which nothing is started.
pub(super) fn layers(node: &Node, report: &mut Report) -> Vec<LayerName> {
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
