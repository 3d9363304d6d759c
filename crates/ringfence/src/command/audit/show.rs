//! `ringfence audit show`

use clap::Args;
use ringfence_json::{Object, Value};
use ringfence_types::ActionId;

use super::entry_line;
use super::source::{self, Source};
use crate::cli::Global;
use crate::client::Client;
use crate::failure::Failure;
use crate::output::Output;
use crate::show::{json, objects};

/// Show an entry, or everything that belongs to an action: what was asked, decided, approved, and what came of it
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  ringfence audit show act_01kaj3v5zk8q6x2m4n7p9r1s3t\n  ringfence audit show 1042"
)]
pub struct Show {
    /// An entry's number, or an action
    #[arg(value_name = "ID|ACTION")]
    id: String,
}

impl Show {
    pub async fn run(self, global: &Global) -> Result<(), Failure> {
        let output = global.output();
        let found = match (self.id.parse::<u64>(), self.id.parse::<ActionId>()) {
            (Ok(id), _) => one(source::find(global).await?, id).await?,
            (_, Ok(action)) => all(source::find(global).await?, action).await?,
            _ => {
                let shown = crate::safe(&self.id);
                return Err(Failure::usage(format!("`{shown}` is neither an entry's number nor an action"))
                    .hint("`ringfence audit query` shows both"));
            }
        };
        found.iter().try_for_each(|entry| print(output, entry))
    }
}

async fn one(source: Source, id: u64) -> Result<Vec<Object>, Failure> {
    match source {
        Source::Node(client) => Ok(vec![client.get(&format!("/api/v1/audit/entries/{id}")).await?]),
        Source::Folder(books) => {
            let page = books.page(&ringfence_control::audit::Filter::default(), id, 1);
            let page = page.map_err(|error| Failure::no(error.to_string()))?;
            let entry = page.entries.first().filter(|entry| entry.id == id);
            let entry = entry.ok_or_else(|| Failure::no(format!("the log has no entry {id}")))?;
            Ok(vec![
                Object::new().with("entry", entry.object.clone()).with("payloads", books.payloads_of(entry)),
            ])
        }
    }
}

async fn all(source: Source, action: ActionId) -> Result<Vec<Object>, Failure> {
    let found = match source {
        Source::Node(client) => of_node(&client, action).await?,
        Source::Folder(books) => {
            let entries = books.of_action(action).map_err(|error| Failure::no(error.to_string()))?;
            let with_payloads = entries.iter().map(|entry| {
                Object::new().with("entry", entry.object.clone()).with("payloads", books.payloads_of(entry))
            });
            with_payloads.collect()
        }
    };
    if found.is_empty() {
        return Err(Failure::no(format!("the log has no action {action}")));
    }
    Ok(found)
}

async fn of_node(client: &Client, action: ActionId) -> Result<Vec<Object>, Failure> {
    let answer = client.get(&format!("/api/v1/audit/actions/{action}")).await?;
    Ok(objects(&answer, "entries").into_iter().cloned().collect())
}

fn print(output: Output, found: &Object) -> Result<(), Failure> {
    if output.is_json() {
        return output.document(&Value::Object(found.clone()));
    }
    let nothing = Object::new();
    let entry = found.get("entry").and_then(Value::as_object).unwrap_or(&nothing);
    output.line(&entry_line(entry, output.colour()))?;
    for (name, value) in entry.iter().filter(|(name, _)| !is_in_line(name)) {
        output.line(&format!("    {name}: {}", json(value, "    ").trim_start()))?;
    }
    let payloads = found.get("payloads").and_then(Value::as_object).unwrap_or(&nothing);
    for (name, value) in payloads.iter() {
        output.line(&format!("    {} as it was:\n{}", name.replace('_', " "), json(value, "      ")))?;
    }
    Ok(())
}

/// What the line says already.
fn is_in_line(name: &str) -> bool {
    matches!(
        name,
        "id" | "v"
            | "at"
            | "kind"
            | "workspace"
            | "agent"
            | "server"
            | "tool"
            | "model"
            | "action"
            | "payloads"
    )
}
