//! What a sandbox shows of the machine's files, and that of a tool server: `mounts`, `egress`, `limits`.

use std::path::{Component, Path, PathBuf};

use ringfence_document::{Fields, Key, Node, Report};
use ringfence_types::{Principal, ServerName};

use super::super::{MountConfig, SandboxLimits, ServerSandbox};
use super::{Origin, egress, limits};

/// What is written of a tool server's sandbox.
pub(super) struct Written<'n> {
    pub mounts: Option<&'n Node>,
    pub egress: Option<&'n Node>,
    pub limits: Option<&'n Node>,
}

/// Reads the sandbox of the server with this name; without `mounts` and `egress` it has none.
pub(super) fn read(
    written: &Written<'_>,
    key: &Key,
    origin: Origin<'_>,
    report: &mut Report,
) -> Option<ServerSandbox> {
    if written.mounts.is_none() && written.egress.is_none() {
        if let Some(node) = written.limits {
            report.error_with_hint(
                node.place,
                "`limits` of a server hold in a sandbox, and this one has none",
                "write `mounts` with what it may see, or `egress: []`",
            );
        }
        let message = format!(
            "server `{}` has no sandbox: it sees the machine's files, but for the node's, and its network",
            crate::shown::line(&key.text)
        );
        let hint = "write `mounts: [{ source: …, target: … }]` and `egress: [host]`; `egress: []` alone shows it no files and no hosts";
        report.warning_with_hint(key.place, message, hint);
        return None;
    }
    let has_room = ServerName::new(&key.text).is_ok_and(|name| Principal::server_name(&name).is_ok());
    if !has_room {
        report.error(key.place, "a server in a sandbox needs a shorter name");
    }
    Some(ServerSandbox {
        mounts: written.mounts.map(|node| mounts(node, origin, report)).unwrap_or_default(),
        egress: written.egress.map(|node| egress::read(node, report)).unwrap_or_default(),
        limits: written.limits.map_or_else(SandboxLimits::default, |node| limits::of_server(node, report)),
    })
}

/// What is shown of the machine's files.
pub(super) fn mounts(node: &Node, origin: Origin<'_>, report: &mut Report) -> Vec<MountConfig> {
    let list = node.list("`mounts`", report).unwrap_or_default();
    list.iter().filter_map(|node| mount(node, origin, report)).collect()
}

fn mount(node: &Node, origin: Origin<'_>, report: &mut Report) -> Option<MountConfig> {
    let mut fields = Fields::of(node, "a mount", report)?;
    let source = fields.require("source", report).and_then(|node| there(node, "the source", origin, report));
    let target = fields.require("target", report).and_then(|node| target(node, "`target`", report));
    let writable =
        fields.get("writable").and_then(|node| node.boolean("`writable`", report)).unwrap_or(false);
    fields.finish(report);
    Some(MountConfig { source: source?, target: target?, writable, place: node.place })
}

/// A folder or file that must be there: what it is through links, because a sandbox shows nothing else than what was named.
pub(super) fn there(node: &Node, what: &str, origin: Origin<'_>, report: &mut Report) -> Option<PathBuf> {
    let way_out = "make it, or name another; a path that begins with no / starts at the folder of this file";
    there_or(node, what, way_out, origin, report)
}

/// The same, of something that is made in a way of its own.
pub(super) fn there_or(
    node: &Node,
    what: &str,
    way_out: &str,
    origin: Origin<'_>,
    report: &mut Report,
) -> Option<PathBuf> {
    let text = node.text(what, report)?;
    let path = origin.folder.join(text.as_str());
    match path.canonicalize() {
        Ok(path) => match undoes(&path) {
            None => Some(path),
            Some(why) => {
                let message = format!(
                    "{what} {} cannot be shown in a sandbox: {why}",
                    crate::shown::line(&path.display().to_string())
                );
                report.error_with_hint(node.place, message, "name the folder that is needed, and no more");
                None
            }
        },
        Err(error) => {
            let message = format!("{what} {} cannot be used: {error}", path.display());
            report.error_with_hint(node.place, message, way_out);
            None
        }
    }
}

/// What showing this would undo of a sandbox, whatever it says of its layers.
fn undoes(path: &Path) -> Option<&'static str> {
    let Some(first) = path.components().nth(1) else { return Some("it is all of the machine") };
    match first.as_os_str().to_str() {
        Some("proc") => Some("the processes of the machine are there"),
        Some("sys") => Some("the machine's devices and its kernel are set there"),
        Some("dev") => Some("the machine's devices are there"),
        _ => None,
    }
}

/// A place inside.
pub(super) fn target(node: &Node, what: &str, report: &mut Report) -> Option<PathBuf> {
    let text = node.text(what, report)?;
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
        let message = format!(
            "{what} is an absolute path inside, without `..`, and not in /proc, /dev, /sys, /etc or /agent"
        );
        report.error_with_hint(node.place, message, "write a place of your own, such as /data/papers");
        return None;
    }
    Some(path.to_owned())
}

/// Folders that a sandbox makes itself.
const OWN: [&str; 5] = ["proc", "dev", "sys", "etc", "agent"];
