//! Images of containers: pulled once, held against their digest, unpacked, and shown read-only.
//!
//! ```text
//! reference ──▶ manifest ──▶ layers ──▶ DIR/images/sha256-…/rootfs
//!      │          │            │            │
//!     pin     sha-256      sha-256       no path leaves the folder
//! ```
//!
//! A reference without a digest is resolved once, and what it meant then is pinned in `DIR/images/pins.json`: a tag that is
//! moved does not change what runs here. What is kept is named by its digest; nothing of it is changed after it is there.

mod document;
#[cfg(test)]
mod hostile_tests;
mod http;
mod layer;
mod place;
mod pull;
#[cfg(test)]
mod registry_tests;
mod room;
mod store;
#[cfg(test)]
mod tests;
mod until;
mod work;

use std::fmt::{self, Write as _};
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use oci_spec::distribution::Reference;

pub use self::store::Images;

/// What a configuration calls an image: `registry/name:tag@sha256:…`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ImageName(Reference);

/// An image that is there, for as long as this is held.
#[derive(Clone, Debug)]
pub struct Image {
    /// The digest of its manifest, or of the index that its name stands for: `sha256:` and 64 digits.
    pub digest: String,
    /// The folder with its files.
    pub rootfs: PathBuf,
    /// The variables that it gives its programs.
    pub environment: Vec<(String, String)>,
    /// Kept for as long as it is used.
    #[expect(dead_code, reason = "it is held, and never read")]
    pub(crate) used: Arc<()>,
}

/// Why an image cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// The registry did not give it.
    #[error("{name} cannot be pulled: {why}")]
    Pull {
        /// What was asked for.
        name: String,
        /// As the registry or the network put it.
        why: String,
    },
    /// What came is not what was named.
    #[error("{name} is not what it says: {why}; nothing of it is kept")]
    Wrong {
        /// What was asked for.
        name: String,
        /// What does not fit.
        why: String,
    },
    /// It is larger than what is taken.
    #[error("{name} has {what}, of which at most {most} are taken")]
    TooMuch {
        /// What was asked for.
        name: String,
        /// What there is too much of.
        what: &'static str,
        /// The bound.
        most: u64,
    },
    /// The disk.
    #[error("images cannot be kept in {}: {source}", path.display())]
    Disk {
        /// Where.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

// === impl ImageName ===

impl ImageName {
    /// The digest, if it names one: then it is always the same image.
    pub fn digest(&self) -> Option<&str> {
        self.0.digest()
    }

    /// Whether its registry is on this machine: then it may be asked without TLS.
    pub(crate) fn is_near(&self) -> bool {
        let host = self.0.resolve_registry();
        let host = host.rsplit_once(':').map_or(host, |(host, _)| host);
        host == "localhost"
            || host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
    }

    pub(crate) fn reference(&self) -> &Reference {
        &self.0
    }
}

impl FromStr for ImageName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let reference = Reference::from_str(text).map_err(|error| error.to_string())?;
        if reference.digest().is_some_and(|digest| !is_digest(digest)) {
            return Err("the digest is not `sha256:` and 64 digits".to_owned());
        }
        Ok(Self(reference))
    }
}

impl fmt::Display for ImageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Whether it is a digest as they are named here.
pub(crate) fn is_digest(text: &str) -> bool {
    let digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    text.strip_prefix("sha256:").is_some_and(|digits| digits.len() == 64 && digits.bytes().all(digit))
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
