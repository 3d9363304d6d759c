//! Which addresses are part of the internet, where everybody may be, and which are nearer than that.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Ranges of IPv4 that are not the internet (IANA's registry of special-purpose addresses), as address and prefix.
const V4_SPECIAL: &[([u8; 4], u8)] = &[
    ([0, 0, 0, 0], 8),       // this network
    ([10, 0, 0, 0], 8),      // private
    ([100, 64, 0, 0], 10),   // shared by carriers; overlay networks of companies
    ([127, 0, 0, 0], 8),     // loopback
    ([169, 254, 0, 0], 16),  // link-local; the metadata of clouds
    ([172, 16, 0, 0], 12),   // private
    ([192, 0, 0, 0], 24),    // protocol assignments; metadata of some clouds
    ([192, 0, 2, 0], 24),    // documentation
    ([192, 31, 196, 0], 24), // AS112
    ([192, 52, 193, 0], 24), // AMT
    ([192, 88, 99, 0], 24),  // 6to4 relays
    ([192, 168, 0, 0], 16),  // private
    ([192, 175, 48, 0], 24), // AS112
    ([198, 18, 0, 0], 15),   // benchmarks
    ([198, 51, 100, 0], 24), // documentation
    ([203, 0, 113, 0], 24),  // documentation
    ([224, 0, 0, 0], 3),     // multicast, reserved, broadcast
];

/// Where clouds keep what a machine is and may do, beside link-local: an address that looks like any other, one for protocols,
/// and one among those shared by carriers.
const V4_METADATA: &[[u8; 4]] = &[[168, 63, 129, 16], [192, 0, 0, 192], [100, 100, 100, 200]];

/// The same of IPv6, among the addresses that are for everybody's own use.
const V6_METADATA: &[([u16; 8], u8)] = &[
    ([0xfd00, 0xec2, 0, 0, 0, 0, 0, 0], 32),
    ([0xfd00, 0x42, 0, 0, 0, 0, 0, 0x42], 128),
    ([0xfd20, 0xce, 0, 0, 0, 0, 0, 0], 64),
];

/// What networks of one's own are made of: private addresses (RFC 1918) and those shared by carriers (RFC 6598), which overlay
/// networks use.
const V4_PRIVATE: &[([u8; 4], u8)] =
    &[([10, 0, 0, 0], 8), ([100, 64, 0, 0], 10), ([172, 16, 0, 0], 12), ([192, 168, 0, 0], 16)];

/// The same of IPv6 (RFC 4193).
const V6_PRIVATE: ([u16; 8], u8) = ([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7);

/// Where no host is: this network, link-local, multicast, reserved, broadcast.
const V4_NO_HOST: &[([u8; 4], u8)] = &[([0, 0, 0, 0], 8), ([169, 254, 0, 0], 16), ([224, 0, 0, 0], 3)];

/// The same of IPv6.
const V6_NO_HOST: &[([u16; 8], u8)] =
    &[([0; 8], 128), ([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10), ([0xff00, 0, 0, 0, 0, 0, 0, 0], 8)];

/// IPv4 in the last four bytes of IPv6: translated (RFC 6052), or compatible in a way that is no more.
const V6_ENDS_IN_V4: &[([u16; 8], u8)] = &[([0x64, 0xff9b, 0, 0, 0, 0, 0, 0], 96), ([0; 8], 96)];

/// Ranges within [`V6_GLOBAL`] that are not the internet, or that lead to IPv4 in ways of their own.
const V6_SPECIAL: &[([u16; 8], u8)] = &[
    ([0x2001, 0, 0, 0, 0, 0, 0, 0], 23), // protocol assignments, with Teredo and ORCHID
    ([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32), // documentation
    ([0x2002, 0, 0, 0, 0, 0, 0, 0], 16), // 6to4: IPv4 inside
    ([0x2620, 0x4f, 0x8000, 0, 0, 0, 0, 0], 48), // AS112
    ([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20), // documentation
];

/// What of IPv6 is the internet: everything else is loopback, local, multicast, mapped or translated IPv4, or nothing yet.
const V6_GLOBAL: ([u16; 8], u8) = ([0x2000, 0, 0, 0, 0, 0, 0, 0], 3);

/// Whether an address is on the internet, so that nothing of this machine, its network or its cloud is behind it.
pub(crate) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    !is_within_v4(address, V4_SPECIAL) && !V4_METADATA.contains(&address.octets())
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    is_within_v6(address, &[V6_GLOBAL]) && !is_within_v6(address, V6_SPECIAL) && !is_isatap(address)
}

fn is_within_v4(address: Ipv4Addr, ranges: &[([u8; 4], u8)]) -> bool {
    let bits = u32::from(address);
    ranges.iter().any(|(base, prefix)| (bits ^ u32::from_be_bytes(*base)) >> (32 - u32::from(*prefix)) == 0)
}

fn is_within_v6(address: Ipv6Addr, ranges: &[([u16; 8], u8)]) -> bool {
    let bits = u128::from(address);
    ranges
        .iter()
        .any(|(base, prefix)| (bits ^ u128::from(Ipv6Addr::from(*base))) >> (128 - u32::from(*prefix)) == 0)
}

/// Whether an address is of a network of somebody's own, where names may lead if the configuration says so.
pub(crate) fn is_private(address: IpAddr) -> bool {
    let is_own = match address {
        IpAddr::V4(address) => is_within_v4(address, V4_PRIVATE),
        IpAddr::V6(address) => is_within_v6(address, &[V6_PRIVATE]) && !is_isatap(address),
    };
    is_own && !is_off_limits(address)
}

/// Whether no name leads there, whatever the configuration says: link-local, the metadata of clouds, and what is no host's.
pub(crate) fn is_off_limits(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => is_within_v4(address, V4_NO_HOST) || V4_METADATA.contains(&address.octets()),
        // The machine itself looks like IPv4 in IPv6.
        IpAddr::V6(Ipv6Addr::LOCALHOST) => false,
        IpAddr::V6(address) => {
            is_within_v6(address, V6_NO_HOST)
                || is_within_v6(address, V6_METADATA)
                || v4_inside(address).is_some_and(|inside| is_off_limits(inside.into()))
        }
    }
}

/// The IPv4 address that what is sent to this one ends at.
fn v4_inside(address: Ipv6Addr) -> Option<Ipv4Addr> {
    if is_within_v6(address, V6_ENDS_IN_V4) || is_isatap(address) {
        let [.., a, b, c, d] = address.octets();
        return Some(Ipv4Addr::new(a, b, c, d));
    }
    // 6to4 (RFC 3056).
    let [0x20, 0x02, a, b, c, d, ..] = address.octets() else { return None };
    Some(Ipv4Addr::new(a, b, c, d))
}

/// An interface identifier that carries an IPv4 address (RFC 5214).
fn is_isatap(address: Ipv6Addr) -> bool {
    let [.., high, low, _, _] = address.segments();
    matches!(high, 0 | 0x0200) && low == 0x5efe
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn public(text: &str) -> bool {
        is_public(text.parse().unwrap())
    }

    #[test]
    fn what_is_near_is_not_public_in_whatever_form_it_is_written() {
        for near in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.254",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.192",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.7",
            "203.0.113.9",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "168.63.129.16",
            "100.100.100.200",
            "::",
            "::1",
            "::127.0.0.1",
            "::ffff:10.0.0.1",
            "::ffff:8.8.8.8",
            "64:ff9b::10.0.0.1",
            "64:ff9b::8.8.8.8",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:0:4136:e378::1",
            "2001:10::1",
            "2001:20::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "2002:a9fe:a9fe::1",
            "3fff::1",
            "5f00::1",
            "fc00::1",
            "fd00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "2600::5efe:a00:1",
            "2600:0:0:0:200:5efe:a00:1",
        ] {
            assert!(!public(near), "{near}");
        }
    }

    #[test]
    fn the_internet_is_public() {
        for far in [
            "1.1.1.1",
            "8.8.8.8",
            "9.255.255.255",
            "11.0.0.1",
            "100.63.255.255",
            "100.128.0.1",
            "126.0.0.1",
            "128.0.0.1",
            "169.253.0.1",
            "172.15.0.1",
            "172.32.0.1",
            "192.167.0.1",
            "198.17.0.1",
            "198.20.0.1",
            "223.255.255.255",
            "2606:4700::1111",
            "2a00:1450::1",
            "2001:4860:4860::8888",
            "2003::1",
            "2600::1",
        ] {
            assert!(public(far), "{far}");
        }
    }

    #[test]
    fn networks_of_ones_own_are_private_and_what_is_off_limits_is_not_in_whatever_form_it_is_written() {
        let at = |text: &str| text.parse::<IpAddr>().unwrap();
        for own in
            ["10.0.0.1", "100.64.0.1", "100.127.255.255", "172.16.0.1", "172.31.255.255", "192.168.1.1"]
                .into_iter()
                .chain(["fc00::1", "fd00::1", "fd00:ec3::1", "fd20:ce:0:1::1", "fdff:ffff::1"])
        {
            assert!(is_private(at(own)) && !is_off_limits(at(own)) && !is_public(at(own)), "{own}");
        }
        for never in [
            "0.0.0.0",
            "0.1.2.3",
            "169.254.0.1",
            "169.254.169.254",
            "168.63.129.16",
            "192.0.0.192",
            "100.100.100.200",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "fe80::1",
            "fe80::a9fe:a9fe",
            "febf::1",
            "ff02::1",
            "fd00:ec2::254",
            "fd00:42::42",
            "fd20:ce::254",
            "::ffff:169.254.169.254",
            "::169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "2002:a9fe:a9fe::1",
            "2600::5efe:a9fe:a9fe",
            "fd00::5efe:a9fe:a9fe",
        ] {
            assert!(is_off_limits(at(never)) && !is_private(at(never)) && !is_public(at(never)), "{never}");
        }
        // Reached if they are written, and by no name's own resolution.
        for other in [
            "127.0.0.1",
            "::1",
            "192.0.2.1",
            "198.18.0.1",
            "203.0.113.9",
            "64:ff9b::a00:1",
            "fd00::5efe:a00:1",
        ] {
            assert!(!is_off_limits(at(other)) && !is_private(at(other)) && !is_public(at(other)), "{other}");
        }
        assert!(!is_off_limits(at("1.1.1.1")) && !is_private(at("1.1.1.1")));
    }

    proptest! {
        #[test]
        fn nothing_that_the_standard_library_calls_special_is_public(bits: u32, wide: u128) {
            let v4 = Ipv4Addr::from(bits);
            let special = v4.is_private() || v4.is_loopback() || v4.is_link_local() || v4.is_multicast()
                || v4.is_broadcast() || v4.is_documentation() || v4.is_unspecified();
            prop_assert!(!(special && is_public(v4.into())));
            let v6 = Ipv6Addr::from(wide);
            let special = v6.is_loopback() || v6.is_multicast() || v6.is_unique_local()
                || v6.is_unicast_link_local() || v6.is_unspecified() || v6.to_ipv4_mapped().is_some();
            prop_assert!(!(special && is_public(v6.into())));
            for address in [IpAddr::from(v4), v6.into()] {
                let kinds = [is_public(address), is_private(address), is_off_limits(address)];
                prop_assert!(kinds.into_iter().filter(|is| *is).count() <= 1, "{address} is {kinds:?}");
            }
        }
    }
}
