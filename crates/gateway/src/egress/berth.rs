//! One run's place at the gateway: who it is, and what all its connections share.

use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use parking_lot::Mutex;
use ringfence_kernel::{
    Admission, EgressCall, EgressClearance, EgressProposal, Holds, Outcome, Run, Traffic,
};
use ringfence_types::{Code, Digest, HostName, Refusal};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::dial::dial;
use super::limits::EgressLimits;
use super::names::Names;
use super::tls::authority::{Authority, AuthorityError};
use super::world::World;
use crate::gate::Gate;

/// One run's place.
#[derive(Debug)]
pub(crate) struct Berth {
    pub(crate) gate: Arc<Gate>,
    pub(crate) run: Arc<Run>,
    pub(crate) names: Names,
    /// Made when the run began, or else when it is first needed.
    authority: OnceLock<Authority>,
    /// Connections that may be open.
    pub(crate) places: Arc<Semaphore>,
    /// Names that may be resolved at once.
    lookups: Arc<Semaphore>,
    queries: Mutex<Bucket>,
    /// Cancelled when the run is over: what is open is cut.
    pub(crate) stop: CancellationToken,
    /// What passes between the run and hosts.
    pub(crate) traffic: Traffic,
    /// Where hosts of a test really listen, by the port they are said to.
    #[cfg(test)]
    pub(crate) ports: Mutex<std::collections::HashMap<u16, u16>>,
}

/// How many questions may be asked now.
#[derive(Debug)]
struct Bucket {
    left: f64,
    at: Instant,
}

/// Why a host was not reached: a sentence, and whether it is for want of permission.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unreached {
    /// It has no address that may be dialled.
    #[error("{0}")]
    Unresolved(#[from] super::resolve::ResolveError),
    /// It is this node.
    #[error(
        "this node itself listens there; agents reach their side of it as http://gateway/, and the other never"
    )]
    ThisNode,
    /// Nobody answers.
    #[error("the host does not answer on this port")]
    Silent,
    /// It does not prove who it is, or does not speak TLS.
    #[error(
        "the host's certificate is not trusted, or it does not speak TLS as it should; authorities that the web does not know stand \
         under `egress: authorities` of the configuration"
    )]
    Untrusted,
}

// === impl Berth ===

impl Berth {
    pub(crate) fn new(gate: Arc<Gate>, run: Arc<Run>, authority: Option<Authority>) -> Self {
        let limits = &gate.limits.egress;
        Self {
            names: Names::new(limits.names_per_run),
            authority: authority.map(OnceLock::from).unwrap_or_default(),
            places: Arc::new(Semaphore::new(limits.connections_per_run)),
            lookups: Arc::new(Semaphore::new(limits.lookups_per_run)),
            queries: Mutex::new(Bucket { left: f64::from(limits.queries_burst), at: Instant::now() }),
            stop: CancellationToken::new(),
            traffic: Traffic::default(),
            #[cfg(test)]
            ports: Mutex::default(),
            gate,
            run,
        }
    }

    /// Whose certificates hosts show inside where TLS ends here. Grants that came after the run began do not have it trusted
    /// there: then TLS is not agreed on.
    ///
    /// # Errors
    /// When it cannot be made.
    pub(crate) fn authority(&self) -> Result<&Authority, AuthorityError> {
        if let Some(authority) = self.authority.get() {
            return Ok(authority);
        }
        let made = self.gate.new_authority(&self.run)?;
        Ok(self.authority.get_or_init(|| made))
    }

    pub(crate) fn limits(&self) -> &EgressLimits {
        &self.gate.limits.egress
    }

    /// Looks at what the run holds now; nothing, if whoever it is is no longer configured.
    pub(crate) fn grants<T: Default>(&self, look: impl FnOnce(&Holds<'_>) -> T) -> T {
        let setup = self.gate.kernel.setup();
        setup.holds(&self.run).map(|holds| look(&holds)).unwrap_or_default()
    }

    /// Refuses, on the record, what is never decided.
    pub(crate) fn turn_away(
        &self,
        host: &HostName,
        port: u16,
        code: Code,
        reason: impl Into<String>,
    ) -> Refusal {
        self.gate.kernel.turn_away_egress(&self.run, host, port, code, reason)
    }

    /// Has it decided, by a person if need be.
    ///
    /// # Errors
    /// When it may not be.
    pub(crate) async fn admit(&self, call: EgressCall) -> Result<EgressClearance, Box<Refusal>> {
        let (host, port) = (call.host.clone(), call.port);
        let proposal = EgressProposal { run: Arc::clone(&self.run), call };
        let admission = match self.gate.kernel.admit_egress(proposal).await {
            Admission::Pending(pending) => Box::pin(pending.wait()).await,
            decided => decided,
        };
        match admission {
            // What cannot be done is not left out in silence.
            Admission::Cleared(clearance) if !clearance.obligations().redact.is_empty() => {
                let message = "answers of hosts cannot be redacted";
                clearance.settle(Outcome::NotSent { message: message.to_owned() });
                let reason = "A rule wants parts of the answer taken out (redact), which cannot be done with hosts. \
                              Whoever wrote it has to deny this, or to let it through whole.";
                Err(Box::new(self.turn_away(&host, port, Code::DeniedByPolicy, reason)))
            }
            Admission::Cleared(clearance) => Ok(clearance),
            Admission::Refused(refusal) => Err(Box::new(refusal)),
            Admission::Pending(_) => {
                let reason = "This waits for a person's approval. Try again later.";
                Err(Box::new(self.turn_away(&host, port, Code::Overloaded, reason)))
            }
        }
    }

    /// The world as the configuration has it that cleared something; if that is not known any more, one of which nothing is said.
    pub(crate) fn world(&self, config: Digest) -> Arc<World> {
        self.gate.targets.world_of_config(config)
    }

    /// A connection to a host that was cleared, to an address of our own finding.
    pub(crate) async fn reach(
        &self,
        world: &World,
        host: &HostName,
        port: u16,
    ) -> Result<TcpStream, Unreached> {
        let named = self.grants(|holds| holds.names_host(host));
        let outside = &self.gate.outside;
        let addresses: Vec<IpAddr> = outside.resolver.resolve(world, host, named, &self.lookups).await?;
        #[cfg(test)]
        let port = self.ports.lock().get(&port).copied().unwrap_or(port);
        if addresses.iter().any(|address| outside.is_this_node(*address, port)) {
            return Err(Unreached::ThisNode);
        }
        dial(&addresses, port, self.limits()).await.ok_or(Unreached::Silent)
    }

    /// Whether one more question about a name may be asked now.
    pub(crate) fn may_ask(&self) -> bool {
        let limits = self.limits();
        self.queries.lock().take(Instant::now(), limits.queries_per_second, limits.queries_burst)
    }
}

// === impl Bucket ===

impl Bucket {
    fn take(&mut self, now: Instant, per_second: u32, burst: u32) -> bool {
        let refilled = now.saturating_duration_since(self.at).as_secs_f64() * f64::from(per_second);
        self.left = (self.left + refilled).min(f64::from(burst));
        self.at = now;
        let enough = self.left >= 1.0;
        if enough {
            self.left -= 1.0;
        }
        enough
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn questions_come_at_a_rate_with_some_at_once() {
        let start = Instant::now();
        let mut bucket = Bucket { left: 3.0, at: start };
        let taken = |bucket: &mut Bucket, at| (0..10).filter(|_| bucket.take(at, 2, 3)).count();
        assert_eq!(taken(&mut bucket, start), 3);
        assert_eq!(taken(&mut bucket, start + Duration::from_secs(1)), 2);
        assert_eq!(taken(&mut bucket, start + Duration::from_mins(1)), 3);
    }
}
