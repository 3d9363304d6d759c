//! `ringfence policy`

mod check;
mod diff;
mod explain;
mod files;
mod schema;
mod simulate;
mod test;

use clap::{Args, Subcommand};

use crate::cli::Global;
use crate::failure::Failure;

/// Check, explain, test, compare and simulate policies; print their schema
#[derive(Debug, Args)]
#[command(arg_required_else_help = true)]
pub struct Policy {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Check(check::Check),
    Explain(explain::Explain),
    Test(test::Test),
    Diff(diff::Diff),
    Simulate(simulate::Simulate),
    Schema(schema::Schema),
}

impl Policy {
    pub async fn run(self, global: &Global) -> Result<(), Failure> {
        match self.command {
            Command::Check(check) => check.run(global),
            Command::Explain(explain) => explain.run(global).await,
            Command::Test(test) => test.run(global),
            Command::Diff(diff) => diff.run(global),
            Command::Simulate(simulate) => simulate.run(global).await,
            Command::Schema(schema) => schema.run(global).await,
        }
    }
}
