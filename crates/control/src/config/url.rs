//! The address of a tool server or a model's provider.

use std::fmt;
use std::net::IpAddr;

use http::Uri;

/// An absolute `http` or `https` URL without user information, query or fragment.
#[derive(Clone, PartialEq, Eq)]
pub struct ServerUrl(Uri);

/// The text is no such URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ServerUrlError {
    /// Not an absolute http or https URL.
    #[error("not an http or https URL")]
    Malformed,
    /// It carries a user name or password.
    #[error("a URL cannot carry a user name or password; use `headers` or `key`")]
    UserInformation,
    /// It carries a fragment or a query, where secrets hide.
    #[error("a URL cannot carry a query or fragment; use `headers` or `key` for secrets")]
    Query,
}

// === impl ServerUrl ===

impl ServerUrl {
    /// Reads a URL.
    ///
    /// # Errors
    /// When it is not absolute, not http or https, or carries more than host, port and path.
    pub fn parse(text: &str) -> Result<Self, ServerUrlError> {
        if text.contains('#') {
            return Err(ServerUrlError::Query);
        }
        let uri: Uri = text.parse().map_err(|_| ServerUrlError::Malformed)?;
        let authority = uri.authority().ok_or(ServerUrlError::Malformed)?;
        if authority.as_str().contains('@') {
            return Err(ServerUrlError::UserInformation);
        }
        if uri.query().is_some() {
            return Err(ServerUrlError::Query);
        }
        let scheme = uri.scheme_str().unwrap_or_default();
        // The library takes a port that is no number for none.
        let has_port = authority.as_str().len() > authority.host().len();
        let port_fits = !has_port || authority.port_u16().is_some_and(|port| port > 0);
        if !matches!(scheme, "http" | "https") || authority.host().is_empty() || !port_fits {
            return Err(ServerUrlError::Malformed);
        }
        Ok(Self(uri))
    }

    /// The URL.
    pub fn uri(&self) -> &Uri {
        &self.0
    }

    /// Whether what is sent there can be read on the way: plain HTTP to another machine.
    pub fn is_exposed(&self) -> bool {
        self.0.scheme_str() == Some("http") && !self.is_loopback()
    }

    /// Whether it is on this machine.
    pub fn is_loopback(&self) -> bool {
        let host = self.0.host().unwrap_or_default();
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        host == "localhost" || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }
}

impl fmt::Debug for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_absolute_urls_are_taken() {
        use ServerUrlError::{Malformed, Query, UserInformation};
        for good in
            ["http://127.0.0.1:9910/mcp", "https://mcp.internal/k8s", "http://[::1]:1/", "http://localhost"]
        {
            assert!(ServerUrl::parse(good).is_ok(), "{good}");
        }
        for (bad, error) in [
            ("", Malformed),
            ("/mcp", Malformed),
            ("mcp.internal", Malformed),
            ("ftp://x/", Malformed),
            ("http://x:0/", Malformed),
            ("http://x:99999/", Malformed),
            ("https://me:secret@x/", UserInformation),
            ("https://x/?key=secret", Query),
            ("https://x/#key", Query),
        ] {
            assert_eq!(ServerUrl::parse(bad), Err(error), "{bad}");
        }
    }

    #[test]
    fn plain_http_to_another_machine_is_exposed() {
        for (url, exposed) in [
            ("http://127.0.0.1/", false),
            ("http://[::1]/", false),
            ("http://localhost:1/", false),
            ("https://10.0.0.1/", false),
            ("http://10.0.0.1/", true),
            ("http://127.0.0.1.example.com/", true),
        ] {
            assert_eq!(ServerUrl::parse(url).unwrap().is_exposed(), exposed, "{url}");
        }
    }
}
