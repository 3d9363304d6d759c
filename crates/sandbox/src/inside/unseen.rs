//! Hears of packets that rules log: nfnetlink_log, as far as binding a socket to one group goes.

use std::io;
use std::os::fd::OwnedFd;

use rustix::net::netlink::NETFILTER;

use super::netlink::{ACKNOWLEDGE, Netlink, attribute, message};
use crate::limits::{UNSEEN_BYTES, UNSEEN_GROUP, UNSEEN_MESSAGE_BYTES};

const PACKET_LOG: u16 = 4;
const CONFIGURE: u16 = (PACKET_LOG << 8) | 1;

const BIND: u8 = 1;
const COPY_PACKET: u8 = 2;

/// A socket to which the heads of logged packets come, one in each datagram, at once.
///
/// # Errors
/// What the kernel said, as a rule because it lacks this part.
pub(super) fn listen() -> io::Result<OwnedFd> {
    let netlink = Netlink::open(Some(NETFILTER))?;
    netlink.ask(&bind())?;
    let socket = netlink.into_socket();
    rustix::io::ioctl_fionbio(&socket, true)?;
    Ok(socket)
}

/// nfgenmsg: family, version, group; then what to do, how much of a packet, how large a message, after how long (in hundredths
/// of a second) and after how many packets it is sent.
fn bind() -> Vec<u8> {
    let number = |kind, value: u32| attribute(kind, &value.to_be_bytes());
    let [high, low] = UNSEEN_GROUP.to_be_bytes();
    let copy = [&UNSEEN_BYTES.to_be_bytes()[..], &[COPY_PACKET, 0]].concat();
    let attributes = [
        attribute(1, &[BIND]),
        attribute(2, &copy),
        number(3, UNSEEN_MESSAGE_BYTES),
        number(4, 1),
        number(5, 1),
    ];
    message(CONFIGURE, ACKNOWLEDGE, &[&[0, 0, high, low][..], &attributes.concat()].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_those_of_the_message() {
        let bytes = bind();
        assert_eq!(u32::from_ne_bytes(bytes[..4].try_into().unwrap()) as usize, bytes.len());
        assert_eq!(bytes.len() % 4, 0);
    }
}
