//! What the configuration says of the world outside: the `egress` of the whole file.

use std::sync::{Arc, OnceLock};

use rustls::{ClientConfig, RootCertStore};

use super::leads::Leads;
use super::tls;
use super::trusted::Trusted;

/// What one configuration says of the world outside.
///
/// By [`Default`] nothing, so that names lead to the internet alone and hosts are trusted as the machine trusts them.
#[derive(Debug, Default)]
pub struct World {
    leads: Leads,
    authorities: Trusted,
    /// Made when the first host is spoken to; `None` in it if that cannot be done.
    trust: OnceLock<Option<Trust>>,
}

/// How hosts are spoken to in TLS: for HTTP/1.1 alone, and for HTTP/2 as well.
#[derive(Debug)]
pub(crate) struct Trust {
    pub(crate) http1: Arc<ClientConfig>,
    pub(crate) http2: Arc<ClientConfig>,
}

// === impl World ===

impl World {
    /// A world in which these names lead somewhere, and these authorities are trusted beside the machine's.
    pub fn new(leads: Leads, authorities: Trusted) -> Self {
        Self { leads, authorities, trust: OnceLock::new() }
    }

    /// Names that lead somewhere.
    pub fn leads(&self) -> &Leads {
        &self.leads
    }

    /// Whether both say the same: what was opened in the one may be used in the other.
    pub(crate) fn says_the_same(self: &Arc<Self>, other: &Arc<Self>) -> bool {
        Arc::ptr_eq(self, other) || (self.leads == other.leads && self.authorities == other.authorities)
    }

    /// How hosts are spoken to that the machine's roots or these authorities vouch for. `None` where that cannot be made.
    pub(super) fn trust(&self, roots: &RootCertStore) -> Option<&Trust> {
        let made = || {
            let made = Trust::of(roots.clone(), &self.authorities);
            made.inspect_err(|error| tracing::error!(%error, "no host can be spoken to in TLS")).ok()
        };
        self.trust.get_or_init(made).as_ref()
    }
}

// === impl Trust ===

impl Trust {
    fn of(mut roots: RootCertStore, more: &Trusted) -> Result<Self, rustls::Error> {
        more.add_to(&mut roots)?;
        let config = tls::client(roots)?;
        let with = |protocols: &[&[u8]]| {
            let mut config = config.clone();
            config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
            Arc::new(config)
        };
        Ok(Self { http1: with(&[b"http/1.1"]), http2: with(&[b"h2", b"http/1.1"]) })
    }
}
