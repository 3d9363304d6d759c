//! `ringfence runs state`

use clap::{Args, Subcommand};
use ringfence_json::{Object, Value};
use ringfence_types::format_size;

use crate::cli::Global;
use crate::client::with_query;
use crate::failure::Failure;
use crate::fetch::{Target, fetch};
use crate::output::Table;
use crate::show::{field, moment, number, objects, size};

#[derive(Debug, Subcommand)]
pub enum State {
    /// List the versions of what agents keep
    #[command(after_help = "Example:\n  ringfence runs state list -w research --agent assistant")]
    List {
        /// Only this workspace
        #[arg(short, long)]
        workspace: Option<String>,
        /// Only this agent
        #[arg(long)]
        agent: Option<String>,
    },
    /// Make an earlier version the newest: its next run begins with it
    #[command(
        after_help = "Example:\n  ringfence runs state restore -w research --agent assistant --version 3"
    )]
    Restore {
        #[command(flatten)]
        whose: Whose,
        /// Which
        #[arg(long, value_name = "N")]
        version: u64,
    },
    /// Remove what an agent keeps, all versions of it
    #[command(after_help = "Example:\n  ringfence runs state clear -w research --agent assistant")]
    Clear {
        #[command(flatten)]
        whose: Whose,
    },
    /// Write a version out as a tar
    #[command(
        after_help = "Example:\n  ringfence runs state export -w research --agent assistant -o state.tar"
    )]
    Export {
        #[command(flatten)]
        whose: Whose,
        /// Which; the newest unless given
        #[arg(long, value_name = "N")]
        version: Option<u64>,
        /// Where it goes; - is standard output
        #[arg(short, long, value_name = "FILE")]
        output: String,
    },
}

/// Whose it is.
#[derive(Debug, Args)]
pub struct Whose {
    /// Where the agent belongs
    #[arg(short, long)]
    workspace: String,
    /// Which agent
    #[arg(long)]
    agent: String,
}

impl State {
    pub async fn run(self, global: &Global) -> Result<(), Failure> {
        match self {
            Self::List { workspace, agent } => list(global, workspace.as_deref(), agent.as_deref()).await,
            Self::Restore { whose, version } => {
                let answer = change(global, "restore", whose.body().with("version", version)).await?;
                said(global, &answer, |answer| {
                    format!(
                        "version {} is version {} again",
                        number(answer, "version"),
                        number(answer, "from")
                    )
                })
            }
            Self::Clear { whose } => {
                let answer = change(global, "clear", whose.body()).await?;
                said(global, &answer, |answer| {
                    format!("{} versions were removed", number(answer, "versions"))
                })
            }
            Self::Export { whose, version, output } => {
                let version = version.map(|version| version.to_string());
                let query = [
                    ("workspace", Some(whose.workspace.as_str())),
                    ("agent", Some(whose.agent.as_str())),
                    ("version", version.as_deref()),
                ];
                let path = with_query("/api/v1/state/export", &query);
                let bytes = fetch(&global.client()?, &path, None, Target::of(&output)).await?;
                if output == "-" || global.json {
                    return Ok(());
                }
                global.output().line(&format!("{} to {output}", format_size(bytes)))
            }
        }
    }
}

// === impl Whose ===

impl Whose {
    fn body(&self) -> Object {
        Object::new().with("workspace", self.workspace.as_str()).with("agent", self.agent.as_str())
    }
}

async fn change(global: &Global, how: &str, body: Object) -> Result<Object, Failure> {
    global.client()?.post(&format!("/api/v1/state/{how}"), body).await
}

fn said(global: &Global, answer: &Object, text: impl Fn(&Object) -> String) -> Result<(), Failure> {
    let output = global.output();
    if output.is_json() {
        output.document(&Value::Object(answer.clone()))
    } else {
        output.line(&text(answer))
    }
}

async fn list(global: &Global, workspace: Option<&str>, agent: Option<&str>) -> Result<(), Failure> {
    let query = [("workspace", workspace), ("agent", agent)];
    let answer = global.client()?.get(&with_query("/api/v1/state", &query)).await?;
    let states = objects(&answer, "states");
    let output = global.output();
    if output.is_json() {
        return states.into_iter().try_for_each(|state| output.document(&Value::Object(state.clone())));
    }
    let mut table = Table::new(["workspace", "agent", "version", "kept", "size", "of", "held by"]);
    for state in states {
        let (workspace, agent) = (field(state, "workspace"), field(state, "agent"));
        let row = |rest: [String; 5]| {
            let [version, kept, size, of, held_by] = rest;
            [workspace.clone(), agent.clone(), version, kept, size, of, held_by]
        };
        let versions = objects(state, "versions");
        if versions.is_empty() {
            let none = || String::new();
            table.row(row(["-".to_owned(), none(), none(), field(state, "error"), field(state, "held_by")]));
        }
        // The newest first: it is what the next run begins with.
        for (index, version) in versions.iter().rev().enumerate() {
            let of = match number(version, "from") {
                none if none.is_empty() => format!("{} ({})", field(version, "run"), field(version, "why")),
                from => format!("version {from}, restored"),
            };
            let held_by = if index == 0 { field(state, "held_by") } else { String::new() };
            table.row(row([
                number(version, "version"),
                moment(version, "at"),
                size(version, "bytes"),
                of,
                held_by,
            ]));
        }
    }
    output.table(&table, "no agent keeps anything; `run: { state: { size: 256Mi } }` lets one")
}
