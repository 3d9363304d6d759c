//! What a child can reach.

use std::net::{TcpListener, UdpSocket};
use std::os::fd::OwnedFd;

/// What a child can reach.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Network {
    /// The machine's network, as every process has it.
    #[default]
    Host = 0,
    /// A network namespace with nothing in it: no address answers.
    None = 1,
    /// A network namespace in which every address, of IPv4 and IPv6, leads to [`Sockets`] that are handed out, to
    /// be served from outside: there is no other way out, and the address that was really asked for is the
    /// local one of each connection.
    Gateway = 2,
}

/// Listening sockets inside a child's network namespace, held outside of it: non-blocking, closed on exec, of both
/// IPv6 and IPv4 (as mapped addresses) where the machine has IPv6.
///
/// The local address of a connection is the one that the child dialled, and everything that comes is from this
/// child. A datagram tells where it was sent in its `IPV6_PKTINFO` (`IP_PKTINFO` on a machine without IPv6); the
/// answer must carry the same.
#[derive(Debug)]
pub struct Sockets {
    /// Listeners by port: [`crate::limits::TCP_PORTS`].
    pub tcp: Vec<(u16, TcpListener)>,
    /// Datagram sockets by port: [`crate::limits::UDP_PORTS`].
    pub udp: Vec<(u16, UdpSocket)>,
    /// What catches TCP to every other port at which nobody inside listens, loopback excepted: the port that was dialled
    /// is the local one of each connection. `None` where the layer [`crate::LayerName::TransparentProxy`] is missing.
    pub rest: Option<TcpListener>,
    /// Where the kernel tells of packets that are neither TCP nor a question about a name nor for anybody inside, which
    /// it refuses: messages of nfnetlink_log with the heads of the packets, up to [`crate::limits::UNSEEN_PER_SECOND`].
    /// `None` where it tells of none, which then stands in the text of the layer [`crate::LayerName::TransparentProxy`].
    pub unseen: Option<OwnedFd>,
}

// === impl Network ===

impl Network {
    pub(crate) fn from_code(code: u8) -> Option<Self> {
        [Self::Host, Self::None, Self::Gateway].into_iter().find(|network| *network as u8 == code)
    }

    /// Whether it takes a namespace of its own.
    pub(crate) const fn is_own(self) -> bool {
        !matches!(self, Self::Host)
    }
}
