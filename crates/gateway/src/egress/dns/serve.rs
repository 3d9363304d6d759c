//! Questions about names, over datagrams and over streams.

use std::io::{self, IoSliceMut};
use std::sync::Arc;

use quinn_udp::{RecvMeta, Transmit, UdpSockRef, UdpSocketState};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, Interest};
use tokio::net::{TcpStream, UdpSocket};

use super::answer::answer;
use crate::egress::berth::Berth;

/// Bytes of one datagram that are read; questions are far shorter.
const DATAGRAM_BYTES_MAX: usize = 4 << 10;

/// Questions on one stream.
const QUESTIONS_PER_STREAM: usize = 1_000;

/// Answers datagrams until the run is over. What is answered leaves from the address that was asked: that may be any.
pub(crate) async fn udp(berth: Arc<Berth>, socket: std::net::UdpSocket) -> io::Result<()> {
    socket.set_nonblocking(true)?;
    if socket.local_addr()?.is_ipv6() {
        // The address that was asked is no interface's: without this the kernel does not let an answer leave from it.
        rustix::net::sockopt::set_ipv6_freebind(&socket, true)?;
    }
    let state = UdpSocketState::new(UdpSockRef::from(&socket))?;
    let socket = UdpSocket::from_std(socket)?;
    let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
    loop {
        let received = tokio::select! {
            () = berth.stop.cancelled() => return Ok(()),
            received = receive(&socket, &state, &mut buffer) => received,
        };
        let meta = match received {
            Ok(meta) => meta,
            Err(error) => {
                tracing::debug!(%error, "a datagram out of a sandbox could not be read");
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
                continue;
            }
        };
        let datagrams = buffer.get(..meta.len).unwrap_or_default().chunks(meta.stride.max(1));
        for message in datagrams {
            if let Some(reply) = answer(&berth, message) {
                send(&socket, &state, &meta, &reply);
            }
        }
    }
}

async fn receive(socket: &UdpSocket, state: &UdpSocketState, buffer: &mut [u8]) -> io::Result<RecvMeta> {
    loop {
        socket.readable().await?;
        let mut meta = [RecvMeta::default()];
        let mut slices = [IoSliceMut::new(buffer)];
        let receiving = || state.recv(UdpSockRef::from(socket), &mut slices, &mut meta);
        match socket.try_io(Interest::READABLE, receiving) {
            Ok(_) => return Ok(meta[0]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}

/// Sends if there is room: whoever asked asks again.
fn send(socket: &UdpSocket, state: &UdpSocketState, meta: &RecvMeta, reply: &[u8]) {
    let transmit = Transmit {
        destination: meta.addr,
        ecn: None,
        contents: reply,
        segment_size: None,
        src_ip: meta.dst_ip,
    };
    let sending = || state.try_send(UdpSockRef::from(socket), &transmit);
    if let Err(error) = socket.try_io(Interest::WRITABLE, sending) {
        tracing::debug!(%error, "an answer about a name was not sent");
    }
}

/// Answers the questions on one stream (RFC 7766).
pub(crate) async fn tcp(berth: &Berth, mut stream: TcpStream) {
    let patience = berth.limits().first_time;
    for _ in 0..QUESTIONS_PER_STREAM {
        match tokio::time::timeout(patience, one(berth, &mut stream)).await {
            Ok(Ok(true)) => {}
            Ok(Ok(false) | Err(_)) | Err(_) => return,
        }
    }
}

/// Answers one question; false when it was the last.
async fn one(berth: &Berth, stream: &mut TcpStream) -> io::Result<bool> {
    let length = usize::from(stream.read_u16().await?);
    if length > DATAGRAM_BYTES_MAX {
        return Ok(false);
    }
    let mut message = vec![0; length];
    stream.read_exact(&mut message).await?;
    let Some(reply) = answer(berth, &message) else { return Ok(false) };
    let length = u16::try_from(reply.len()).map_err(io::Error::other)?;
    let mut framed = length.to_be_bytes().to_vec();
    framed.extend_from_slice(&reply);
    stream.write_all(&framed).await?;
    Ok(true)
}
