//! `/metrics`: Prometheus text exposition format 0.0.4. Counters are since the node's start.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use ringfence_kernel::{Account, BookedBy, Run, RunView, Status, Sum};
use ringfence_types::{AgentName, Budget, Level, Window, WorkspaceName};

/// The metrics of a moment. Only what the kernel counts itself: nothing is estimated.
pub(super) fn render(status: &Status, runs: &[RunView], failed_logins: u64) -> String {
    let mut out = String::new();
    let counts = &status.counts;
    let mut metric = |name: &str, kind: &str, help: &str, samples: &[(String, u64)]| {
        // Writing to a String does not fail.
        let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
        for (labels, value) in samples {
            let _ = writeln!(out, "{name}{labels} {value}");
        }
    };
    let one = |value: u64| [(String::new(), value)];
    let number = |value: usize| u64::try_from(value).unwrap_or(u64::MAX);
    metric("ringfence_actions_cleared_total", "counter", "Actions that were cleared.", &one(counts.cleared));
    metric(
        "ringfence_actions_narrowed_total",
        "counter",
        "Cleared actions whose arguments were narrowed.",
        &one(counts.narrowed),
    );
    metric(
        "ringfence_actions_settled_total",
        "counter",
        "Cleared actions with an outcome.",
        &one(counts.settled),
    );
    metric("ringfence_approvals_requested_total", "counter", "Requests for approval.", &one(counts.pending));
    let mut refused: Vec<_> =
        counts.refused.iter().map(|(code, count)| (format!("{{code=\"{code}\"}}"), *count)).collect();
    refused.sort();
    metric("ringfence_actions_refused_total", "counter", "Actions that were refused, by code.", &refused);
    metric(
        "ringfence_unauthenticated_total",
        "counter",
        "Requests with a token nobody knows.",
        &one(counts.unauthenticated),
    );
    metric(
        "ringfence_operator_logins_failed_total",
        "counter",
        "Requests to the operators' side of nobody who is known.",
        &one(failed_logins),
    );
    metric("ringfence_open_actions", "gauge", "Actions cleared and not settled.", &one(number(status.open)));
    metric("ringfence_runs", "gauge", "Runs whose token can still be used.", &one(number(status.runs)));
    let in_flight = runs.iter().map(|run| u64::from(run.in_flight)).sum();
    metric("ringfence_calls_in_flight", "gauge", "Calls under way at upstreams.", &one(in_flight));
    metric(
        "ringfence_approvals_waiting",
        "gauge",
        "Requests that wait for people.",
        &one(number(status.waiting)),
    );
    metric("ringfence_suspensions", "gauge", "Suspensions in force.", &one(number(status.suspensions)));
    metric(
        "ringfence_breakers_open",
        "gauge",
        "Upstreams left alone for a while.",
        &one(number(status.open_breakers.len())),
    );
    metric("ringfence_log_entries", "gauge", "Entries in the log.", &one(status.entries));
    metric("ringfence_log_durable_entries", "gauge", "Entries that are durable.", &one(status.durable));
    metric(
        "ringfence_admitting",
        "gauge",
        "1 while actions can be admitted.",
        &one(u64::from(status.admitting)),
    );
    out
}

/// What models cost and how full budgets are. Labels are names of the configuration: users, conversations and runs, of
/// which there are any number, stand together, as the fullest of them.
pub(super) fn render_spending(out: &mut String, booked: &BookedBy, fill: &Fill) {
    let booked: BTreeMap<_, _> = booked.iter().collect();
    let (mut usd, mut calls, mut tokens) = (Vec::new(), Vec::new(), Vec::new());
    for ((workspace, agent, model), sum) in booked {
        let labels = format!("workspace=\"{workspace}\",agent=\"{agent}\",model=\"{model}\"");
        usd.push((format!("{{{labels}}}"), sum.usd.to_string()));
        calls.push((format!("{{{labels}}}"), sum.calls.to_string()));
        for (kind, count) in sum.usage.to_object().iter() {
            let count = count.as_u64().unwrap_or_default().to_string();
            tokens.push((format!("{{{labels},kind=\"{kind}\"}}"), count));
        }
    }
    family(out, "ringfence_spend_usd_total", "counter", "US dollars booked for calls of models.", &usd);
    family(
        out,
        "ringfence_model_calls_settled_total",
        "counter",
        "Calls of models that were settled.",
        &calls,
    );
    family(out, "ringfence_tokens_total", "counter", "Tokens booked, by kind.", &tokens);
    let fill: Vec<_> = fill.0.iter().map(|(whose, percent)| (whose.labels(), ratio(*percent))).collect();
    let help =
        "How much of a budget is spent or set aside; of users, conversations and runs, of the fullest.";
    family(out, "ringfence_budget_fill_ratio", "gauge", help, &fill);
}

/// What is set aside for calls under way.
pub(super) fn render_reserved(out: &mut String, reserved: &[(String, String, u64)]) {
    let labelled = |workspace: &String| format!("{{workspace=\"{workspace}\"}}");
    let usd: Vec<_> = reserved.iter().map(|(workspace, usd, _)| (labelled(workspace), usd.clone())).collect();
    let tokens: Vec<_> =
        reserved.iter().map(|(workspace, _, tokens)| (labelled(workspace), tokens.to_string())).collect();
    let help = "US dollars set aside for calls of models under way.";
    family(out, "ringfence_reserved_usd", "gauge", help, &usd);
    family(out, "ringfence_reserved_tokens", "gauge", "Tokens set aside for them.", &tokens);
}

fn family(out: &mut String, name: &str, kind: &str, help: &str, samples: &[(String, String)]) {
    // Writing to a String does not fail.
    let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
    for (labels, value) in samples {
        let _ = writeln!(out, "{name}{labels} {value}");
    }
}

/// Whose budgets stand together.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Whose {
    level: Level,
    workspace: Option<WorkspaceName>,
    agent: Option<AgentName>,
    per: Option<Window>,
}

/// How full budgets are, in percent: of those that stand together, the fullest.
#[derive(Debug, Default)]
pub(super) struct Fill(BTreeMap<Whose, u8>);

impl Fill {
    /// Takes in one budget.
    pub(super) fn count(&mut self, account: &Account, run: Option<&Run>, budget: &Budget, sum: &Sum) {
        let (workspace, agent) = match account {
            Account::Agent(workspace, agent) => (Some(workspace), Some(agent)),
            Account::Workspace(workspace)
            | Account::User(workspace, _)
            | Account::Conversation(workspace, ..) => (Some(workspace), None),
            Account::Run(_) => (run.map(|run| &run.workspace), run.map(|run| &run.agent)),
        };
        let (workspace, agent) = (workspace.cloned(), agent.cloned());
        let whose = Whose { level: account.level(), workspace, agent, per: budget.per };
        let percent = self.0.entry(whose).or_default();
        *percent = sum.percent_of(budget).max(*percent);
    }
}

impl Whose {
    fn labels(&self) -> String {
        let mut labels = format!("level=\"{}\"", self.level);
        // Writing to a String does not fail.
        if let Some(workspace) = &self.workspace {
            let _ = write!(labels, ",workspace=\"{workspace}\"");
        }
        if let Some(agent) = &self.agent {
            let _ = write!(labels, ",agent=\"{agent}\"");
        }
        format!("{{{labels},per=\"{}\"}}", self.per.map_or("lifetime", Window::as_str))
    }
}

/// Percent as a share of one.
fn ratio(percent: u8) -> String {
    format!("{}.{:02}", percent / 100, percent % 100)
}
