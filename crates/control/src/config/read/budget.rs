//! `budget:` and `budgets:`: what may be used up by a run, and by everything above it.

use ringfence_document::{Fields, Node, Report};
use ringfence_types::{Budget, Money, Window};

use super::super::{BudgetsConfig, RunBudgetConfig};
use super::value::or_off;

/// The most actions a run can be given.
const ACTIONS_MAX: u64 = 1_000_000_000_000;

/// The most tokens a budget can have.
const TOKENS_MAX: u64 = 1_000_000_000_000_000;

/// Budgets as they are written.
const RUN_SHAPE: &str = "{ usd: 10.00, tokens: 2000000 }";
const WINDOW_SHAPE: &str = "{ usd: 20.00, per: day }";
const LEVELS_SHAPE: &str = "{ agent: { usd: 20.00, per: day } }";

/// What each run of an agent may use up, and how many actions it has.
pub(super) fn of_run(node: &Node, report: &mut Report) -> (RunBudgetConfig, Option<u64>) {
    let default = RunBudgetConfig::default();
    let Some(mut fields) = Fields::shaped(node, "a budget", RUN_SHAPE, report) else {
        return (default, None);
    };
    let usd = fields.get("usd").and_then(|node| or_off(node, report, usd));
    let tokens = fields.get("tokens").and_then(|node| or_off(node, report, tokens));
    warn_of_nothing(fields.get("usd"), usd.flatten(), report);
    let count = |node: &Node, report: &mut Report| node.whole("`actions`", 1..=ACTIONS_MAX, report);
    let actions = fields.get("actions").and_then(|node| or_off(node, report, count));
    if let Some(node) = fields.get("per") {
        report.error_with_hint(
            node.place,
            "the budget of a run has no window: it is for the whole run",
            "`budgets: { agent: { usd: …, per: day } }` of the workspace bounds all runs of an agent together",
        );
    }
    fields.finish(report);
    let budget =
        RunBudgetConfig { usd: usd.unwrap_or(default.usd), tokens: tokens.unwrap_or(default.tokens) };
    (budget, actions.flatten())
}

/// One budget, or one for each of several windows.
pub(super) fn windows(node: &Node, report: &mut Report) -> Vec<Budget> {
    let mut budgets: Vec<Budget> = Vec::new();
    for element in node.one_or_many() {
        let Some(budget) = window(element, report) else { continue };
        if budgets.iter().any(|other| other.per == budget.per) {
            let per =
                budget.per.map_or_else(|| "without `per`".into(), |per| format!("per {}", per.as_str()));
            report.error(element.place, format!("a budget {per} stands here twice"));
        } else {
            budgets.push(budget);
        }
    }
    budgets
}

fn window(node: &Node, report: &mut Report) -> Option<Budget> {
    let mut fields = Fields::shaped(node, "a budget", WINDOW_SHAPE, report)?;
    let (usd_node, tokens_node) = (fields.get("usd"), fields.get("tokens"));
    let (usd, tokens) =
        (usd_node.map(|node| usd(node, report)), tokens_node.map(|node| tokens(node, report)));
    warn_of_nothing(usd_node, usd.flatten(), report);
    let per = fields.get("per").map(|node| node.word("`per`", &Window::ALL.map(Window::as_str), report));
    if let Some(node) = fields.get("actions") {
        report.error(
            node.place,
            "`actions` are counted for each run: write them into the `budget` of an agent",
        );
    }
    fields.finish(report);
    if usd.is_none() && tokens.is_none() {
        report.error_with_hint(
            node.place,
            "a budget needs `usd` or `tokens`",
            format!("write `{WINDOW_SHAPE}`"),
        );
        return None;
    }
    // Each is an error, or written, or not.
    Some(Budget {
        usd: usd.map_or(Some(None), |usd| usd.map(Some))?,
        tokens: tokens.map_or(Some(None), |tokens| tokens.map(Some))?,
        per: per.map_or(Some(None), |per| per.map(Some))?,
    })
}

/// `budgets:` of a workspace.
pub(super) fn levels(node: &Node, report: &mut Report) -> BudgetsConfig {
    let Some(mut fields) = Fields::shaped(node, "`budgets`", LEVELS_SHAPE, report) else {
        return BudgetsConfig::default();
    };
    let mut level = |key| fields.get(key).map(|node| windows(node, report)).unwrap_or_default();
    let (agent, user, conversation) = (level("agent"), level("user"), level("conversation"));
    fields.finish(report);
    BudgetsConfig { agent, user, conversation }
}

/// A budget of no money is allowed, and hardly what was meant.
fn warn_of_nothing(node: Option<&Node>, usd: Option<Money>, report: &mut Report) {
    if let Some(node) = node.filter(|_| usd.is_some_and(Money::is_zero)) {
        report.warning_with_hint(
            node.place,
            "a budget of no money: every call of a model that costs anything is refused",
            "write an amount such as 20.00",
        );
    }
}

fn usd(node: &Node, report: &mut Report) -> Option<Money> {
    node.parsed("`usd`", str::parse, report)
}

fn tokens(node: &Node, report: &mut Report) -> Option<u64> {
    node.whole("`tokens`", 1..=TOKENS_MAX, report)
}
