//! Messages to the kernel's network parts: netlink(7).

use std::io;
use std::os::fd::OwnedFd;

use rustix::net::{
    AddressFamily, Protocol, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socket_with,
};

const ERROR: u16 = 2;

/// A request and not an answer.
pub(super) const REQUEST: u16 = 0x1;
/// To be answered also when it worked.
pub(super) const ACKNOWLEDGE: u16 = 0x4;
/// Must not be there yet.
pub(super) const EXCLUSIVE: u16 = 0x200;
/// To be made.
pub(super) const CREATE: u16 = 0x400;
/// At the end of those that are there.
pub(super) const APPEND: u16 = 0x800;

/// Attributes in attributes are marked as such.
const NESTED: u16 = 0x8000;

/// Bytes of the head of a message: length, kind, flags, sequence, port.
const HEAD: usize = 16;

/// A way to one of the kernel's network parts.
pub(super) struct Netlink(OwnedFd);

// === impl Netlink ===

impl Netlink {
    /// To addresses, links and routes without a protocol, else to that one.
    pub(super) fn open(protocol: Option<Protocol>) -> io::Result<Self> {
        Ok(Self(socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, protocol)?))
    }

    /// The way itself, to be listened on.
    pub(super) fn into_socket(self) -> OwnedFd {
        self.0
    }

    /// Sends messages, one of which is to be acknowledged, and reads what the kernel answers, which it has ready when the
    /// sending returns.
    ///
    /// # Errors
    /// The first that the kernel tells, or that it told nothing.
    pub(super) fn ask(&self, messages: &[u8]) -> io::Result<()> {
        send(&self.0, messages, SendFlags::empty())?;
        let mut acknowledged = false;
        let mut answer = [0_u8; 2_048];
        loop {
            let (length, _) = match recv(&self.0, &mut answer, RecvFlags::DONTWAIT) {
                Err(rustix::io::Errno::AGAIN) if acknowledged => return Ok(()),
                other => other?,
            };
            read(&answer[..length])?;
            acknowledged = true;
        }
    }
}

/// nlmsghdr and the body.
pub(super) fn message(kind: u16, flags: u16, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(HEAD + body.len()).unwrap_or_default();
    let mut bytes = Vec::with_capacity(HEAD + body.len());
    bytes.extend(length.to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    bytes.extend((REQUEST | flags).to_ne_bytes());
    bytes.extend([0; 8]);
    bytes.extend(body);
    bytes
}

/// nlattr: length, kind, value, and zeroes up to a multiple of four.
pub(super) fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(4 + value.len()).unwrap_or_default();
    let mut bytes = Vec::with_capacity(8 + value.len());
    bytes.extend(length.to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

/// An attribute that holds others.
pub(super) fn nest(kind: u16, attributes: &[Vec<u8>]) -> Vec<u8> {
    attribute(kind | NESTED, &attributes.concat())
}

/// nlmsgerr, of which only the last is without an error: an error number, negative, or 0.
fn read(answer: &[u8]) -> io::Result<()> {
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
        assert!(read(&answer(ERROR, 0)).is_ok());
        let refused = read(&answer(ERROR, -libc::EPERM)).unwrap_err();
        assert_eq!(refused.raw_os_error(), Some(libc::EPERM));
        assert!(read(&answer(16, 0)).is_err());
        assert!(read(&answer(ERROR, 0)[..18]).is_err());
        assert!(read(&[]).is_err());
    }

    #[test]
    fn attributes_fill_words_and_tell_their_own_length() {
        assert_eq!(attribute(1, b"tcp"), [&7_u16.to_ne_bytes()[..], &1_u16.to_ne_bytes(), b"tcp\0"].concat());
        let nested = nest(2, &[attribute(1, b"a"), attribute(3, &[])]);
        assert_eq!(u16::from_ne_bytes([nested[0], nested[1]]), 16);
        assert_eq!(u16::from_ne_bytes([nested[2], nested[3]]), 2 | NESTED);
    }

    #[test]
    fn lengths_are_those_of_the_messages() {
        let bytes = message(24, CREATE, &[1, 2, 3, 4]);
        assert_eq!(u32::from_ne_bytes(bytes[..4].try_into().unwrap()) as usize, bytes.len());
    }
}
