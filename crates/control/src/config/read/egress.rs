//! `egress:` of an agent or a tool server: the hosts it may reach.

use ringfence_document::{Node, Report};
use ringfence_kernel::EgressGrants;

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
        } else if grants.iter().any(|grant| **grant == **text) {
            report.warning(element.place, format!("the grant `{shown}` stands here twice"));
        } else {
            remark(element, text, report);
            grants.push(text.to_string());
        }
    }
    grants
}

/// Says what a reader would miss.
fn remark(element: &Node, text: &str, report: &mut Report) {
    let mut words = text.split_ascii_whitespace();
    let host = words.next().unwrap_or_default();
    if words.next().is_some() {
        return;
    }
    if host == "*" || host.starts_with("*:") {
        report.warning(element.place, "`*` lets it reach every public host");
    }
    let name = host.split_once(':').map_or(host, |(name, _)| name);
    let is_below =
        |front: &str| name.strip_suffix(front).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    if let Some(front) = SHARED_FRONTS.into_iter().find(|front| is_below(front)) {
        let message = format!(
            "behind {front} stand hosts of many owners, and a connection that is passed through may reach any of them; write `{host} * /*` \
             to have each request looked at"
        );
        report.warning(element.place, message);
    }
}
