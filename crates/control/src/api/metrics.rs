//! `/metrics`: Prometheus text exposition format 0.0.4. Counters are since the node's start.

use std::fmt::Write as _;

use ringfence_kernel::{RunView, Status};

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
