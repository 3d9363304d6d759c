//! The figures of docs/benchmarks.md.
//!
//! `cargo xtask bench` builds the program as it is shipped, and runs this. Nothing here passes or fails by how long it
//! took: a goal that is missed is said to be missed. What cannot be measured, or is answered wrongly, is an error.

mod bench;
mod boxes;
mod config;
mod connection;
mod control;
mod events;
mod failure;
mod fsync;
mod histogram;
mod inside;
mod llm;
mod load;
mod machine;
mod node;
mod process;
mod runs;
mod site;
mod table;
mod upstream;
mod wire;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

use crate::bench::{Plan, Which};
use crate::failure::Failure;
use crate::llm::Kind;

/// Measure the figures of docs/benchmarks.md
///
/// Example: cargo xtask bench calls --quick
#[derive(Parser)]
#[command(name = "cargo xtask bench", bin_name = "cargo xtask bench")]
struct Command {
    /// What to measure; unless named, everything that needs no other gateway
    #[arg(value_enum)]
    which: Vec<Which>,
    /// Measure for a shorter time: for a first impression, not for the record
    #[arg(long)]
    quick: bool,
    /// One JSON object a line instead of tables
    #[arg(long)]
    json: bool,
    /// Clients at once, of `steady`
    #[arg(long, value_name = "N", default_value_t = 16)]
    clients: usize,
    /// The ways to a model that are measured, of `llm`, `streams` and `burst`
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = Kind::ALL)]
    only: Vec<Kind>,
    /// Where the measured data goes; its file system is what is measured
    ///
    /// Unless given, a folder beside the built program.
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
}

fn main() -> ExitCode {
    ringfence_sandbox::become_spawner_if_asked();
    match inside::run_if_asked().unwrap_or_else(|| run(Command::parse())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("bench: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<(), Failure> {
    let beside = std::env::current_exe()?.with_file_name("bench-data");
    let folder = command.folder.unwrap_or(beside);
    std::fs::create_dir_all(&folder)?;
    let plan = Plan { quick: command.quick, clients: command.clients, only: command.only, folder };
    let which = if command.which.is_empty() { Which::ALL.to_vec() } else { command.which };
    machine::describe(command.json);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    for one in which {
        eprintln!("measuring: {}", one.what());
        for table in runtime.block_on(one.measure(&plan))? {
            table.print(command.json);
        }
    }
    Ok(())
}
