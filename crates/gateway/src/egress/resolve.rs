//! Where a name leads, as this node finds it and not as an agent says.
//!
//! A name is resolved once and keeps its addresses for a while; what was checked is what is dialled. Addresses that are
//! not on the internet, or this machine's own, are not dialled: whoever answers for a name must not be able to lead an agent
//! to the machine, its network or its cloud. Only the configuration can name such a place: as an address in a grant, by
//! giving a name its addresses, or by saying of a name that its own may be in a private network ([`World`]).

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;
use ringfence_types::HostName;
use tokio::sync::Semaphore;

use super::addresses::{is_off_limits, is_public};
use super::leads::Lead;
use super::limits::EgressLimits;
use super::world::World;

/// Addresses of one name, at most.
const ADDRESSES_MAX: usize = 16;

/// Finds the addresses of names.
pub(crate) struct Resolver {
    /// What was found, whatever of it may be dialled.
    pinned: Mutex<HashMap<HostName, Pin>>,
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
        "it leads to an address that is not on the internet; if that is what is wanted, grant the address itself, or write the name \
         under `egress: addresses` of the configuration"
    )]
    NotPublic,
    /// It may lead into a private network, and leads elsewhere.
    #[error(
        "it leads to an address that is neither on the internet nor in a private network: this machine itself, link-local, a cloud's \
         metadata or nobody's; a service of this machine is led to by its address under `egress: addresses` of the configuration"
    )]
    OffLimits,
    /// It takes too long.
    #[error("the name was not resolved in time")]
    TooSlow,
}

// === impl Resolver ===

impl Resolver {
    /// A resolver that asks the machine's own.
    pub(crate) fn new(limits: &EgressLimits) -> Self {
        Self {
            pinned: Mutex::default(),
            turns: Arc::new(Semaphore::new(limits.lookups)),
            limits: limits.clone(),
            #[cfg(test)]
            stand_in: None,
        }
    }

    /// The addresses to dial for a host, as that world has it. `named`: the configuration grants exactly this host; if that is
    /// an address, it may be any that is a host's. `turns` are those of the run.
    pub(crate) async fn resolve(
        &self,
        world: &World,
        host: &HostName,
        named: bool,
        turns: &Arc<Semaphore>,
    ) -> Result<Vec<IpAddr>, ResolveError> {
        if let Some(address) = host.address() {
            let any = named && !is_off_limits(address);
            return if any { Ok(vec![address]) } else { permitted(vec![address], None) };
        }
        let lead = world.leads().of(host);
        if let Some(Lead::Fixed(given)) = lead {
            return permitted(given.clone(), lead);
        }
        if let Some(found) = self.pinned(host) {
            return permitted(found, lead);
        }
        let asking = self.ask(host, turns);
        let found = tokio::time::timeout(self.limits.lookup_time, asking).await;
        let found = found.map_err(|_| ResolveError::TooSlow)??;
        permitted(self.pin(host, found), lead)
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

/// Those that may be dialled. `lead`: what the configuration says of the name they were found for.
fn permitted(mut found: Vec<IpAddr>, lead: Option<&Lead>) -> Result<Vec<IpAddr>, ResolveError> {
    found.retain(|address| match lead {
        Some(lead) => lead.allows(*address),
        None => is_public(*address) && !is_this_machine(*address),
    });
    match (found.is_empty(), lead) {
        (false, _) => Ok(found),
        (true, None) => Err(ResolveError::NotPublic),
        (true, Some(_)) => Err(ResolveError::OffLimits),
    }
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
    use super::super::leads::{LeadName, Leads};
    use super::super::trusted::Trusted;
    use super::*;

    fn host(text: &str) -> HostName {
        HostName::new(text).unwrap()
    }

    fn resolver(known: &[(&str, &[&str])]) -> Resolver {
        let known = known.iter().map(|(name, found)| {
            (host(name), found.iter().map(|address| address.parse().unwrap()).collect())
        });
        Resolver { stand_in: Some(known.collect()), ..Resolver::new(&EgressLimits::default()) }
    }

    async fn resolve(resolver: &Resolver, name: &str, named: bool) -> Result<Vec<IpAddr>, ResolveError> {
        resolve_in(&World::default(), resolver, name, named).await
    }

    async fn resolve_in(
        world: &World,
        resolver: &Resolver,
        name: &str,
        named: bool,
    ) -> Result<Vec<IpAddr>, ResolveError> {
        resolver.resolve(world, &host(name), named, &Arc::new(Semaphore::new(1))).await
    }

    /// A world in which names lead so; nothing after the name is wherever the resolver says.
    fn world(entries: &[(&str, &[&str])]) -> World {
        let mut leads = Leads::default();
        for (name, addresses) in entries {
            let fixed = addresses.iter().map(|address| address.parse().unwrap()).collect();
            let lead = if addresses.is_empty() { Lead::System } else { Lead::Fixed(fixed) };
            assert!(leads.add(LeadName::parse(name).unwrap(), lead));
        }
        World::new(leads, Trusted::default())
    }

    fn all(addresses: &[&str]) -> Vec<IpAddr> {
        addresses.iter().map(|address| address.parse().unwrap()).collect()
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
        // And then it is no machine's keys.
        for none in ["169.254.169.254", "fe80::1", "fd00:ec2::254", "100.100.100.200", "0.0.0.0"] {
            assert_eq!(resolve(&resolver, none, true).await, Err(ResolveError::NotPublic), "{none}");
        }
        let address: IpAddr = "10.0.0.1".parse().unwrap();
        assert_eq!(resolve(&resolver, "10.0.0.1", true).await, Ok(vec![address]));
        assert_eq!(resolve(&resolver, "10.0.0.1", false).await, Err(ResolveError::NotPublic));
    }

    #[tokio::test]
    async fn a_name_leads_into_a_private_network_only_where_the_configuration_says_so_and_never_to_metadata()
    {
        let own = "10.1.2.3";
        let resolver = resolver(&[
            ("git.corp", &[own, "1.1.1.1", "127.0.0.1", "169.254.169.254", "fd12::1", "fd00:ec2::254"]),
            ("other.example", &[own]),
            ("loop.corp", &["127.0.0.1", "::1", "0.0.0.0"]),
            ("link.corp", &["169.254.169.254", "fe80::1", "100.100.100.200", "::ffff:169.254.169.254"]),
            ("metadata.google.internal", &[own]),
        ]);
        let world = world(&[("*.corp", &[]), ("*.internal", &[])]);
        let allowed = Ok(all(&[own, "1.1.1.1", "fd12::1"]));
        // The grant that names the name changes nothing: the world is the operator's.
        for named in [false, true] {
            assert_eq!(resolve_in(&world, &resolver, "git.corp", named).await, allowed);
            for (name, expected) in [
                ("other.example", ResolveError::NotPublic),
                ("metadata.google.internal", ResolveError::NotPublic),
                ("loop.corp", ResolveError::OffLimits),
                ("link.corp", ResolveError::OffLimits),
                ("none.corp", ResolveError::Unknown),
                // An address is nobody's name.
                (own, ResolveError::NotPublic),
            ] {
                if named && name == own {
                    continue;
                }
                assert_eq!(resolve_in(&world, &resolver, name, named).await, Err(expected), "{name}");
            }
        }
        // What was found is kept for all; what of it may be dialled, each configuration says.
        assert_eq!(resolve(&resolver, "git.corp", false).await, Ok(all(&["1.1.1.1"])));
    }

    #[tokio::test]
    async fn a_name_whose_addresses_are_given_leads_there_and_nobody_is_asked() {
        let resolver = resolver(&[("git.corp", &["1.1.1.1"])]);
        let world = world(&[
            ("git.corp", &["10.1.2.3", "10.1.2.4"]),
            ("near.corp", &["127.0.0.1"]),
            // As it cannot be read from a configuration.
            ("link.corp", &["169.254.169.254"]),
        ]);
        assert_eq!(
            resolve_in(&world, &resolver, "git.corp", false).await,
            Ok(all(&["10.1.2.3", "10.1.2.4"]))
        );
        assert_eq!(resolve_in(&world, &resolver, "near.corp", false).await, Ok(all(&["127.0.0.1"])));
        assert_eq!(resolve_in(&world, &resolver, "link.corp", true).await, Err(ResolveError::OffLimits));
        assert_eq!(resolve(&resolver, "git.corp", false).await, Ok(all(&["1.1.1.1"])));
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
