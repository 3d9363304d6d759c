//! `environments:` of the whole file: where packages come from, and how their environments are built and kept.

use ringfence_document::{Fields, Node, Report};
use ringfence_kernel::EgressGrants;

use super::super::{EnvironmentsConfig, IndexConfig};
use super::value::{duration, duration_within};
use super::{egress, endpoint, limits};

/// The longest that building one may take, in seconds.
const TIMEOUT_MAX_SECONDS: u64 = 6 * 3_600;

/// Reads it.
pub(super) fn read(node: &Node, report: &mut Report) -> EnvironmentsConfig {
    let default = EnvironmentsConfig::default();
    let Some(mut fields) = Fields::of(node, "`environments`", report) else { return default };
    let python = fields.get("python").and_then(|node| index(node, "`python`", &default.python, report));
    let on_node = fields.get("node").and_then(|node| index(node, "`node`", &default.node, report));
    let size = fields.get("size").and_then(|node| limits::size(node, "`size`", report));
    let timeout = fields.get("timeout");
    let timeout = timeout.and_then(|node| duration_within(node, "`timeout`", TIMEOUT_MAX_SECONDS, report));
    let kept = fields.get("kept").and_then(|node| duration(node, "`kept`", report));
    fields.finish(report);
    EnvironmentsConfig {
        python: python.unwrap_or(default.python),
        node: on_node.unwrap_or(default.node),
        size: size.unwrap_or(default.size),
        timeout: timeout.unwrap_or(default.timeout),
        kept: kept.unwrap_or(default.kept),
    }
}

/// An index, and the hosts beside its own where it has packages fetched from.
fn index(node: &Node, what: &'static str, default: &IndexConfig, report: &mut Report) -> Option<IndexConfig> {
    let mut fields = Fields::of(node, what, report)?;
    let url = fields.get("index");
    let hosts = fields.get("hosts").map(|node| egress::read(node, report)).unwrap_or_default();
    fields.finish(report);
    let Some(node) = url else {
        return Some(IndexConfig {
            url: default.url.clone(),
            hosts: [default.hosts.clone(), hosts].concat(),
        });
    };
    let url = endpoint::url(node, "`index`", report)?;
    if url.is_exposed() {
        report.warning_with_hint(
            node.place,
            "what is asked of that index can be read on the way",
            "use https; what it gives is held against the hashes all the same",
        );
    }
    let uri = url.uri();
    let port = uri.port_u16().unwrap_or(if uri.scheme_str() == Some("http") { 80 } else { 443 });
    let own = format!("{}:{port}", uri.host().unwrap_or_default());
    if let Err(error) = EgressGrants::parse([own.as_str()]) {
        report.error(node.place, format!("`index` names a host that cannot be reached: {error}"));
        return None;
    }
    let text = url.to_string();
    Some(IndexConfig { url: text.trim_end_matches('/').to_owned(), hosts: [vec![own], hosts].concat() })
}
