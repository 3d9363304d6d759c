//! The gateway as the binary sees it.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ringfence_kernel::{Kernel, Nursery};
use ringfence_sandbox::Spawner;
use ringfence_types::{ServerName, WorkspaceName};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::egress::Outside;
use crate::egress::harbour::Authorities;
use crate::gate::Gate;
use crate::http::accept;
use crate::http::loads::Loads;
use crate::http::wires::Wires;
use crate::llm::cache::Cache;
use crate::llm::turns::Turns;
use crate::mcp::catalog::Catalog;
use crate::mcp::discovery::{self, DiscoverError, Discovered};
use crate::mcp::eras::Eras;
use crate::mcp::looks::Looks;
use crate::mcp::rounds::Rounds;
use crate::mcp::session::Sessions;
use crate::mcp::upstream::children::{ChildView, Children};
use crate::mcp::upstream::residence::Quarters;
use crate::spawn::Nurseries;
use crate::targets::Targets;
use crate::{Doors, Limits};

/// The agents' side of a node. Cheap to clone; clones are the same gateway.
#[derive(Debug, Clone)]
pub struct Gateway(Arc<Gate>);

/// Why there is no gateway.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The machine's certificate authorities cannot be read.
    #[error(
        "the machine's certificate authorities cannot be read: {0}; install them (Debian: ca-certificates)"
    )]
    Authorities(#[source] io::Error),
}

// === impl Gateway ===

impl Gateway {
    /// A gateway that asks `kernel`, reaches `targets` and starts tool servers with `spawner`; without one, stdio
    /// servers cannot be reached.
    ///
    /// # Errors
    /// When the machine's certificate authorities cannot be read.
    pub fn new(
        kernel: Kernel,
        targets: Targets,
        spawner: Option<Spawner>,
        doors: Doors,
        limits: Limits,
    ) -> Result<Self, StartError> {
        Self::beside(kernel, targets, spawner, doors, limits, &[])
    }

    /// As [`Gateway::new`], on a node that listens on these addresses: no grant of a host leads there.
    ///
    /// # Errors
    /// As there.
    pub fn beside(
        kernel: Kernel,
        targets: Targets,
        spawner: Option<Spawner>,
        doors: Doors,
        limits: Limits,
        listeners: &[SocketAddr],
    ) -> Result<Self, StartError> {
        let wires = Wires::new(&limits).map_err(StartError::Authorities)?;
        let outside = Outside::new(listeners, &limits.egress).map_err(StartError::Authorities)?;
        Ok(Self(Arc::new_cyclic(|gate| Gate {
            kernel,
            targets,
            doors,
            wires,
            children: Children::new(spawner, Quarters::new(gate.clone()), &limits),
            sessions: Sessions::new(&limits),
            eras: Eras::default(),
            catalog: Catalog::default(),
            rounds: Rounds::default(),
            looks: Looks::default(),
            loads: Loads::new(&limits),
            cache: Cache::default(),
            turns: Turns::default(),
            outside,
            authorities: Authorities::default(),
            nurseries: Nurseries::default(),
            shutdown: CancellationToken::new(),
            limits,
        })))
    }

    /// Keeps answers of models under this data folder too, over restarts; without this, in memory only.
    pub fn keep_answers_under(&self, data: &Path) {
        self.0.cache.keep_under(data, &self.0.limits, self.0.kernel.now());
    }

    /// Waits until it is known which answers of models were kept before.
    pub async fn kept_answers_known(&self) {
        self.0.cache.looked().await;
    }

    /// Says where files may stand for a moment while sandboxes of tool servers are made; without this, none with a sandbox of its
    /// own can be started.
    pub fn make_sandboxes_in(&self, folder: PathBuf) {
        self.0.children.quarters().keep_under(folder);
    }

    /// Ends every tool server that runs as a child, and waits until nothing of them is left, for a bounded time.
    pub async fn end_children(&self) {
        self.0.children.end_all().await;
    }

    pub(crate) fn of(gate: Arc<Gate>) -> Self {
        Self(gate)
    }

    /// Has the runs that runs ask for started by this one; without it, none are. The first one stays.
    pub fn start_runs_with(&self, nursery: Arc<dyn Nursery>) {
        self.0.nurseries.set(nursery);
    }

    pub(crate) fn gate(&self) -> &Arc<Gate> {
        &self.0
    }

    /// Serves agents until `shutdown` is done, then lets the answers under way end.
    ///
    /// # Errors
    /// When the listener cannot be used any more.
    pub async fn serve(&self, listener: TcpListener, shutdown: impl Future<Output = ()>) -> io::Result<()> {
        let stopping = self.0.shutdown.clone();
        let serving = accept::serve(Arc::clone(&self.0), listener, &self.0.limits, stopping.clone());
        let mut serving = std::pin::pin!(serving);
        let mut shutdown = std::pin::pin!(shutdown);
        let mut sweep = tokio::time::interval(self.0.limits.sweep);
        loop {
            tokio::select! {
                served = &mut serving => return served,
                () = &mut shutdown, if !stopping.is_cancelled() => stopping.cancel(),
                _ = sweep.tick() => self.0.sweep(),
            }
        }
    }

    /// Lists the tools of one server and has the kernel note them: at start, and when its configuration changes.
    ///
    /// # Errors
    /// When the server cannot be reached or its list cannot be used; the others are not touched by that.
    pub async fn discover(
        &self,
        workspace: &WorkspaceName,
        server: &ServerName,
    ) -> Result<Discovered, DiscoverError> {
        discovery::discover(&self.0, workspace, server).await
    }

    /// [`Gateway::discover`] for every server of every workspace, all at once.
    pub async fn discover_all(&self) -> Vec<(WorkspaceName, ServerName, Result<Discovered, DiscoverError>)> {
        let mut looking = tokio::task::JoinSet::new();
        for (workspace, server) in self.0.targets.all() {
            let gateway = self.clone();
            looking.spawn(async move {
                let found = gateway.discover(&workspace, &server).await;
                (workspace, server, found)
            });
        }
        let mut all = looking.join_all().await;
        all.sort_unstable_by(|one, other| (&one.0, &one.1).cmp(&(&other.0, &other.1)));
        all
    }

    /// The tool servers that run as children, for operators.
    pub fn children(&self) -> Vec<ChildView> {
        self.0.children.views()
    }

    /// How many sessions of legacy clients are open.
    pub fn sessions(&self) -> usize {
        self.0.sessions.count()
    }
}
