//! Messages of nfnetlink_log: the kernel's, around heads that a hostile program made.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub(super) const UDP: u8 = 17;

/// Protocols that have their ports where UDP has them: DCCP, SCTP, UDP-Lite.
const WITH_PORTS: [u8; 4] = [UDP, 33, 132, 136];

/// A packet, in the subsystem of logs.
const LOGGED: u16 = 4 << 8;
/// The attribute that is the packet itself, from its IP head on.
const PAYLOAD: u16 = 9;
/// Bits of an attribute's kind that say something else.
const KIND: u16 = 0x3fff;

/// Bytes of the head of a message: length, kind, flags, sequence, port.
const MESSAGE_HEAD: usize = 16;
/// Bytes of what follows in each: family, version, group.
const LOG_HEAD: usize = 4;
const ATTRIBUTE_HEAD: usize = 4;

/// Heads of IPv6 that stand before the last: options, routing, fragment, authentication, options of the destination.
const BETWEEN: [u8; 5] = [0, 43, FRAGMENT, AUTHENTICATION, 60];
const FRAGMENT: u8 = 44;
const AUTHENTICATION: u8 = 51;

/// What a packet was, as far as its heads say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Packet {
    pub(super) to: IpAddr,
    /// As IP has it.
    pub(super) protocol: u8,
    /// 0 where there is none, or it is not told.
    pub(super) port: u16,
}

/// All packets that a datagram tells of. What cannot be read ends it.
pub(super) fn packets(datagram: &[u8]) -> Vec<Packet> {
    let mut rest = datagram;
    let mut all = Vec::new();
    while let Some((kind, body)) = message(&mut rest) {
        if kind == LOGGED {
            all.extend(body.get(LOG_HEAD..).and_then(payload).and_then(Packet::read));
        }
    }
    all
}

/// Takes one message: its kind, and what follows its head.
fn message<'a>(rest: &mut &'a [u8]) -> Option<(u16, &'a [u8])> {
    let length = usize::try_from(u32::from_ne_bytes(bytes(rest, 0)?)).ok()?;
    let kind = u16::from_ne_bytes(bytes(rest, 4)?);
    let body = rest.get(..length)?.get(MESSAGE_HEAD..)?;
    *rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    Some((kind, body))
}

/// The packet among the attributes of a message.
fn payload(mut attributes: &[u8]) -> Option<&[u8]> {
    loop {
        let length = usize::from(u16::from_ne_bytes(bytes(attributes, 0)?));
        let kind = u16::from_ne_bytes(bytes(attributes, 2)?) & KIND;
        let value = attributes.get(..length)?.get(ATTRIBUTE_HEAD..)?;
        if kind == PAYLOAD {
            return Some(value);
        }
        attributes = attributes.get(length.next_multiple_of(4)..)?;
    }
}

// === impl Packet ===

impl Packet {
    fn read(head: &[u8]) -> Option<Self> {
        match head.first()? >> 4 {
            4 => Self::v4(head),
            6 => Self::v6(head),
            _ => None,
        }
    }

    fn v4(head: &[u8]) -> Option<Self> {
        let to = IpAddr::V4(Ipv4Addr::from(bytes::<4>(head, 16)?));
        let protocol = *head.get(9)?;
        let is_first = u16::from_be_bytes(bytes(head, 6)?) << 3 == 0;
        let words = usize::from(head.first()? & 0xf);
        let transport = is_first.then(|| head.get(words * 4..)).flatten();
        Some(Self { to, protocol, port: port(protocol, transport) })
    }

    fn v6(head: &[u8]) -> Option<Self> {
        let to = IpAddr::V6(Ipv6Addr::from(bytes::<16>(head, 24)?)).to_canonical();
        let mut protocol = *head.get(6)?;
        let mut transport = head.get(40..);
        // Each takes at least eight bytes, of the few that there are.
        while let Some(between) = transport.filter(|_| BETWEEN.contains(&protocol)) {
            let Some([next, length]) = bytes(between, 0) else { break };
            let length = match protocol {
                FRAGMENT => 8,
                AUTHENTICATION => (usize::from(length) + 2) * 4,
                _ => (usize::from(length) + 1) * 8,
            };
            let is_later = protocol == FRAGMENT
                && bytes(between, 2).is_some_and(|offset| u16::from_be_bytes(offset) >> 3 != 0);
            protocol = next;
            transport = if is_later { None } else { between.get(length..) };
        }
        Some(Self { to, protocol, port: port(protocol, transport) })
    }
}

/// The port that it is to.
fn port(protocol: u8, transport: Option<&[u8]>) -> u16 {
    let told = transport.filter(|_| WITH_PORTS.contains(&protocol));
    told.and_then(|transport| bytes(transport, 2)).map_or(0, u16::from_be_bytes)
}

fn bytes<const N: usize>(all: &[u8], at: usize) -> Option<[u8; N]> {
    all.get(at..at.checked_add(N)?)?.try_into().ok()
}

#[cfg(test)]
pub(in crate::egress) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// One message as the kernel writes it, with an attribute before the packet.
    pub(in crate::egress) fn told(packet: &[u8]) -> Vec<u8> {
        let attribute = |kind: u16, value: &[u8]| {
            let length = u16::try_from(4 + value.len()).unwrap();
            let mut all = [&length.to_ne_bytes()[..], &kind.to_ne_bytes(), value].concat();
            all.resize(all.len().next_multiple_of(4), 0);
            all
        };
        let body = [
            &[2, 0, 0, 1][..],
            &attribute(1, &[8, 0, 0, 0]),
            &attribute(10, b"\0"),
            &attribute(PAYLOAD, packet),
        ];
        let body = body.concat();
        let length = u32::try_from(MESSAGE_HEAD + body.len()).unwrap();
        [&length.to_ne_bytes()[..], &LOGGED.to_ne_bytes(), &[0; 10], &body].concat()
    }

    pub(in crate::egress) fn v4(protocol: u8, to: [u8; 4], port: u16) -> Vec<u8> {
        let mut head = [0; 20];
        head[0] = 0x45;
        head[9] = protocol;
        head[16..20].copy_from_slice(&to);
        [&head[..], &[0x9c, 0x40], &port.to_be_bytes(), &[0; 4]].concat()
    }

    pub(in crate::egress) fn v6(to: Ipv6Addr, first: u8, rest: &[u8]) -> Vec<u8> {
        let mut head = [0; 40];
        head[0] = 0x60;
        head[6] = first;
        head[24..].copy_from_slice(&to.octets());
        [&head[..], rest].concat()
    }

    const TO: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 7);

    #[test]
    fn where_a_packet_was_to_is_read_behind_options_and_all_heads_of_ipv6() {
        let here = |protocol, port| vec![Packet { to: [192, 0, 2, 1].into(), protocol, port }];
        assert_eq!(packets(&told(&v4(UDP, [192, 0, 2, 1], 443))), here(UDP, 443));
        assert_eq!(packets(&told(&v4(132, [192, 0, 2, 1], 9))), here(132, 9));
        assert_eq!(packets(&told(&v4(47, [192, 0, 2, 1], 443))), here(47, 0));
        let mut options = v4(UDP, [192, 0, 2, 1], 443);
        options[0] = 0x46;
        options.splice(20..20, [1; 4]);
        assert_eq!(packets(&told(&options)), here(UDP, 443));
        let mut later = v4(UDP, [192, 0, 2, 1], 443);
        later[7] = 1;
        assert_eq!(packets(&told(&later)), here(UDP, 0), "what is no head is none");

        let there = |port| vec![Packet { to: TO.into(), protocol: UDP, port }];
        let udp = [0x9c, 0x40, 0x27, 0x0f, 0, 8, 0, 0];
        assert_eq!(packets(&told(&v6(TO, UDP, &udp))), there(9_999));
        // Options of two words, a route, the first of several fragments.
        let between = [&[43, 1][..], &[0; 14], &[FRAGMENT, 0], &[0; 6], &[UDP, 0, 0, 1], &[0; 4]].concat();
        assert_eq!(packets(&told(&v6(TO, 0, &[&between[..], &udp].concat()))), there(9_999));
        let later = [&[UDP, 0, 0, 8, 0, 0, 0, 0][..], &udp].concat();
        assert_eq!(packets(&told(&v6(TO, FRAGMENT, &later))), there(0));
    }

    #[test]
    fn messages_that_are_no_packets_are_passed_over_and_several_are_all_read() {
        let one = told(&v4(UDP, [192, 0, 2, 1], 1));
        let mut other = told(&v4(UDP, [192, 0, 2, 1], 2));
        other[4..6].copy_from_slice(&3_u16.to_ne_bytes());
        let last = told(&v4(UDP, [192, 0, 2, 1], 3));
        let ports = |bytes: &[u8]| packets(bytes).iter().map(|packet| packet.port).collect::<Vec<_>>();
        assert_eq!(ports(&[&one[..], &other, &last].concat()), [1, 3]);
        assert_eq!(ports(&[&one[..], &[0; 16], &last].concat()), [1], "a length of nothing ends it");
    }

    #[test]
    fn what_is_cut_is_told_as_far_as_it_goes() {
        let whole = told(&v6(TO, 0, &[UDP, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4]));
        for length in 0..whole.len() {
            assert!(packets(&whole[..length]).is_empty());
        }
        for length in 0..28 {
            let told = packets(&told(&v4(UDP, [192, 0, 2, 1], 443)[..length]));
            assert_eq!(told.len(), usize::from(length >= 20), "{length}");
            assert!(told.iter().all(|packet| packet.port == if length < 24 { 0 } else { 443 }));
        }
    }

    proptest! {
        #[test]
        fn nothing_that_a_program_sends_is_too_much(bytes: Vec<u8>, first: u8, rest: Vec<u8>) {
            packets(&bytes);
            prop_assert!(packets(&told(&bytes)).len() <= 1);
            prop_assert_eq!(packets(&told(&v6(TO, first, &rest))).len(), 1);
        }
    }
}
