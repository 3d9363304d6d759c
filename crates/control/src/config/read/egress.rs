//! `egress:` of an agent or a tool server: the hosts it may reach.

use ringfence_document::{Node, Report};
use ringfence_gateway::{Lead, LeadAddressError};
use ringfence_kernel::{EgressGrant, EgressGrants};

/// Names under which many customers of one network are served: a connection that is passed through may reach any of
/// them, whatever name it was opened for.
const SHARED_FRONTS: [&str; 8] = [
    "akamaized.net",
    "azureedge.net",
    "azurefd.net",
    "b-cdn.net",
    "cloudfront.net",
    "edgekey.net",
    "fastly.net",
    "fastlylb.net",
];

/// Reads grants of hosts, each by itself so that every mistake is told.
pub(super) fn read(node: &Node, report: &mut Report) -> Vec<String> {
    let mut grants: Vec<String> = Vec::new();
    for element in node.list("`egress`", report).unwrap_or_default() {
        let Some(text) = element.text("a host", report) else { continue };
        let shown = crate::shown::line(text);
        if let Err(error) = EgressGrants::parse([&**text]) {
            report.error(element.place, format!("`{shown}` is no grant of a host: {error}"));
        } else if let Some(error) = off_limits(text) {
            report.error(element.place, format!("`{shown}` cannot be granted: {error}"));
        } else if grants.iter().any(|grant| **grant == **text) {
            report.warning(element.place, format!("the grant `{shown}` stands here twice"));
        } else {
            remark(element, text, report);
            grants.push(text.to_string());
        }
    }
    grants
}

/// Why nobody reaches the address that a grant names, if that is so.
fn off_limits(text: &str) -> Option<LeadAddressError> {
    let grants = EgressGrants::parse([text]).ok()?;
    let addresses = grants.each().map(|grant| Lead::address(grant.hosts().trim_matches(['[', ']'])));
    addresses.filter_map(Result::err).find(|error| *error == LeadAddressError::OffLimits)
}

/// Says what a reader would miss.
fn remark(element: &Node, text: &str, report: &mut Report) {
    let Ok(grants) = EgressGrants::parse([text]) else { return };
    for (message, hint) in grants.each().filter_map(remark_on) {
        report.warning_with_hint(element.place, message, hint);
    }
}

/// Of what is passed through only the name is seen; behind one address there can stand hosts that nobody named.
fn remark_on(grant: EgressGrant<'_>) -> Option<(String, String)> {
    if grant.methods().is_some() {
        return None;
    }
    let hosts = grant.hosts();
    let name = hosts.strip_prefix("*.").unwrap_or(&hosts);
    let is_below =
        |front: &str| name.strip_suffix(front).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    let fronting =
        "a connection that is passed through may reach any of them, whatever name it was opened for";
    let message = if hosts == "*" {
        "`*` lets it reach every public host, and those that rules refuse too where they share an address (a CDN) with one \
         that they allow: of a connection that is passed through only the name is seen"
            .to_owned()
    } else if let Some(front) = SHARED_FRONTS.into_iter().find(|front| is_below(front)) {
        format!("behind {front} stand hosts of many owners, and {fronting}")
    } else if grant.is_pattern() {
        format!(
            "where a name below {name} is served by a CDN, hosts of others stand behind its address, and {fronting}"
        )
    } else {
        return None;
    };
    let port = grant.port().map(|port| format!(":{port}")).unwrap_or_default();
    Some((message, format!("write `{hosts}{port} * /*` to have each request looked at")))
}
