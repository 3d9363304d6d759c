//! The hosts that an agent holds.

use ringfence_policy::Glob;
use ringfence_types::{HostName, HostNameError};

use super::EgressCall;
use super::path::is_plain;

/// The ports of a grant that names none: those of HTTP and of HTTPS.
const USUAL_PORTS: [u16; 2] = [80, 443];

/// The hosts that an agent holds, as `agents.NAME.egress` has them: `host[:port][ METHOD /path…]`. Without one, none.
///
/// A host is a name, an address, `*.name` for everything below a name, or `*`. Without a port, 80 and 443. Methods
/// are in capitals with commas between them, or `*`; a path may have `*` and `?` in it, and is held against what stands before a
/// request's own `?`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EgressGrants(Vec<Grant>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Grant {
    hosts: Hosts,
    port: Option<u16>,
    requests: Option<Requests>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Hosts {
    One(HostName),
    /// With the dot that the rest of the name stands before.
    Below(String),
    All,
}

/// What of a host is held, if not all.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Requests {
    /// Empty for all.
    methods: Vec<String>,
    path: Option<Glob>,
}

/// One grant, for who tells people of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EgressGrant<'a>(&'a Grant);

/// A text that is no grant of a host.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EgressGrantError {
    /// Not a host.
    #[error("{0}, `*.` and a domain name, or `*`")]
    Host(#[from] HostNameError),
    /// Not a port.
    #[error(
        "a port is a number from 1 to 65535; an IPv6 address with one stands in brackets, as in [2001:db8::1]:443"
    )]
    Port,
    /// Not a method.
    #[error(
        "after the host stands a method in capitals, such as GET, several with commas between them, or *"
    )]
    Method,
    /// Not a path.
    #[error(
        "after the method stands a path that begins with / and has no `?` parameters in it, such as /v1/*"
    )]
    Path,
}

// === impl EgressGrants ===

impl EgressGrants {
    /// Reads grants as `ringfence.yaml` has them.
    ///
    /// # Errors
    /// At the first text that is no grant.
    pub fn parse<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Self, EgressGrantError> {
        texts.into_iter().map(Grant::parse).collect::<Result<_, _>>().map(Self)
    }

    /// Whether nothing is held.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each of them, as written.
    pub fn each(&self) -> impl Iterator<Item = EgressGrant<'_>> {
        self.0.iter().map(EgressGrant)
    }

    /// Whether this is held. Where a grant names paths, a path that servers read in more than one way matches none.
    pub fn holds(&self, call: &EgressCall) -> bool {
        self.0.iter().any(|grant| grant.covers(&call.host, call.port) && grant.allows(call))
    }

    /// Whether anything of this host is held, on any port.
    pub fn knows(&self, host: &HostName) -> bool {
        self.0.iter().any(|grant| grant.hosts.has(host))
    }

    /// Whether anything of this host is held on this port.
    pub fn reaches(&self, host: &HostName, port: u16) -> bool {
        self.0.iter().any(|grant| grant.covers(host, port))
    }

    /// Whether a host is held by its very name or address, and not by a pattern.
    pub fn names(&self, host: &HostName) -> bool {
        self.0.iter().any(|grant| matches!(&grant.hosts, Hosts::One(one) if one == host))
    }

    /// Whether requests to any host are held one by one.
    pub fn names_requests(&self) -> bool {
        self.0.iter().any(|grant| grant.requests.is_some())
    }

    /// Whether requests to this host must be seen one by one: some are held, and not all of it.
    pub fn wants_requests(&self, host: &HostName, port: u16) -> bool {
        let mut covering = self.0.iter().filter(|grant| grant.covers(host, port)).peekable();
        covering.peek().is_some() && covering.all(|grant| grant.requests.is_some())
    }
}

// === impl EgressGrant ===

impl EgressGrant<'_> {
    /// The hosts, as a pattern: a name, an address, `*.name`, or `*`.
    pub fn hosts(&self) -> String {
        match &self.0.hosts {
            Hosts::One(one) => one.to_string(),
            Hosts::Below(end) => format!("*{end}"),
            Hosts::All => "*".to_owned(),
        }
    }

    /// The port, if it names one.
    pub fn port(&self) -> Option<u16> {
        self.0.port
    }

    /// The methods that are held, none for all; `None` where it holds connections and not requests.
    pub fn methods(&self) -> Option<&[String]> {
        self.0.requests.as_ref().map(|requests| requests.methods.as_slice())
    }

    /// Whether it holds more than one host.
    pub fn is_pattern(&self) -> bool {
        !matches!(self.0.hosts, Hosts::One(_))
    }
}

// === impl Grant ===

impl Grant {
    fn parse(text: &str) -> Result<Self, EgressGrantError> {
        let mut words = text.split_ascii_whitespace();
        let (hosts, port) = host_and_port(words.next().unwrap_or_default())?;
        let methods = words.next().map(methods).transpose()?;
        let path = words.next().map(path).transpose()?;
        if words.next().is_some() {
            return Err(EgressGrantError::Path);
        }
        let requests = methods.map(|methods| Requests { methods, path });
        Ok(Self { hosts, port, requests })
    }

    fn covers(&self, host: &HostName, port: u16) -> bool {
        self.port.map_or_else(|| USUAL_PORTS.contains(&port), |held| held == port) && self.hosts.has(host)
    }

    fn allows(&self, call: &EgressCall) -> bool {
        let Some(requests) = &self.requests else { return true };
        let Some(method) = &call.method else { return false };
        let fits = requests.methods.is_empty() || requests.methods.iter().any(|each| *each == **method);
        fits && requests
            .path
            .as_ref()
            .is_none_or(|glob| call.bare_path().is_some_and(|path| is_plain(path) && glob.matches(path)))
    }
}

// === impl Hosts ===

impl Hosts {
    fn has(&self, host: &HostName) -> bool {
        match self {
            Self::One(one) => one == host,
            // An address is below no name.
            Self::Below(end) => host.address().is_none() && host.as_str().ends_with(end.as_str()),
            Self::All => true,
        }
    }
}

fn host_and_port(text: &str) -> Result<(Hosts, Option<u16>), EgressGrantError> {
    // An IPv6 address has colons of its own.
    let is_bare_v6 = !text.starts_with('[') && text.matches(':').count() > 1;
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !is_bare_v6 && !port.ends_with(']') => (host, Some(port)),
        _ => (text, None),
    };
    let port = port
        .map(|port| port.parse().ok().filter(|port| *port > 0).ok_or(EgressGrantError::Port))
        .transpose()?;
    let hosts = match host.strip_prefix('*') {
        Some("") => Hosts::All,
        Some(end) => {
            let name = HostName::new(end.strip_prefix('.').ok_or(HostNameError)?)?;
            if name.address().is_some() {
                return Err(HostNameError.into());
            }
            Hosts::Below(format!(".{name}"))
        }
        None => Hosts::One(HostName::new(host)?),
    };
    Ok((hosts, port))
}

fn methods(text: &str) -> Result<Vec<String>, EgressGrantError> {
    if text == "*" {
        return Ok(Vec::new());
    }
    let is_method =
        |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-');
    let words: Vec<&str> = text.split(',').collect();
    if !words.iter().all(|word| is_method(word)) {
        return Err(EgressGrantError::Method);
    }
    Ok(words.into_iter().map(str::to_owned).collect())
}

fn path(text: &str) -> Result<Glob, EgressGrantError> {
    // A `?` stands for one character; what looks like a query would never match.
    let is_query = text.contains('=') || text.contains('#');
    if !text.starts_with('/') || is_query || !is_plain(text) {
        return Err(EgressGrantError::Path);
    }
    Ok(Glob::new(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::EgressProtocol;

    fn grants(texts: &[&str]) -> EgressGrants {
        EgressGrants::parse(texts.iter().copied()).unwrap()
    }

    fn call(host: &str, port: u16, request: Option<(&str, &str)>) -> EgressCall {
        EgressCall {
            host: HostName::new(host).unwrap(),
            port,
            protocol: EgressProtocol::Https,
            method: request.map(|(method, _)| method.into()),
            path: request.map(|(_, path)| path.to_owned()),
        }
    }

    #[test]
    fn a_grant_holds_its_host_and_port_and_no_other() {
        let held = grants(&[
            "api.example.com",
            "*.pypi.org:443",
            "10.0.0.5:8080",
            "[2001:db8::1]:443",
            "2001:db8::2",
        ]);
        for (host, port, expected) in [
            ("api.example.com", 443, true),
            ("api.example.com", 80, true),
            ("api.example.com", 8443, false),
            ("xapi.example.com", 443, false),
            ("api.example.com.evil.org", 443, false),
            ("files.pypi.org", 443, true),
            ("a.b.pypi.org", 443, true),
            ("files.pypi.org", 80, false),
            ("pypi.org", 443, false),
            ("evilpypi.org", 443, false),
            ("10.0.0.5", 8080, true),
            ("10.0.0.5", 80, false),
            ("2001:db8::1", 443, true),
            ("2001:db8::2", 80, true),
        ] {
            assert_eq!(held.holds(&call(host, port, None)), expected, "{host}:{port}");
        }
        assert!(!grants(&[]).holds(&call("a.example", 443, None)));
        assert!(grants(&["*"]).holds(&call("a.example", 443, None)));
        assert!(!grants(&["*.5"; 0]).knows(&HostName::new("10.0.0.5").unwrap()));
    }

    #[test]
    fn a_grant_with_requests_holds_those_and_needs_to_see_them() {
        let held =
            grants(&["api.example.com GET,HEAD /v1/*", "api.example.com POST /v1/chat", "free.example"]);
        assert!(held.names_requests() && !grants(&["free.example"]).names_requests());
        for (method, path, expected) in [
            ("GET", "/v1/x", true),
            ("HEAD", "/v1/x/y?q=/v2/", true),
            ("GET", "/v2/x", false),
            ("DELETE", "/v1/x", false),
            ("get", "/v1/x", false),
            ("POST", "/v1/chat?stream=1", true),
            ("POST", "/v1/chats", false),
        ] {
            let call = call("api.example.com", 443, Some((method, path)));
            assert_eq!(held.holds(&call), expected, "{method} {path}");
        }
        assert!(!held.holds(&call("api.example.com", 443, None)), "what is not seen is not held");
        let wants = |host: &str| held.wants_requests(&HostName::new(host).unwrap(), 443);
        assert!(wants("api.example.com") && !wants("free.example") && !wants("other.example"));
        let both = grants(&["a.example GET /x", "a.example"]);
        assert!(!both.wants_requests(&HostName::new("a.example").unwrap(), 443));
    }

    #[test]
    fn a_path_that_can_be_read_in_two_ways_is_not_held() {
        let held = grants(&["a.example GET /v1/*"]);
        for path in [
            "/v1/../admin",
            "/v1/./x",
            "/v1//x",
            "/v1/..",
            "/v1/%2e%2e/admin",
            "/v1/%2E/x",
            "/v1/%2fadmin",
            "/v1/a%5cb",
            "/v1/a\\b",
            "/v1/%252e",
            "/v1/%00",
            "/v1/%zz",
            "/v1/%a",
            "/v1/%61dmin",
            "/v1/%7Ex",
            "/v1/%c0%ae%c0%ae/x",
            "/v1/..;/admin",
            "/v1/a b",
            "v1/x",
            "*",
        ] {
            assert!(!held.holds(&call("a.example", 443, Some(("GET", path)))), "{path}");
        }
        for path in ["/v1/", "/v1/a.b", "/v1/...", "/v1/a%20b", "/v1/x?y=../.."] {
            assert!(held.holds(&call("a.example", 443, Some(("GET", path)))), "{path}");
        }
    }

    #[test]
    fn what_is_no_grant_is_refused() {
        for bad in [
            "",
            " ",
            "a.example:0",
            "a.example:x",
            "a.example:70000",
            "*example.com",
            "*.10.0.0.1",
            "a.*.example",
            "https://a.example",
            "a.example/x",
            "a.example get /",
            "a.example GET x",
            "a.example GET /a?b=c",
            "a.example GET /a b",
            "a.example /x",
            "a.example GET /a/../b",
            "a.example GET, /",
        ] {
            assert!(EgressGrants::parse([bad]).is_err(), "{bad:?}");
        }
    }
}
