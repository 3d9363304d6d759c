//! Starting and stopping a node.

use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use ringfence_gateway::targets::Targets;
use ringfence_kernel::{Actor, Clock, Kernel, LedgerUnavailable, OpenError, Options, RunError};
use ringfence_runs::{Options as RunOptions, Runs};
use ringfence_sandbox::Spawner;
use ringfence_types::{NodeName, Scope};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::agents::{AgentsSide, AgentsSideError};
use super::reload::in_force;
use super::{Exposed, ReloadError, Reloaded, Reloader, chores, loopback_only, watch};
use crate::api::{
    Addresses, Bounds, Desk, FailedLogins, Listeners, description, listen_socket, router, serve,
};
use crate::audit::Books;
use crate::compile::{Compiled, compile};
use crate::config::{Rejected, Transport, load};
use crate::limits::{FOLLOWERS_MAX, RUNS_AT_ONCE, SHUTDOWN_GRACE};
use crate::setup::{SetupError, gateway_table, kernel_setup, known_tools, run_bounds, run_plans};

/// The name of the operators' socket in the data folder.
pub const SOCKET: &str = "control.sock";

/// The name of the log's index in the data folder. It can be removed at any time: the next start builds it again.
const INDEX: &str = "index.db";

/// The folder of what runs write, in the data folder.
const RUNS: &str = "runs";

/// The folder of what agents keep between runs, in the data folder; and that of the keys it is sealed with, apart from it, so
/// that a copy of the one is none of the other.
const STATES: &str = "state";
const STATE_KEYS: &str = "keys/state";

/// The folder of environments of packages, in the data folder. It can be removed while no node runs: they are built again.
const ENVIRONMENTS: &str = "environments";

/// The folder of images of containers, in the data folder. It can be removed while no node runs: they are pulled again, and
/// tags mean what they mean then.
const IMAGES: &str = "images";

/// How a node is started.
pub struct NodeOptions {
    /// The configuration file.
    pub config: PathBuf,
    /// The data folder; made if it is not there.
    pub data: PathBuf,
    /// Where agents come in; port 0 takes a free one.
    pub gateway: SocketAddr,
    /// Where operators come in; port 0 takes a free one.
    pub control: SocketAddr,
    /// The node's name in the log; the machine's name unless given.
    pub name: Option<NodeName>,
    /// What starts stdio servers; without one they cannot be reached.
    pub spawner: Option<Spawner>,
}

/// Why a node does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration is wrong.
    #[error("the configuration cannot be used: {0}")]
    Config(#[from] Rejected),
    /// A part of it cannot be used.
    #[error("{0}")]
    Setup(#[from] SetupError),
    /// An address that others could reach.
    #[error(transparent)]
    Exposed(#[from] Exposed),
    /// The data folder cannot be used.
    #[error("cannot use the data folder {folder}: {cause}")]
    Folder {
        /// Which.
        folder: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// The log cannot be opened, or another node has it.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// An address cannot be listened on.
    #[error("cannot listen on {address}: {cause}")]
    Listen {
        /// Which.
        address: String,
        /// Why.
        cause: io::Error,
    },
    /// The agents' side does not start.
    #[error(transparent)]
    Agents(#[from] AgentsSideError),
    /// A run that an earlier node left unfinished cannot be ended in the log.
    #[error("a run that was left unfinished cannot be ended: {0}")]
    Runs(#[from] RunError),
    /// The log cannot take the configuration.
    #[error(transparent)]
    LedgerUnavailable(#[from] LedgerUnavailable),
}

/// A node that runs.
pub struct Node {
    desk: Arc<Desk>,
    agents: AgentsSide,
    stop: CancellationToken,
    serving: JoinHandle<()>,
    tasks: Vec<JoinHandle<()>>,
    warnings: String,
}

// === impl Node ===

impl Node {
    /// Starts a node: everything that can be wrong is found before anything listens.
    ///
    /// # Errors
    /// When the configuration is wrong, the folder is in use by another node, or an address is taken.
    pub async fn start(options: NodeOptions) -> Result<Self, StartError> {
        let (gateway, control) = (loopback_only(options.gateway)?, loopback_only(options.control)?);
        let compiled = compile(load(&options.config)?, &[])?;
        let targets = Targets::of(compiled.loaded.digest, gateway_table(&compiled)?);
        let owner = prepare_folder(&options.data)?;
        warn_of_readers(&options.data);
        let name = options.name.unwrap_or_else(machine_name);
        let open = Options { node: name.clone(), clock: Clock::system(), segment_bytes: None };
        // Blocks for as long as it takes to read the end of the log; nothing is served yet.
        let (kernel, recovered) = Kernel::open(&options.data, open, kernel_setup(&compiled)?).await?;
        tracing::info!(?recovered, "the log is open");
        let pin_changes = kernel.pin_changes();
        let compiled = with_pins(compiled, &kernel).await?;
        let control = listen(control).await?;
        let socket_path = options.data.join(SOCKET);
        let socket = listen_socket(&socket_path).map_err(|cause| StartError::Listen {
            address: format!("unix:{}", socket_path.display()),
            cause,
        })?;
        let gateway = listen(gateway).await?;
        let own = [&gateway, &control].map(TcpListener::local_addr).into_iter().collect::<io::Result<_>>();
        let own: Vec<_> =
            own.map_err(|cause| StartError::Listen { address: "its own address".into(), cause })?;
        let mut agents = AgentsSide::new(&kernel, &targets, options.spawner.clone(), &options.data, &own)?;
        let at_once = RunOptions {
            directory: options.data.join(RUNS),
            states: options.data.join(STATES),
            keys: options.data.join(STATE_KEYS),
            environments: options.data.join(ENVIRONMENTS),
            images: options.data.join(IMAGES),
            at_once: RUNS_AT_ONCE,
        };
        let harbour = Arc::new(agents.gateway().clone());
        let runs = Runs::open(kernel.clone(), options.spawner, harbour, at_once).await?;
        runs.prepare(compiled.loaded.digest, run_plans(&compiled.loaded.config));
        runs.bound(run_bounds(&compiled.loaded.config));
        agents.gateway().start_runs_with(runs.nursery());
        let addresses =
            Addresses { gateway: url_of(&gateway), control: url_of(&control), socket: socket_path };
        let warnings = compiled.render_warnings();
        let desk = Arc::new(Desk {
            node: name,
            runs,
            books: Books::new(kernel.ledger().clone(), &options.data.join(INDEX)),
            reloader: Reloader::new(options.config, targets, agents.gateway().clone()),
            addresses,
            in_force: ArcSwap::from_pointee(in_force(compiled, kernel.now(), pin_changes)),
            refused: Mutex::new(None),
            failed_logins: FailedLogins::default(),
            followers: Arc::new(Semaphore::new(FOLLOWERS_MAX)),
            description: description(),
            missing_layers: agents.missing_layers(),
            looked: agents.looked(),
            kernel: kernel.clone(),
        });
        record_missing_layers(&kernel, &desk);
        let stop = CancellationToken::new();
        let listeners = Listeners { tcp: control, socket, owner };
        let serving = tokio::spawn(serve(listeners, router(&desk), stop.clone(), Bounds::default()));
        // Operators first: the switch works before there is anything to switch off.
        agents.serve(gateway);
        let tasks = vec![
            tokio::spawn(kernel.housekeeping()),
            tokio::spawn(watch::watch(Arc::clone(&desk))),
            tokio::spawn(chores::index(desk.books.clone())),
            tokio::spawn(chores::forget_runs(Arc::clone(&desk))),
        ];
        Ok(Self { desk, agents, stop, serving, tasks, warnings })
    }

    /// Where it listens.
    pub fn addresses(&self) -> &Addresses {
        &self.desk.addresses
    }

    /// Its name.
    pub fn name(&self) -> &NodeName {
        &self.desk.node
    }

    /// The kernel, for whoever runs inside the node's process.
    pub fn kernel(&self) -> &Kernel {
        &self.desk.kernel
    }

    /// What the authors of configuration and policy should know, as people read it; empty if there is nothing.
    pub fn warnings(&self) -> &str {
        &self.warnings
    }

    /// Reads the configuration again.
    ///
    /// # Errors
    /// When it is wrong; the old one stays.
    pub async fn reload(&self) -> Result<Reloaded, ReloadError> {
        self.desk.reloader.reload(&self.desk, &Actor::node()).await
    }

    /// Stops: no new calls, a short grace for those under way, then they are cut off and settled; the log is closed.
    pub async fn stop(mut self) {
        self.desk.runs.shut_down().await;
        self.agents.stop(SHUTDOWN_GRACE).await;
        self.desk.kernel.stop().await;
        self.stop.cancel();
        for task in &self.tasks {
            task.abort();
        }
        // Ends by itself a second after `stop`, whatever the requests do.
        let _ = self.serving.await;
        let _ = std::fs::remove_file(&self.desk.addresses.socket);
        let ledger = self.desk.kernel.ledger().clone();
        // Closing writes what waits; it blocks.
        let _ = tokio::task::spawn_blocking(move || ledger.close()).await;
    }
}

/// Compiles again with the definitions that the log knows: only then can a policy be held against them.
async fn with_pins(compiled: Compiled, kernel: &Kernel) -> Result<Compiled, StartError> {
    let tools = known_tools(&compiled.loaded.config.workspaces, &kernel.pins());
    if tools.is_empty() {
        return Ok(compiled);
    }
    match compile(compiled.loaded.clone(), &tools) {
        Ok(compiled) => {
            kernel.apply(kernel_setup(&compiled)?, &Actor::node()).await?;
            Ok(compiled)
        }
        // The definitions came after the policy, which was right before. A rule that cannot be evaluated refuses; the
        // first look at the files says in `status` what does not fit.
        Err(rejected) => {
            tracing::error!("the policy does not fit the definitions of the tools: {rejected}");
            Ok(compiled)
        }
    }
}

/// Makes the data folder, for its owner alone, if it is not there; returns who that is. Done by [`Node::start`] too;
/// whoever hides the folder from children has to do it before.
///
/// # Errors
/// When it cannot be made, belongs to somebody else, or others may write to it.
pub fn prepare_folder(folder: &Path) -> Result<u32, StartError> {
    let failed = |cause| StartError::Folder { folder: folder.to_path_buf(), cause };
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
    let metadata = std::fs::metadata(folder).map_err(failed)?;
    let user = rustix::process::geteuid().as_raw();
    if metadata.uid() != user {
        return Err(failed(io::Error::other(format!(
            "it belongs to user {}, not to {user}",
            metadata.uid()
        ))));
    }
    if metadata.mode() & 0o022 != 0 {
        return Err(failed(io::Error::other("others may write to it; `chmod go-w` it first")));
    }
    Ok(metadata.uid())
}

/// Says so when others can look into the data folder. What it holds is its owner's alone, but names tell something too;
/// who else may look, is for the owner to say.
fn warn_of_readers(folder: &Path) {
    if std::fs::metadata(folder).is_ok_and(|metadata| metadata.mode() & 0o077 != 0) {
        let folder = folder.display();
        tracing::warn!(%folder, "others can look into the data folder; `chmod 700` it unless that is meant");
    }
}

/// Puts on record which layers this machine refuses to the tool servers that it starts.
fn record_missing_layers(kernel: &Kernel, desk: &Desk) {
    let in_force = desk.in_force();
    let servers = in_force.compiled.loaded.config.workspaces.iter().flat_map(|workspace| &workspace.servers);
    let starts_some = servers.into_iter().any(|server| matches!(server.transport, Transport::Stdio { .. }));
    if let Some(reason) = less_isolation(&desk.missing_layers).filter(|_| starts_some) {
        kernel.incident(Scope::default(), "isolation_missing", &reason);
    }
}

/// What the lack of layers means; `None` when nothing lacks.
fn less_isolation(missing: &[(String, String)]) -> Option<String> {
    let layers: Vec<String> = missing.iter().map(|(layer, why)| format!("{layer} ({why})")).collect();
    let what = "tool servers started here run with less isolation, see `ringfence doctor`";
    (!layers.is_empty()).then(|| format!("{what}: {}", layers.join(", ")))
}

async fn listen(address: SocketAddr) -> Result<TcpListener, StartError> {
    TcpListener::bind(address)
        .await
        .map_err(|cause| StartError::Listen { address: address.to_string(), cause })
}

fn url_of(listener: &TcpListener) -> String {
    listener.local_addr().map_or_else(|_| String::new(), |address| format!("http://{address}"))
}

/// The machine's name, as far as it can be a node's.
#[expect(clippy::expect_used, reason = "the literal is a name: letters only")]
fn machine_name() -> NodeName {
    let uname = rustix::system::uname();
    let name = uname.nodename().to_str().ok().and_then(|name| NodeName::new(name).ok());
    name.unwrap_or_else(|| NodeName::new("node").expect("a literal name"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lacks_is_said_with_its_reason_and_nothing_otherwise() {
        assert_eq!(less_isolation(&[]), None);
        let missing =
            [("landlock".to_owned(), "kernel too old".to_owned()), ("cgroup".to_owned(), "no".to_owned())];
        let said = less_isolation(&missing).unwrap();
        assert!(said.ends_with(": landlock (kernel too old), cgroup (no)"), "{said}");
    }
}
