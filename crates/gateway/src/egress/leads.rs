//! Where the configuration has names lead: to addresses that it gives, or to wherever this machine's resolver says, though
//! that may be near.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;

use ringfence_types::{HostName, HostNameError};

use super::addresses::{is_off_limits, is_private, is_public};
use super::names::GATEWAY;
use super::resolve::is_this_machine;

/// Names of clouds' metadata. Whatever is written, they lead nowhere near.
const METADATA: [&str; 9] = [
    "instance-data",
    "instance-data.ec2.internal",
    "metadata",
    "metadata.azure.internal",
    "metadata.goog",
    "metadata.google.internal",
    "metadata.packet.net",
    "metadata.platformequinix.com",
    "metadata.tencentyun.com",
];

/// Names and where they lead. The most exact one counts: a name itself, then the longest name that it is below.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Leads(HashMap<LeadName, Lead>);

/// A name, or `*.name` for all below it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum LeadName {
    /// This one.
    One(HostName),
    /// All below it.
    Below(HostName),
}

/// Where a name leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lead {
    /// To these addresses, whatever anybody else says.
    Fixed(Vec<IpAddr>),
    /// To the addresses that this machine's resolver finds, on the internet or in a network of one's own.
    System,
}

/// A text that is no name which could lead anywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LeadNameError {
    /// Not a name.
    #[error("{0}; `*.` before a name is for all below it")]
    Name(#[from] HostNameError),
    /// An address.
    #[error(
        "an address needs no entry here: whoever is to reach it holds the address itself in its own `egress`"
    )]
    Address,
    /// Every name.
    #[error(
        "with `*` whoever answers for any name could lead agents into your network; write names of your own, such as *.corp"
    )]
    Everything,
    /// The gateway's.
    #[error("inside a sandbox `gateway` is the gateway itself")]
    Gateway,
    /// A cloud's metadata.
    #[error("it is a name of a cloud's metadata, where the keys of machines are: no agent is led there")]
    Metadata,
}

/// A text that is no address which a name may lead to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LeadAddressError {
    /// Not an address.
    #[error(
        "an address is written as 10.1.2.3 or fd12::1, without a port; `system`, for what the machine's resolver says, stands alone"
    )]
    Address,
    /// Link-local, metadata, or nobody's.
    #[error(
        "no agent is led to what is link-local (169.254.0.0/16, fe80::/10), to the metadata of clouds, or to an address that is no \
         host's: the keys of machines are there; write where the service itself is"
    )]
    OffLimits,
}

// === impl Leads ===

impl Leads {
    /// Has a name lead somewhere. The first entry of a name counts; gives whether this is it.
    pub fn add(&mut self, name: LeadName, lead: Lead) -> bool {
        let is_new = !self.0.contains_key(&name);
        if is_new {
            self.0.insert(name, lead);
        }
        is_new
    }

    /// Where a host leads, if anything is said of it.
    pub fn of(&self, host: &HostName) -> Option<&Lead> {
        self.entry_of(host).map(|(_, lead)| lead)
    }

    /// As [`Leads::of`], with the name that says so.
    pub fn entry_of(&self, host: &HostName) -> Option<(&LeadName, &Lead)> {
        if self.0.is_empty() || host.address().is_some() || METADATA.contains(&host.as_str()) {
            return None;
        }
        if let Some(entry) = self.0.get_key_value(&LeadName::One(host.clone())) {
            return Some(entry);
        }
        let mut name = host.as_str();
        while let Some((_, above)) = name.split_once('.') {
            name = above;
            // What is above a name is one too.
            let below = LeadName::Below(HostName::new(name).ok()?);
            if let Some(entry) = self.0.get_key_value(&below) {
                return Some(entry);
            }
        }
        None
    }
}

// === impl Lead ===

impl Lead {
    /// Reads one address that a name is to lead to.
    ///
    /// # Errors
    /// When it is none, or one that no name may lead to.
    pub fn address(text: &str) -> Result<IpAddr, LeadAddressError> {
        let host = HostName::new(text).map_err(|_| LeadAddressError::Address)?;
        let address = host.address().ok_or(LeadAddressError::Address)?;
        if is_off_limits(address) { Err(LeadAddressError::OffLimits) } else { Ok(address) }
    }

    /// Whether a name that leads so may be dialled at this address.
    pub fn allows(&self, address: IpAddr) -> bool {
        match self {
            Self::Fixed(addresses) => addresses.contains(&address) && !is_off_limits(address),
            Self::System => {
                let address = address.to_canonical();
                (is_public(address) || is_private(address)) && !is_this_machine(address)
            }
        }
    }
}

// === impl LeadName ===

impl LeadName {
    /// Reads a name, or `*.` and one.
    ///
    /// # Errors
    /// When it is none, or one that must lead nowhere.
    pub fn parse(text: &str) -> Result<Self, LeadNameError> {
        if text == "*" {
            return Err(LeadNameError::Everything);
        }
        let (name, is_below) = match text.strip_prefix('*') {
            Some(rest) => (rest.strip_prefix('.').ok_or(HostNameError)?, true),
            None => (text, false),
        };
        let name = HostName::new(name)?;
        if name.address().is_some() {
            return Err(LeadNameError::Address);
        }
        if is_below {
            return Ok(Self::Below(name));
        }
        match name.as_str() {
            GATEWAY => Err(LeadNameError::Gateway),
            known if METADATA.contains(&known) => Err(LeadNameError::Metadata),
            _ => Ok(Self::One(name)),
        }
    }

    /// The name, without the `*.` before it.
    pub fn name(&self) -> &HostName {
        match self {
            Self::One(name) | Self::Below(name) => name,
        }
    }
}

impl fmt::Display for LeadName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(name) => write!(f, "{name}"),
            Self::Below(name) => write!(f, "*.{name}"),
        }
    }
}

impl fmt::Debug for LeadName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leads(entries: &[(&str, Lead)]) -> Leads {
        let mut leads = Leads::default();
        for (name, lead) in entries {
            assert!(leads.add(LeadName::parse(name).unwrap(), lead.clone()));
        }
        leads
    }

    fn fixed(address: &str) -> Lead {
        Lead::Fixed(vec![Lead::address(address).unwrap()])
    }

    #[test]
    fn the_most_exact_name_says_where_it_leads() {
        let leads = leads(&[
            ("*.corp", Lead::System),
            ("*.svc.corp", fixed("10.0.0.1")),
            ("Git.svc.corp.", fixed("10.0.0.2")),
            ("*.internal", Lead::System),
        ]);
        for (name, expected) in [
            ("git.svc.corp", Some(fixed("10.0.0.2"))),
            ("a.svc.corp", Some(fixed("10.0.0.1"))),
            ("a.b.svc.corp", Some(fixed("10.0.0.1"))),
            ("svc.corp", Some(Lead::System)),
            ("corp", None),
            ("xcorp", None),
            ("git.svc.corp.evil.org", None),
            ("10.0.0.9", None),
            ("db.internal", Some(Lead::System)),
            ("metadata.google.internal", None),
        ] {
            assert_eq!(leads.of(&HostName::new(name).unwrap()), expected.as_ref(), "{name}");
        }
    }

    #[test]
    fn what_is_no_name_or_must_lead_nowhere_is_refused_with_the_way_out() {
        for (text, said) in [
            ("", "a host is"),
            ("a b", "a host is"),
            ("*corp", "a host is"),
            ("*.*.corp", "a host is"),
            ("git.corp:443", "a host is"),
            ("https://git.corp", "a host is"),
            ("10.0.0.1", "holds the address itself"),
            ("*.10.0.0.1", "holds the address itself"),
            ("*", "such as *.corp"),
            ("Gateway", "the gateway itself"),
            ("METADATA.google.internal.", "metadata"),
        ] {
            let error = LeadName::parse(text).unwrap_err().to_string();
            assert!(error.contains(said), "{text}: {error}");
        }
        for (text, said) in [
            ("git.corp", "written as 10.1.2.3"),
            ("10.0.0.1:443", "written as 10.1.2.3"),
            ("10.0.0.0/8", "written as 10.1.2.3"),
            ("fe80::1%eth0", "written as 10.1.2.3"),
            ("169.254.169.254", "link-local"),
            ("::ffff:169.254.169.254", "link-local"),
            ("fe80::1", "link-local"),
            ("fd00:ec2::254", "metadata"),
            ("0.0.0.0", "no host's"),
            ("255.255.255.255", "no host's"),
        ] {
            let error = Lead::address(text).unwrap_err().to_string();
            assert!(error.contains(said), "{text}: {error}");
        }
        for text in ["10.1.2.3", "127.0.0.1", "::1", "fd12::1", "[fd12::1]", "93.184.216.34"] {
            assert!(Lead::address(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn an_entry_stands_once_whatever_way_it_is_written() {
        let mut leads = Leads::default();
        assert!(leads.add(LeadName::parse("git.corp").unwrap(), Lead::System));
        assert!(!leads.add(LeadName::parse("GIT.corp.").unwrap(), fixed("10.0.0.1")));
        assert!(leads.add(LeadName::parse("*.git.corp").unwrap(), fixed("10.0.0.1")));
        assert_eq!(leads.of(&HostName::new("git.corp").unwrap()), Some(&Lead::System));
    }
}
