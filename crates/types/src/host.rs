//! Hosts of a network, as configuration, rules and requests name them.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use smol_str::SmolStr;

/// The longest name of a host, in bytes, without a final dot (RFC 1035, section 2.3.4).
pub const HOST_BYTES_MAX: usize = 253;

/// The longest part of one between two dots, in bytes (RFC 1035, section 2.3.4).
pub const LABEL_BYTES_MAX: usize = 63;

/// A host: a domain name in lower case without its final dot, or an IP address in its shortest form, IPv6 without
/// brackets. Two that are equal are the same host.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostName(SmolStr);

/// A text that names no host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a host is a domain name such as api.example.com (labels of letters, digits, `-` and `_`, at most 63 bytes each and 253 \
     together) or an IP address"
)]
pub struct HostNameError;

// === impl HostName ===

impl HostName {
    /// Reads a host: a domain name in either case, with or without its final dot, or an IP address, IPv6 with or
    /// without brackets.
    ///
    /// # Errors
    /// When it is neither; also for numbers that some programs take for an IPv4 address (`127.1`, `0x7f.1`).
    pub fn new(text: &str) -> Result<Self, HostNameError> {
        let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        if let Some(address) = bare {
            return address
                .parse()
                .map(|address: Ipv6Addr| Self::of(address.into()))
                .map_err(|_| HostNameError);
        }
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self::of(address));
        }
        let name = text.strip_suffix('.').unwrap_or(text);
        if name.is_empty() || name.len() > HOST_BYTES_MAX || !name.split('.').all(is_label) {
            return Err(HostNameError);
        }
        // A name whose last part is a number is an address in somebody's eyes (WHATWG URL, "ends in a number").
        let last = name.rsplit('.').next().unwrap_or(name);
        let is_number = last.bytes().all(|byte| byte.is_ascii_digit())
            || last.strip_prefix("0x").or(last.strip_prefix("0X")).is_some_and(is_hexadecimal);
        if is_number {
            return Err(HostNameError);
        }
        Ok(Self(name.to_ascii_lowercase().into()))
    }

    /// An address as a host. IPv4 in an IPv6 address is the IPv4 host.
    pub fn of(address: IpAddr) -> Self {
        Self(SmolStr::from(address.to_canonical().to_string()))
    }

    /// The host as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The address, if that is what it is.
    pub fn address(&self) -> Option<IpAddr> {
        let first = self.0.as_bytes()[0];
        if self.0.contains(':') {
            return self.0.parse::<Ipv6Addr>().ok().map(IpAddr::V6);
        }
        first.is_ascii_digit().then(|| self.0.parse::<Ipv4Addr>().ok().map(IpAddr::V4)).flatten()
    }
}

fn is_label(label: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    !label.is_empty()
        && label.len() <= LABEL_BYTES_MAX
        && label.bytes().all(fits)
        && !label.starts_with('-')
        && !label.ends_with('-')
}

fn is_hexadecimal(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

impl FromStr for HostName {
    type Err = HostNameError;

    fn from_str(text: &str) -> Result<Self, HostNameError> {
        Self::new(text)
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl From<&HostName> for ringfence_json::Value {
    fn from(host: &HostName) -> Self {
        Self::String(host.0.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_has_one_text() {
        for (text, expected) in [
            ("API.Example.COM.", "api.example.com"),
            ("xn--mnchen-3ya.de", "xn--mnchen-3ya.de"),
            ("_srv.example", "_srv.example"),
            ("127.0.0.1", "127.0.0.1"),
            ("[2001:DB8::0:1]", "2001:db8::1"),
            ("2001:db8::1", "2001:db8::1"),
            ("::ffff:10.0.0.1", "10.0.0.1"),
            ("localhost", "localhost"),
        ] {
            let host = HostName::new(text).unwrap();
            assert_eq!(host.as_str(), expected);
            assert_eq!(HostName::new(host.as_str()), Ok(host.clone()));
            assert_eq!(host.address().is_some(), expected.parse::<IpAddr>().is_ok(), "{text}");
        }
    }

    #[test]
    fn what_names_no_host_or_two_is_refused() {
        let long = format!("{}.example", "a".repeat(64));
        let longer = ["abcdefg"; 32].join(".") + ".x";
        for text in [
            "",
            ".",
            "a..b",
            ".a",
            "-a.example",
            "a-.example",
            "a b",
            "münchen.de",
            "a/b",
            "a:80",
            "a@b",
            "127.1",
            "1",
            "0x7f.1",
            "0x7f000001",
            "127.0.0.1.",
            "10.0.0.256",
            "[::1",
            "[127.0.0.1]",
            "fe80::1%eth0",
            "a\0b",
            "*.a",
            &long,
            &longer,
        ] {
            assert!(HostName::new(text).is_err(), "{text:?}");
        }
    }
}
