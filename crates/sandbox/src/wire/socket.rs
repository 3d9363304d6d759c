//! Packets with file descriptors over a SOCK_SEQPACKET pair: unix(7).

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
    sockopt::set_socket_send_buffer_size,
};

use crate::limits::{MESSAGE_BYTES_MAX, SHORTAGE_PAUSE, TCP_PORTS, UDP_PORTS, VOLUMES_MAX};

/// Descriptors in one packet: a child's listening sockets and volumes on the way out; on the way in its standard input,
/// output and error, which are fewer.
const DESCRIPTORS_MAX: usize = TCP_PORTS.len() + UDP_PORTS.len() + 2 + VOLUMES_MAX;

/// One packet as it came.
pub(crate) struct Packet {
    pub(crate) length: usize,
    pub(crate) descriptors: Vec<OwnedFd>,
}

/// Two connected ends, closed on exec, blocking.
pub(crate) fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let (left, right) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
    for end in [&left, &right] {
        // A packet goes whole or not at all, so that the buffer must hold one.
        set_socket_send_buffer_size(end, MESSAGE_BYTES_MAX * 2)?;
    }
    Ok((left, right))
}

/// Sends one packet whole.
pub(crate) fn send(socket: impl AsFd, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !control.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "too many descriptors for one packet"));
    }
    let parts = [IoSlice::new(bytes)];
    // MSG_NOSIGNAL: a peer that has gone is an error here, not the end of the process.
    rustix::io::retry_on_intr(|| sendmsg(&socket, &parts, &mut control, SendFlags::NOSIGNAL))?;
    Ok(())
}

/// As [`send`]; where the system is short of what it takes to send, waits until it goes. For a packet without
/// descriptors: what is told must not be lost.
pub(crate) fn send_surely(socket: impl AsFd, bytes: &[u8]) -> io::Result<()> {
    loop {
        match send(&socket, bytes, &[]) {
            Err(error) if is_shortage(&error) => std::thread::sleep(SHORTAGE_PAUSE),
            other => return other,
        }
    }
}

/// Sends a packet with its descriptors, and where there is no room for those, without: who receives it says what is
/// missing, of this one child.
pub(crate) fn send_or_without(
    socket: impl AsFd,
    bytes: &[u8],
    descriptors: &[BorrowedFd<'_>],
) -> io::Result<()> {
    match send(&socket, bytes, descriptors) {
        Err(error) if is_shortage(&error) => send_surely(socket, bytes),
        other => other,
    }
}

/// Whether what could not be sent says nothing of the other end: too many descriptors of the user are on their way, too
/// many are open, or memory is short.
pub(crate) fn is_shortage(error: &io::Error) -> bool {
    let shortages =
        [libc::ETOOMANYREFS, libc::EAGAIN, libc::ENOBUFS, libc::ENOMEM, libc::EMFILE, libc::ENFILE];
    error.raw_os_error().is_some_and(|code| shortages.contains(&code))
}

/// Receives one packet; `None` is the end of the stream. A packet that does not fit is an error. One whose descriptors
/// could not all be received, as where too many files are open, comes without any.
pub(crate) fn receive(socket: impl AsFd, buffer: &mut [u8]) -> io::Result<Option<Packet>> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut parts = [IoSliceMut::new(buffer)];
    let message =
        rustix::io::retry_on_intr(|| recvmsg(&socket, &mut parts, &mut control, RecvFlags::CMSG_CLOEXEC))?;
    let mut descriptors = Vec::new();
    for part in control.drain() {
        if let RecvAncillaryMessage::ScmRights(received) = part {
            descriptors.extend(received);
        }
    }
    if message.flags.contains(ReturnFlags::TRUNC) {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "a packet beyond its bound"));
    }
    if message.flags.contains(ReturnFlags::CTRUNC) {
        descriptors.clear();
    }
    // Every message begins with a tag, so that zero bytes are the end and nothing else.
    if message.bytes == 0 {
        return Ok(None);
    }
    Ok(Some(Packet { length: message.bytes, descriptors }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_arrives_whole_with_its_descriptors() {
        let (left, right) = pair().unwrap();
        let (read, write) = rustix::pipe::pipe().unwrap();
        let bytes = vec![7; MESSAGE_BYTES_MAX];
        send(&left, &bytes, &[read.as_fd(), write.as_fd()]).unwrap();
        let mut buffer = vec![0; MESSAGE_BYTES_MAX];
        let packet = receive(&right, &mut buffer).unwrap().unwrap();
        assert_eq!((packet.length, packet.descriptors.len()), (MESSAGE_BYTES_MAX, 2));
        assert_eq!(buffer, bytes);
        drop(left);
        assert!(receive(&right, &mut buffer).unwrap().is_none());
    }

    #[test]
    fn a_packet_beyond_the_bound_is_an_error_and_not_cut() {
        let (left, right) = pair().unwrap();
        send(&left, &[1; 9], &[]).unwrap();
        assert!(receive(&right, &mut [0; 8]).is_err());
    }
}
