//! An entry on one line.

use ringfence_json::{Object, Value};
use ringfence_types::{Money, Usage};

use crate::output::{Style, paint};
use crate::show::{field, moment, number, tool};

/// When, what kind, whose, on what, and what came of it.
pub fn entry_line(entry: &Object, colour: bool) -> String {
    let kind = field(entry, "kind");
    let whose = [field(entry, "workspace"), field(entry, "agent")];
    let whose = whose.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/");
    let (said, style) = said(entry, &kind);
    let id = entry.get("id").and_then(Value::as_u64).unwrap_or_default();
    let parts = [whose, tool(entry), paint(&said, style, colour)];
    let rest = parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("  ");
    let kind = paint(&format!("{kind:<10}"), Style::Heading, colour);
    format!("{id:>8}  {}  {kind}  {rest}", moment(entry, "at"))
}

/// What an entry says, in the words of its kind.
fn said(entry: &Object, kind: &str) -> (String, Style) {
    let of = |name: &str| field(entry, name);
    let by = |text: String, rule: String| if rule.is_empty() { text } else { format!("{text} by {rule}") };
    match kind {
        "intent" => (format!("{}  {}", by(of("decision"), of("rule")), of("action")), Style::Good),
        "outcome" => {
            let failed = entry.get("is_error").and_then(Value::as_bool) == Some(true);
            let style = match of("status").as_str() {
                "completed" if !failed => Style::Good,
                "completed" => Style::Warning,
                _ => Style::Bad,
            };
            let status = if failed { format!("{} with an error", of("status")) } else { of("status") };
            let cost = cost(entry).map(|cost| format!("{cost} ")).unwrap_or_default();
            (format!("{status} {cost}{}  {}", of("reason"), of("action")), style)
        }
        "refusal" => {
            let count = entry.get("count").and_then(Value::as_u64).filter(|count| *count > 1);
            let times = count.map(|count| format!(" ({count} times)")).unwrap_or_default();
            (format!("{}{times}: {}  {}", by(of("code"), of("rule")), of("reason"), of("action")), Style::Bad)
        }
        "pending" => (format!("waits for approval {}  {}", of("approval"), of("action")), Style::Warning),
        "approval" => (
            format!("{} {} {}", of("approval"), of("answer"), by(String::new(), of("approver"))),
            Style::Warning,
        ),
        "suspension" => {
            let active = entry.get("active").and_then(Value::as_bool) == Some(true);
            let what = if active { "suspended" } else { "lifted" };
            (format!("{what} {} by {}: {}", of("suspension"), of("by"), of("reason")), Style::Warning)
        }
        "pin" => (format!("{} by {}", of("state"), of("by")), Style::Warning),
        "budget" => (budget(entry), Style::Warning),
        "incident" => (format!("{}: {}", of("event"), of("reason")), Style::Bad),
        "run" => (format!("{} by {}: {}", of("event"), of("by"), of("reason")), Style::Faint),
        "token" => (format!("minted for {} by {}", of("run"), of("by")), Style::Faint),
        _ => (by(String::new(), of("by")).trim().to_owned(), Style::Faint),
    }
}

/// What an outcome booked, if it is of a model call.
fn cost(outcome: &Object) -> Option<String> {
    let charge = outcome.get("charge")?.as_object()?;
    let usd = Money::from_nanos(charge.get("usd_nanos")?.as_u64()?);
    let tokens = Usage::from_object(charge.get("usage")?.as_object()?)?.total();
    let known = match charge.text("basis")? {
        "reported" => String::new(),
        other => format!(" ({})", crate::safe(other)),
    };
    Some(format!("${usd} for {tokens} tokens{known}"))
}

/// Whose budget is how full.
fn budget(entry: &Object) -> String {
    let of = |name: &str| field(entry, name);
    let level = of("level");
    let name = match level.as_str() {
        "workspace" => String::new(),
        own => format!(" {}", of(own)),
    };
    let per = match of("per") {
        none if none.is_empty() => String::new(),
        window => format!(" for this {window}"),
    };
    format!("the {level}{name} has used {} % of its budget{per}", number(entry, "percent"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_hosts_and_runs_are_asked_for_says_which() {
        let entry = Object::new().with("id", 7_u64).with("kind", "intent").with("decision", "ALLOW");
        let host = entry.clone().with("host", "api.example.com").with("port", 443_u64);
        assert!(
            entry_line(&host, false).contains("api.example.com:443  ALLOW"),
            "{}",
            entry_line(&host, false)
        );
        let start = entry.with("spawns", "researcher");
        assert!(
            entry_line(&start, false).contains("run of researcher  ALLOW"),
            "{}",
            entry_line(&start, false)
        );
    }

    #[test]
    fn a_model_call_and_a_budget_fit_on_a_line() {
        let usage = Object::new().with("input", 900_u64).with("output", 100_u64);
        let charge =
            Object::new().with("usd_nanos", 1_250_000_u64).with("basis", "counted").with("usage", usage);
        let entry = Object::new().with("id", 7_u64).with("kind", "outcome").with("model", "smart");
        let entry = entry.with("status", "completed").with("action", "act_1").with("charge", charge);
        let line = entry_line(&entry, false);
        assert!(line.contains("model smart  completed $0.00125 for 1000 tokens (counted)"), "{line}");
        let entry = Object::new().with("id", 8_u64).with("kind", "budget").with("level", "agent");
        let entry = entry.with("agent", "mailer").with("workspace", "lab").with("per", "day");
        let line = entry_line(&entry.with("percent", 80_u64), false);
        assert!(line.contains("the agent mailer has used 80 % of its budget for this day"), "{line}");
    }
}
