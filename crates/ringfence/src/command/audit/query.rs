//! `ringfence audit query`

use clap::Args;
use ringfence_json::Value;

use super::{Wanted, entry_line, source};
use crate::cli::Global;
use crate::failure::Failure;
use crate::output::Progress;

/// Find entries by what they are about
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  ringfence audit query -w research --decision DENY --since 24h")]
pub struct Query {
    #[command(flatten)]
    wanted: Wanted,
    /// At most so many [default: all]
    #[arg(long)]
    limit: Option<u64>,
}

impl Query {
    pub async fn run(self, global: &Global) -> Result<(), Failure> {
        let filter = self.wanted.filter()?;
        let output = global.output();
        let source = source::find(global).await?;
        let print = |entry: &ringfence_json::Object| {
            if output.is_json() {
                output.document(&Value::Object(entry.clone()))
            } else {
                output.line(&entry_line(entry, output.colour()))
            }
        };
        let count = source.each(&filter, self.limit, &Progress::unseen(), print).await?;
        if count == 0 && !output.is_json() {
            output.line("the log has no such entry")?;
        }
        Ok(())
    }
}
