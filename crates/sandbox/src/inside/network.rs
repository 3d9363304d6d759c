//! A network namespace in which every address leads to listening sockets that are handed out.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};

use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, ipproto, listen, socket_with, sockopt};

use super::catch;
use super::found::Found;
use super::routes::{self, Family};
use super::unseen;
use crate::layer::LayerName;
use crate::limits::{BACKLOG, CATCH_PORT, TCP_PORTS, UDP_PORTS};
use crate::network::Network;
use crate::system::{Namespaces, switch_on};
use crate::wire::Failure;

/// Sets up the network that was ordered; the sockets to hand out, in the order of [`TCP_PORTS`] and [`UDP_PORTS`],
/// then what catches the rest, if something does, and what hears
/// of other packets, if something does.
///
/// # Errors
/// When it cannot be: a child that must not reach the machine's network is not started with it.
pub(super) fn prepare(
    network: Network,
    namespaces: Namespaces,
    found: &mut Found,
) -> Result<Vec<OwnedFd>, Failure> {
    if !network.is_own() {
        found.missing(LayerName::NetworkNamespace, "the machine's network was ordered");
        found.missing(LayerName::TransparentProxy, "the machine's network was ordered");
        return Ok(Vec::new());
    }
    if !namespaces.has(Namespaces::NETWORK) {
        let why = "the network that was ordered takes a network namespace, which this machine refuses";
        return Err(Failure::layer(LayerName::NetworkNamespace, why));
    }
    if network == Network::None {
        found.in_force(LayerName::NetworkNamespace, "no network");
        found.in_force(LayerName::TransparentProxy, "no network");
        return Ok(Vec::new());
    }
    let families = routes::lead_here().map_err(|error| {
        let why = format!("leading all addresses to the gateway: {error}");
        Failure::layer(LayerName::NetworkNamespace, why)
    })?;
    let mut sockets =
        listen_all(families).map_err(|error| Failure::setup("listening for the gateway", &error))?;
    found.in_force(
        LayerName::NetworkNamespace,
        match families {
            Family::Both => "every address leads to the gateway",
            Family::V4 => "every IPv4 address leads to the gateway; there is no IPv6",
        },
    );
    match catch_rest(families) {
        Ok((socket, unseen)) => {
            sockets.push(socket);
            let what = "every TCP port of every address but loopback";
            let others = match unseen {
                Ok(unseen) => {
                    sockets.push(unseen);
                    "refused packets of other protocols are on record".to_owned()
                }
                Err(error) => format!("other protocols are refused unseen: {error}"),
            };
            found.in_force(LayerName::TransparentProxy, format!("{what}; {others}"));
        }
        Err(error) => found.missing(LayerName::TransparentProxy, format!("catching other ports: {error}")),
    }
    Ok(sockets)
}

/// The socket that catches TCP to every other port, and the one that hears of other packets, or why there is none.
fn catch_rest(family: Family) -> io::Result<(OwnedFd, io::Result<OwnedFd>)> {
    let socket = unbound(family, SocketType::STREAM)?;
    // Before it is bound: to have connections that are to other addresses and ports than its own.
    match family {
        Family::Both => switch_on(socket.as_fd(), libc::IPPROTO_IPV6, libc::IPV6_TRANSPARENT)?,
        Family::V4 => switch_on(socket.as_fd(), libc::IPPROTO_IP, libc::IP_TRANSPARENT)?,
    }
    bind_to(&socket, family, CATCH_PORT)?;
    listen(&socket, BACKLOG)?;
    let unseen = unseen::listen().and_then(|unseen| catch::all_ports(true).map(|()| unseen));
    if unseen.is_err() {
        catch::all_ports(false)?;
    }
    Ok((socket, unseen))
}

fn listen_all(family: Family) -> io::Result<Vec<OwnedFd>> {
    let mut sockets = Vec::with_capacity(TCP_PORTS.len() + UDP_PORTS.len());
    for port in TCP_PORTS {
        let socket = bound(family, SocketType::STREAM, port)?;
        listen(&socket, BACKLOG)?;
        sockets.push(socket);
    }
    for port in UDP_PORTS {
        let socket = bound(family, SocketType::DGRAM, port)?;
        // An answer must come from the address that was asked, so that the asker takes it.
        match family {
            Family::Both => switch_on(socket.as_fd(), libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO)?,
            Family::V4 => switch_on(socket.as_fd(), libc::IPPROTO_IP, libc::IP_PKTINFO)?,
        }
        sockets.push(socket);
    }
    Ok(sockets)
}

fn bound(family: Family, kind: SocketType, port: u16) -> io::Result<OwnedFd> {
    let socket = unbound(family, kind)?;
    bind_to(&socket, family, port)?;
    Ok(socket)
}

fn unbound(family: Family, kind: SocketType) -> io::Result<OwnedFd> {
    let protocol = Some(if kind == SocketType::STREAM { ipproto::TCP } else { ipproto::UDP });
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let domain = match family {
        Family::Both => AddressFamily::INET6,
        Family::V4 => AddressFamily::INET,
    };
    let socket = socket_with(domain, kind, flags, protocol)?;
    if family == Family::Both {
        sockopt::set_ipv6_v6only(&socket, false)?;
    }
    Ok(socket)
}

fn bind_to(socket: &OwnedFd, family: Family, port: u16) -> io::Result<()> {
    let address = match family {
        Family::Both => SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)),
        Family::V4 => SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)),
    };
    Ok(bind(socket, &address)?)
}
