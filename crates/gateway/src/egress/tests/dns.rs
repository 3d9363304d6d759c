//! Names inside a sandbox, over real sockets.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use ringfence_kernel::RunSockets;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};

use super::support::{NEAR, Sandbox, host, limits, world};
use crate::egress::dns::answer::answer;
use crate::egress::harbour::moor;
use crate::egress::names::Dialled;
use crate::{EgressLimits, Limits};

/// A question for one kind of record.
fn question(name: &str, kind: u8) -> Vec<u8> {
    let mut message = vec![0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        message.push(u8::try_from(label.len()).unwrap());
        message.extend_from_slice(label.as_bytes());
    }
    message.extend([0, 0, kind, 0, 1]);
    message
}

/// The error of an answer, and its last four bytes: the address, where it has one.
fn read(reply: &[u8]) -> (u8, usize, Ipv4Addr) {
    let last: [u8; 4] = reply[reply.len() - 4..].try_into().unwrap();
    (reply[3] & 15, usize::from(reply[7]), Ipv4Addr::from(last))
}

fn ask(sandbox: &Sandbox, name: &str, kind: u8) -> (u8, usize, Ipv4Addr) {
    read(&answer(&sandbox.berth, &question(name, kind)).unwrap())
}

#[tokio::test]
async fn granted_names_have_addresses_and_others_do_not_exist() {
    let sandbox = Sandbox::start(&["api.example", "*.wild.example:8443 GET /x"]).await;
    let (rcode, count, address) = ask(&sandbox, "api.example", 1);
    assert_eq!((rcode, count), (0, 1));
    assert_eq!(sandbox.berth.names.dialled(address.into()), Dialled::Host(host("api.example")));
    assert_eq!(ask(&sandbox, "API.Example", 1).2, address);
    assert_eq!(&ask(&sandbox, "a.wild.example", 28).1, &1);
    assert_eq!((ask(&sandbox, "gateway", 1).0, ask(&sandbox, "gateway", 1).1), (0, 1));
    // HTTPS, TXT, MX: the name is there, and nothing of the kind for it.
    for kind in [65, 64, 16, 15, 33] {
        assert_eq!((ask(&sandbox, "api.example", kind).0, ask(&sandbox, "api.example", kind).1), (0, 0));
    }
    assert_eq!(ask(&sandbox, "api.example", 255).0, 5);
    assert!(sandbox.entries("refusal", 0).await.is_empty());
    for name in ["evil.example", "wild.example", "api.example.evil.org"] {
        assert_eq!(ask(&sandbox, name, 1).0, 3, "{name}");
    }
    assert_eq!(ask(&sandbox, "evil.example", 16).0, 3);
    let refusals = sandbox.entries("refusal", 4).await;
    assert!(refusals.iter().all(|refusal| refusal.text("code") == Some("not_granted")));
    assert_eq!(refusals[0].text("host"), Some("evil.example"));
}

#[tokio::test]
async fn names_that_carry_something_are_refused_and_counted() {
    let egress =
        EgressLimits { names_per_run: 3, queries_per_second: 0, queries_burst: 14, ..limits().egress };
    let limits = Limits { egress, ..limits() };
    let long = "a".repeat(53);
    let named = format!("{long}.example");
    let sandbox = Sandbox::start_in(&["*.wild.example", &named], world(&[], Vec::new()), limits).await;
    assert_eq!(ask(&sandbox, &format!("{long}.wild.example"), 1).0, 5);
    assert_eq!(ask(&sandbox, &named, 1).0, 0, "a name that is granted as it stands may be long");
    assert_eq!(sandbox.refusals(1).await, ["too_large"]);
    for number in 0..3 {
        let expected = if number < 2 { 0 } else { 5 };
        assert_eq!(ask(&sandbox, &format!("n{number}.wild.example"), 1).0, expected, "name {number}");
    }
    for _ in 0..20 {
        ask(&sandbox, "gateway", 1);
    }
    assert_eq!(ask(&sandbox, "gateway", 1).0, 5, "too many in a second");
    let refusals = sandbox.refusals(3).await;
    assert!(refusals[1..].iter().all(|code| code == "rate_limited"));
}

#[tokio::test]
async fn an_answer_leaves_from_the_address_that_was_asked() {
    let sandbox =
        Sandbox::start_in(&["api.example"], world(&[("api.example", NEAR)], Vec::new()), limits()).await;
    for bound in ["0.0.0.0:0", "[::]:0"] {
        let socket = std::net::UdpSocket::bind(bound).unwrap();
        let port = socket.local_addr().unwrap().port();
        moor(&sandbox.berth, RunSockets { udp: vec![(53, socket)], ..RunSockets::default() });
        for asked in ["127.0.0.9", "127.200.0.1", "::1"] {
            let server = SocketAddr::new(asked.parse().unwrap(), port);
            if bound.starts_with('0') && server.is_ipv6() {
                continue;
            }
            let client =
                UdpSocket::bind(if server.is_ipv6() { "[::1]:0" } else { "127.0.0.1:0" }).await.unwrap();
            // Connected, it takes answers from that address only, as resolvers do.
            client.connect(server).await.unwrap();
            client.send(&question("api.example", 1)).await.unwrap();
            let mut reply = [0; 512];
            let received = tokio::time::timeout(Duration::from_secs(5), client.recv(&mut reply)).await;
            let count = received.unwrap_or_else(|_| panic!("no answer from {server} on {bound}")).unwrap();
            assert_eq!(read(&reply[..count]).0, 0);
        }
    }
}

#[tokio::test]
async fn names_are_answered_on_streams_too() {
    let mut sandbox = Sandbox::start(&["api.example"]).await;
    sandbox.open(53);
    let mut stream = TcpStream::connect(("127.0.0.1", sandbox.ports[&53])).await.unwrap();
    for kind in [1, 28] {
        let question = question("api.example", kind);
        stream.write_u16(u16::try_from(question.len()).unwrap()).await.unwrap();
        stream.write_all(&question).await.unwrap();
        let mut reply = vec![0; usize::from(stream.read_u16().await.unwrap())];
        stream.read_exact(&mut reply).await.unwrap();
        assert_eq!((read(&reply).0, read(&reply).1), (0, 1));
    }
}

#[tokio::test]
async fn the_end_of_the_run_ends_its_answers() {
    let sandbox = Sandbox::start(&["api.example"]).await;
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    moor(&sandbox.berth, RunSockets { udp: vec![(53, socket)], ..RunSockets::default() });
    let berth = Arc::downgrade(&sandbox.berth);
    sandbox.berth.stop.cancel();
    drop(sandbox);
    let client = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    client.send_to(&question("api.example", 1), address).await.unwrap();
    let mut reply = [0; 512];
    let waiting = client.recv_from(&mut reply);
    assert!(tokio::time::timeout(Duration::from_millis(200), waiting).await.is_err());
    assert!(berth.upgrade().is_none(), "nothing of the run is left");
}
