//! Connections of which only host and port matter: looked at, decided, and passed through byte by byte.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use ringfence_kernel::{EgressCall, EgressProtocol, Failure};
use ringfence_types::{Code, HostName};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::berth::{Berth, Unreached};
use super::fare::{End, Fare, Way};
use super::pump;
use super::sniff::{self, First, Rewound};
use super::tls::alert::{Alert, tell};
use super::tls::hello::Hello;
use super::web::{self, Site};

/// A stream of a program inside.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> Stream for S {}

/// The ports of HTTP and HTTPS: what is spoken there is what it is said to be, or nothing.
pub(crate) const HTTP: u16 = 80;
pub(crate) const HTTPS: u16 = 443;

/// Carries a connection to a host, as whatever it turns out to be. `cleared`: it was decided already that TLS may pass.
pub(crate) async fn carry<S: Stream>(
    berth: &Arc<Berth>,
    mut stream: S,
    host: HostName,
    port: u16,
    cleared: Option<Fare>,
) {
    let limits = berth.limits();
    let patience = if matches!(port, HTTP | HTTPS) { limits.first_time } else { limits.silence };
    let fare = cleared;
    let Ok((first, bytes)) = sniff::first(&mut stream, limits.first_bytes, patience).await else {
        return give_back(fare, "the connection broke before it said anything");
    };
    let stream = Rewound::new(bytes, stream);
    match first {
        First::Tls(hello) => tls(berth, stream, host, port, &hello, fare).await,
        First::Http if port != HTTPS => {
            give_back(fare, "what was spoken is not TLS");
            let site = Site { host, port, secure: false };
            web::serve(berth, stream, site, false).await;
        }
        First::Other if !matches!(port, HTTP | HTTPS) => {
            give_back(fare, "what was spoken is not TLS");
            bytes_only(berth, stream, host, port).await;
        }
        First::Closed => {
            give_back(fare, "the connection ended before it said anything");
            // Whoever tries whether somebody answers leaves a trace as well.
            if !berth.grants(|holds| holds.reaches(&host, port)) {
                let _refused = berth.admit(connection(&host, port, EgressProtocol::Tcp)).await;
            }
        }
        First::Broken(error) => {
            give_back(fare, "what was spoken is not TLS");
            berth.turn_away(&host, port, Code::InvalidInput, format!("{}.", capital(&error.to_string())));
            tell(stream, Alert::DecodeError).await;
        }
        First::Http | First::Other => {
            give_back(fare, "what was spoken is not TLS");
            let reason =
                format!("On port {port} only {} may be spoken.", if port == HTTPS { "TLS" } else { "HTTP" });
            berth.turn_away(&host, port, Code::InvalidInput, reason);
        }
    }
}

fn give_back(fare: Option<Fare>, why: &str) {
    if let Some(fare) = fare {
        fare.end(End::NotSent(why.to_owned()));
    }
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect()
}

async fn tls<S: Stream>(
    berth: &Arc<Berth>,
    stream: Rewound<S>,
    host: HostName,
    port: u16,
    hello: &Hello,
    fare: Option<Fare>,
) {
    if let Some(reason) = disagreement(&host, hello) {
        give_back(fare, "the name in TLS is another");
        berth.turn_away(&host, port, Code::InvalidInput, reason);
        return tell(stream, Alert::AccessDenied).await;
    }
    if berth.grants(|holds| holds.wants_requests(&host, port)) {
        give_back(fare, "requests have to be seen one by one");
        return terminate(berth, stream, host, port, hello).await;
    }
    let fare = match fare {
        Some(fare) => fare,
        None => match berth.admit(connection(&host, port, EgressProtocol::Tls)).await {
            Ok(clearance) => Fare::new(clearance, berth),
            // It stands in the log.
            Err(_) => return tell(stream, Alert::AccessDenied).await,
        },
    };
    match reach(berth, &host, port, fare).await {
        Ok((outside, fare)) => pass(berth, stream, outside, fare).await,
        Err(_) => tell(stream, Alert::InternalError).await,
    }
}

/// What of a client's first words does not fit the name that it looked up.
fn disagreement(host: &HostName, hello: &Hello) -> Option<String> {
    // Only what is named in it can be told apart by the host; addresses are not named (RFC 6066 §3).
    let hidden =
        if hello.encrypted { "; part of it is encrypted (ECH), which does not change that" } else { "" };
    match &hello.server_name {
        Some(name) if name == host => None,
        Some(name) => Some(format!(
            "The name in TLS (SNI) is {name}, and the connection is to {host}{hidden}. Both have to be the same."
        )),
        None if host.address().is_some() => None,
        None => Some(format!("There is no name in TLS (SNI){hidden}. It has to be {host}.")),
    }
}

pub(crate) fn connection(host: &HostName, port: u16, protocol: EgressProtocol) -> EgressCall {
    EgressCall { host: host.clone(), port, protocol, method: None, path: None }
}

/// Ends TLS here, behind a certificate of the run's own authority.
async fn terminate<S: Stream>(
    berth: &Arc<Berth>,
    stream: Rewound<S>,
    host: HostName,
    port: u16,
    hello: &Hello,
) {
    let config = match berth.authority().and_then(|authority| authority.host(&host)) {
        Ok(config) => config,
        Err(error) => {
            tracing::warn!(%error, %host, "no certificate for a host");
            return tell(stream, Alert::InternalError).await;
        }
    };
    let accepting = tokio_rustls::TlsAcceptor::from(config).accept(stream);
    match tokio::time::timeout(berth.limits().handshake_time, accepting).await {
        Ok(Ok(stream)) => {
            let http2 = hello.offers_h2 && stream.get_ref().1.alpn_protocol() == Some(b"h2");
            web::serve(berth, stream, Site { host, port, secure: true }, http2).await;
        }
        Ok(Err(error)) => {
            let reason = "TLS ends at the gateway for this host, and the program inside did not agree to it: it has to \
                          trust the run's own authority.";
            tracing::debug!(%error, %host, "no TLS with a program inside");
            berth.turn_away(&host, port, Code::InvalidInput, reason);
        }
        Err(_) => {
            berth.turn_away(&host, port, Code::InvalidInput, "TLS was not agreed on in time.");
        }
    }
}

/// What is neither TLS nor HTTP: any bytes, on a port that is granted as a whole.
async fn bytes_only<S: Stream>(berth: &Arc<Berth>, stream: Rewound<S>, host: HostName, port: u16) {
    let Ok(clearance) = berth.admit(connection(&host, port, EgressProtocol::Tcp)).await else { return };
    if let Ok((outside, fare)) = reach(berth, &host, port, Fare::new(clearance, berth)).await {
        pass(berth, stream, outside, fare).await;
    }
}

/// Dials what was cleared, unless it is cut off before.
async fn reach(
    berth: &Berth,
    host: &HostName,
    port: u16,
    fare: Fare,
) -> Result<(TcpStream, Fare), Option<Unreached>> {
    let world = berth.world(fare.config);
    let (end, unreached) = tokio::select! {
        biased;
        cut = fare.cancel.cancelled() => (End::Cut(cut), None),
        () = tokio::time::sleep_until(fare.deadline) => (End::Deadline, None),
        reached = berth.reach(&world, host, port) => match reached {
            Ok(outside) => return Ok((outside, fare)),
            Err(unreached) => (End::Unreachable(unreached.to_string()), Some(unreached)),
        },
    };
    fare.end(end);
    Err(unreached)
}

/// Passes everything through, first what was looked at.
async fn pass<S: Stream>(berth: &Berth, stream: Rewound<S>, mut outside: TcpStream, fare: Fare) {
    let (first, inside) = stream.into_parts();
    if let Err(error) = begin(&mut outside, &first, &fare).await {
        tracing::debug!(%error, "a host took nothing");
        return fare.end(End::Host(Failure::Transport, "the host closed the connection at once"));
    }
    pump::run(inside, outside, fare, berth.limits()).await;
}

async fn begin(outside: &mut TcpStream, first: &Bytes, fare: &Fare) -> io::Result<()> {
    outside.write_all(first).await?;
    fare.counts.add(Way::Out, first.len());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_in_tls_has_to_be_the_one_that_was_looked_up() {
        let host = |text: &str| HostName::new(text).unwrap();
        let hello = |name: Option<&str>, encrypted| Hello {
            server_name: name.map(host),
            offers_h2: false,
            encrypted,
        };
        let (api, address) = (host("api.example"), host("10.0.0.1"));
        for encrypted in [false, true] {
            assert_eq!(disagreement(&api, &hello(Some("API.example."), encrypted)), None);
            assert!(disagreement(&api, &hello(Some("other.example"), encrypted)).is_some());
            assert!(disagreement(&api, &hello(None, encrypted)).is_some());
            assert_eq!(disagreement(&address, &hello(None, encrypted)), None);
            assert!(disagreement(&address, &hello(Some("api.example"), encrypted)).is_some());
        }
    }
}
