//! `approval:` of a rule.

use ringfence_document::{Fields, Node, Report};
use ringfence_types::{Role, parse_duration};

use crate::limits::{APPROVAL_EXPIRES_MAX, APPROVERS_MAX, QUORUM_MAX};
use crate::rule::ApprovalTerms;

/// Reads the terms; what is not said stands as in [`ApprovalTerms::default`].
pub(crate) fn read_approval(node: &Node, report: &mut Report) -> ApprovalTerms {
    let mut terms = ApprovalTerms::default();
    let Some(mut fields) = Fields::of(node, "`approval`", report) else { return terms };
    if let Some(node) = fields.get("approvers") {
        terms.approvers = read_approvers(node, report);
    }
    if let Some(quorum) = fields.get("quorum").and_then(|node| node.whole("`quorum`", 1..=QUORUM_MAX, report))
    {
        terms.quorum = u32::try_from(quorum).unwrap_or(u32::MAX);
    }
    if let Some(node) = fields.get("expires")
        && let Some(expires) = node.parsed("`expires`", parse_duration, report)
    {
        terms.expires = expires;
        if expires > APPROVAL_EXPIRES_MAX {
            report.error(node.place, "`expires` can be at most 30d");
        }
    }
    fields.finish(report);
    terms
}

fn read_approvers(node: &Node, report: &mut Report) -> Vec<Role> {
    let nodes = node.one_or_many();
    if nodes.is_empty() || nodes.len() > APPROVERS_MAX {
        let hint = "leave `approvers` out if anyone who may approve will do";
        report.error_with_hint(node.place, format!("`approvers` needs 1 to {APPROVERS_MAX} roles"), hint);
        return Vec::new();
    }
    let mut roles: Vec<Role> =
        nodes.iter().filter_map(|node| node.parsed("an approver", Role::new, report)).collect();
    roles.sort_unstable();
    roles.dedup();
    roles
}
