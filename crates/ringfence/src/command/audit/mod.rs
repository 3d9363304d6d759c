//! `ringfence audit`

mod checkpoint;
mod export;
mod line;
mod query;
mod show;
mod source;
mod tail;
mod verify;

use clap::{Args, Subcommand};
use ringfence_control::audit::Filter;

pub use line::entry_line;
pub use source::find;
pub use tail::follow;

use crate::cli::Global;
use crate::failure::Failure;

/// Ask the log, follow it, export it, and prove that it is whole
#[derive(Debug, Args)]
#[command(arg_required_else_help = true)]
pub struct Audit {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Tail(tail::Tail),
    Query(query::Query),
    Show(show::Show),
    Verify(verify::Verify),
    Checkpoint(checkpoint::Checkpoint),
    Export(export::Export),
}

/// What entries must be about; all that is given must hold.
#[derive(Debug, Args)]
pub struct Wanted {
    /// Kinds of entry, with commas between: intent, outcome, refusal, pending, approval, suspension, config, token, pin, run, incident, budget, snapshot
    #[arg(long)]
    kind: Option<String>,
    /// Only in this workspace
    #[arg(short, long)]
    workspace: Option<String>,
    /// Only of this agent
    #[arg(long)]
    agent: Option<String>,
    /// Only of this run
    #[arg(long)]
    run: Option<String>,
    /// Only for this user
    #[arg(long)]
    user: Option<String>,
    /// Only in this conversation
    #[arg(long)]
    conversation: Option<String>,
    /// Only on this tool server
    #[arg(long)]
    server: Option<String>,
    /// Only on this tool, or server/tool
    #[arg(long)]
    tool: Option<String>,
    /// Only of this model, also where a route or failover led on from it
    #[arg(long)]
    model: Option<String>,
    /// Only with this decision: ALLOW, ALLOW_WITH_CONSTRAINTS, REQUIRE_APPROVAL, DENY
    #[arg(long)]
    decision: Option<String>,
    /// Only where this rule decided or matched; rules in shadow stand under `shadow` in the entries and are not found
    #[arg(long)]
    rule: Option<String>,
    /// Only answered by this person
    #[arg(long)]
    approver: Option<String>,
    /// Not before: RFC 3339, or so long ago, such as 2h
    #[arg(long, value_name = "MOMENT")]
    since: Option<String>,
    /// Before: RFC 3339, or so long ago
    #[arg(long, value_name = "MOMENT")]
    until: Option<String>,
}

impl Audit {
    pub async fn run(self, global: &Global) -> Result<(), Failure> {
        match self.command {
            Command::Tail(tail) => tail.run(global).await,
            Command::Query(query) => query.run(global).await,
            Command::Show(show) => show.run(global).await,
            Command::Verify(verify) => verify.run(global),
            Command::Checkpoint(checkpoint::Checkpoint {}) => checkpoint::Checkpoint::run(global).await,
            Command::Export(export) => export.run(global).await,
        }
    }
}

impl Wanted {
    /// The filter it stands for.
    fn filter(&self) -> Result<Filter, Failure> {
        let (since, until) = (self.since.as_deref().map(moment), self.until.as_deref().map(moment));
        let parts = [
            ("kind", self.kind.as_deref()),
            ("workspace", self.workspace.as_deref()),
            ("agent", self.agent.as_deref()),
            ("run", self.run.as_deref()),
            ("user", self.user.as_deref()),
            ("conversation", self.conversation.as_deref()),
            ("server", self.server.as_deref()),
            ("tool", self.tool.as_deref()),
            ("model", self.model.as_deref()),
            ("decision", self.decision.as_deref()),
            ("rule", self.rule.as_deref()),
            ("approver", self.approver.as_deref()),
            ("since", since.as_deref()),
            ("until", until.as_deref()),
        ];
        let mut filter = Filter::default();
        for (name, text) in parts {
            if let Some(text) = text {
                filter.set(name, text).map_err(|error| Failure::usage(error.to_string()))?;
            }
        }
        Ok(filter)
    }
}

/// A moment as it is written, or so long ago.
pub fn moment(text: &str) -> String {
    let Ok(ago) = ringfence_types::parse_duration(text) else { return text.to_owned() };
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let micros = u64::try_from(now.saturating_sub(ago).as_micros()).unwrap_or(u64::MAX);
    ringfence_types::Timestamp::from_micros(micros).to_string()
}
