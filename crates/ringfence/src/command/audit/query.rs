//! `ringfence audit query`

use clap::Args;
use ringfence_json::Value;

use super::{Wanted, entry_line, source};
use crate::cli::Global;
use crate::failure::Failure;
use crate::output::Progress;

/// Find entries by what they are about, the oldest first
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  ringfence audit query -w research --decision DENY --since 24h")]
pub struct Query {
    #[command(flatten)]
    wanted: Wanted,
    /// The newest, at most so many [default: all]
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
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
        let (count, has_more) = match self.limit {
            Some(limit) => {
                let (entries, has_more) = source.newest(&filter, limit).await?;
                entries.iter().try_for_each(print)?;
                (entries.len() as u64, has_more)
            }
            None => (source.each(&filter, &Progress::unseen(), print).await?, false),
        };
        if output.is_json() {
            return Ok(());
        }
        if has_more {
            output.line("there are more; these are the newest, see --limit")?;
        }
        if count == 0 {
            output.line("the log has no such entry")?;
        }
        Ok(())
    }
}
