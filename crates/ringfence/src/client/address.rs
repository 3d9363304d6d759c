//! Where the node is.

use std::fmt;
use std::path::{Path, PathBuf};

use http::Uri;

use crate::failure::Failure;

/// The name of the operators' socket in a data folder.
pub const SOCKET: &str = "control.sock";

/// How to reach a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// A Unix socket.
    Socket(PathBuf),
    /// `host:port`, plain HTTP, on this machine.
    Loopback(String),
}

// === impl Address ===

impl Address {
    /// Reads `unix:PATH` or `http://HOST:PORT`.
    ///
    /// # Errors
    /// When it is neither, or would send a token in the clear over a network.
    pub fn parse(text: &str) -> Result<Self, Failure> {
        if let Some(path) = text.strip_prefix("unix:") {
            return Ok(Self::Socket(PathBuf::from(path)));
        }
        let wrong = || {
            Failure::usage(format!("`{}` is not the address of a node", crate::safe(text)))
                .hint("write unix:PATH or http://127.0.0.1:PORT")
        };
        let uri: Uri = text.parse().map_err(|_| wrong())?;
        let (scheme, host) = (uri.scheme_str().unwrap_or_default(), uri.host().unwrap_or_default());
        match scheme {
            "http" if is_loopback(host) => {
                let authority = uri.authority().ok_or_else(wrong)?;
                let port = authority.port_u16().unwrap_or(7401);
                Ok(Self::Loopback(format!("{host}:{port}")))
            }
            "http" => Err(Failure::usage("a token would travel in the clear to that address").hint(
                "tunnel to the node with `ssh -L 7401:127.0.0.1:7401 HOST` and use http://127.0.0.1:7401",
            )),
            "https" => Err(Failure::usage("this version does not speak TLS to a node").hint(
                "tunnel to the node with `ssh -L 7401:127.0.0.1:7401 HOST` and use http://127.0.0.1:7401",
            )),
            _ => Err(wrong()),
        }
    }

    /// The node's own socket in its data folder.
    pub fn in_folder(folder: &Path) -> Self {
        Self::Socket(folder.join(SOCKET))
    }

    /// The `Host` of requests.
    pub fn host(&self) -> &str {
        match self {
            Self::Socket(_) => "localhost",
            Self::Loopback(authority) => authority,
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(path) => write!(f, "unix:{}", path.display()),
            Self::Loopback(authority) => write!(f, "http://{authority}"),
        }
    }
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// The data folder: what was given, else `$XDG_STATE_HOME/ringfence`, else `/var/lib/ringfence` for root and
/// `~/.local/state/ringfence` for everybody else (XDG Base Directory Specification).
///
/// # Errors
/// When there is none of these.
pub fn data_folder(given: Option<&Path>) -> Result<PathBuf, Failure> {
    if let Some(folder) = given {
        return Ok(folder.to_path_buf());
    }
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    if let Some(state) = absolute("XDG_STATE_HOME") {
        return Ok(state.join("ringfence"));
    }
    if rustix::process::geteuid().is_root() {
        return Ok(PathBuf::from("/var/lib/ringfence"));
    }
    let home = absolute("HOME").ok_or_else(|| {
        Failure::usage("no data folder: neither XDG_STATE_HOME nor HOME is set").hint("pass --data DIR")
    })?;
    Ok(home.join(".local/state/ringfence"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_sockets_or_on_this_machine() {
        assert_eq!(
            Address::parse("unix:/x/control.sock").unwrap(),
            Address::Socket("/x/control.sock".into())
        );
        assert_eq!(Address::parse("http://127.0.0.1:9").unwrap(), Address::Loopback("127.0.0.1:9".into()));
        assert_eq!(Address::parse("http://[::1]").unwrap(), Address::Loopback("[::1]:7401".into()));
        for bad in ["", "here", "http://10.0.0.1:7401", "https://node.example", "ftp://127.0.0.1", "http://"]
        {
            assert!(Address::parse(bad).is_err(), "{bad:?}");
        }
    }
}
