//! `ringfence policy explain`

mod host;

use std::path::PathBuf;

use clap::Args;
use ringfence_control::explain::explain;
use ringfence_json::{Object, Value};

use super::files::configuration_or_said;
use crate::cli::Global;
use crate::failure::Failure;
use crate::input::read_object;
use crate::output::{Output, Style, paint};
use crate::show::{add, field, json_line, objects, texts};

/// Say what the policy makes of a call, and why: which rules matched, which did not and on which key
///
/// Asks the node, which knows the tools' definitions; with -c, explains offline from a configuration.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  ringfence policy explain '{\"workspace\":\"main\",\"agent\":\"assistant\",\"server\":\"files\",\"tool\":\"move_file\"}'\n  \
        ringfence policy explain -w main --agent assistant --host api.github.com --method GET --path /repos/x"
)]
pub struct Explain {
    /// The call: JSON, a file, or - for standard input
    #[arg(value_name = "JSON|FILE|-", required_unless_present = "host")]
    call: Option<String>,
    #[command(flatten)]
    host: host::Asked,
    /// Explain offline, from this configuration
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl Explain {
    pub async fn run(self, global: &Global) -> Result<(), Failure> {
        let call = match &self.call {
            Some(call) => read_object(call, "the call")?,
            None => self.host.call()?,
        };
        let answer = match &self.config {
            Some(path) => {
                let compiled = configuration_or_said(path)?;
                explain(&compiled, &[], &call).map_err(|error| Failure::usage(error.to_string()))?
            }
            None => global.client()?.post("/api/v1/policy/explain", call).await?,
        };
        let output = global.output();
        if output.is_json() {
            return output.document(&Value::Object(answer));
        }
        output.text(&render(&answer, output))
    }
}

fn render(answer: &Object, output: Output) -> String {
    let colour = output.colour();
    let decision = field(answer, "decision");
    let style = match decision.as_str() {
        "DENY" => Style::Bad,
        "REQUIRE_APPROVAL" => Style::Warning,
        _ => Style::Good,
    };
    let rule = match field(answer, "rule") {
        none if none.is_empty() => "the default".to_owned(),
        rule => format!("rule `{rule}`"),
    };
    let mut text = String::new();
    if answer.get("granted").and_then(Value::as_bool) == Some(false) {
        let refused = "DENY: it does not hold this, which is refused before any rule. If it did:\n";
        text.push_str(&paint(refused, Style::Bad, colour));
    }
    add(
        &mut text,
        format_args!("{} by {rule}\n  {}\n", paint(&decision, style, colour), field(answer, "reason")),
    );
    for narrowing in objects(answer, "narrowed") {
        let value = |name: &str| narrowing.get(name).map(|value| json_line(value, 80)).unwrap_or_default();
        let (from, to) = (value("from"), value("to"));
        add(
            &mut text,
            format_args!(
                "  {} is narrowed from {from} to {to} by `{}`\n",
                field(narrowing, "pointer"),
                field(narrowing, "rule")
            ),
        );
    }
    if let Some(reached) = answer.get("reached").and_then(Value::as_object) {
        text.push_str(&host::reached(reached));
    }
    text.push_str("rules:\n");
    for rule in objects(answer, "rules") {
        text.push_str(&rule_line(rule, colour));
    }
    text
}

fn rule_line(rule: &Object, colour: bool) -> String {
    let (name, decision) = (field(rule, "rule"), field(rule, "decision"));
    let shadow = if rule.text("mode") == Some("shadow") { " (shadow)" } else { "" };
    let standing = field(rule, "standing");
    if standing == "applies" {
        return paint(&format!("  + {name}: {decision}{shadow}\n"), Style::Good, colour);
    }
    let mut line = format!("  - {name}: {decision}{shadow}, {}", standing.replace('_', " "));
    for mismatch in objects(rule, "mismatches") {
        let got = texts(mismatch, "got");
        add(
            &mut line,
            format_args!("; {} is {got}, not {}", field(mismatch, "key"), texts(mismatch, "wanted")),
        );
    }
    if let Some(message) = rule.text("message") {
        add(&mut line, format_args!(": {}", crate::safe(message)));
    }
    line.push('\n');
    line
}
