//! Every address is local: rtnetlink(7), as far as `ip link set lo up` and `ip route add local default dev lo` go.

use std::io;
use std::os::fd::OwnedFd;

use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socket_with};

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
const ERROR: u16 = 2;

const REQUEST: u16 = 0x1;
const ACKNOWLEDGE: u16 = 0x4;
const EXCLUSIVE: u16 = 0x200;
const CREATE: u16 = 0x400;

const LINK_UP: u32 = 0x1;
const TABLE_LOCAL: u8 = 255;
const PROTOCOL_STATIC: u8 = 4;
const SCOPE_HOST: u8 = 254;
const SCOPE_UNIVERSE: u8 = 0;
const TYPE_LOCAL: u8 = 2;
const ATTRIBUTE_DEVICE: u16 = 4;

/// Brings the loopback device up and makes every address local.
pub(super) fn lead_here() -> io::Result<Family> {
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)?;
    ask(&socket, &link_up())?;
    ask(&socket, &local_route(AddressFamily::INET, SCOPE_HOST))?;
    match ask(&socket, &local_route(AddressFamily::INET6, SCOPE_UNIVERSE)) {
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
    message(NEW_LINK, 0, &body)
}

/// rtmsg: family, no prefix (so: all addresses), table, protocol, scope, type; then the device.
fn local_route(family: AddressFamily, scope: u8) -> Vec<u8> {
    let family = u8::try_from(family.as_raw()).unwrap_or_default();
    let mut body = vec![family, 0, 0, 0, TABLE_LOCAL, PROTOCOL_STATIC, scope, TYPE_LOCAL];
    body.extend(0_u32.to_ne_bytes());
    body.extend(8_u16.to_ne_bytes());
    body.extend(ATTRIBUTE_DEVICE.to_ne_bytes());
    body.extend(LOOPBACK.to_ne_bytes());
    message(NEW_ROUTE, CREATE | EXCLUSIVE, &body)
}

/// nlmsghdr: length, kind, flags, sequence, port; then the body.
fn message(kind: u16, flags: u16, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(16 + body.len()).unwrap_or_default();
    let mut bytes = Vec::with_capacity(16 + body.len());
    bytes.extend(length.to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    bytes.extend((REQUEST | ACKNOWLEDGE | flags).to_ne_bytes());
    bytes.extend([0; 8]);
    bytes.extend(body);
    bytes
}

/// Asks and waits for the answer, which the kernel has ready when the request returns.
fn ask(socket: &OwnedFd, request: &[u8]) -> io::Result<()> {
    send(socket, request, SendFlags::empty())?;
    let mut answer = [0_u8; 512];
    let (length, _) = recv(socket, &mut answer, RecvFlags::empty())?;
    acknowledged(&answer[..length])
}

/// nlmsgerr: an error number, negative, or 0.
fn acknowledged(answer: &[u8]) -> io::Result<()> {
    let malformed = || io::Error::new(io::ErrorKind::InvalidData, "not an answer of the kernel's");
    let kind = answer.get(4..6).and_then(|bytes| bytes.try_into().ok()).map(u16::from_ne_bytes);
    let code = answer.get(16..20).and_then(|bytes| bytes.try_into().ok()).map(i32::from_ne_bytes);
    match (kind, code) {
        (Some(ERROR), Some(0)) => Ok(()),
        (Some(ERROR), Some(code)) => Err(io::Error::from_raw_os_error(code.wrapping_neg())),
        _ => Err(malformed()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_and_what_is_none_is_an_error() {
        let answer = |kind: u16, code: i32| {
            let mut bytes = message(kind, 0, &[]);
            bytes.extend(code.to_ne_bytes());
            bytes
        };
        assert!(acknowledged(&answer(ERROR, 0)).is_ok());
        let refused = acknowledged(&answer(ERROR, -libc::EPERM)).unwrap_err();
        assert_eq!(refused.raw_os_error(), Some(libc::EPERM));
        assert!(acknowledged(&answer(NEW_LINK, 0)).is_err());
        assert!(acknowledged(&answer(ERROR, 0)[..18]).is_err());
        assert!(acknowledged(&[]).is_err());
    }

    #[test]
    fn lengths_are_those_of_the_messages() {
        for bytes in [link_up(), local_route(AddressFamily::INET6, 0)] {
            assert_eq!(u32::from_ne_bytes(bytes[..4].try_into().unwrap()) as usize, bytes.len());
            assert_eq!(bytes.len() % 4, 0);
        }
    }
}
