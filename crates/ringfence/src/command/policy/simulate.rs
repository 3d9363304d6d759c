//! `ringfence policy simulate`

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use ringfence_control::audit::Filter;
use ringfence_control::{Compiled, explain};
use ringfence_json::{Object, Value};

use super::files::configuration_or_said;
use crate::cli::Global;
use crate::command::audit::find;
use crate::command::check::CONFIGURATION;
use crate::failure::Failure;
use crate::output::{Output, Progress, Style, Table, paint};
use crate::show::{field, tool};

/// Differences that are shown one by one.
const SHOWN_MAX: usize = 50;

/// Replay recorded traffic against another configuration, and say what would change
///
/// Reads the intents and refusals of the log with their arguments. Limits, approvals and suspensions are not
/// replayed: only what the rules decide.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  ringfence policy simulate -c new/ringfence.yaml --since 7d")]
pub struct Simulate {
    /// The configuration with the other policy
    #[arg(short, long, value_name = "FILE", default_value = CONFIGURATION)]
    config: PathBuf,
    /// Only traffic not before: RFC 3339, or so long ago, such as 7d
    #[arg(long, value_name = "MOMENT")]
    since: Option<String>,
    /// Only this workspace
    #[arg(short, long)]
    workspace: Option<String>,
}

/// What a replay found.
#[derive(Debug, Default)]
struct Found {
    replayed: u64,
    /// Without arguments, or of a workspace, agent or server that is no longer there: by reason.
    skipped: BTreeMap<String, u64>,
    /// Recorded and simulated decision, with how often.
    changed: BTreeMap<(String, String), u64>,
    examples: Vec<Object>,
}

impl Simulate {
    pub async fn run(self, global: &Global) -> Result<(), Failure> {
        let compiled = configuration_or_said(&self.config)?;
        let mut filter = Filter::default();
        let since = self.since.as_deref().map(crate::command::audit::moment);
        for (name, text) in [
            ("since", since.as_deref()),
            ("workspace", self.workspace.as_deref()),
            ("kind", Some("intent,refusal")),
        ] {
            if let Some(text) = text {
                filter.set(name, text).map_err(|error| Failure::usage(error.to_string()))?;
            }
        }
        let source = find(global).await?;
        let mut found = Found::default();
        let progress = Progress::new("replaying", source.size().await, Arc::default());
        source
            .each_with_payloads(&filter, &progress, |entry, payloads| {
                replay(&compiled, entry, payloads, &mut found);
                Ok(())
            })
            .await?;
        drop(progress);
        let output = global.output();
        if output.is_json() { output.document(&document(&found)) } else { print(output, &found) }
    }
}

fn replay(compiled: &Compiled, entry: &Object, payloads: &Object, found: &mut Found) {
    let mut skip = |why: &str| *found.skipped.entry(why.to_owned()).or_default() += 1;
    let recorded = match (entry.text("kind"), entry.text("code")) {
        // Refused before or beside the rules: nothing they decided is recorded.
        (Some("refusal"), Some(code)) if code != "denied_by_policy" && !code.starts_with("approval_") => {
            return skip(&format!("refused by {code}, not by a rule"));
        }
        _ => entry.text("decision").unwrap_or_default().to_owned(),
    };
    let Some(arguments) = payloads.get("arguments") else { return skip("its arguments are no longer kept") };
    let call = ["workspace", "agent", "user", "server", "tool", "model", "operation", "spawns", "host"]
        .into_iter()
        .fold(Object::new(), |call, name| call.with_some(name, entry.get(name).cloned()));
    // As the definition of that time hinted; what the other configuration says of the tool counts before it.
    let hinted = entry.get("facts").and_then(|facts| facts.get("action_type")).cloned();
    let call = call.with_some("action_type", hinted).with("arguments", arguments.clone());
    let decided = explain::replayed_arguments(compiled, &call)
        .and_then(|arguments| explain::decide(compiled, &[], &call.with("arguments", arguments)));
    match decided {
        Err(error) => skip(&error.to_string()),
        Ok(verdict) => {
            found.replayed += 1;
            let simulated = verdict.decision.to_string();
            if simulated != recorded {
                *found.changed.entry((recorded.clone(), simulated.clone())).or_default() += 1;
                if found.examples.len() < SHOWN_MAX {
                    found.examples.push(example(
                        entry,
                        &recorded,
                        &simulated,
                        verdict.rule.as_ref().map(AsRef::as_ref),
                    ));
                }
            }
        }
    }
}

fn example(entry: &Object, recorded: &str, simulated: &str, rule: Option<&str>) -> Object {
    ["action", "workspace", "agent", "server", "tool", "model", "spawns", "host", "port"]
        .into_iter()
        .fold(Object::new(), |object, name| object.with_some(name, entry.get(name).cloned()))
        .with("recorded", recorded)
        .with("simulated", simulated)
        .with_some("rule", rule)
}

fn document(found: &Found) -> Value {
    let changed = found.changed.iter().map(|((recorded, simulated), count)| {
        Object::new()
            .with("recorded", recorded.as_str())
            .with("simulated", simulated.as_str())
            .with("count", *count)
    });
    let skipped = found
        .skipped
        .iter()
        .map(|(why, count)| Object::new().with("why", why.as_str()).with("count", *count));
    Object::new()
        .with("replayed", found.replayed)
        .with("changed", changed.collect::<Vec<_>>())
        .with("skipped", skipped.collect::<Vec<_>>())
        .with("examples", found.examples.clone())
        .into()
}

fn print(output: Output, found: &Found) -> Result<(), Failure> {
    let total: u64 = found.changed.values().sum();
    output.line(&format!("{} calls replayed, {total} would be decided otherwise", found.replayed))?;
    for ((recorded, simulated), count) in &found.changed {
        let wider = rank(simulated) < rank(recorded);
        let (word, style) = if wider { ("wider", Style::Bad) } else { ("narrower", Style::Good) };
        let line = format!("  {count:>8}  {recorded} becomes {simulated}  ({word})");
        output.line(&paint(&line, style, output.colour()))?;
    }
    let mut table = Table::new(["action", "agent", "on", "recorded", "simulated", "rule"]);
    for example in &found.examples {
        let agent = format!("{}/{}", field(example, "workspace"), field(example, "agent"));
        table.row([
            field(example, "action"),
            agent,
            tool(example),
            field(example, "recorded"),
            field(example, "simulated"),
            field(example, "rule"),
        ]);
    }
    if !table.is_empty() {
        output.text(&format!("\n{}", table.render(output.colour())))?;
    }
    for (why, count) in &found.skipped {
        output.line(&format!("{count} not replayed: {}", crate::safe(why)))?;
    }
    Ok(())
}

/// How strict a decision is.
fn rank(decision: &str) -> usize {
    let order = ["ALLOW", "ALLOW_WITH_CONSTRAINTS", "REQUIRE_APPROVAL", "DENY"];
    order.iter().position(|known| *known == decision).unwrap_or(order.len())
}
