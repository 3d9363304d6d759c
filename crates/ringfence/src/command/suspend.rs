//! `ringfence suspend`

use clap::Args;
use ringfence_json::{Object, Value};
use ringfence_types::RunId;

use crate::cli::Global;
use crate::failure::Failure;
use crate::output::Table;
use crate::show::{field, moment, number, objects};

/// Cut off everything a scope covers, at once, calls under way included
///
/// All parts that are given must hold. Without any, --all says that the whole node is meant.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  ringfence suspend -w research --agent assistant --server mail --reason 'garbled mails' --for 1h"
)]
pub struct Suspend {
    /// Only this workspace
    #[arg(short, long)]
    workspace: Option<String>,
    /// Only this agent
    #[arg(long)]
    agent: Option<String>,
    /// Only this run
    #[arg(long)]
    run: Option<RunId>,
    /// Only this tool server
    #[arg(long)]
    server: Option<String>,
    /// Only this tool
    #[arg(long)]
    tool: Option<String>,
    /// Only this model
    #[arg(long)]
    model: Option<String>,
    /// The whole node
    #[arg(long, conflicts_with_all = ["workspace", "agent", "run", "server", "tool", "model"])]
    all: bool,
    /// Also names that the configuration does not have
    #[arg(long)]
    even_if_unknown: bool,
    /// Why; agents are told
    #[arg(long, required_unless_present = "list")]
    reason: Option<String>,
    /// For how long; until lifted if absent
    #[arg(long = "for", value_name = "DURATION")]
    duration: Option<String>,
    /// Show what is suspended instead
    #[arg(long, conflicts_with_all = ["all", "workspace", "agent", "run", "server", "tool", "model", "reason", "duration", "even_if_unknown"])]
    list: bool,
}

impl Suspend {
    pub async fn run(self, global: &Global) -> Result<(), Failure> {
        if self.list {
            return list(global).await;
        }
        let is_scoped = [&self.workspace, &self.agent, &self.server, &self.tool, &self.model]
            .iter()
            .any(|part| part.is_some())
            || self.run.is_some();
        if !is_scoped && !self.all {
            return Err(Failure::usage("nothing says what to suspend")
                .hint("give -w, --agent, --run, --server, --tool or --model, or --all for the whole node"));
        }
        let body = Object::new()
            .with_some("workspace", self.workspace)
            .with_some("agent", self.agent)
            .with_some("run", self.run.map(|run| run.to_string()))
            .with_some("server", self.server)
            .with_some("tool", self.tool)
            .with_some("model", self.model)
            .with("all", self.all)
            .with("even_if_unknown", self.even_if_unknown)
            .with_some("reason", self.reason)
            .with_some("for", self.duration);
        let answer = global.client()?.post("/api/v1/suspensions", body).await?;
        if let Some(warning) = answer.text("warning") {
            eprintln!("warning: {warning}");
        }
        let output = global.output();
        if output.is_json() {
            return output.document(&Value::Object(answer));
        }
        let (id, covers) = (field(&answer, "id"), field(&answer, "covers"));
        output.line(&format!(
            "suspended {covers}; {} calls and streams were cut off",
            number(&answer, "cut")
        ))?;
        output.line(&format!("`ringfence resume {id}` lifts it"))
    }
}

async fn list(global: &Global) -> Result<(), Failure> {
    let answer = global.client()?.get("/api/v1/suspensions").await?;
    let output = global.output();
    let all = objects(&answer, "suspensions");
    if output.is_json() {
        return all.into_iter().try_for_each(|one| output.document(&Value::Object(one.clone())));
    }
    let mut table = Table::new(["id", "covers", "reason", "by", "until"]);
    for one in all {
        let until = moment(one, "until");
        let until = if until.is_empty() { "until lifted".to_owned() } else { until };
        table.row([field(one, "id"), field(one, "covers"), field(one, "reason"), field(one, "by"), until]);
    }
    output.table(&table, "nothing is suspended")
}
