//! Connections to hosts, to addresses that were resolved here.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::limits::EgressLimits;

/// Connects to the first of these addresses that answers. Each next one is tried beside those before it when they have not
/// answered in a while (as in RFC 8305).
pub(crate) async fn dial(addresses: &[IpAddr], port: u16, limits: &EgressLimits) -> Option<TcpStream> {
    let dialling = race(addresses, port, limits.next_address);
    let stream = tokio::time::timeout(limits.connect_time, dialling).await.ok().flatten()?;
    // Small pieces would wait for each other; that it cannot be set is no reason to give up.
    let _ = stream.set_nodelay(true);
    Some(stream)
}

async fn race(addresses: &[IpAddr], port: u16, patience: Duration) -> Option<TcpStream> {
    let mut waiting = addresses.iter();
    // What is not taken from it is aborted when it is dropped.
    let mut trying = JoinSet::new();
    loop {
        if let Some(address) = waiting.next() {
            trying.spawn(TcpStream::connect(SocketAddr::new(*address, port)));
        }
        let more = waiting.len() > 0;
        tokio::select! {
            tried = trying.join_next() => match tried {
                Some(Ok(Ok(stream))) => return Some(stream),
                Some(_) if more || !trying.is_empty() => {}
                _ => return None,
            },
            () = tokio::time::sleep(patience), if more => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn an_address_that_refuses_does_not_keep_the_next_from_being_tried() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let limits = EgressLimits::default();
        let near: IpAddr = "127.0.0.1".parse().unwrap();
        let refusing: IpAddr = "127.0.0.77".parse().unwrap();
        assert!(dial(&[refusing, refusing, near], port, &limits).await.is_some());
        assert!(dial(&[refusing, refusing], port, &limits).await.is_none());
        assert!(dial(&[], port, &limits).await.is_none());
    }
}
