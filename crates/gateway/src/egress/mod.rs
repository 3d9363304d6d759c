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
//! What is dialled outside is what this node resolves itself ([`resolve`]). Reading order: [`harbour`], [`berth`],
//! [`connect`], [`fare`], then the rest.

mod addresses;
mod berth;
pub(crate) mod connect;
mod copy;
mod dial;
mod dns;
mod fare;
pub(crate) mod harbour;
pub(crate) mod limits;
pub(crate) mod names;
mod proxy;
mod pump;
mod resolve;
mod sniff;
mod tls;
mod tunnel;
mod unseen;
mod web;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use ringfence_types::HostName;
use rustls::ClientConfig;
use rustls::pki_types::CertificateDer;
use tokio::sync::Semaphore;

use limits::EgressLimits;
use resolve::{Resolver, is_this_machine};

use crate::http::accept;

/// What the configuration says of the world outside.
#[derive(Debug, Clone, Default)]
pub struct World {
    /// Names that have these addresses, whatever anybody else says; the addresses may be anywhere.
    pub addresses: HashMap<HostName, Vec<IpAddr>>,
    /// Certificates of authorities that are trusted beside the machine's.
    pub authorities: Vec<CertificateDer<'static>>,
    /// Where this node listens: no grant leads there.
    pub listeners: Vec<SocketAddr>,
}

/// What all runs' ways out share.
#[derive(Debug)]
pub(crate) struct Outside {
    resolver: Resolver,
    /// Ports of this node's own listeners.
    own_ports: Vec<u16>,
    /// How hosts are spoken to in TLS: for HTTP/1.1 alone, and for HTTP/2 as well.
    http1: Arc<ClientConfig>,
    http2: Arc<ClientConfig>,
    /// Places of connections.
    places: Arc<Semaphore>,
}

// === impl Outside ===

impl Outside {
    /// The world as the configuration has it. The machine's certificate authorities are read once.
    ///
    /// # Errors
    /// When they cannot be read, or one that is configured is none.
    pub(crate) fn new(world: World, limits: &EgressLimits) -> io::Result<Self> {
        let config = tls::client(world.authorities)?;
        let with = |protocols: &[&[u8]]| {
            let mut config = config.clone();
            config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
            Arc::new(config)
        };
        Ok(Self {
            resolver: Resolver::new(world.addresses, limits),
            own_ports: world.listeners.iter().map(SocketAddr::port).collect(),
            http1: with(&[b"http/1.1"]),
            http2: with(&[b"h2", b"http/1.1"]),
            // Half as many as agents' other connections: for each, too, one goes on.
            places: Arc::new(Semaphore::new(limits.connections.min(accept::connections_within_files() / 2))),
        })
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
