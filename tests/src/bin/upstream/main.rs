//! The tool servers of the end-to-end tests, as one program.
//!
//! `upstream fixture` passes the official conformance suite; `upstream plain` misbehaves on request. Both bind a free
//! loopback port and print `{"url": …}` as one line on standard output.

mod calls;
mod fixture;
mod plain;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use tokio::net::TcpListener;

/// Tool servers for the end-to-end tests.
#[derive(Parser)]
struct Command {
    #[command(subcommand)]
    server: Server,
}

#[derive(Subcommand)]
enum Server {
    /// A good server, built on the official Rust library; both revisions.
    Fixture(Common),
    /// A hand-written server whose tools misbehave, each in the way its name says.
    Plain {
        #[command(flatten)]
        common: Common,
        /// The protocol eras it speaks.
        #[arg(long, value_enum, default_value = "both")]
        era: plain::Era,
    },
}

/// What both servers take.
#[derive(Args, Clone)]
struct Common {
    /// Address to listen on.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Appends one JSON line for every tool call that was executed.
    #[arg(long)]
    calls: Option<PathBuf>,
    /// How long every tool call takes, in milliseconds, after it was recorded.
    #[arg(long, default_value_t = 0)]
    delay_ms: u64,
}

impl Common {
    fn calls(&self) -> std::io::Result<calls::Calls> {
        calls::Calls::open(self.calls.as_deref(), Duration::from_millis(self.delay_ms))
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    match serve(Command::parse().server).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("upstream: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(server: Server) -> std::io::Result<()> {
    let (common, router) = match server {
        Server::Fixture(common) => (common.clone(), fixture::router(common.calls()?)),
        Server::Plain { common, era } => (common.clone(), plain::router(common.calls()?, era)),
    };
    let listener = TcpListener::bind(common.listen).await?;
    println!("{}", serde_json::json!({ "url": format!("http://{}/mcp", listener.local_addr()?) }));
    axum::serve(listener, router).await
}
