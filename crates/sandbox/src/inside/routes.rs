//! Every address is local: rtnetlink(7), as far as `ip link set lo up` and `ip route add local default dev lo` go.

use std::io;

use rustix::net::AddressFamily;

use super::netlink::{ACKNOWLEDGE, CREATE, EXCLUSIVE, Netlink, attribute, message};

/// What addresses lead here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    /// All of IPv4 and IPv6.
    Both,
    /// All of IPv4; the machine has no IPv6.
    V4,
}

/// The loopback device is the first of every network namespace.
const LOOPBACK: u32 = 1;

const NEW_LINK: u16 = 16;
const NEW_ROUTE: u16 = 24;

const LINK_UP: u32 = 0x1;
const TABLE_LOCAL: u8 = 255;
const PROTOCOL_STATIC: u8 = 4;
const SCOPE_HOST: u8 = 254;
const SCOPE_UNIVERSE: u8 = 0;
const TYPE_LOCAL: u8 = 2;
const ATTRIBUTE_DEVICE: u16 = 4;

/// Brings the loopback device up and makes every address local.
pub(super) fn lead_here() -> io::Result<Family> {
    let netlink = Netlink::open(None)?;
    netlink.ask(&link_up())?;
    netlink.ask(&local_route(AddressFamily::INET, SCOPE_HOST))?;
    match netlink.ask(&local_route(AddressFamily::INET6, SCOPE_UNIVERSE)) {
        Ok(()) => Ok(Family::Both),
        Err(error) if no_ipv6(&error) => Ok(Family::V4),
        Err(error) => Err(error),
    }
}

/// What the kernel answers without IPv6, or where it is switched off for the device.
fn no_ipv6(error: &io::Error) -> bool {
    [libc::EOPNOTSUPP, libc::EAFNOSUPPORT, libc::EACCES, libc::ENODEV, libc::EINVAL]
        .iter()
        .any(|code| error.raw_os_error() == Some(*code))
}

/// ifinfomsg: family, type, index, flags, which flags to change.
fn link_up() -> Vec<u8> {
    let mut body = vec![0; 4];
    for field in [LOOPBACK, LINK_UP, LINK_UP] {
        body.extend(field.to_ne_bytes());
    }
    message(NEW_LINK, ACKNOWLEDGE, &body)
}

/// rtmsg: family, no prefix (so: all addresses), table, protocol, scope, type; then the device.
fn local_route(family: AddressFamily, scope: u8) -> Vec<u8> {
    let family = u8::try_from(family.as_raw()).unwrap_or_default();
    let mut body = vec![family, 0, 0, 0, TABLE_LOCAL, PROTOCOL_STATIC, scope, TYPE_LOCAL];
    body.extend(0_u32.to_ne_bytes());
    body.extend(attribute(ATTRIBUTE_DEVICE, &LOOPBACK.to_ne_bytes()));
    message(NEW_ROUTE, CREATE | EXCLUSIVE | ACKNOWLEDGE, &body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_those_of_the_messages() {
        for bytes in [link_up(), local_route(AddressFamily::INET6, 0)] {
            assert_eq!(u32::from_ne_bytes(bytes[..4].try_into().unwrap()) as usize, bytes.len());
            assert_eq!(bytes.len() % 4, 0);
        }
    }
}
