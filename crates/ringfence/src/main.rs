//! Ringfence runs AI agents in production safely.
//!
//! The binary: one file per command, no logic. `cli` says what can be typed, `command` does it, `client` talks to a
//! node, `output` and `show` are what people and programs read.

mod cli;
mod client;
mod command;
mod demo;
mod failure;
mod fetch;
mod input;
mod logging;
mod output;
mod show;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use ringfence_sandbox::{SpawnerBootstrap, SpawnerProgram};

use crate::cli::{Cli, Command, Global};
use crate::command::status::Status;
use crate::command::up::Up;
use crate::demo::Demo;
use crate::failure::Failure;
use crate::output::Output;

/// Text of strangers on one line, fit to be read.
fn safe(text: &str) -> String {
    ringfence_control::shown::line(text)
}

fn main() -> ExitCode {
    // Before anything else: this may be the spawner's own start.
    ringfence_sandbox::become_spawner_if_asked();
    if let Err(error) = ringfence_sandbox::harden_process() {
        eprintln!("error: cannot protect the memory of this process: {error}");
        return ExitCode::from(1);
    }
    let Cli { global, command } = Cli::try_parse().unwrap_or_else(|error| cli::explain_and_exit(&error));
    match run(&global, command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let message = failure.to_string();
            if !message.is_empty() {
                eprintln!("{message}");
            }
            failure.exit().into()
        }
    }
}

fn run(global: &Global, command: Command) -> Result<(), Failure> {
    match command {
        Command::Up(up) => {
            // Whoever has no configuration yet, or a wrong one, gets no folder either.
            up.check()?;
            // The folder is hidden from tool servers, so it has to be there before the spawner, and the spawner
            // before any thread.
            let folder = data_folder(global)?;
            let spawner = spawner(&[&folder])?;
            serve(up, folder, global.output(), spawner)
        }
        Command::Demo(demo) if demo.is_agent() => wait_for(Demo::play()),
        Command::Demo(demo) => {
            let spawner = spawner(&[])?;
            wait_for(demo.run(global.output(), spawner))
        }
        Command::Init(init) => init.run(global),
        Command::Check(check) => check.run(global),
        Command::Prices(prices) => prices.run(global),
        Command::Doctor(doctor) => doctor.run(global),
        Command::Completions(completions) => completions.run(global),
        other => wait_for(ask(global, other)),
    }
}

/// Starts the process that starts all others, which sees none of the `hidden` folders.
fn spawner(hidden: &[&Path]) -> Result<SpawnerBootstrap, Failure> {
    ringfence_sandbox::start_spawner(&SpawnerProgram::this(), hidden)
        .map_err(|error| Failure::no(format!("cannot start the spawner: {error}")))
}

/// The data folder, absolute and there.
fn data_folder(global: &Global) -> Result<PathBuf, Failure> {
    let folder = std::path::absolute(global.folder()?);
    let folder =
        folder.map_err(|error| Failure::usage(format!("the data folder cannot be used: {error}")))?;
    ringfence_control::prepare_folder(&folder).map_err(|error| Failure::usage(error.to_string()))?;
    Ok(folder)
}

/// Runs a node: several threads, as many files as the machine gives.
fn serve(up: Up, folder: PathBuf, output: Output, spawner: SpawnerBootstrap) -> Result<(), Failure> {
    logging::start();
    raise_files_limit();
    let workers = std::thread::available_parallelism().map_or(2, usize::from).clamp(2, 4);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(workers).enable_all().build();
    let runtime =
        runtime.map_err(|error| Failure::no(format!("cannot start the node's threads: {error}")))?;
    let done = runtime.block_on(async {
        let spawner = spawner
            .into_async()
            .map_err(|error| Failure::no(format!("the spawner does not answer: {error}")))?;
        up.run(folder, output, spawner).await
    });
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    done
}

async fn ask(global: &Global, command: Command) -> Result<(), Failure> {
    match command {
        Command::Status(Status {}) => Status::run(global).await,
        Command::Spend(spend) => spend.run(global).await,
        Command::Token(token) => token.run(global).await,
        Command::Run(run) => run.run(global).await,
        Command::Runs(runs) => runs.run(global).await,
        Command::Policy(policy) => policy.run(global).await,
        Command::Approvals(approvals) => approvals.run(global).await,
        Command::Suspend(suspend) => suspend.run(global).await,
        Command::Resume(resume) => resume.run(global).await,
        Command::Kill(kill) => kill.run(global).await,
        Command::Tools(tools) => tools.run(global).await,
        Command::Audit(audit) => audit.run(global).await,
        // Done by `run` already.
        Command::Demo(_)
        | Command::Up(_)
        | Command::Init(_)
        | Command::Check(_)
        | Command::Prices(_)
        | Command::Doctor(_)
        | Command::Completions(_) => Ok(()),
    }
}

/// Runs a command that asks a node: one thread is enough.
fn wait_for(asking: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::no(format!("cannot start: {error}")))?;
    let done = runtime.block_on(asking);
    runtime.shutdown_timeout(std::time::Duration::ZERO);
    done
}

/// Every session and call takes files: as many as this user may have.
fn raise_files_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::warn!(%error, "cannot raise the limit of open files");
    }
}
