//! TCP to any other port is caught by one socket: nf_tables with `tproxy`, as far as this goes:
//!
//! ```text
//! table inet ringfence { chain catch { type filter hook prerouting priority mangle;
//!     ip daddr 127.0.0.0/8 accept
//!     ip6 daddr ::1 accept
//!     meta l4proto icmp accept
//!     meta l4proto icmpv6 accept
//!     udp sport 53 accept
//!     meta l4proto udp socket transparent exists accept
//!     meta l4proto != tcp limit rate 100/second burst 100 packets log group 1 snaplen 128
//!     meta l4proto != tcp accept
//!     socket transparent 0 accept
//!     tproxy to :1 } }
//! ```
//!
//! What is logged goes on: nobody inside waits for it, and the kernel says so at once, so that a program that tries UDP
//! first turns to TCP without waiting. Answers about names are from port 53, which no program inside may take.
//!
//! Not a redirect of addresses (NAT): that takes the kernel's tracking of connections, with memory and timers for each, and
//! would also take those to ports that the program itself listens on. Here the connection is given to the socket as it is,
//! and its local address is what was dialled, the port included.
//!
//! Loopback stays the program's own: many wait for their own servers there by trying until somebody answers.

use std::io;

use rustix::net::netlink::NETFILTER;

use super::netlink::{ACKNOWLEDGE, APPEND, CREATE, EXCLUSIVE, Netlink, attribute, message, nest};
use crate::limits::{CATCH_PORT, UNSEEN_BYTES, UNSEEN_GROUP, UNSEEN_PER_SECOND};

const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;
const NF_TABLES: u16 = 10;
const NEW_TABLE: u16 = NF_TABLES << 8;
const NEW_CHAIN: u16 = (NF_TABLES << 8) | 3;
const NEW_RULE: u16 = (NF_TABLES << 8) | 6;

/// Of IPv4 and IPv6.
const FAMILY_INET: u8 = 1;
const FAMILY_IPV4: u8 = 2;
const FAMILY_IPV6: u8 = 10;

const TABLE: &[u8] = b"ringfence\0";
const CHAIN: &[u8] = b"catch\0";
const HOOK_PREROUTING: u32 = 0;
const PRIORITY_MANGLE: i32 = -150;

/// Where verdicts are put, and where values are.
const VERDICT: u32 = 0;
const REGISTER: u32 = 1;
const ACCEPT: u32 = 1;

const EQUAL: u32 = 0;
const NOT_EQUAL: u32 = 1;

const META_FAMILY: u32 = 15;
const META_PROTOCOL: u32 = 16;
const PROTOCOL_ICMP: u8 = 1;
const PROTOCOL_TCP: u8 = 6;
const PROTOCOL_UDP: u8 = 17;
const PROTOCOL_ICMPV6: u8 = 58;
const NETWORK_HEADER: u32 = 1;
const TRANSPORT_HEADER: u32 = 2;
const SOCKET_TRANSPARENT: u32 = 0;

/// Where the destination is in the header of a packet of IPv4, and its length.
const DESTINATION_V4: (u32, u32) = (16, 1);
const DESTINATION_V6: (u32, u32) = (24, 16);
/// As above, of the port that a datagram is from.
const SOURCE_PORT: (u32, u32) = (0, 2);
const PORT_NAMES: u16 = 53;

/// Has everything caught that nobody listens for, and, if `told`, logged what is neither TCP nor has anybody to go to.
///
/// # Errors
/// What the kernel said, as a rule because it lacks a part; then nothing is caught.
pub(super) fn all_ports(told: bool) -> io::Result<()> {
    Netlink::open(Some(NETFILTER))?.ask(&batch(told))
}

/// All in one transaction: it is in force as a whole or not at all.
fn batch(told: bool) -> Vec<u8> {
    let mut rules = vec![
        [
            meta(META_FAMILY),
            compare(EQUAL, &[FAMILY_IPV4]),
            payload(NETWORK_HEADER, DESTINATION_V4),
            compare(EQUAL, &[127]),
            accept(),
        ]
        .concat(),
        [
            meta(META_FAMILY),
            compare(EQUAL, &[FAMILY_IPV6]),
            payload(NETWORK_HEADER, DESTINATION_V6),
            compare(EQUAL, &std::net::Ipv6Addr::LOCALHOST.octets()),
            accept(),
        ]
        .concat(),
    ];
    if told {
        rules.extend(telling());
    }
    rules.extend([
        [meta(META_PROTOCOL), compare(NOT_EQUAL, &[PROTOCOL_TCP]), accept()].concat(),
        // Somebody listens there, or talks to somebody who does.
        [socket(), compare(EQUAL, &[0]), accept()].concat(),
        [port(), tproxy()].concat(),
    ]);
    let last = rules.len() - 1;
    let rules = rules.iter().enumerate().flat_map(|(place, expressions)| {
        // One answer is enough; whatever fails answers anyhow.
        let flags = if place == last { ACKNOWLEDGE } else { 0 };
        rule(expressions, flags)
    });
    let mut all = part(BATCH_BEGIN, 0, 0, NF_TABLES, &[]);
    all.extend(part(NEW_TABLE, CREATE | EXCLUSIVE, FAMILY_INET, 0, &attribute(1, TABLE)));
    all.extend(chain());
    all.extend(rules);
    all.extend(part(BATCH_END, 0, 0, NF_TABLES, &[]));
    all
}

/// What is no TCP, no word of the kernel's own and for nobody inside.
fn telling() -> [Vec<Vec<u8>>; 5] {
    let udp = || [meta(META_PROTOCOL), compare(EQUAL, &[PROTOCOL_UDP])].concat();
    [
        [meta(META_PROTOCOL), compare(EQUAL, &[PROTOCOL_ICMP]), accept()].concat(),
        [meta(META_PROTOCOL), compare(EQUAL, &[PROTOCOL_ICMPV6]), accept()].concat(),
        // An answer about a name may come when nobody waits for it any more.
        [udp(), payload(TRANSPORT_HEADER, SOURCE_PORT), compare(EQUAL, &PORT_NAMES.to_be_bytes()), accept()]
            .concat(),
        // Without a socket the rule ends.
        [udp(), socket(), accept()].concat(),
        [meta(META_PROTOCOL), compare(NOT_EQUAL, &[PROTOCOL_TCP]), limit(), log()].concat(),
    ]
}

/// nfgenmsg: family, version, resource; then attributes.
fn part(kind: u16, flags: u16, family: u8, resource: u16, attributes: &[u8]) -> Vec<u8> {
    let [high, low] = resource.to_be_bytes();
    message(kind, flags, &[&[family, 0, high, low], attributes].concat())
}

fn chain() -> Vec<u8> {
    let hook = [number(1, HOOK_PREROUTING), attribute(2, &PRIORITY_MANGLE.to_be_bytes())];
    let attributes =
        [attribute(1, TABLE), attribute(3, CHAIN), nest(4, &hook), attribute(7, b"filter\0")].concat();
    part(NEW_CHAIN, CREATE | EXCLUSIVE, FAMILY_INET, 0, &attributes)
}

fn rule(expressions: &[Vec<u8>], flags: u16) -> Vec<u8> {
    let attributes = [attribute(1, TABLE), attribute(2, CHAIN), nest(4, expressions)].concat();
    part(NEW_RULE, CREATE | APPEND | flags, FAMILY_INET, 0, &attributes)
}

/// One expression, as the only element of what it is in: a name and what belongs to it.
fn expression(name: &[u8], parts: &[Vec<u8>]) -> Vec<Vec<u8>> {
    vec![nest(1, &[attribute(1, name), nest(2, parts)])]
}

fn meta(key: u32) -> Vec<Vec<u8>> {
    expression(b"meta\0", &[number(1, REGISTER), number(2, key)])
}

fn payload(header: u32, (offset, length): (u32, u32)) -> Vec<Vec<u8>> {
    let parts = [number(1, REGISTER), number(2, header), number(3, offset), number(4, length)];
    expression(b"payload\0", &parts)
}

fn compare(how: u32, value: &[u8]) -> Vec<Vec<u8>> {
    expression(b"cmp\0", &[number(1, REGISTER), number(2, how), nest(3, &[attribute(1, value)])])
}

/// Whether the socket of a packet, listening or connected, is one that packets are given to; without any the rule ends.
fn socket() -> Vec<Vec<u8>> {
    expression(b"socket\0", &[number(1, SOCKET_TRANSPARENT), number(2, REGISTER)])
}

fn accept() -> Vec<Vec<u8>> {
    let verdict = nest(2, &[number(1, ACCEPT)]);
    expression(b"immediate\0", &[number(1, VERDICT), nest(2, &[verdict])])
}

fn port() -> Vec<Vec<u8>> {
    let value = attribute(1, &CATCH_PORT.to_be_bytes());
    expression(b"immediate\0", &[number(1, REGISTER), nest(2, &[value])])
}

/// Gives the packet to the socket at the port, of whichever family it is.
fn tproxy() -> Vec<Vec<u8>> {
    expression(b"tproxy\0", &[number(1, 0), number(3, REGISTER)])
}

/// Ends the rule for more packets than so many a second.
fn limit() -> Vec<Vec<u8>> {
    let long = |kind, value: u64| attribute(kind, &value.to_be_bytes());
    let rate = u64::from(UNSEEN_PER_SECOND);
    // Packets in so many seconds; at once; and not bytes.
    expression(b"limit\0", &[long(1, rate), long(2, 1), number(3, UNSEEN_PER_SECOND), number(4, 0)])
}

fn log() -> Vec<Vec<u8>> {
    expression(b"log\0", &[attribute(1, &UNSEEN_GROUP.to_be_bytes()), number(3, UNSEEN_BYTES)])
}

fn number(kind: u16, value: u32) -> Vec<u8> {
    attribute(kind, &value.to_be_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The messages of a batch, by their own lengths.
    fn messages(mut bytes: &[u8]) -> Vec<(u16, usize)> {
        let mut all = Vec::new();
        while !bytes.is_empty() {
            let length = u32::from_ne_bytes(bytes[..4].try_into().unwrap()) as usize;
            all.push((u16::from_ne_bytes([bytes[4], bytes[5]]), length));
            bytes = &bytes[length..];
        }
        all
    }

    #[test]
    fn a_batch_is_whole_messages_of_a_table_a_chain_and_its_rules() {
        for (told, rules) in [(false, 5), (true, 10)] {
            let all = messages(&batch(told));
            let kinds: Vec<u16> = all.iter().map(|(kind, _)| *kind).collect();
            let begin = [BATCH_BEGIN, NEW_TABLE, NEW_CHAIN];
            assert_eq!(kinds, [&begin[..], &vec![NEW_RULE; rules], &[BATCH_END]].concat());
            assert!(all.iter().all(|(_, length)| length % 4 == 0));
        }
    }
}
