//! The agents' side, as far as a node starts and stops it.

use std::time::Duration;

use ringfence_gateway::targets::Targets;
use ringfence_gateway::{Doors, Gateway, Limits, StartError};
use ringfence_kernel::Kernel;
use ringfence_sandbox::Spawner;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// How long a start waits for the tool lists of all servers; those that take longer are noted when they come.
const DISCOVERY_WAIT: Duration = Duration::from_secs(5);

/// Why there is no agents' side.
pub type AgentsSideError = StartError;

/// The agents' side.
pub(super) struct AgentsSide {
    gateway: Gateway,
    stop: CancellationToken,
    serving: JoinHandle<()>,
    url: String,
    missing_layers: Vec<(String, String)>,
}

// === impl AgentsSide ===

impl AgentsSide {
    /// Serves agents, and has the kernel note what tools there are.
    pub(super) async fn start(
        kernel: &Kernel,
        targets: &Targets,
        spawner: Option<Spawner>,
        listener: TcpListener,
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
        let url = listener.local_addr().map_or_else(|_| String::new(), |address| format!("http://{address}"));
        let gateway =
            Gateway::new(kernel.clone(), targets.clone(), spawner, Doors::default(), Limits::default())?;
        let stop = CancellationToken::new();
        let (serving, stopped) = (gateway.clone(), stop.clone());
        let serving = tokio::spawn(async move {
            if let Err(error) = serving.serve(listener, stopped.cancelled()).await {
                tracing::error!(%error, "the agents' side has ended");
            }
        });
        let side = Self { gateway, stop, serving, url, missing_layers };
        // The lists go on being fetched when the wait is over.
        let _ = tokio::time::timeout(DISCOVERY_WAIT, side.discover()).await;
        Ok(side)
    }

    /// Asks every server for its tools, in the background.
    pub(super) fn discover(&self) -> JoinHandle<()> {
        let gateway = self.gateway.clone();
        tokio::spawn(async move {
            for (workspace, server, found) in gateway.discover_all().await {
                if let Err(error) = found {
                    tracing::warn!(%workspace, %server, %error, "the tools of a server cannot be listed");
                }
            }
        })
    }

    /// Where agents come in.
    pub(super) fn url(&self) -> String {
        self.url.clone()
    }

    /// Layers of isolation that this machine refuses: name and reason.
    pub(super) fn missing_layers(&self) -> Vec<(String, String)> {
        self.missing_layers.clone()
    }

    /// The gateway itself.
    pub(super) fn gateway(&self) -> &Gateway {
        &self.gateway
    }

    /// Takes no more requests and lets those under way end, for `grace` at most.
    pub(super) async fn stop(&mut self, grace: Duration) {
        self.stop.cancel();
        if tokio::time::timeout(grace, &mut self.serving).await.is_err() {
            self.serving.abort();
        }
    }
}
