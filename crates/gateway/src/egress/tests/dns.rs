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
    read(&answer(&sandbox.berth, &host("192.0.2.53"), &question(name, kind)).unwrap())
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

/// A question whose name may have any bytes in its labels.
fn raw(labels: &[&[u8]], kind: u8, class: u8) -> Vec<u8> {
    let mut message = question("x", kind)[..12].to_vec();
    for label in labels {
        message.push(u8::try_from(label.len()).unwrap());
        message.extend_from_slice(label);
    }
    message.extend([0, 0, kind, 0, class]);
    message
}

fn two_questions() -> Vec<u8> {
    let mut message = question("api.example", 1);
    message[5] = 2;
    let second = message[12..].to_vec();
    message.extend(second);
    message
}

#[tokio::test]
async fn what_is_asked_and_not_answered_is_on_record_whatever_it_is() {
    let sandbox = Sandbox::start(&["api.example"]).await;
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let server = socket.local_addr().unwrap();
    moor(&sandbox.berth, RunSockets { udp: vec![(53, socket)], ..RunSockets::default() });
    let client = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    client.connect(server).await.unwrap();
    let iodine: &[&[u8]] = &[b"\xbe\xef.\0", b"T", b"evil", b"example"];
    let update = [&[0, 7, 0x28, 0][..], &question("api.example", 6)[4..]].concat();
    let mut replied = question("api.example", 1);
    replied[2] |= 0x80;
    // What is sent, the error that is answered, if anything is, and the refusal's code and host.
    let cases: Vec<(Vec<u8>, Option<u8>, &str, &str)> = vec![
        (question("api.example", 255), Some(5), "invalid_input", "api.example"),
        (question("api.example", 252), Some(5), "invalid_input", "api.example"),
        (question("evil.example", 252), Some(3), "not_granted", "evil.example"),
        (question("gateway", 255), Some(5), "invalid_input", "gateway"),
        (question("b.evil.example", 12), Some(3), "not_granted", "b.evil.example"),
        (question("7.2.0.192.in-addr.arpa", 12), Some(3), "not_granted", "7.2.0.192.in-addr.arpa"),
        (raw(&[b"api", b"example"], 16, 3), Some(5), "invalid_input", "api.example"),
        (raw(&[b"version", b"bind"], 16, 3), Some(3), "not_granted", "version.bind"),
        (raw(iodine, 10, 1), Some(3), "not_granted", "____.t.evil.example"),
        (raw(&[b"api.example"], 1, 1), Some(3), "not_granted", "api_example"),
        // What cannot stand in the log as a host is told of the server that was asked.
        (raw(&[b"-x", b"1"], 1, 1), Some(3), "not_granted", "127.0.0.1"),
        (raw(&[], 2, 1), Some(3), "not_granted", "127.0.0.1"),
        (two_questions(), Some(1), "invalid_input", "127.0.0.1"),
        (question("api.example", 1)[..20].to_vec(), Some(1), "invalid_input", "127.0.0.1"),
        (update, Some(4), "invalid_input", "127.0.0.1"),
        (replied, None, "invalid_input", "127.0.0.1"),
        (b"no".to_vec(), None, "invalid_input", "127.0.0.1"),
        (Vec::new(), None, "invalid_input", "127.0.0.1"),
    ];
    for (number, (message, error, code, whose)) in cases.iter().enumerate() {
        client.send(message).await.unwrap();
        if let Some(error) = error {
            let mut reply = [0; 512];
            client.recv(&mut reply).await.unwrap();
            assert_eq!(reply[3] & 15, *error, "{message:02x?}");
        }
        let refusal = sandbox.entries("refusal", number + 1).await.remove(number);
        let found = (refusal.text("code").unwrap(), refusal.text("host").unwrap());
        assert_eq!(found, (*code, *whose), "{message:02x?}");
        assert_eq!(refusal.get("port").and_then(ringfence_json::Value::as_u64), Some(53));
    }
    assert_eq!(sandbox.entries("refusal", 0).await.len(), cases.len());
}

#[tokio::test]
async fn the_names_of_addresses_that_were_given_out_are_known_and_no_refusals() {
    let sandbox = Sandbox::start(&["api.example"]).await;
    let [a, b, c, d] = ask(&sandbox, "api.example", 1).2.octets();
    let (rcode, count, _) = ask(&sandbox, &format!("{d}.{c}.{b}.{a}.in-addr.arpa"), 12);
    assert_eq!((rcode, count), (0, 1));
    // There is no such record of a name that is held.
    assert_eq!((ask(&sandbox, "api.example", 12).0, ask(&sandbox, "api.example", 12).1), (0, 0));
    assert!(sandbox.entries("refusal", 0).await.is_empty());
}

#[tokio::test]
async fn a_flood_of_what_is_no_question_is_counted_and_does_not_fill_the_log() {
    let sandbox = Sandbox::start(&["api.example"]).await;
    for number in 0..2_000_u16 {
        let [high, low] = number.to_be_bytes();
        assert!(answer(&sandbox.berth, &host("192.0.2.53"), &[high, low]).is_none());
        answer(&sandbox.berth, &host("192.0.2.53"), &raw(&[&[high, low, 0xff]], 10, 1)).unwrap();
    }
    let refusals = sandbox.entries("refusal", 1).await;
    assert!(refusals.len() < 200, "{}", refusals.len());
}

#[tokio::test]
async fn what_was_sent_before_the_end_is_on_record_after_it() {
    let sandbox = Sandbox::start(&["api.example"]).await;
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let server = socket.local_addr().unwrap();
    moor(&sandbox.berth, RunSockets { udp: vec![(53, socket)], ..RunSockets::default() });
    let client = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    for message in [b"no question".to_vec(), question("evil.example", 1)] {
        client.send_to(&message, server).unwrap();
    }
    // Nobody has had a turn to read them.
    sandbox.berth.stop.cancel();
    assert_eq!(sandbox.refusals(2).await, ["invalid_input", "not_granted"]);
}

#[tokio::test]
async fn a_stream_that_is_no_question_is_on_record_however_it_ends() {
    let mut sandbox = Sandbox::start(&["api.example"]).await;
    sandbox.open(53);
    let server = ("127.0.0.1", sandbox.ports[&53]);
    // Too long, cut off in the middle, half a length, nothing, and something else than a question.
    for (number, sent) in
        [&b"GET / HTTP/1.1\r\n\r\n"[..], b"\0\x20abc", b"\0", b"", b"\0\x02no"].iter().enumerate()
    {
        let mut stream = TcpStream::connect(server).await.unwrap();
        stream.write_all(sent).await.unwrap();
        drop(stream);
        assert_eq!(sandbox.refusals(number + 1).await[number], "invalid_input", "{sent:?}");
    }
    // Nothing that follows a question.
    let mut stream = TcpStream::connect(server).await.unwrap();
    let question = question("api.example", 1);
    stream.write_u16(u16::try_from(question.len()).unwrap()).await.unwrap();
    stream.write_all(&question).await.unwrap();
    let length = stream.read_u16().await.unwrap();
    stream.read_exact(&mut vec![0; usize::from(length)]).await.unwrap();
    drop(stream);
    // One that is open, and says nothing, when the run ends.
    let _silent = TcpStream::connect(server).await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    sandbox.berth.stop.cancel();
    let refusals = sandbox.entries("refusal", 6).await;
    assert_eq!((refusals.len(), refusals[5].text("host")), (6, Some("127.0.0.1")));
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
