//! `ringfence kill`

use clap::Args;
use ringfence_json::{Object, Value};
use ringfence_types::RunId;

use crate::cli::Global;
use crate::failure::Failure;
use crate::show::field;

/// End a run at once, or suspend an agent or a workspace and end all its runs
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  ringfence kill run_01kaj3v5zk8q6x2m4n7p9r1s3t --reason 'went astray'\n  \
        ringfence kill -w research --agent assistant --reason 'all of them went astray'"
)]
pub struct Kill {
    /// Which run
    #[arg(required_unless_present = "workspace", conflicts_with_all = ["workspace", "agent"])]
    run: Option<RunId>,
    /// All runs of this workspace
    #[arg(short, long)]
    workspace: Option<String>,
    /// Only those of this agent
    #[arg(long, requires = "workspace")]
    agent: Option<String>,
    /// Why; the log keeps it, and agents are told
    #[arg(long)]
    reason: Option<String>,
}

impl Kill {
    pub async fn run(self, global: &Global) -> Result<(), Failure> {
        if let Some(run) = self.run {
            return super::runs::end(global, run, "kill", self.reason).await;
        }
        let body = Object::new()
            .with_some("workspace", self.workspace)
            .with_some("agent", self.agent)
            .with_some("reason", self.reason);
        let answer = global.client()?.post("/api/v1/kill", body).await?;
        let output = global.output();
        if output.is_json() {
            return output.document(&Value::Object(answer));
        }
        let runs = answer.get("runs").and_then(Value::as_array).map_or(0, <[Value]>::len);
        let runs = match runs {
            0 => "no run was alive".to_owned(),
            1 => "1 run is cut off and ending".to_owned(),
            runs => format!("{runs} runs are cut off and ending"),
        };
        output.line(&format!("suspended {}; {runs}", field(&answer, "covers")))?;
        output.line(&format!("`ringfence resume {}` lets new ones begin", field(&answer, "id")))
    }
}
