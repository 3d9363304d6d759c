//! The agents' side, as far as a node starts and stops it.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use ringfence_gateway::targets::Targets;
use ringfence_gateway::{Doors, Gateway, Limits, StartError};
use ringfence_kernel::Kernel;
use ringfence_sandbox::Spawner;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// How long agents wait at a start for the tool lists of all servers, so that what they may call is known, and for what
/// was kept of answers; lists that take longer are noted when they come, or when an agent asks for them.
const DISCOVERY_WAIT: Duration = Duration::from_secs(5);

/// The folder in the data folder with what stands there while sandboxes of tool servers are made.
const SANDBOXES: &str = "sandboxes";

/// Why there is no agents' side.
pub type AgentsSideError = StartError;

/// The agents' side.
pub(super) struct AgentsSide {
    gateway: Gateway,
    stop: CancellationToken,
    /// Cancelled once the first look at all servers is over.
    looked: CancellationToken,
    /// `None` until it serves.
    serving: Option<JoinHandle<()>>,
    missing_layers: Vec<(String, String)>,
}

// === impl AgentsSide ===

impl AgentsSide {
    /// A side that serves nobody yet.
    pub(super) fn new(
        kernel: &Kernel,
        targets: &Targets,
        spawner: Option<Spawner>,
        data: &Path,
        listeners: &[SocketAddr],
    ) -> Result<Self, AgentsSideError> {
        let missing =
            spawner.iter().flat_map(|spawner| spawner.layers().missing().cloned().collect::<Vec<_>>());
        let missing_layers = missing
            .map(|layer| {
                let why = match layer.state {
                    ringfence_sandbox::LayerState::Missing(why) => why,
                    ringfence_sandbox::LayerState::InForce(_) => String::new(),
                };
                (layer.name.to_string(), why)
            })
            .collect();
        let (doors, limits) = (Doors::default(), Limits::default());
        let gateway = Gateway::beside(kernel.clone(), targets.clone(), spawner, doors, limits, listeners)?;
        gateway.keep_answers_under(data);
        let sandboxes = data.join(SANDBOXES);
        // What a node that went down in just that moment has left there; what cannot be removed is in nobody's way.
        let _ = std::fs::remove_dir_all(&sandboxes);
        gateway.make_sandboxes_in(sandboxes);
        Ok(Self {
            gateway,
            stop: CancellationToken::new(),
            looked: CancellationToken::new(),
            serving: None,
            missing_layers,
        })
    }

    /// Asks every server for its tools and looks for answers that were kept, then serves agents. Those who come before
    /// that wait in the machine's queue, for [`DISCOVERY_WAIT`] at most: one server that hangs must not keep the others
    /// from them.
    pub(super) fn serve(&mut self, listener: TcpListener) {
        let (gateway, stop, looked) = (self.gateway.clone(), self.stop.clone(), self.looked.clone());
        let looking = discover(&gateway);
        self.serving = Some(tokio::spawn(async move {
            let goes_on = looking.abort_handle();
            tokio::select! {
                () = stop.cancelled() => {}
                // The lists go on being fetched when the wait is over.
                _ = tokio::time::timeout(DISCOVERY_WAIT, async {
                    let _ = looking.await;
                    gateway.kept_answers_known().await;
                }) => {}
            }
            looked.cancel();
            if let Err(error) = gateway.serve(listener, stop.cancelled()).await {
                tracing::error!(%error, "the agents' side has ended");
            }
            goes_on.abort();
        }));
    }

    /// Layers of isolation that this machine refuses: name and reason.
    pub(super) fn missing_layers(&self) -> Vec<(String, String)> {
        self.missing_layers.clone()
    }

    /// Cancelled once the first look at all servers is over, or has taken long enough.
    pub(super) fn looked(&self) -> CancellationToken {
        self.looked.clone()
    }

    /// The gateway itself.
    pub(super) fn gateway(&self) -> &Gateway {
        &self.gateway
    }

    /// Takes no more requests and lets those under way end, for `grace` at most.
    pub(super) async fn stop(&mut self, grace: Duration) {
        self.stop.cancel();
        if let Some(mut serving) = self.serving.take()
            && tokio::time::timeout(grace, &mut serving).await.is_err()
        {
            serving.abort();
        }
        self.gateway.end_children().await;
    }
}

/// Asks every server for its tools, in the background.
pub(super) fn discover(gateway: &Gateway) -> JoinHandle<()> {
    let gateway = gateway.clone();
    tokio::spawn(async move {
        for (workspace, server, found) in gateway.discover_all().await {
            if let Err(error) = found {
                tracing::warn!(%workspace, %server, %error, "the tools of a server cannot be listed");
            }
        }
    })
}
