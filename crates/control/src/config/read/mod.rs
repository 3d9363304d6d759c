//! From nodes with places to a [`Config`]: everything that is wrong is reported, nothing stops at the first mistake.

mod agent;
mod budget;
mod people;
mod policy;
mod server;
mod value;
mod workspace;

use std::path::Path;

use ringfence_document::{Diagnostic, Fields, Node, Report};
use ringfence_types::OrganizationName;

use super::Config;

/// How long a call waits for a person, unless something else is written.
const APPROVAL_WAIT_DEFAULT_SECONDS: u64 = 50;

/// The longest a call may wait for a person: clients and proxies give up on silence long before.
const APPROVAL_WAIT_MAX_SECONDS: u64 = 3600;

/// Where relative paths start, and what the file is called.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Origin<'a> {
    /// The folder of the configuration file.
    pub folder: &'a Path,
    /// The file's name in messages.
    pub source: &'a str,
}

/// Reads the text of a configuration file: what could be read, and everything that is to be said of it. With an error
/// among that, the configuration is only good for finding more.
pub(crate) fn read(text: &str, origin: Origin<'_>) -> (Option<Config>, Vec<Diagnostic>) {
    let root = match ringfence_document::parse(origin.source, text) {
        Ok(root) => root,
        Err(diagnostics) => return (None, diagnostics),
    };
    let mut report = Report::new(origin.source);
    let config = root_mapping(&root, origin, &mut report);
    (config, report.into_diagnostics())
}

fn root_mapping(root: &Node, origin: Origin<'_>, report: &mut Report) -> Option<Config> {
    if root.is_null() {
        report.error_with_hint(root.place, "the file is empty", "`ringfence init` writes a commented one");
        return None;
    }
    let mut fields = Fields::of(root, "the configuration", report)?;
    let organization = fields.require("organization", report);
    let organization =
        organization.and_then(|node| node.parsed("`organization`", OrganizationName::new, report));
    let wait = fields.get("approval_wait");
    let wait = wait
        .and_then(|node| value::duration_within(node, "`approval_wait`", APPROVAL_WAIT_MAX_SECONDS, report));
    let people = fields.get("people").map(|node| people::read(node, report)).unwrap_or_default();
    let workspaces = fields.require("workspaces", report);
    let workspaces = workspaces.map(|node| workspace::read_all(node, origin, report)).unwrap_or_default();
    for key in ["providers", "budget", "budgets", "prices", "vault", "alerts", "telemetry"] {
        fields.later(key, report);
    }
    fields.finish(report);
    let approval_wait = wait.unwrap_or(std::time::Duration::from_secs(APPROVAL_WAIT_DEFAULT_SECONDS));
    Some(Config { organization: organization?, approval_wait, people, workspaces })
}
