//! From nodes with places to a [`Config`]: everything that is wrong is reported, nothing stops at the first mistake.

mod agent;
mod budget;
mod cache;
mod driver;
mod egress;
mod endpoint;
mod environments;
mod limits;
mod model;
mod outside;
mod people;
mod policy;
mod price;
mod prices;
mod provider;
mod recipe;
mod remark;
mod route;
mod run;
mod sandbox;
mod server;
mod value;
mod workspace;

use std::path::Path;

use ringfence_document::{Diagnostic, Fields, Node, Report};
use ringfence_types::OrganizationName;

use super::load::SourceText;
use super::{Config, OutsideConfig, PricesFile};

/// How long a call waits for a person, unless something else is written.
const APPROVAL_WAIT_DEFAULT_SECONDS: u64 = 50;

/// The longest a call may wait for a person: clients and proxies give up on silence long before.
const APPROVAL_WAIT_MAX_SECONDS: u64 = 3600;

/// Where relative paths start, what the file is called, and what is known besides it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Origin<'a> {
    /// The folder of the configuration file.
    pub folder: &'a Path,
    /// The file's name in messages.
    pub source: &'a str,
    /// The day, as `2026-11-21`.
    pub today: &'a str,
    /// What the files of `prices:` say.
    pub prices: &'a [PricesFile],
}

/// What was made of a configuration file.
#[derive(Default)]
pub(crate) struct Reading {
    /// What could be read. With an error among the diagnostics it is only good for finding more.
    pub config: Option<Config>,
    /// Everything that is to be said of it.
    pub diagnostics: Vec<Diagnostic>,
    /// The files with prices and with authorities that it names.
    pub texts: Vec<SourceText>,
}

/// Reads the text of a configuration file, and the files with prices and with authorities that it names.
pub(crate) fn read(text: &str, origin: Origin<'_>) -> Reading {
    let root = match ringfence_document::parse(origin.source, text) {
        Ok(root) => root,
        Err(diagnostics) => return Reading { diagnostics, ..Reading::default() },
    };
    let mut report = Report::new(origin.source);
    let prices = root.get("prices").map(|node| prices::read_all(node, origin, &mut report));
    let mut prices = prices.unwrap_or_default();
    let outside = root.get("egress").map(|node| outside::read(node, origin, &mut report));
    let outside = outside.unwrap_or_default();
    let config = root_mapping(&root, Origin { prices: &prices.files, ..origin }, &mut report);
    let config = config.map(|config| Config { prices: prices.files, egress: outside.config, ..config });
    let mut diagnostics = report.into_diagnostics();
    diagnostics.append(&mut prices.diagnostics);
    Reading { config, diagnostics, texts: [prices.texts, outside.texts].concat() }
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
    fields.get("prices");
    fields.get("egress");
    let cache = fields.get("cache").map(|node| cache::read(node, report)).unwrap_or_default();
    let environments = fields.get("environments").map(|node| environments::read(node, report));
    let environments = environments.unwrap_or_default();
    for key in ["providers", "budget", "budgets", "vault", "alerts", "telemetry"] {
        fields.later(key, report);
    }
    fields.finish(report);
    let approval_wait = wait.unwrap_or(std::time::Duration::from_secs(APPROVAL_WAIT_DEFAULT_SECONDS));
    Some(Config {
        organization: organization?,
        approval_wait,
        people,
        workspaces,
        prices: Vec::new(),
        cache,
        environments,
        egress: OutsideConfig::default(),
    })
}
