//! Where the sockets of runs come in.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use ringfence_kernel::{Harbour, Mooring, Run, RunSockets};
use ringfence_types::RunId;
use tokio::net::TcpListener;

use super::berth::Berth;
use super::tls::authority::{Authority, AuthorityError};
use super::{connect, dns, unseen};
use crate::Gateway;
use crate::gate::Gate;

/// Authorities of runs whose sockets are not here yet.
#[derive(Debug, Default)]
pub(crate) struct Authorities(Mutex<HashMap<RunId, Authority>>);

// === impl Authorities ===

impl Authorities {
    /// Forgets those of runs that are over.
    pub(crate) fn sweep(&self, lives: impl Fn(RunId) -> bool) {
        self.0.lock().retain(|run, _| lives(*run));
    }
}

// === impl Gate ===

impl Gate {
    pub(crate) fn new_authority(&self, run: &Run) -> Result<Authority, AuthorityError> {
        Authority::new(self.kernel.now(), run.expires_at, self.limits.egress.certificates)
    }

    fn sees_requests(&self, run: &Run) -> bool {
        self.kernel.setup().holds(run).is_some_and(|holds| holds.names_requests())
    }
}

// === impl Gateway ===

impl Harbour for Gateway {
    /// None where TLS ends here for no host that the run holds: then nothing has to be trusted.
    fn authority(&self, run: &Run) -> Option<Vec<u8>> {
        if !self.gate().sees_requests(run) {
            return None;
        }
        // What a sandbox was made to trust stays.
        let known = self.gate().authorities.0.lock().remove(&run.id);
        let made = known.map_or_else(|| self.gate().new_authority(run), Ok);
        let made = made.inspect_err(|error| tracing::error!(%error, "a run has no certificate authority"));
        let authority = made.ok()?;
        let pem = authority.pem().as_bytes().to_vec();
        self.gate().authorities.0.lock().insert(run.id, authority);
        Some(pem)
    }

    /// Has to be called within the runtime.
    fn attach(&self, run: Arc<Run>, sockets: RunSockets) -> Mooring {
        let authority = self.gate().authorities.0.lock().remove(&run.id);
        let berth = Arc::new(Berth::new(Arc::clone(self.gate()), run, authority));
        moor(&berth, sockets);
        Mooring::new(berth.stop.clone().drop_guard(), berth.traffic.clone())
    }
}

/// Answers on these sockets until the berth is told to stop.
pub(crate) fn moor(berth: &Arc<Berth>, sockets: RunSockets) {
    let known = sockets.tcp.into_iter().map(|(port, listener)| (Some(port), listener));
    for (port, listener) in known.chain(sockets.rest.map(|listener| (None, listener))) {
        let listening = listener.set_nonblocking(true).and_then(|()| TcpListener::from_std(listener));
        match listening {
            Ok(listener) => {
                tokio::spawn(connect::accept(Arc::clone(berth), listener, port));
            }
            Err(error) => tracing::error!(%error, port, "a sandbox's socket cannot be used"),
        }
    }
    if let Some(socket) = sockets.unseen {
        let berth = Arc::clone(berth);
        tokio::spawn(async move {
            if let Err(error) = unseen::hear(berth, socket).await {
                tracing::error!(%error, "what a sandbox sends besides TCP cannot be put on record");
            }
        });
    }
    for (port, socket) in sockets.udp {
        let berth = Arc::clone(berth);
        tokio::spawn(async move {
            if let Err(error) = dns::serve::udp(berth, socket).await {
                tracing::error!(%error, port, "a sandbox's socket cannot be used");
            }
        });
    }
}
