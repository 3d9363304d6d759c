//! An entry on one line.

use ringfence_json::{Object, Value};

use crate::output::{Style, paint};
use crate::show::{field, moment, tool};

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
            (format!("{status} {}  {}", of("reason"), of("action")), style)
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
        "incident" => (format!("{}: {}", of("event"), of("reason")), Style::Bad),
        "run" => (format!("{} by {}: {}", of("event"), of("by"), of("reason")), Style::Faint),
        "token" => (format!("minted for {} by {}", of("run"), of("by")), Style::Faint),
        _ => (by(String::new(), of("by")).trim().to_owned(), Style::Faint),
    }
}
