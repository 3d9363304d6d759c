//! The addresses that names have inside a sandbox.
//!
//! Inside, a name resolves to an address that exists nowhere else; the gateway sees which address is dialled and so
//! knows the name. What is dialled outside is decided by [`super::resolve`], never by the agent.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use parking_lot::Mutex;
use ringfence_types::HostName;

/// Under which name the gateway itself is reached from inside.
pub(crate) const GATEWAY: &str = "gateway";

/// The first address given out, in the range that is shared by carriers and routed nowhere (RFC 6598).
const V4_BASE: u32 = u32::from_be_bytes([100, 64, 0, 0]);

/// The first address given out, in a range for local use (RFC 4193) whose forty bits were drawn at random.
const V6_BASE: u128 = 0xfd9b_2c61_7a48_0000_0000_0000_0000_0000;

/// The place of the gateway; names follow.
const GATEWAY_PLACE: u32 = 1;
const FIRST_PLACE: u32 = 256;

/// Names of one run and the addresses they have.
#[derive(Debug)]
pub(crate) struct Names {
    table: Mutex<Table>,
    names_max: usize,
}

#[derive(Debug, Default)]
struct Table {
    places: HashMap<HostName, u32>,
    names: Vec<HostName>,
    /// Addresses on loopback that stand for those inside.
    #[cfg(test)]
    stand_ins: Vec<HostName>,
}

/// The addresses of one name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Addresses {
    pub(crate) v4: Ipv4Addr,
    pub(crate) v6: Ipv6Addr,
}

/// What stands behind an address that was dialled inside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Dialled {
    /// The gateway itself.
    Gateway,
    /// A name that was given this address; or the address as a host, if none was.
    Host(HostName),
}

/// As many names have an address as may have one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this run has looked up as many names as it may")]
pub(crate) struct Full;

// === impl Names ===

impl Names {
    /// A table for at most so many names.
    pub(crate) fn new(names_max: usize) -> Self {
        Self { table: Mutex::default(), names_max: names_max.min(1 << 16) }
    }

    /// The addresses of a name, the same ones each time.
    ///
    /// # Errors
    /// When the name has none and no more names may have one.
    pub(crate) fn addresses(&self, name: &HostName) -> Result<Addresses, Full> {
        if name.as_str() == GATEWAY {
            return Ok(Addresses::at(GATEWAY_PLACE));
        }
        let mut table = self.table.lock();
        if let Some(place) = table.places.get(name) {
            return Ok(Addresses::at(*place));
        }
        if table.names.len() >= self.names_max {
            return Err(Full);
        }
        let place = FIRST_PLACE + u32::try_from(table.names.len()).map_err(|_| Full)?;
        table.names.push(name.clone());
        table.places.insert(name.clone(), place);
        Ok(Addresses::at(place))
    }

    /// What stands behind an address.
    pub(crate) fn dialled(&self, address: IpAddr) -> Dialled {
        let address = address.to_canonical();
        #[cfg(test)]
        if let Some(name) = self.stood_in_for(address) {
            return if name.as_str() == GATEWAY { Dialled::Gateway } else { Dialled::Host(name) };
        }
        match place(address) {
            Some(GATEWAY_PLACE) => Dialled::Gateway,
            place => {
                let known = place.and_then(|place| self.at(place));
                Dialled::Host(known.unwrap_or_else(|| HostName::of(address)))
            }
        }
    }

    fn at(&self, place: u32) -> Option<HostName> {
        let index = usize::try_from(place.checked_sub(FIRST_PLACE)?).ok()?;
        self.table.lock().names.get(index).cloned()
    }
}

#[cfg(test)]
impl Names {
    /// An address on loopback that stands for that of a name inside.
    pub(crate) fn stand_in(&self, name: &HostName) -> IpAddr {
        let mut table = self.table.lock();
        let known = table.stand_ins.iter().position(|known| known == name);
        let index = known.unwrap_or_else(|| {
            table.stand_ins.push(name.clone());
            table.stand_ins.len() - 1
        });
        Ipv4Addr::new(127, 7, 0, u8::try_from(index).unwrap()).into()
    }

    fn stood_in_for(&self, address: IpAddr) -> Option<HostName> {
        let IpAddr::V4(address) = address else { return None };
        let [127, 7, 0, index] = address.octets() else { return None };
        self.table.lock().stand_ins.get(usize::from(index)).cloned()
    }
}

fn place(address: IpAddr) -> Option<u32> {
    match address {
        IpAddr::V4(address) => u32::from(address).checked_sub(V4_BASE),
        IpAddr::V6(address) => u32::try_from(u128::from(address).checked_sub(V6_BASE)?).ok(),
    }
}

// === impl Addresses ===

impl Addresses {
    fn at(place: u32) -> Self {
        Self { v4: Ipv4Addr::from(V4_BASE + place), v6: Ipv6Addr::from(V6_BASE + u128::from(place)) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn host(text: &str) -> HostName {
        HostName::new(text).unwrap()
    }

    #[test]
    fn a_name_keeps_its_addresses_and_they_lead_back_to_it() {
        let names = Names::new(2);
        let one = names.addresses(&host("one.example")).unwrap();
        let two = names.addresses(&host("two.example")).unwrap();
        assert_ne!(one, two);
        assert_eq!(names.addresses(&host("one.example")), Ok(one));
        assert_eq!(names.addresses(&host("three.example")), Err(Full));
        for address in [IpAddr::V4(two.v4), IpAddr::V6(two.v6), IpAddr::V6(two.v4.to_ipv6_mapped())] {
            assert_eq!(names.dialled(address), Dialled::Host(host("two.example")));
        }
    }

    #[test]
    fn the_gateway_has_its_own_address_and_takes_no_place() {
        let names = Names::new(0);
        let gateway = names.addresses(&host("gateway.")).unwrap();
        assert_eq!(names.dialled(gateway.v4.into()), Dialled::Gateway);
        assert_eq!(names.dialled(gateway.v6.into()), Dialled::Gateway);
    }

    proptest! {
        #[test]
        fn an_address_that_was_given_to_no_name_is_a_host_itself(bits: u32, wide: u128) {
            let names = Names::new(4);
            let given = names.addresses(&host("one.example")).unwrap();
            let gateway = names.addresses(&host(GATEWAY)).unwrap();
            for address in [IpAddr::from(Ipv4Addr::from(bits)), IpAddr::from(Ipv6Addr::from(wide))] {
                let other = [given.v4.into(), given.v6.into(), gateway.v4.into(), gateway.v6.into()];
                prop_assume!(!other.contains(&address.to_canonical()));
                prop_assert_eq!(names.dialled(address), Dialled::Host(HostName::of(address)));
            }
        }
    }
}
