//! `ringfence kill`

use clap::Args;
use ringfence_types::RunId;

use crate::cli::Global;
use crate::failure::Failure;

/// End a run at once: cut off what it has under way, and its token with it
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  ringfence kill run_01kaj3v5zk8q6x2m4n7p9r1s3t --reason 'went astray'")]
pub struct Kill {
    /// Which
    run: RunId,
    /// Why; the log keeps it, and the agent is told
    #[arg(long)]
    reason: Option<String>,
}

impl Kill {
    pub async fn run(self, global: &Global) -> Result<(), Failure> {
        super::runs::end(global, self.run, "kill", self.reason).await
    }
}
