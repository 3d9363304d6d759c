//! A running node: both sides, the kernel between them, and the configuration in force.

mod agents;
mod chores;
#[cfg(test)]
mod past_tests;
mod reload;
mod start;
mod watch;

pub(crate) use reload::Reloader;
pub use reload::{ReloadError, Reloaded};
pub use start::{Node, NodeOptions, StartError, prepare_folder};

use std::net::SocketAddr;

/// An address that others could reach; without TLS nothing may listen there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "{address} can be reached from other machines, and this version does not speak TLS; listen on 127.0.0.1 and put a \
     TLS proxy or an ssh tunnel in front"
)]
pub struct Exposed {
    /// Which.
    pub address: SocketAddr,
}

/// Refuses an address that is not loopback.
pub(crate) fn loopback_only(address: SocketAddr) -> Result<SocketAddr, Exposed> {
    if address.ip().is_loopback() { Ok(address) } else { Err(Exposed { address }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_is_listened_on() {
        for (address, passes) in [
            ("127.0.0.1:0", true),
            ("[::1]:7401", true),
            ("127.8.9.1:1", true),
            ("0.0.0.0:7401", false),
            ("[::]:7401", false),
            ("10.0.0.1:7401", false),
        ] {
            assert_eq!(loopback_only(address.parse().unwrap()).is_ok(), passes, "{address}");
        }
    }
}
