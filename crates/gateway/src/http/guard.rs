//! Who may come in: the right Host and Origin (against DNS rebinding: MCP 2026-07-28, "Security & Endpoint"), then a
//! run token.

use http::header::{AUTHORIZATION, HOST, ORIGIN};
use http::request::Parts;
use http::uri::Authority;
use http::{HeaderMap, HeaderName};

use crate::egress::names::GATEWAY;

/// The names under which the agents' listener may be spoken to. Loopback names and addresses always are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Doors {
    /// Host names and addresses beside loopback, without a port: where the listener is bound to, or what a proxy
    /// in front of it is called.
    pub hosts: Vec<String>,
    /// Origins of browser pages beside those on loopback, as `scheme://host[:port]`.
    pub origins: Vec<String>,
}

/// Where Anthropic's clients put their key.
const API_KEY: HeaderName = HeaderName::from_static("x-api-key");

// === impl Doors ===

impl Doors {
    /// Whether a request names a host and an origin that belong here. `inside`: it comes out of a sandbox, where this node
    /// is called `gateway`.
    ///
    /// # Errors
    /// With a sentence that says which does not.
    pub(crate) fn check(&self, parts: &Parts, inside: bool) -> Result<(), &'static str> {
        let mut hosts = parts.headers.get_all(HOST).iter();
        let written = match (hosts.next(), parts.uri.authority()) {
            // The target of a proxy's request; it wins over Host (RFC 9112 §3.2.2).
            (_, Some(authority)) => Some(authority.clone()),
            (Some(host), None) => host.to_str().ok().and_then(|host| host.parse::<Authority>().ok()),
            (None, None) => None,
        };
        let known = written.is_some_and(|authority| {
            self.is_host(authority.host()) || (inside && is_gateway(authority.host()))
        });
        if !known || hosts.next().is_some() {
            return Err("the Host header does not name this node");
        }
        let mut origins = parts.headers.get_all(ORIGIN).iter();
        match (origins.next().map(|origin| origin.to_str()), origins.next()) {
            (None, _) => Ok(()),
            (Some(Ok(origin)), None) if self.is_origin(origin) => Ok(()),
            _ => Err("the Origin header names a page that may not speak to this node"),
        }
    }

    fn is_host(&self, host: &str) -> bool {
        is_loopback(host) || self.hosts.iter().any(|known| known.eq_ignore_ascii_case(host))
    }

    fn is_origin(&self, origin: &str) -> bool {
        if self.origins.iter().any(|known| known.eq_ignore_ascii_case(origin)) {
            return true;
        }
        let host = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
        host.and_then(|host| host.parse::<Authority>().ok())
            .is_some_and(|authority| !authority.as_str().contains('@') && is_loopback(authority.host()))
    }
}

/// Whether a name is that of the gateway inside a sandbox.
fn is_gateway(host: &str) -> bool {
    host.strip_suffix('.').unwrap_or(host).eq_ignore_ascii_case(GATEWAY)
}

/// Whether a name or address is this machine's own, without asking anybody.
fn is_loopback(host: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    host.eq_ignore_ascii_case("localhost")
        || bare.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback())
}

/// The token of a request: `Authorization: Bearer`, or `x-api-key`. `None` when there is none, or two that differ.
pub(crate) fn token(headers: &HeaderMap) -> Option<&str> {
    let mut bearers = headers.get_all(AUTHORIZATION).iter().map(|value| value.to_str().ok().and_then(bearer));
    let mut keys = headers.get_all(API_KEY).iter().map(|value| value.to_str().ok());
    match (bearers.next(), keys.next(), bearers.next(), keys.next()) {
        (Some(token), None, None, None) | (None, Some(token), None, None) => token,
        (Some(token), Some(key), None, None) if token == key => token,
        _ => None,
    }
}

/// The token after the scheme, whose case does not matter (RFC 9110 §11.1).
fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim()).filter(|token| !token.is_empty())
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn parts(uri: &str, headers: &[(&str, &str)]) -> Parts {
        let request =
            headers.iter().fold(Request::get(uri), |request, (name, value)| request.header(*name, *value));
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn only_hosts_and_origins_that_belong_here_come_in() {
        let doors =
            Doors { hosts: vec!["gate.internal".into()], origins: vec!["https://ui.internal".into()] };
        for fine in [
            &[("host", "localhost:7400")][..],
            &[("host", "127.0.0.1")],
            &[("host", "127.9.9.9:1")],
            &[("host", "[::1]:7400")],
            &[("host", "Gate.Internal:443"), ("origin", "https://ui.internal")],
            &[("host", "localhost"), ("origin", "http://localhost:6274")],
        ] {
            assert_eq!(doors.check(&parts("/mcp", fine), false), Ok(()), "{fine:?}");
        }
        for wrong in [
            &[][..],
            &[("host", "evil.example.com")],
            &[("host", "localhost.evil.example.com")],
            &[("host", "127.0.0.1.evil.example.com")],
            &[("host", "evil.example.com@localhost@x")],
            &[("host", "10.0.0.1")],
            &[("host", "localhost"), ("host", "evil.example.com")],
            &[("host", "localhost"), ("origin", "https://evil.example.com")],
            &[("host", "localhost"), ("origin", "http://localhost@evil.example.com")],
            &[("host", "localhost"), ("origin", "null")],
            &[("host", "localhost"), ("origin", "")],
            &[("host", "localhost"), ("origin", "http://localhost"), ("origin", "http://evil.example.com")],
        ] {
            assert!(doors.check(&parts("/mcp", wrong), false).is_err(), "{wrong:?}");
        }
        assert!(doors.check(&parts("http://evil.example.com/mcp", &[("host", "localhost")]), false).is_err());
    }

    #[test]
    fn the_gateway_has_its_name_inside_a_sandbox_only() {
        let doors = Doors::default();
        for name in ["gateway", "Gateway:80", "gateway."] {
            let parts = parts("/mcp", &[("host", name)]);
            assert_eq!(doors.check(&parts, true), Ok(()), "{name}");
            assert!(doors.check(&parts, false).is_err(), "{name}");
        }
        assert!(doors.check(&parts("/mcp", &[("host", "gateway.evil.example")]), true).is_err());
    }

    #[test]
    fn a_token_is_taken_from_either_header_and_never_guessed() {
        for (headers, expected) in [
            (&[("authorization", "Bearer abc")][..], Some("abc")),
            (&[("authorization", "bearer  abc ")], Some("abc")),
            (&[("x-api-key", "abc")], Some("abc")),
            (&[("authorization", "Bearer abc"), ("x-api-key", "abc")], Some("abc")),
            (&[], None),
            (&[("authorization", "Basic abc")], None),
            (&[("authorization", "Bearer ")], None),
            (&[("authorization", "Bearer abc"), ("x-api-key", "other")], None),
            (&[("authorization", "Bearer abc"), ("authorization", "Bearer abc")], None),
        ] {
            assert_eq!(token(&parts("/mcp", headers).headers), expected, "{headers:?}");
        }
    }
}
