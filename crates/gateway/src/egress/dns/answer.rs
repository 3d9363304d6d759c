//! What a question about a name is answered.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ringfence_types::{Code, HostName};

use super::message::{Data, Kind, Query, Rcode, Unanswerable, bare_error};
use crate::egress::berth::Berth;
use crate::egress::connect::DNS;
use crate::egress::names::{Dialled, GATEWAY};

/// An answer.
struct Said {
    rcode: Rcode,
    records: Vec<Data>,
    why: Option<String>,
}

/// Answers a message, or does not.
pub(crate) fn answer(berth: &Berth, message: &[u8]) -> Option<Vec<u8>> {
    let query = match Query::parse(message) {
        Ok(query) => query,
        Err(Unanswerable::Silence) => return None,
        Err(Unanswerable::Error(id, rcode)) => return Some(bare_error(id, rcode)),
    };
    let said = say(berth, &query);
    Some(query.answer(said.rcode, &said.records, said.why.as_deref()))
}

fn say(berth: &Berth, query: &Query) -> Said {
    if !berth.may_ask() {
        let name = query.name.as_deref().and_then(|name| HostName::new(name).ok());
        let reason = "This run asks for names faster than it may. Wait a second.";
        return refuse(berth, name.as_ref(), Code::RateLimited, reason);
    }
    match query.kind {
        Kind::Meta | Kind::Any => return Said::error(Rcode::Refused),
        Kind::Ptr => return pointer(berth, query),
        Kind::A | Kind::Aaaa | Kind::Other => {}
    }
    let Some(host) = query.name.as_deref().and_then(|name| HostName::new(name).ok()) else {
        // Nothing that could be dialled has such a name.
        return Said::error(Rcode::NxDomain);
    };
    if host.as_str() != GATEWAY
        && let Some(said) = unknown(berth, &host, query.label_bytes)
    {
        return said;
    }
    let Ok(addresses) = berth.names.addresses(&host) else {
        let reason = "This run has looked up as many names as it may.";
        return refuse(berth, Some(&host), Code::RateLimited, reason);
    };
    let records = match query.kind {
        Kind::A => vec![Data::A(addresses.v4)],
        Kind::Aaaa => vec![Data::Aaaa(addresses.v6)],
        // There is such a name, and nothing of this kind for it.
        _ => Vec::new(),
    };
    Said { rcode: Rcode::NoError, records, why: None }
}

/// Says no where the agent's grants could not match a name, or where the name carries something.
fn unknown(berth: &Berth, host: &HostName, label_bytes: usize) -> Option<Said> {
    let (knows, names) = berth.grants(|holds| (holds.knows_host(host), holds.names_host(host)));
    let most = berth.limits().label_bytes;
    if label_bytes > most && !names {
        let reason = format!(
            "A label of this name has more than {most} bytes, as if it carried something. Grant the whole name if it is a host's."
        );
        return Some(refuse(berth, Some(host), Code::TooLarge, &reason));
    }
    if knows {
        return None;
    }
    let reason = format!("{} may not reach {host}. Use one of the hosts it was given.", berth.run.called());
    let said = refuse(berth, Some(host), Code::NotGranted, &reason);
    Some(Said { rcode: Rcode::NxDomain, ..said })
}

fn refuse(berth: &Berth, host: Option<&HostName>, code: Code, reason: &str) -> Said {
    if let Some(host) = host {
        berth.turn_away(host, DNS, code, reason);
    }
    Said { why: Some(reason.to_owned()), ..Said::error(Rcode::Refused) }
}

/// The name of an address that was given out. Others have none, and it is no offence to ask.
fn pointer(berth: &Berth, query: &Query) -> Said {
    let address = query.name.as_deref().and_then(reversed);
    match address.map(|address| (address, berth.names.dialled(address))) {
        Some((_, Dialled::Gateway)) => Said::names(GATEWAY),
        Some((_, Dialled::Host(host))) if host.address().is_none() => Said::names(host.as_str()),
        _ => Said::error(Rcode::NxDomain),
    }
}

/// The address that a name for looking up names stands for (RFC 1035 §3.5, RFC 3596 §2.5).
fn reversed(name: &str) -> Option<IpAddr> {
    if let Some(digits) = name.strip_suffix(".in-addr.arpa") {
        let octets: Vec<u8> = digits.split('.').rev().map(str::parse).collect::<Result<_, _>>().ok()?;
        return <[u8; 4]>::try_from(octets).ok().map(|octets| Ipv4Addr::from(octets).into());
    }
    let digits = name.strip_suffix(".ip6.arpa")?.split('.').rev();
    let digits: Option<Vec<u128>> = digits
        .map(|digit| (digit.len() == 1).then(|| u128::from_str_radix(digit, 16).ok()).flatten())
        .collect();
    let digits = digits.filter(|digits| digits.len() == 32)?;
    Some(Ipv6Addr::from(digits.into_iter().fold(0, |bits, digit| bits << 4 | digit)).into())
}

// === impl Said ===

impl Said {
    fn error(rcode: Rcode) -> Self {
        Self { rcode, records: Vec::new(), why: None }
    }

    fn names(name: &str) -> Self {
        Self { rcode: Rcode::NoError, records: vec![Data::Ptr(name.to_owned())], why: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_backwards() {
        assert_eq!(reversed("0.1.64.100.in-addr.arpa"), Some("100.64.1.0".parse().unwrap()));
        let v6 = "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa";
        assert_eq!(reversed(v6), Some("2001:db8::1".parse().unwrap()));
        for bad in ["1.2.3.in-addr.arpa", "256.1.1.1.in-addr.arpa", "x.ip6.arpa", "in-addr.arpa", "a.example"]
        {
            assert_eq!(reversed(bad), None, "{bad}");
        }
    }
}
