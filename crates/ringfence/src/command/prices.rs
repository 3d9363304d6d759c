//! `ringfence prices`

mod book;
mod import;
mod list;
mod show;

use clap::{Args, Subcommand};

use crate::cli::Global;
use crate::failure::Failure;

/// List and show what models cost; take in prices that others publish
#[derive(Debug, Args)]
#[command(arg_required_else_help = true)]
pub struct Prices {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    List(list::List),
    Show(show::Show),
    Import(import::Import),
}

impl Prices {
    pub fn run(self, global: &Global) -> Result<(), Failure> {
        match self.command {
            Command::List(list) => list.run(global),
            Command::Show(show) => show.run(global),
            Command::Import(import) => import.run(global),
        }
    }
}
