//! `ringfence runs`

mod layers;

use clap::{Args, Subcommand};
use ringfence_json::{Object, Value};
use ringfence_types::RunId;

use super::audit::{entry_line, follow};
use super::spend::budget_table;
use crate::cli::Global;
use crate::client::with_query;
use crate::failure::Failure;
use crate::output::Table;
use crate::show::{add, field, moment, number, objects};

/// List, show, pause and stop runs; their logs, artifacts and state
#[derive(Debug, Args)]
#[command(arg_required_else_help = true)]
pub struct Runs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the runs, newest first
    #[command(after_help = "Example:\n  ringfence runs list -w research --agent assistant")]
    List {
        /// Only this workspace
        #[arg(short, long)]
        workspace: Option<String>,
        /// Only this agent
        #[arg(long)]
        agent: Option<String>,
        /// At most so many
        #[arg(long, default_value_t = 100)]
        limit: u32,
    },
    /// Show one run
    #[command(after_help = "Example:\n  ringfence runs show run_01kaj3v5zk8q6x2m4n7p9r1s3t")]
    Show {
        /// Which
        run: RunId,
    },
    /// Show what a run wrote, or, with --actions or where it runs elsewhere, what it did
    #[command(after_help = "Examples:\n  ringfence runs logs run_01kaj3v5zk8q6x2m4n7p9r1s3t --follow\n  \
        ringfence runs logs run_01kaj3v5zk8q6x2m4n7p9r1s3t --actions")]
    Logs {
        /// Which
        run: RunId,
        /// Go on as more happens
        #[arg(short, long)]
        follow: bool,
        /// What it did, from the log, instead of what it wrote
        #[arg(long, conflicts_with = "grep")]
        actions: bool,
        /// Only lines with this text in them
        #[arg(long, value_name = "TEXT")]
        grep: Option<String>,
    },
    /// Ask a run to end: SIGTERM, and after 5 seconds everything in its sandbox is killed. One that runs elsewhere is cut off
    #[command(
        after_help = "Example:\n  ringfence runs stop run_01kaj3v5zk8q6x2m4n7p9r1s3t --reason 'not needed any more'"
    )]
    Stop {
        /// Which
        run: RunId,
        /// Why; the log keeps it, and the agent is told
        #[arg(long)]
        reason: Option<String>,
    },
    /// Hold every process of a run
    #[command(
        after_help = "Example:\n  ringfence runs pause run_01kaj3v5zk8q6x2m4n7p9r1s3t --reason 'to look at it'"
    )]
    Pause {
        /// Which
        run: RunId,
        /// Why; the log keeps it
        #[arg(long)]
        reason: Option<String>,
    },
    Artifacts(super::artifacts::Artifacts),
    /// What agents keep from one run to the next in /agent/state
    #[command(subcommand, arg_required_else_help = true)]
    State(super::state::State),
    /// Let a paused run go on
    #[command(after_help = "Example:\n  ringfence runs resume run_01kaj3v5zk8q6x2m4n7p9r1s3t")]
    Resume {
        /// Which
        run: RunId,
    },
}

impl Runs {
    pub async fn run(self, global: &Global) -> Result<(), Failure> {
        match self.command {
            Command::List { workspace, agent, limit } => list(global, workspace, agent, limit).await,
            Command::Show { run } => show(global, run).await,
            Command::Logs { run, follow, actions, grep } => {
                let known = global.client()?.get(&format!("/api/v1/runs/{run}")).await;
                // One that is no longer listed may have left what it wrote.
                let elsewhere = known.is_ok_and(|view| !view.contains("started_here"));
                if actions || elsewhere {
                    logs(global, run, follow).await
                } else {
                    wrote(global, run, follow, grep).await
                }
            }
            Command::Stop { run, reason } => end(global, run, "stop", reason).await,
            Command::Pause { run, reason } => end(global, run, "pause", reason).await,
            Command::Artifacts(artifacts) => artifacts.run(global).await,
            Command::State(state) => state.run(global).await,
            Command::Resume { run } => end(global, run, "resume", None).await,
        }
    }
}

async fn list(
    global: &Global,
    workspace: Option<String>,
    agent: Option<String>,
    limit: u32,
) -> Result<(), Failure> {
    let limit = limit.to_string();
    let query =
        [("workspace", workspace.as_deref()), ("agent", agent.as_deref()), ("limit", Some(limit.as_str()))];
    let answer = global.client()?.get(&with_query("/api/v1/runs", &query)).await?;
    let output = global.output();
    if output.is_json() {
        return objects(&answer, "runs")
            .into_iter()
            .try_for_each(|run| output.document(&Value::Object(run.clone())));
    }
    let mut table = Table::new([
        "run",
        "workspace",
        "agent",
        "user",
        "state",
        "actions",
        "in flight",
        "minted",
        "parent",
    ]);
    for run in objects(&answer, "runs") {
        table.row([
            field(run, "run"),
            field(run, "workspace"),
            field(run, "agent"),
            field(run, "user"),
            field(run, "state"),
            number(run, "actions"),
            number(run, "in_flight"),
            moment(run, "minted_at"),
            field(run, "parent"),
        ]);
    }
    output.table(&table, "no runs; `ringfence run AGENT -w WORKSPACE` starts one, `ringfence token mint` lets one in that runs elsewhere")?;
    if answer.get("more").and_then(Value::as_bool) == Some(true) {
        output.line("there are more; see --limit")?;
    }
    Ok(())
}

async fn show(global: &Global, run: RunId) -> Result<(), Failure> {
    let answer = global.client()?.get(&format!("/api/v1/runs/{run}")).await?;
    let output = global.output();
    if output.is_json() {
        return output.document(&Value::Object(answer));
    }
    output.text(&spent(&answer))
}

/// The run, what it spent, and what is left of the budgets that bound it.
fn spent(answer: &Object) -> String {
    let mut answer = answer.clone();
    let (spent, budgets) = (answer.remove("spent"), answer.remove("budgets"));
    let layers = answer.remove("layers");
    let mut text = members(&answer);
    text.push_str(&layers.as_ref().and_then(Value::as_object).map(layers::shown).unwrap_or_default());
    if let Some(spent) = spent.as_ref().and_then(Value::as_object) {
        let line = format!("{} dollars, {} tokens", field(spent, "usd"), number(spent, "tokens"));
        add(&mut text, format_args!("{:<14}{line} in {} model calls\n", "spent", number(spent, "calls")));
        let reserved = spent.get("reserved").and_then(Value::as_object);
        if let Some(reserved) = reserved.filter(|reserved| field(reserved, "usd") != "0.00") {
            add(
                &mut text,
                format_args!("{:<14}{} dollars for calls under way\n", "set aside", field(reserved, "usd")),
            );
        }
    }
    let budgets: Vec<&Object> = budgets
        .as_ref()
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_object)
        .collect();
    if !budgets.is_empty() {
        text.push('\n');
        text.push_str(&budget_table(&budgets).render(false));
    }
    text
}

/// One member a line.
fn members(answer: &Object) -> String {
    let width = answer.iter().map(|(name, _)| name.len() + 1).max().unwrap_or_default().max(14);
    let lines = answer.iter().map(|(name, value)| {
        let shown = match value {
            Value::String(_) if name.ends_with("_at") || name == "first_used" => moment(answer, name),
            Value::String(_) => field(answer, name),
            other => crate::show::json_line(other, 500),
        };
        format!("{:<width$}{shown}\n", name.replace('_', " "))
    });
    lines.collect()
}

async fn logs(global: &Global, run: RunId, follow_on: bool) -> Result<(), Failure> {
    let id = run.to_string();
    if follow_on {
        return follow(global, &[("run", Some(id.as_str())), ("from", Some("0"))]).await;
    }
    let (client, output) = (global.client()?, global.output());
    // A run nobody knows is an error, and not an empty log.
    client.get(&format!("/api/v1/runs/{run}")).await?;
    let mut from = Some(0);
    while let Some(at) = from {
        let at = at.to_string();
        let query = [("run", Some(id.as_str())), ("from", Some(at.as_str()))];
        let page = client.get(&with_query("/api/v1/audit/entries", &query)).await?;
        for entry in objects(&page, "entries") {
            if output.is_json() {
                output.document(&Value::Object(entry.clone()))?;
            } else {
                output.line(&entry_line(entry, output.colour()))?;
            }
        }
        from = page.get("next").and_then(Value::as_u64);
    }
    Ok(())
}

/// Prints what a run wrote.
async fn wrote(global: &Global, run: RunId, follow_on: bool, grep: Option<String>) -> Result<(), Failure> {
    let path = output_path(&run.to_string(), follow_on, grep.as_deref());
    let mut lines = global.client()?.lines(&path).await?;
    let is_json = global.output().is_json();
    while let Some(line) = lines.next().await? {
        super::run::print(&line, is_json)?;
    }
    Ok(())
}

/// Where a run's output is asked for.
pub(super) fn output_path(run: &str, follow: bool, contains: Option<&str>) -> String {
    let follow = follow.then_some("true");
    with_query(&format!("/api/v1/runs/{run}/output"), &[("follow", follow), ("contains", contains)])
}

/// Takes a run a step towards its end, or back.
pub(super) async fn end(
    global: &Global,
    run: RunId,
    how: &str,
    reason: Option<String>,
) -> Result<(), Failure> {
    let body = Object::new().with_some("reason", reason);
    let answer = global.client()?.post(&format!("/api/v1/runs/{run}/{how}"), body).await?;
    let output = global.output();
    if output.is_json() {
        return output.document(&Value::Object(answer));
    }
    output.line(&format!("{} {run}", field(&answer, "state")))
}
