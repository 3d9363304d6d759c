//! Connections that programs inside make: where each wants to go, and who takes it there.

use std::sync::Arc;
use std::time::Duration;

use ringfence_types::{Code, HostName, Principal};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::OwnedSemaphorePermit;

use super::berth::Berth;
use super::dns;
use super::names::Dialled;
use super::proxy::{self, PROXY, gateway};
use super::tunnel::{self, HTTP, Stream};
use super::web::{self, Site};
use crate::http::accept::{self, Standing};

/// A place among the connections of a run and those of all.
#[derive(Debug)]
pub(crate) struct Place {
    _of_run: OwnedSemaphorePermit,
    _of_all: OwnedSemaphorePermit,
}

/// The port that names are asked for on.
pub(crate) const DNS: u16 = 53;

/// Takes the connections of one listener until the run is over: to this port, or each to the one that is its own.
pub(crate) async fn accept(berth: Arc<Berth>, listener: TcpListener, port: Option<u16>) {
    loop {
        let accepted = tokio::select! {
            () = berth.stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "a connection out of a sandbox could not be accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let Ok(address) = stream.local_addr() else { continue };
        let dialled = berth.names.dialled(address.ip());
        let port = port.unwrap_or(address.port());
        let Some(place) = place(&berth) else {
            crowded(&berth, dialled, port);
            continue;
        };
        let berth = Arc::clone(&berth);
        tokio::spawn(async move {
            let stop = berth.stop.clone();
            tokio::select! {
                () = stop.cancelled() => {}
                () = take(&berth, stream, dialled, port, place) => {}
            }
        });
    }
}

fn place(berth: &Berth) -> Option<Place> {
    let of_run = Arc::clone(&berth.places).try_acquire_owned().ok()?;
    let of_all = Arc::clone(&berth.gate.outside.places).try_acquire_owned().ok()?;
    Some(Place { _of_run: of_run, _of_all: of_all })
}

/// What was dialled, as it stands in the log.
pub(crate) fn host(dialled: Dialled) -> HostName {
    match dialled {
        Dialled::Gateway => gateway(),
        Dialled::Host(host) => host,
    }
}

fn crowded(berth: &Berth, dialled: Dialled, port: u16) {
    let reason =
        "This run, or all of them together, has as many connections open as it may. Close one first.";
    berth.turn_away(&host(dialled), port, Code::Overloaded, reason);
}

/// Takes one connection where it wants to go.
async fn take(berth: &Arc<Berth>, stream: TcpStream, dialled: Dialled, port: u16, place: Place) {
    // Without it small answers wait for acknowledgements; that it cannot be set is no reason to refuse.
    let _ = stream.set_nodelay(true);
    match (dialled, port) {
        // Whatever the address: resolvers that are configured into a program are ours too.
        (dialled, DNS) => {
            let _place = place;
            dns::serve::tcp(berth, stream, &host(dialled)).await;
        }
        (Dialled::Gateway, HTTP) => {
            // As on the agents' listener; that it cannot be set is no reason to refuse.
            let bytes = berth.gate.limits.send_buffer_bytes as usize;
            let _ = rustix::net::sockopt::set_socket_send_buffer_size(&stream, bytes);
            to_the_gate(berth, stream, Some(place)).await;
        }
        (Dialled::Gateway, PROXY) => proxy::serve(berth, stream, place).await,
        (Dialled::Gateway, _) => {
            let reason = format!("The gateway answers on port 80, and as a proxy on port {PROXY}.");
            berth.turn_away(&gateway(), port, Code::InvalidInput, reason);
        }
        (Dialled::Host(host), HTTP) => {
            let _place = place;
            web::serve(berth, stream, Site { host, port, secure: false }, false).await;
        }
        (Dialled::Host(host), _) => {
            let _place = place;
            tunnel::carry(berth, stream, host, port, None).await;
        }
    }
}

/// What stands on the agents' listener, for a run that is known.
pub(crate) async fn to_the_gate<S: Stream>(berth: &Arc<Berth>, stream: S, place: Option<Place>) {
    if let Some(reason) = no_agent(berth) {
        berth.turn_away(&gateway(), HTTP, Code::NotGranted, reason);
        return;
    }
    let gate = &berth.gate;
    let standing = Standing::inside(Arc::clone(&berth.run), place);
    accept::serve_one(Arc::clone(gate), stream, standing, &gate.limits, gate.shutdown.clone()).await;
}

/// Why a run has no tools and models: it is no agent's.
pub(crate) fn no_agent(berth: &Berth) -> Option<String> {
    let is_agent = berth.run.principal() == Principal::Agent;
    (!is_agent).then(|| format!("{} has hosts, and no tools and models.", berth.run.called()))
}
