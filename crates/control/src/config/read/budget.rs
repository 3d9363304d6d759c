//! `budget:`: of what there is in this version, the number of actions of a run.

use ringfence_document::{Fields, Node, Report};

use super::value::or_off;

/// The most actions a run can be given.
const ACTIONS_MAX: u64 = 1_000_000_000_000;

/// Reads the budget of each run of an agent: how many actions.
pub(super) fn read(node: &Node, report: &mut Report) -> Option<u64> {
    let mut fields = Fields::of(node, "a budget", report)?;
    let actions = fields.get("actions");
    let count = |node: &Node, report: &mut Report| node.whole("`actions`", 1..=ACTIONS_MAX, report);
    let actions = actions.and_then(|node| or_off(node, report, count));
    for later in ["usd", "tokens", "per"] {
        fields.later(later, report);
    }
    fields.finish(report);
    actions.flatten()
}

/// A budget of the whole workspace: nothing of it is in this version.
pub(super) fn refuse_at_workspace(node: &Node, report: &mut Report) {
    report.error_with_hint(
        node.place,
        "the `budget` of a workspace is not in this version",
        "`budget: { actions: N }` of an agent bounds each of its runs",
    );
}
