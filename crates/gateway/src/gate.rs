//! What all requests share.

use std::sync::Arc;

use bytes::Bytes;
use ringfence_kernel::{Kernel, Run};
use ringfence_types::{RunId, ServerName, WorkspaceName};
use tokio_util::sync::CancellationToken;

use crate::egress::Outside;
use crate::egress::harbour::Authorities;
use crate::http::loads::Loads;
use crate::http::wires::Wires;
use crate::llm::cache::{Cache, Place};
use crate::llm::turns::Turns;
use crate::mcp::catalog::Catalog;
use crate::mcp::eras::Eras;
use crate::mcp::looks::Looks;
use crate::mcp::rounds::Rounds;
use crate::mcp::session::{Session, Sessions};
use crate::mcp::upstream::UpstreamError;
use crate::mcp::upstream::children::Children;
use crate::mcp::upstream::http::{self, Address};
use crate::spawn::Nurseries;
use crate::targets::{Target, Targets};
use crate::{Doors, Limits};

/// What all requests share.
#[derive(Debug)]
pub(crate) struct Gate {
    pub(crate) kernel: Kernel,
    pub(crate) targets: Targets,
    pub(crate) limits: Limits,
    pub(crate) doors: Doors,
    pub(crate) wires: Arc<Wires>,
    pub(crate) children: Children,
    pub(crate) sessions: Sessions,
    pub(crate) eras: Eras,
    pub(crate) catalog: Catalog,
    pub(crate) rounds: Rounds,
    pub(crate) looks: Looks,
    pub(crate) loads: Loads,
    /// Answers of models that are kept.
    pub(crate) cache: Cache,
    /// Places at the models.
    pub(crate) turns: Turns,
    /// The world, for what leaves sandboxes.
    pub(crate) outside: Outside,
    /// What sandboxes are to trust.
    pub(crate) authorities: Authorities,
    /// Whoever starts the runs that runs ask for.
    pub(crate) nurseries: Nurseries,
    /// Cancelled when the node stops: streams end.
    pub(crate) shutdown: CancellationToken,
}

// === impl Gate ===

impl Gate {
    /// Where a server is, as it is configured now.
    pub(crate) fn target(
        &self,
        workspace: &WorkspaceName,
        server: &ServerName,
    ) -> Result<Target, UpstreamError> {
        self.targets.get(workspace, server).ok_or(UpstreamError::Gone)
    }

    /// Whether a run holds anything of a server.
    pub(crate) fn holds(&self, run: &Run, server: &ServerName) -> bool {
        let setup = self.kernel.setup();
        setup.holds(run).is_some_and(|holds| holds.server(server))
    }

    /// The servers of which a run holds anything, by name.
    pub(crate) fn held(&self, run: &Run) -> Vec<ServerName> {
        let mut servers = self.targets.servers(&run.workspace);
        servers.retain(|server| self.holds(run, server));
        servers
    }

    /// What was answered to an earlier call of a model, if it is kept.
    pub(crate) async fn kept_answer(&self, place: &Place) -> Option<Bytes> {
        self.cache.get(place, self.kernel.now(), self.targets.cache_bounds()).await
    }

    /// Keeps what a model answered.
    pub(crate) fn keep_answer(&self, place: &Place, body: Bytes) {
        self.cache.put(place, body, self.kernel.now(), self.targets.cache_bounds());
    }

    /// Ends what nobody uses any more: sessions, children, connections.
    pub(crate) fn sweep(self: &Arc<Self>) {
        for session in self.sessions.sweep(|run| self.lives(run)) {
            self.say_farewell(session);
        }
        self.children.sweep(|run| self.lives(run));
        self.wires.sweep();
        self.rounds.sweep(&self.limits);
        self.loads.sweep();
        self.turns.sweep();
        self.outside.sweep();
        self.authorities.sweep(|run| self.lives(run));
        let (now, config) = (self.kernel.now(), self.kernel.setup().digest);
        self.cache.sweep(now, config, self.targets.cache_bounds());
    }

    fn lives(&self, run: RunId) -> bool {
        let now = self.kernel.now();
        self.kernel.run(run).is_some_and(|view| view.ended.is_none() && now < view.run.expires_at)
    }

    /// Ends the sessions that a session has with upstreams, without waiting.
    pub(crate) fn say_farewell(self: &Arc<Self>, session: Arc<Session>) {
        let gate = Arc::clone(self);
        tokio::spawn(async move {
            for place in session.upstreams() {
                let Some(known) = place.lock().await.take() else { continue };
                let address: Address = known.address(&known.target);
                let farewell = http::end_session(&gate.wires, &address);
                if tokio::time::timeout(gate.limits.connect_time, farewell).await.is_err() {
                    tracing::debug!("an upstream did not say whether it ended a session");
                }
            }
        });
    }
}
