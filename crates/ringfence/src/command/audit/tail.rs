//! `ringfence audit tail`

use clap::Args;
use ringfence_json::Value;

use super::{Wanted, entry_line};
use crate::cli::Global;
use crate::client::with_query;
use crate::failure::Failure;

/// Follow the log: entries as they become durable, until interrupted
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  ringfence audit tail --kind refusal,incident")]
pub struct Tail {
    #[command(flatten)]
    wanted: Wanted,
    /// Start so many entries back
    #[arg(long, default_value_t = 10)]
    last: u32,
}

impl Tail {
    pub async fn run(self, global: &Global) -> Result<(), Failure> {
        let filter = self.wanted.filter()?;
        let mut query = filter.parts();
        query.push(("last", self.last.to_string()));
        let query: Vec<_> = query.iter().map(|(name, text)| (*name, Some(text.as_str()))).collect();
        follow(global, &query).await
    }
}

/// Prints entries as they come.
pub async fn follow(global: &Global, query: &[(&str, Option<&str>)]) -> Result<(), Failure> {
    let mut lines = global.client()?.lines(&with_query("/api/v1/audit/tail", query)).await?;
    let output = global.output();
    while let Some(entry) = lines.next().await? {
        if output.is_json() {
            output.document(&Value::Object(entry))?;
        } else {
            output.line(&entry_line(&entry, output.colour()))?;
        }
    }
    Ok(())
}
