//! Questions about names, over datagrams and over streams.

use std::io::{self, IoSliceMut};
use std::sync::Arc;
use std::time::Duration;

use quinn_udp::{RecvMeta, Transmit, UdpSockRef, UdpSocketState};
use ringfence_types::HostName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, Interest};
use tokio::net::{TcpStream, UdpSocket};

use super::answer::{answer, no_question};
use crate::egress::berth::Berth;
use crate::egress::connect;
use crate::egress::names::Dialled;

/// Bytes of one datagram that are read; questions are far shorter.
const DATAGRAM_BYTES_MAX: usize = 4 << 10;

/// How long nothing is read after a datagram that could not be.
const PAUSE: Duration = Duration::from_millis(10);

/// Datagrams that are read when the run is over.
const LAST_DATAGRAMS: usize = 4_096;

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
            () = berth.stop.cancelled() => {
                remember(&berth, &socket, &state, &mut buffer).await;
                return Ok(());
            }
            received = receive(&socket, &state, &mut buffer) => received,
        };
        let meta = match received {
            Ok(meta) => meta,
            Err(error) => {
                tracing::debug!(%error, "a datagram out of a sandbox could not be read");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        let server = server(&berth, &meta);
        for message in messages(&buffer, &meta) {
            if let Some(reply) = answer(&berth, &server, message) {
                send(&socket, &state, &meta, &reply);
            }
        }
    }
}

/// Reads what was sent before the end of the run, for the record: nobody is there to be answered.
async fn remember(berth: &Berth, socket: &UdpSocket, state: &UdpSocketState, buffer: &mut [u8]) {
    // That there is something is not always seen at once.
    let _ = tokio::time::timeout(PAUSE, socket.readable()).await;
    for _ in 0..LAST_DATAGRAMS {
        let Ok(meta) = try_receive(socket, state, buffer) else { return };
        let server = server(berth, &meta);
        for message in messages(buffer, &meta) {
            answer(berth, &server, message);
        }
    }
}

/// Whom a datagram was sent to.
fn server(berth: &Berth, meta: &RecvMeta) -> HostName {
    connect::host(meta.dst_ip.map_or(Dialled::Gateway, |to| berth.names.dialled(to)))
}

/// The datagrams that were read at once. One with nothing in it is one all the same.
fn messages<'b>(buffer: &'b [u8], meta: &RecvMeta) -> impl Iterator<Item = &'b [u8]> {
    let received = buffer.get(..meta.len).unwrap_or_default();
    received.chunks(meta.stride.max(1)).chain(received.is_empty().then_some(received))
}

async fn receive(socket: &UdpSocket, state: &UdpSocketState, buffer: &mut [u8]) -> io::Result<RecvMeta> {
    loop {
        socket.readable().await?;
        match try_receive(socket, state, buffer) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            received => return received,
        }
    }
}

fn try_receive(socket: &UdpSocket, state: &UdpSocketState, buffer: &mut [u8]) -> io::Result<RecvMeta> {
    let mut meta = [RecvMeta::default()];
    let mut slices = [IoSliceMut::new(buffer)];
    let receiving = || state.recv(UdpSockRef::from(socket), &mut slices, &mut meta);
    socket.try_io(Interest::READABLE, receiving)?;
    Ok(meta[0])
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

/// Answers the questions on one stream to this server (RFC 7766).
pub(crate) async fn tcp(berth: &Berth, mut stream: TcpStream, server: &HostName) {
    let patience = berth.limits().first_time;
    let mut unsaid = Unsaid { berth, server, is_due: true };
    for _ in 0..QUESTIONS_PER_STREAM {
        let read = tokio::time::timeout(patience, one(berth, &mut stream, server, &mut unsaid)).await;
        if !matches!(read, Ok(Ok(true))) {
            return;
        }
    }
}

/// Answers one question; false when it was the last.
async fn one(
    berth: &Berth,
    stream: &mut TcpStream,
    server: &HostName,
    unsaid: &mut Unsaid<'_>,
) -> io::Result<bool> {
    let mut length = [0; 2];
    if stream.read(&mut length[..1]).await? == 0 {
        return Ok(false);
    }
    // From here on something was said; what does not become a whole question is none.
    unsaid.is_due = true;
    stream.read_exact(&mut length[1..]).await?;
    let length = usize::from(u16::from_be_bytes(length));
    if length > DATAGRAM_BYTES_MAX {
        return Ok(false);
    }
    let mut message = vec![0; length];
    stream.read_exact(&mut message).await?;
    // It is on record from here on if it has to be.
    unsaid.is_due = false;
    let Some(reply) = answer(berth, server, &message) else { return Ok(false) };
    let length = u16::try_from(reply.len()).map_err(io::Error::other)?;
    let mut framed = length.to_be_bytes().to_vec();
    framed.extend_from_slice(&reply);
    stream.write_all(&framed).await?;
    Ok(true)
}

/// That a stream was no question, or one that did not end: on record however it ends, the end of the run included.
struct Unsaid<'b> {
    berth: &'b Berth,
    server: &'b HostName,
    is_due: bool,
}

impl Drop for Unsaid<'_> {
    fn drop(&mut self) {
        if self.is_due {
            no_question(self.berth, self.server);
        }
    }
}
