//! What a run's sandbox has of the world: sockets, which are handed to whoever answers on them.

use std::net::{TcpListener, UdpSocket};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::Run;

/// The sockets of one sandbox, open in its network namespace: whatever a program inside sends comes out here and nowhere
/// else.
#[derive(Debug, Default)]
pub struct RunSockets {
    /// Listening, by the port they listen on; each on every address.
    pub tcp: Vec<(u16, TcpListener)>,
    /// By the port they are bound to; each on every address.
    pub udp: Vec<(u16, UdpSocket)>,
    /// Gets the connections to every other port, each with the port that was dialled as its own; `None` where the machine
    /// cannot catch them.
    pub rest: Option<TcpListener>,
    /// Gets messages of the kernel's log of packets (nfnetlink_log) about those that it refused inside; `None` where it
    /// tells of none.
    pub unseen: Option<OwnedFd>,
}

/// Whoever answers the sockets of runs. `runs` brings them; the gateway answers: neither knows the other.
pub trait Harbour: Send + Sync + 'static {
    /// The certificate, as PEM, that programs of a run have to trust: asked for before the sandbox is made, which shows it to
    /// them. `None` where nothing has to be trusted.
    fn authority(&self, run: &Run) -> Option<Vec<u8>>;

    /// Answers on these sockets for this run, until what is returned is dropped: then nothing is answered any more and what is
    /// open is cut.
    fn attach(&self, run: Arc<Run>, sockets: RunSockets) -> Mooring;
}

/// That a run's sockets are answered; ends with it.
#[must_use = "nothing is answered once this is dropped"]
pub struct Mooring {
    _held: Box<dyn Send + Sync>,
    traffic: Traffic,
}

/// Bytes between a run and hosts, either way. Clones count together.
#[derive(Debug, Clone, Default)]
pub struct Traffic(Arc<AtomicU64>);

// === impl Mooring ===

impl Mooring {
    /// Keeps `held` until it is dropped. What passes is counted on `traffic`.
    pub fn new(held: impl Send + Sync + 'static, traffic: Traffic) -> Self {
        Self { _held: Box::new(held), traffic }
    }

    /// A number that is another one when bytes went either way between the run and a host.
    pub fn pulse(&self) -> u64 {
        self.traffic.0.load(Ordering::Relaxed)
    }
}

// === impl Traffic ===

impl Traffic {
    /// Counts bytes that went either way.
    pub fn add(&self, bytes: usize) {
        self.0.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

impl std::fmt::Debug for Mooring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mooring").finish_non_exhaustive()
    }
}
