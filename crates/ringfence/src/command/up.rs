//! `ringfence up`

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use ringfence_control::config::{Rejected, load};
use ringfence_control::{Node, NodeOptions, StartError, check_scripts, compile};
use ringfence_json::Object;
use ringfence_kernel::OpenError;
use ringfence_ledger::OpenError as LogError;
use ringfence_sandbox::Spawner;
use ringfence_types::NodeName;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::check::{CONFIGURATION, eprint_text, report};
use crate::failure::{Exit, Failure};
use crate::output::Output;

/// Run a node: the gateway for agents, the API for operators, the log
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  ringfence up -c ringfence.yaml --data ./data")]
pub struct Up {
    /// The configuration
    #[arg(short, long, value_name = "FILE", default_value = CONFIGURATION)]
    config: PathBuf,
    /// Where agents come in; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7400")]
    gateway: SocketAddr,
    /// Where operators come in; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7401")]
    control: SocketAddr,
    /// The node's name in the log [default: the machine's name]
    #[arg(long)]
    name: Option<NodeName>,
}

impl Up {
    /// Reads the configuration and the files it names, as `check` does: before anything is made or started for it.
    ///
    /// # Errors
    /// When the configuration is wrong, which has been told then.
    pub fn check(&self) -> Result<(), Failure> {
        let checked = load(&self.config).and_then(|loaded| compile(loaded, &[])).and_then(check_scripts);
        checked.map(drop).map_err(|rejected| rejected_by(&rejected))
    }

    pub async fn run(self, folder: PathBuf, output: Output, spawner: Spawner) -> Result<(), Failure> {
        // Asked for before anything else, so that no signal falls between.
        let mut signals = Signals::new()?;
        let options = NodeOptions {
            config: self.config.clone(),
            data: folder,
            gateway: self.gateway,
            control: self.control,
            name: self.name,
            spawner: Some(spawner),
        };
        let node = Node::start(options).await.map_err(|error| refused(&error))?;
        eprint_text(node.warnings());
        announce(output, &node)?;
        while let Wish::Reload = signals.next().await {
            match node.reload().await {
                Ok(done) if done.changed => tracing::info!("the configuration was reloaded"),
                Ok(_) => tracing::info!("the configuration has not changed"),
                // The reloader has said why.
                Err(_) => {}
            }
        }
        tracing::info!("stopping; a second signal stops at once");
        tokio::select! {
            () = node.stop() => Ok(()),
            () = signals.stop_again() => Err(Failure::no("stopped before everything was settled")),
        }
    }
}

fn announce(output: Output, node: &Node) -> Result<(), Failure> {
    let addresses = node.addresses();
    let socket = addresses.socket.display().to_string();
    if output.is_json() {
        let line = Object::new()
            .with("gateway", addresses.gateway.as_str())
            .with("control", addresses.control.as_str())
            .with("socket", socket)
            .with("node", node.name());
        return output.document(&line.into());
    }
    output.text(&format!(
        "node {} is up\n  agents     {}/mcp, /openai/v1, /anthropic\n  operators  {}, unix:{socket}\nattach an agent: ringfence token mint -w WORKSPACE --agent AGENT\n",
        node.name(),
        addresses.gateway,
        addresses.control,
    ))
}

fn refused(error: &StartError) -> Failure {
    match error {
        StartError::Config(rejected) => rejected_by(rejected),
        // It says itself what to do instead.
        StartError::Open(OpenError::Ledger(LogError::InUse { .. })) => Failure::usage(error.to_string()),
        StartError::Setup(_) | StartError::Exposed(_) | StartError::Folder { .. } => {
            Failure::usage(error.to_string())
        }
        StartError::Listen { .. } => Failure::no(error.to_string())
            .hint("another program has it; --gateway and --control take other addresses, port 0 a free one"),
        other => Failure::no(other.to_string()),
    }
}

/// Tells everything that is wrong.
fn rejected_by(rejected: &Rejected) -> Failure {
    eprint_text(&report(rejected));
    Failure::said(Exit::Usage)
}

/// What the outside wants of a running node.
enum Wish {
    Reload,
    Stop,
}

struct Signals {
    hangup: Signal,
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn new() -> Result<Self, Failure> {
        let listen =
            |kind| signal(kind).map_err(|error| Failure::no(format!("cannot listen for signals: {error}")));
        Ok(Self {
            hangup: listen(SignalKind::hangup())?,
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) -> Wish {
        tokio::select! {
            _ = self.hangup.recv() => Wish::Reload,
            _ = self.interrupt.recv() => Wish::Stop,
            _ = self.terminate.recv() => Wish::Stop,
        }
    }

    /// A second signal, a moment after the first: terminals send one to the whole group.
    async fn stop_again(&mut self) {
        tokio::time::sleep(Duration::from_millis(200)).await;
        while !matches!(self.next().await, Wish::Stop) {}
    }
}
