//! What is neither TCP nor a question about a name: the kernel refuses it inside and tells of it here, for the record.

pub(super) mod message;

use std::io;
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use ringfence_types::{Code, HostName};
use tokio::net::UdpSocket;

use super::berth::Berth;
use super::names::{Dialled, GATEWAY};
use message::{Packet, UDP, packets};

/// Bytes of one datagram that are read: several messages, each the heads of one packet.
const DATAGRAM_BYTES_MAX: usize = 16 << 10;

/// Datagrams that are read before others have a turn.
const AT_ONCE: usize = 64;

/// How long nothing is read after a turn that did not come to its end.
const PAUSE: Duration = Duration::from_millis(10);

/// Puts on record what the kernel tells, until the run is over; then what it has told until then.
pub(crate) async fn hear(berth: Arc<Berth>, socket: OwnedFd) -> io::Result<()> {
    // What is read are datagrams, of whichever family.
    let socket = std::net::UdpSocket::from(socket);
    socket.set_nonblocking(true)?;
    let socket = UdpSocket::from_std(socket)?;
    let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
    loop {
        tokio::select! {
            biased;
            () = berth.stop.cancelled() => {
                // That it is told is not always seen at once.
                let _ = tokio::time::timeout(PAUSE, socket.readable()).await;
                read(&berth, &socket, &mut buffer);
                return Ok(());
            }
            ready = socket.readable() => ready?,
        }
        if !read(&berth, &socket, &mut buffer) {
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// Reads what there is; false when there may be more.
fn read(berth: &Berth, socket: &UdpSocket, buffer: &mut [u8]) -> bool {
    for _ in 0..AT_ONCE {
        match socket.try_recv(buffer) {
            Ok(length) => {
                for packet in packets(buffer.get(..length).unwrap_or_default()) {
                    record(berth, packet);
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return true,
            // As when more was told than there was room for: that is lost, and what follows is not.
            Err(error) => tracing::debug!(%error, "some packets that a sandbox sent are not on record"),
        }
    }
    false
}

fn record(berth: &Berth, packet: Packet) {
    let Some(host) = host(berth, packet.to) else { return };
    let reason = if packet.protocol == UDP {
        "UDP leaves a sandbox only as a question about a name (port 53). Use TCP.".to_owned()
    } else {
        format!(
            "Nothing but TCP, and names over UDP, leaves a sandbox; this was IP protocol {}.",
            packet.protocol
        )
    };
    berth.turn_away(&host, packet.port, Code::NotGranted, reason);
}

fn host(berth: &Berth, to: IpAddr) -> Option<HostName> {
    match berth.names.dialled(to) {
        Dialled::Host(host) => Some(host),
        Dialled::Gateway => HostName::new(GATEWAY).ok(),
    }
}
