//! What the kernel tells of packets that it refused inside: a socket on loopback stands for its log.

use std::net::UdpSocket;
use std::os::fd::OwnedFd;

use ringfence_json::Value;
use ringfence_kernel::RunSockets;

use super::support::{Sandbox, host};
use crate::egress::harbour::moor;
use crate::egress::unseen::message::tests::{told, v4, v6};

/// A kernel that tells, and what it tells on.
fn a_kernel() -> (UdpSocket, OwnedFd) {
    let (tells, hears) = (UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
    tells.connect(hears.local_addr().unwrap()).unwrap();
    (tells, hears.into())
}

#[tokio::test]
async fn a_packet_that_the_kernel_refused_is_a_refusal_of_the_name_that_it_was_to() {
    let sandbox = Sandbox::start(&["api.example"]).await;
    let (tells, hears) = a_kernel();
    moor(&sandbox.berth, RunSockets { unseen: Some(hears), ..RunSockets::default() });
    let api = sandbox.berth.names.addresses(&host("api.example")).unwrap();
    let gateway = sandbox.berth.names.addresses(&host("gateway")).unwrap();
    tells.send(b"no message of the kernel's").unwrap();
    for packet in [
        v4(17, api.v4.octets(), 443),
        v6(api.v6, 17, &[0x9c, 0x40, 0x27, 0x0f, 0, 8, 0, 0]),
        v4(17, [192, 0, 2, 1], 123),
        v4(132, [192, 0, 2, 1], 36_412),
        v4(17, gateway.v4.octets(), 80),
    ] {
        tells.send(&told(&packet)).unwrap();
    }
    let refused = sandbox.entries("refusal", 5).await;
    let place = |entry: &ringfence_json::Object| {
        (entry.text("host").unwrap().to_owned(), entry.get("port").and_then(Value::as_u64).unwrap())
    };
    let expected = [
        ("api.example", 443),
        ("api.example", 9_999),
        ("192.0.2.1", 123),
        ("192.0.2.1", 36_412),
        ("gateway", 80),
    ];
    assert_eq!(
        refused.iter().map(place).collect::<Vec<_>>(),
        expected.map(|(host, port)| (host.to_owned(), port))
    );
    assert!(refused.iter().all(|entry| entry.text("code") == Some("not_granted")));
    assert!(refused[0].text("reason").unwrap().contains("UDP"));
    assert!(refused[3].text("reason").unwrap().contains("IP protocol 132"));
}

#[tokio::test]
async fn what_was_told_before_the_end_is_on_record_after_it() {
    let sandbox = Sandbox::start(&[]).await;
    let (tells, hears) = a_kernel();
    moor(&sandbox.berth, RunSockets { unseen: Some(hears), ..RunSockets::default() });
    for _ in 0..3 {
        tells.send(&told(&v4(17, [192, 0, 2, 1], 443))).unwrap();
    }
    // Nobody has had a turn to read it.
    sandbox.berth.stop.cancel();
    assert_eq!(sandbox.refusals(1).await[0], "not_granted");
}
