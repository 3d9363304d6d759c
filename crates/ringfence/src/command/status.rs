//! `ringfence status`

use clap::Args;
use ringfence_json::{Object, Value};

use super::spend::budget_table;
use crate::cli::Global;
use crate::failure::Failure;
use crate::output::{Style, Table, paint};
use crate::show::{self, add, field, number, size, texts};

/// Show the node: workspaces, runs, spend, suspensions, log
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  ringfence status")]
pub struct Status {}

impl Status {
    pub async fn run(global: &Global) -> Result<(), Failure> {
        let status = global.client()?.get("/api/v1/status").await?;
        let output = global.output();
        if output.is_json() {
            return output.document(&Value::Object(status));
        }
        output.text(&render(&status, output.colour()))
    }
}

fn render(status: &Object, colour: bool) -> String {
    let mut lines = Vec::new();
    let is_admitting = status.get("admitting").and_then(Value::as_bool) == Some(true);
    let state = if is_admitting {
        paint("admitting actions", Style::Good, colour)
    } else {
        paint("admitting NO actions", Style::Bad, colour)
    };
    let log = status.get("log").and_then(Value::as_object).cloned().unwrap_or_default();
    let configuration = status.get("configuration").and_then(Value::as_object).cloned().unwrap_or_default();
    lines.push(format!("node {} ({}), {state}", field(status, "node"), field(status, "organization")));
    lines.push(format!("  agents     {}", field(status, "gateway")));
    lines.push(format!("  operators  {}", field(status, "control")));
    lines.push(format!("  since      {}", show::moment(status, "started_at")));
    lines.push(format!(
        "  config     {}, in force since {}",
        field(&configuration, "file"),
        show::moment(&configuration, "since")
    ));
    lines.push(format!(
        "  log        {} entries, {} of them durable",
        number(&log, "entries"),
        number(&log, "durable")
    ));
    lines.push(format!("  log key    {}", field(&log, "key")));
    lines.push(format!(
        "  now        {} runs, {} open actions, {} waiting for approval",
        number(status, "runs"),
        number(status, "open_actions"),
        number(status, "waiting_approvals")
    ));
    if let Some(kept) = status.get("kept_output").and_then(Value::as_object) {
        lines.push(format!(
            "  kept       {} of what runs wrote and left; beyond {} the oldest goes",
            size(kept, "bytes"),
            size(kept, "bytes_max")
        ));
    }
    if let Some(refused) = status.get("refused_configuration").and_then(Value::as_object) {
        let what = format!("a changed configuration was refused at {}", show::moment(refused, "at"));
        lines.push(paint(&what, Style::Bad, colour));
        let cause = field(refused, "cause");
        // What it begins with has just been said.
        let cause = cause.strip_prefix("the configuration was refused: ").unwrap_or(&cause);
        lines.push(format!("  {cause}"));
        lines.push("  the old one stays in force; `ringfence check` shows every line".to_owned());
    }
    for breaker in show::objects(status, "open_breakers") {
        let what = format!(
            "{}/{} has failed too often and is left alone for a while",
            field(breaker, "workspace"),
            breaker.text("server").or_else(|| breaker.text("model")).unwrap_or_default()
        );
        lines.push(paint(&what, Style::Warning, colour));
    }
    let layers = show::objects(status, "missing_layers");
    if !layers.is_empty() {
        let what = format!(
            "{} layers of isolation are missing on this machine; see `ringfence doctor`",
            layers.len()
        );
        lines.push(paint(&what, Style::Warning, colour));
    }
    let mut text = lines.join("\n");
    text.push_str("\n\n");
    text.push_str(&workspaces(status).render(colour));
    let full = show::objects(status, "full_budgets");
    if !full.is_empty() {
        text.push_str("\nbudgets that are nearly used up:\n");
        text.push_str(&budget_table(&full).render(colour));
    }
    let suspensions = show::objects(status, "suspensions");
    if !suspensions.is_empty() {
        text.push_str("\nsuspended:\n");
        for suspension in suspensions {
            let (id, covers) = (field(suspension, "id"), field(suspension, "covers"));
            add(&mut text, format_args!("  {id}  {covers}: {}\n", field(suspension, "reason")));
        }
    }
    text
}

fn workspaces(status: &Object) -> Table {
    let mut table = Table::new([
        "workspace",
        "environment",
        "agents",
        "servers",
        "models",
        "tools",
        "to approve",
        "usd today",
        "reserved",
    ]);
    for workspace in show::objects(status, "workspaces") {
        let today = workspace.get("spent_today").and_then(Value::as_object);
        let reserved = today.and_then(|spent| spent.get("reserved")?.as_object());
        table.row([
            field(workspace, "workspace"),
            field(workspace, "environment"),
            texts(workspace, "agents"),
            texts(workspace, "servers"),
            texts(workspace, "models"),
            number(workspace, "tools"),
            number(workspace, "tools_to_approve"),
            today.map(|spent| field(spent, "usd")).unwrap_or_default(),
            reserved.map(|reserved| field(reserved, "usd")).unwrap_or_default(),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_configuration_is_told_with_its_first_error_and_the_way_out() {
        let cause = "the configuration was refused: ringfence.yaml:7:9: error: unknown key `x`; and 2 more";
        let refused = Object::new().with("at", "2026-11-21T10:00:00.000000Z").with("cause", cause);
        let text = render(&Object::new().with("refused_configuration", refused), false);
        let lines: Vec<&str> =
            text.lines().skip_while(|line| !line.contains("was refused at")).take(3).collect();
        let [first, second, third] = lines[..] else { panic!("{text}") };
        assert!(first.starts_with("a changed configuration was refused at 2026-11-21"), "{first}");
        assert_eq!(second, "  ringfence.yaml:7:9: error: unknown key `x`; and 2 more");
        assert!(third.contains("`ringfence check`"), "{third}");
    }
}
