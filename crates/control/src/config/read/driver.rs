//! `driver`, `image` and `rootfs` of a run: what keeps it apart from the machine, and what its root is made of.

use ringfence_document::{Fields, Node, Report};
use ringfence_runs::{ImageName, Rootfs};
use ringfence_sandbox::DriverName;

use super::super::RunConfig;
use super::Origin;
use super::sandbox::there;

/// What is written of it.
#[derive(Default)]
pub(super) struct Place {
    pub(super) driver: DriverName,
    pub(super) rootfs: Rootfs,
}

/// Reads it.
pub(super) fn read(fields: &mut Fields<'_>, origin: Origin<'_>, report: &mut Report) -> Place {
    let driver = fields.get("driver").and_then(|node| driver(node, report)).unwrap_or_default();
    let (image, folder) = (fields.get("image"), fields.get("rootfs"));
    let rootfs = match (image, folder) {
        (Some(image), Some(_)) => {
            report.error_with_hint(
                image.place,
                "a root is made of `image` or of `rootfs`, and not of both",
                "leave one out: `rootfs` names a folder of this machine, `image` what a registry has",
            );
            None
        }
        (Some(node), None) => name(node, report).map(Rootfs::Image),
        (None, Some(node)) => folder_of(node, origin, report).map(Rootfs::Folder),
        (None, None) => None,
    };
    if let Some(node) = image.or(folder).filter(|_| !driver.is_oci()) {
        report.error_with_hint(
            node.place,
            format!("`driver: {driver}` shows the machine's programs and libraries, and no other root"),
            "write `driver: runc`, `crun` or `runsc` beside it",
        );
    }
    Place { driver, rootfs: rootfs.unwrap_or_default() }
}

/// Says what a driver cannot give.
pub(super) fn fits(run: &RunConfig, node: &Node, report: &mut Report) {
    if !run.recipes.is_empty() && run.rootfs != Rootfs::Machine {
        report.error_with_hint(
            node.place,
            "`python` and `node` are environments for the machine's interpreters, which another root does not have",
            "install the packages into the image, or leave out `image` and `rootfs`",
        );
    }
    if run.driver.has_mounts() {
        return;
    }
    let mut refuse = |what: &str| {
        report.error_with_hint(
            node.place,
            format!("`driver: {}` mounts nothing: {what}", run.driver),
            "leave it out, or take another driver where the machine gives user namespaces",
        );
    };
    if run.state.is_some() {
        refuse("there is no place for `state`");
    }
    if !run.recipes.is_empty() {
        refuse("environments of packages cannot be put where they are looked for");
    }
    if let Some(mount) = run.mounts.iter().find(|mount| mount.source != mount.target) {
        let (source, target) = (mount.source.display(), mount.target.display());
        refuse(&format!("{source} is seen where it is, and not at {target}"));
    }
}

fn driver(node: &Node, report: &mut Report) -> Option<DriverName> {
    let text = node.text("`driver`", report)?;
    let found = DriverName::ALL.into_iter().find(|driver| driver.as_str() == text.as_str());
    if found.is_none() {
        let shown = crate::shown::line(text);
        let names = DriverName::ALL.map(DriverName::as_str);
        report.unknown(node.place, format!("there is no driver `{shown}`"), text, &names);
    }
    found
}

fn folder_of(node: &Node, origin: Origin<'_>, report: &mut Report) -> Option<std::path::PathBuf> {
    let path = there(node, "the folder of `rootfs`", origin, report)?;
    if !path.is_dir() {
        report.error(node.place, format!("{} is no folder", path.display()));
        return None;
    }
    Some(path)
}

fn name(node: &Node, report: &mut Report) -> Option<ImageName> {
    let text = node.text("`image`", report)?;
    let name = match text.parse::<ImageName>() {
        Ok(name) => name,
        Err(why) => {
            let shown = crate::shown::line(text);
            report.error_with_hint(
                node.place,
                format!("`{shown}` names no image: {why}"),
                "write `registry/name:tag@sha256:…`",
            );
            return None;
        }
    };
    if name.digest().is_none() {
        report.warning_with_hint(
            node.place,
            format!("`{name}` has no digest: what it means when it is first used, it means on this node from then on"),
            "write the digest behind it (`@sha256:…`), so that it means the same everywhere",
        );
    }
    Some(name)
}
