//! `mock-model`: the server as a program. It prints `{"url": …}` as one line on standard output when it listens.

use std::net::SocketAddr;
use std::process::ExitCode;

use clap::Parser;
use ringfence_mock_model::{Behaviour, MockModel, Options};

/// A stand-in for the providers of models, for tests and benches
///
/// Example: mock-model --behave tokens=100,chunks=20,delay_ms=5
#[derive(Parser)]
struct Command {
    /// Address to listen on
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// How answers come unless a request says otherwise; README.md lists the words
    #[arg(long, default_value = "", value_name = "DIRECTIVES")]
    behave: String,
    /// The key that requests must have; any will do unless it is given
    #[arg(long, default_value = "")]
    key: String,
    /// The models that are listed
    #[arg(long, value_delimiter = ',', default_value = "gpt-mock,claude-mock")]
    models: Vec<String>,
    /// What chance is made from
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Connections at once
    #[arg(long, default_value_t = 20_000)]
    connections: usize,
    /// Threads that answer
    #[arg(long, default_value_t = 1)]
    threads: usize,
}

fn main() -> ExitCode {
    let command = Command::parse();
    match run(command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("mock-model: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<(), Box<dyn std::error::Error>> {
    let mut behaviour = Behaviour::default();
    behaviour.take(&command.behave)?;
    let options = Options {
        listen: command.listen,
        behaviour,
        key: command.key,
        models: command.models,
        seed: command.seed,
        connections: command.connections,
    };
    let runtime = if command.threads > 1 {
        tokio::runtime::Builder::new_multi_thread().worker_threads(command.threads).enable_all().build()?
    } else {
        tokio::runtime::Builder::new_current_thread().enable_all().build()?
    };
    runtime.block_on(async {
        let server = MockModel::start(options).await?;
        println!("{{\"url\":\"{}\"}}", server.url());
        let mut end = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
        tokio::select! {
            _ = end.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
        server.stop().await;
        Ok(())
    })
}
