//! Where a name leads, as this node finds it and not as an agent says.
//!
//! A name is resolved once and keeps its addresses for a while; what was checked is what is dialled. Addresses that are
//! not on the internet, or this machine's own, are not dialled: whoever answers for a name must not be able to lead an agent
//! to the machine, its network or its cloud. Only the configuration can name such a place: as an address in a grant, or by
//! giving a name its addresses.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;
use ringfence_types::HostName;
use tokio::sync::Semaphore;

use super::addresses::is_public;
use super::limits::EgressLimits;

/// Addresses of one name, at most.
const ADDRESSES_MAX: usize = 16;

/// Finds the addresses of names.
pub(crate) struct Resolver {
    pinned: Mutex<HashMap<HostName, Pin>>,
    /// Names whose addresses the configuration gives.
    given: HashMap<HostName, Vec<IpAddr>>,
    turns: Arc<Semaphore>,
    limits: EgressLimits,
    #[cfg(test)]
    pub(crate) stand_in: Option<HashMap<HostName, Vec<IpAddr>>>,
}

#[derive(Debug, Clone)]
struct Pin {
    since: Instant,
    found: Vec<IpAddr>,
}

/// Why a host has no address that may be dialled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ResolveError {
    /// Nobody knows the name.
    #[error("the name cannot be resolved")]
    Unknown,
    /// It leads to where agents may not go.
    #[error(
        "it leads to an address that is not on the internet; grant the address itself if that is what is wanted"
    )]
    NotPublic,
    /// It takes too long.
    #[error("the name was not resolved in time")]
    TooSlow,
}

// === impl Resolver ===

impl Resolver {
    /// A resolver that asks the machine's own, except for names whose addresses are given.
    pub(crate) fn new(given: HashMap<HostName, Vec<IpAddr>>, limits: &EgressLimits) -> Self {
        Self {
            pinned: Mutex::default(),
            given,
            turns: Arc::new(Semaphore::new(limits.lookups)),
            limits: limits.clone(),
            #[cfg(test)]
            stand_in: None,
        }
    }

    /// The addresses to dial for a host. `named`: the configuration grants exactly this host; if that is an address, it may
    /// be any. `turns` are those of the run.
    pub(crate) async fn resolve(
        &self,
        host: &HostName,
        named: bool,
        turns: &Arc<Semaphore>,
    ) -> Result<Vec<IpAddr>, ResolveError> {
        if let Some(address) = host.address() {
            return if named { Ok(vec![address]) } else { permitted(vec![address]) };
        }
        if let Some(given) = self.given.get(host) {
            return Ok(given.clone());
        }
        if let Some(found) = self.pinned(host) {
            return permitted(found);
        }
        let asking = self.ask(host, turns);
        let found = tokio::time::timeout(self.limits.lookup_time, asking).await;
        let found = found.map_err(|_| ResolveError::TooSlow)??;
        permitted(self.pin(host, found))
    }

    fn pinned(&self, host: &HostName) -> Option<Vec<IpAddr>> {
        let pinned = self.pinned.lock();
        let pin = pinned.get(host).filter(|pin| pin.since.elapsed() < self.limits.pin_time)?;
        Some(pin.found.clone())
    }

    /// Keeps what was found; gives what was kept first, if somebody else was faster.
    fn pin(&self, host: &HostName, found: Vec<IpAddr>) -> Vec<IpAddr> {
        let mut pinned = self.pinned.lock();
        if let Some(pin) = pinned.get(host).filter(|pin| pin.since.elapsed() < self.limits.pin_time) {
            return pin.found.clone();
        }
        if pinned.len() >= self.limits.pins {
            pinned.retain(|_, pin| pin.since.elapsed() < self.limits.pin_time);
        }
        if pinned.len() >= self.limits.pins {
            let oldest = pinned.iter().min_by_key(|(_, pin)| pin.since).map(|(host, _)| host.clone());
            oldest.map(|host| pinned.remove(&host));
        }
        pinned.insert(host.clone(), Pin { since: Instant::now(), found: found.clone() });
        found
    }

    async fn ask(&self, host: &HostName, turns: &Arc<Semaphore>) -> Result<Vec<IpAddr>, ResolveError> {
        #[cfg(test)]
        if let Some(known) = &self.stand_in {
            return known.get(host).cloned().ok_or(ResolveError::Unknown);
        }
        let of_run = Arc::clone(turns).acquire_owned().await.map_err(|_| ResolveError::TooSlow)?;
        let of_all = Arc::clone(&self.turns).acquire_owned().await.map_err(|_| ResolveError::TooSlow)?;
        let query = (host.as_str().to_owned(), 0);
        // The system's resolver is a thread that cannot be stopped: its places are free when it is.
        let asking = tokio::spawn(async move {
            let _places = (of_run, of_all);
            let found: io::Result<Vec<IpAddr>> =
                tokio::net::lookup_host(query).await.map(|found| found.map(|address| address.ip()).collect());
            found
        });
        match asking.await {
            Ok(Ok(mut found)) if !found.is_empty() => {
                found.truncate(ADDRESSES_MAX);
                Ok(found)
            }
            _ => Err(ResolveError::Unknown),
        }
    }

    /// Forgets what is too old to be used.
    pub(crate) fn sweep(&self) {
        self.pinned.lock().retain(|_, pin| pin.since.elapsed() < self.limits.pin_time);
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resolver").finish_non_exhaustive()
    }
}

/// Those that may be dialled.
fn permitted(mut found: Vec<IpAddr>) -> Result<Vec<IpAddr>, ResolveError> {
    found.retain(|address| is_public(*address) && !is_this_machine(*address));
    if found.is_empty() { Err(ResolveError::NotPublic) } else { Ok(found) }
}

/// Whether an address is one of this machine's, however it is written: what is sent there would leave from that very address.
pub(crate) fn is_this_machine(address: IpAddr) -> bool {
    let address = address.to_canonical();
    if address.is_loopback() || address.is_unspecified() {
        return true;
    }
    let from: IpAddr = match address {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    // Connecting a datagram socket only looks the way up; nothing is sent.
    let way = std::net::UdpSocket::bind(SocketAddr::new(from, 0)).and_then(|socket| {
        socket.connect(SocketAddr::new(address, 9))?;
        socket.local_addr()
    });
    // Where there is no way, nothing is reached either.
    way.is_ok_and(|way| way.ip() == address)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(text: &str) -> HostName {
        HostName::new(text).unwrap()
    }

    fn resolver(known: &[(&str, &[&str])]) -> Resolver {
        let known = known.iter().map(|(name, found)| {
            (host(name), found.iter().map(|address| address.parse().unwrap()).collect())
        });
        Resolver {
            stand_in: Some(known.collect()),
            ..Resolver::new(HashMap::new(), &EgressLimits::default())
        }
    }

    async fn resolve(resolver: &Resolver, name: &str, named: bool) -> Result<Vec<IpAddr>, ResolveError> {
        resolver.resolve(&host(name), named, &Arc::new(Semaphore::new(1))).await
    }

    #[tokio::test]
    async fn a_name_leads_to_the_internet_only() {
        let resolver = resolver(&[
            ("near.example", &["127.0.0.1", "::1", "169.254.169.254", "::ffff:10.0.0.1"]),
            ("mixed.example", &["10.0.0.1", "1.1.1.1"]),
        ]);
        // A grant that names the name does not help: whoever answers for it would decide what that is.
        for named in [false, true] {
            assert_eq!(resolve(&resolver, "near.example", named).await, Err(ResolveError::NotPublic));
        }
        assert_eq!(resolve(&resolver, "mixed.example", false).await, Ok(vec!["1.1.1.1".parse().unwrap()]));
        assert_eq!(resolve(&resolver, "no.example", false).await, Err(ResolveError::Unknown));
    }

    #[tokio::test]
    async fn an_address_that_is_not_public_has_to_be_granted_itself() {
        let resolver = resolver(&[]);
        let address: IpAddr = "10.0.0.1".parse().unwrap();
        assert_eq!(resolve(&resolver, "10.0.0.1", true).await, Ok(vec![address]));
        assert_eq!(resolve(&resolver, "10.0.0.1", false).await, Err(ResolveError::NotPublic));
    }

    #[tokio::test]
    async fn a_name_keeps_what_was_found_first() {
        let mut resolver = resolver(&[("turning.example", &["1.1.1.1"])]);
        let first = resolve(&resolver, "turning.example", false).await;
        resolver.stand_in =
            Some(HashMap::from([(host("turning.example"), vec!["9.9.9.9".parse().unwrap()])]));
        assert_eq!(resolve(&resolver, "turning.example", false).await, first);
        resolver.limits.pin_time = std::time::Duration::ZERO;
        assert_ne!(resolve(&resolver, "turning.example", false).await, first);
    }

    #[test]
    fn pins_are_bounded() {
        let mut resolver = resolver(&[]);
        resolver.limits.pins = 3;
        for number in 0..10 {
            resolver.pin(&host(&format!("n{number}.example")), vec!["1.1.1.1".parse().unwrap()]);
        }
        let pinned = resolver.pinned.lock();
        assert_eq!(pinned.len(), 3);
        assert!(pinned.contains_key(&host("n9.example")) && !pinned.contains_key(&host("n0.example")));
    }

    #[test]
    fn addresses_of_this_machine_are_known() {
        for own in ["127.0.0.1", "127.8.9.10", "0.0.0.0", "::1", "::", "::ffff:127.0.0.1"] {
            assert!(is_this_machine(own.parse().unwrap()), "{own}");
        }
        assert!(!is_this_machine("1.1.1.1".parse().unwrap()));
    }
}
