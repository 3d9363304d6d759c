//! What programs in a sandbox send to the world, and the gateway's place in between.
//!
//! A sandbox's network leads to a few listening sockets and nowhere else. Which socket it is says which run it is; which
//! address was dialled says which name was looked up ([`names`], [`dns`]). Every connection, or every request where they
//! are seen one by one, is an action like any other.
//!
//! ```text
//! inside ──▶ connect ──▶ :80    web ─────────────▶ each request is an action
//!               │    ──▶ :443   tunnel ──▶ pass through: each connection is one
//!               │                     └──▶ web, behind a certificate of the run's own authority, where a grant names requests
//!               │    ──▶ :3128  proxy ───▶ one of these
//!               │    ──▶ :53    dns
//!               └──▶ gateway:80 ─────────▶ as the agents' listener, without a token
//!        ──▶ no TCP and no name ────▶ refused inside by the kernel, which tells `unseen`
//! ```
//!
//! What is dialled outside is what this node resolves itself ([`resolve`]), near as well where the configuration says so ([`world`],
//! [`leads`]). Reading order: [`harbour`], [`berth`],
//! [`connect`], [`fare`], then the rest.

mod addresses;
mod berth;
pub(crate) mod connect;
mod copy;
mod dial;
mod dns;
mod fare;
pub(crate) mod harbour;
pub(crate) mod leads;
pub(crate) mod limits;
pub(crate) mod names;
mod proxy;
mod pump;
mod resolve;
mod sniff;
pub(crate) mod tls;
pub(crate) mod trusted;
mod tunnel;
mod unseen;
mod web;
pub(crate) mod world;

#[cfg(test)]
mod tests;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use rustls::RootCertStore;
use tokio::sync::Semaphore;

use limits::EgressLimits;
use resolve::{Resolver, is_this_machine};
use world::{Trust, World};

use crate::http::accept;

/// What all runs' ways out share.
#[derive(Debug)]
pub(crate) struct Outside {
    resolver: Resolver,
    /// Ports of this node's own listeners.
    own_ports: Vec<u16>,
    /// Whom the machine trusts.
    roots: RootCertStore,
    /// Places of connections.
    places: Arc<Semaphore>,
}

// === impl Outside ===

impl Outside {
    /// The world for a node that listens there: no grant leads to its listeners. The machine's certificate authorities are read
    /// once.
    ///
    /// # Errors
    /// When they cannot be read.
    pub(crate) fn new(listeners: &[SocketAddr], limits: &EgressLimits) -> io::Result<Self> {
        Ok(Self {
            resolver: Resolver::new(limits),
            own_ports: listeners.iter().map(SocketAddr::port).collect(),
            roots: tls::machine_roots()?,
            // Half as many as agents' other connections: for each, too, one goes on.
            places: Arc::new(Semaphore::new(limits.connections.min(accept::connections_within_files() / 2))),
        })
    }

    /// How hosts are spoken to in TLS, as that world has it. `None` where one of its authorities is none, which is refused where
    /// they are read: then nobody is trusted.
    pub(crate) fn trust<'a>(&self, world: &'a World) -> Option<&'a Trust> {
        world.trust(&self.roots)
    }

    /// Whether this is a listener of this node. Agents have their way to it, and none to the operators' side.
    pub(crate) fn is_this_node(&self, address: IpAddr, port: u16) -> bool {
        self.own_ports.contains(&port) && is_this_machine(address)
    }

    /// Forgets what is too old to be used.
    pub(crate) fn sweep(&self) {
        self.resolver.sweep();
    }
}
