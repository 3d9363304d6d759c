//! What a request asks for, and what of it goes on to the host.

use http::header::{
    CONNECTION, HOST, HeaderName, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRANSFER_ENCODING, UPGRADE,
};
use http::request::Parts;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, HeaderValue, Method, Uri, Version};
use ringfence_kernel::{EgressCall, EgressProtocol};
use ringfence_types::{Code, HostName};

use super::Site;

/// Why a request is turned away before it is decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Misfit {
    pub(crate) code: Code,
    pub(crate) reason: String,
}

/// Headers for the next hop only, besides those that `Connection` names (RFC 9110 §7.6.1).
const HOP_BY_HOP: &[HeaderName] =
    &[CONNECTION, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRANSFER_ENCODING, UPGRADE];
const HOP_BY_HOP_OLD: &[&str] = &["keep-alive", "proxy-connection"];

/// Bytes of a path, with what follows a `?`.
const PATH_BYTES_MAX: usize = 16 << 10;

/// What a request asks of its site.
///
/// # Errors
/// When it speaks to another host than the connection leads to, or is not one that can be passed on.
pub(crate) fn call(site: &Site, parts: &Parts) -> Result<EgressCall, Misfit> {
    if parts.method == Method::CONNECT {
        return Err(Misfit::new("Here is no proxy: CONNECT goes to gateway:3128."));
    }
    agree(site, parts)?;
    let path = parts.uri.path_and_query().map_or("/", PathAndQuery::as_str);
    let fits = path.starts_with('/') || (path == "*" && parts.method == Method::OPTIONS);
    if !fits || path.len() > PATH_BYTES_MAX {
        return Err(Misfit::new("The path has to begin with a slash, and to have at most 16 KiB."));
    }
    let protocol = if site.secure { EgressProtocol::Https } else { EgressProtocol::Http };
    Ok(EgressCall {
        host: site.host.clone(),
        port: site.port,
        protocol,
        method: Some(parts.method.as_str().into()),
        path: Some(path.to_owned()),
    })
}

/// Whether everything that names a host names the one that the connection leads to.
fn agree(site: &Site, parts: &Parts) -> Result<(), Misfit> {
    let mut hosts = parts.headers.get_all(HOST).iter();
    let (written, second) = (hosts.next(), hosts.next());
    if second.is_some() {
        return Err(Misfit::new("There is more than one Host header."));
    }
    let written = written
        .map(|value| value.to_str().ok().and_then(|text| text.parse().ok()))
        .map(|authority| authority.ok_or_else(|| Misfit::new("The Host header names no host.")));
    let written: Option<Authority> = written.transpose()?;
    let named: Vec<&Authority> = written.iter().chain(parts.uri.authority()).collect();
    if named.is_empty() {
        return Err(Misfit::new("There is no Host header."));
    }
    for authority in named {
        let (host, port) = read(authority, site.usual_port())
            .ok_or_else(|| Misfit::new("The Host header, or the target, names no host."))?;
        if (&host, port) != (&site.host, site.port) {
            return Err(Misfit::new(&format!(
                "The request names {host}:{port}, and the connection is to {}:{}. Both have to be the same.",
                site.host, site.port
            )));
        }
    }
    Ok(())
}

/// The host and port of an authority; none if it has a user in it, or what is no port.
pub(crate) fn read(authority: &Authority, usual_port: u16) -> Option<(HostName, u16)> {
    let text = authority.as_str();
    let host = HostName::new(authority.host()).ok()?;
    let port = match text.strip_prefix(authority.host())? {
        "" | ":" => usual_port,
        rest => rest.strip_prefix(':')?.parse().ok().filter(|port| *port > 0)?,
    };
    Some((host, port))
}

/// Whether a request wants to go on as WebSocket (RFC 6455 §4.1).
pub(crate) fn wants_websocket(parts: &Parts) -> bool {
    let is = |name: &HeaderName, wanted: &str| {
        let values = parts.headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        values.flat_map(|value| value.split(',')).any(|word| word.trim().eq_ignore_ascii_case(wanted))
    };
    parts.version == Version::HTTP_11
        && parts.method == Method::GET
        && is(&CONNECTION, "upgrade")
        && parts.headers.get_all(UPGRADE).iter().count() == 1
        && is(&UPGRADE, "websocket")
}

/// Takes out what is for the next hop only. `upgrade`: except for what turns it into WebSocket.
pub(crate) fn strip(headers: &mut HeaderMap, upgrade: bool) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    let trailers = headers.get_all(TE).iter().any(|value| value == "trailers");
    // A program that hides the host's name so has it put back by `address`.
    for name in named.iter().chain(HOP_BY_HOP) {
        headers.remove(name);
    }
    for name in HOP_BY_HOP_OLD {
        headers.remove(*name);
    }
    if trailers {
        // The one thing that HTTP/2 has it for (RFC 9113 §8.2.2); gRPC insists on it.
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
    if upgrade {
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    }
}

/// Writes the target and the host of a request as the connection to the host needs them.
pub(crate) fn address(parts: &mut Parts, site: &Site, http2: bool) -> Option<()> {
    let literal =
        if site.host.as_str().contains(':') { format!("[{}]", site.host) } else { site.host.to_string() };
    let authority = if site.port == site.usual_port() { literal } else { format!("{literal}:{}", site.port) };
    let path = parts.uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
    if http2 {
        parts.headers.remove(HOST);
        let scheme = if site.secure { Scheme::HTTPS } else { Scheme::HTTP };
        let uri = Uri::builder().scheme(scheme).authority(authority).path_and_query(path);
        parts.uri = uri.build().ok()?;
        parts.version = Version::HTTP_2;
    } else {
        parts.headers.remove(TE);
        parts.headers.insert(HOST, HeaderValue::try_from(authority).ok()?);
        parts.uri = Uri::from(path);
        parts.version = Version::HTTP_11;
    }
    Some(())
}

// === impl Misfit ===

impl Misfit {
    fn new(reason: &str) -> Self {
        Self { code: Code::InvalidInput, reason: reason.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn site() -> Site {
        Site { host: HostName::new("api.example").unwrap(), port: 80, secure: false }
    }

    fn parts(method: &str, uri: &str, headers: &[(&str, &str)]) -> Parts {
        let request =
            headers.iter().fold(Request::builder().method(method).uri(uri), |request, (name, value)| {
                request.header(*name, *value)
            });
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn a_request_names_the_host_that_its_connection_leads_to() {
        for (uri, headers) in [
            ("/x?y=1", &[("host", "api.example")][..]),
            ("/x?y=1", &[("host", "API.example.:80")]),
            ("http://api.example/x?y=1", &[("host", "api.example")]),
            ("http://api.example:80/x?y=1", &[]),
        ] {
            let call = call(&site(), &parts("GET", uri, headers)).unwrap();
            assert_eq!((call.method.as_deref(), call.path.as_deref()), (Some("GET"), Some("/x?y=1")));
        }
        for (uri, headers) in [
            ("/", &[][..]),
            ("/", &[("host", "other.example")]),
            ("/", &[("host", "api.example:81")]),
            ("/", &[("host", "api.example:")][..0]),
            ("/", &[("host", "api.example"), ("host", "api.example")]),
            ("/", &[("host", "user@api.example")]),
            ("/", &[("host", "api.example:80:80")]),
            ("/", &[("host", "")]),
            ("http://other.example/", &[("host", "api.example")]),
            ("http://api.example/", &[("host", "other.example")]),
        ] {
            assert!(call(&site(), &parts("GET", uri, headers)).is_err(), "{uri} {headers:?}");
        }
        assert!(call(&site(), &parts("CONNECT", "api.example:80", &[("host", "api.example")])).is_err());
    }

    #[test]
    fn what_is_for_the_next_hop_only_does_not_go_on() {
        let mut parts = parts(
            "GET",
            "http://api.example/x",
            &[
                ("host", "api.example"),
                ("connection", "keep-alive, x-mine, host"),
                ("x-mine", "1"),
                ("keep-alive", "timeout=5"),
                ("proxy-authorization", "Basic c2VjcmV0"),
                ("proxy-connection", "keep-alive"),
                ("te", "trailers"),
                ("upgrade", "h2c"),
                ("authorization", "Bearer theirs"),
            ],
        );
        strip(&mut parts.headers, false);
        address(&mut parts, &site(), false).unwrap();
        let mut names: Vec<&str> = parts.headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["authorization", "host"]);
        assert_eq!(
            (parts.uri.to_string().as_str(), &parts.headers[HOST]),
            ("/x", &"api.example".parse().unwrap())
        );
    }

    #[test]
    fn only_websocket_changes_what_is_spoken() {
        let asks = |upgrade: &str| {
            wants_websocket(&parts(
                "GET",
                "/",
                &[("connection", "keep-alive, Upgrade"), ("upgrade", upgrade)],
            ))
        };
        assert!(asks("WebSocket") && !asks("h2c") && !asks("tls/1.0"));
        let mut headers = parts("GET", "/", &[("connection", "Upgrade"), ("upgrade", "websocket")]).headers;
        strip(&mut headers, true);
        assert_eq!(headers.len(), 2);
    }

    #[test]
    fn an_address_stands_in_brackets_where_it_needs_them() {
        let site = Site { host: HostName::new("2001:db8::1").unwrap(), port: 8443, secure: true };
        let mut parts = parts("GET", "/x", &[]);
        address(&mut parts, &site, true).unwrap();
        assert_eq!(parts.uri.to_string(), "https://[2001:db8::1]:8443/x");
        assert_eq!(read(parts.uri.authority().unwrap(), 443), Some((site.host, 8443)));
    }
}
