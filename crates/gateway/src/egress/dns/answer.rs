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

/// Answers a message to this server, or does not. What is asked and not answered is on record, whatever it is.
pub(crate) fn answer(berth: &Berth, server: &HostName, message: &[u8]) -> Option<Vec<u8>> {
    match Query::parse(message) {
        Ok(query) => {
            let said = say(berth, server, &query);
            Some(query.answer(said.rcode, &said.records, said.why.as_deref()))
        }
        Err(unanswerable) => {
            no_question(berth, server);
            match unanswerable {
                Unanswerable::Silence => None,
                Unanswerable::Error(id, rcode) => Some(bare_error(id, rcode)),
            }
        }
    }
}

/// Puts on record that something else than a question came in.
pub(crate) fn no_question(berth: &Berth, server: &HostName) {
    let reason =
        "What was sent to port 53 is not one question about a name, and nothing else is answered there.";
    berth.turn_away(server, DNS, Code::InvalidInput, reason);
}

fn say(berth: &Berth, server: &HostName, query: &Query) -> Said {
    if !berth.may_ask() {
        let reason = "This run asks for names faster than it may. Wait a second.";
        return refuse(berth, &on_record(query, server), Code::RateLimited, reason);
    }
    let Some(host) = query.name.as_deref().and_then(|name| HostName::new(name).ok()) else {
        // Nothing that could be dialled has such a name.
        let reason = "This is no name of a host. What such a name cannot have stands here as `_`, or the server that was asked.";
        return missing(berth, &on_record(query, server), reason);
    };
    if query.kind == Kind::Ptr
        && let Some(address) = reversed(host.as_str())
    {
        return pointer(berth, &host, address);
    }
    if host.as_str() != GATEWAY
        && let Some(said) = unknown(berth, &host, query.label_bytes)
    {
        return said;
    }
    if matches!(query.kind, Kind::Meta | Kind::Any) {
        let reason = "Everything of a name, whole zones and other classes than IN are not answered. Ask for A or AAAA.";
        return refuse(berth, &host, Code::InvalidInput, reason);
    }
    let Ok(addresses) = berth.names.addresses(&host) else {
        let reason = "This run has looked up as many names as it may.";
        return refuse(berth, &host, Code::RateLimited, reason);
    };
    let records = match query.kind {
        Kind::A => vec![Data::A(addresses.v4)],
        Kind::Aaaa => vec![Data::Aaaa(addresses.v6)],
        // There is such a name, and nothing of this kind for it.
        _ => Vec::new(),
    };
    Said { rcode: Rcode::NoError, records, why: None }
}

/// The name that was asked for, as it can stand in the log: there only hosts have a place. The server where it cannot.
fn on_record(query: &Query, server: &HostName) -> HostName {
    HostName::new(&query.shown).unwrap_or_else(|_| server.clone())
}

/// Says no where the agent's grants could not match a name, or where the name carries something.
fn unknown(berth: &Berth, host: &HostName, label_bytes: usize) -> Option<Said> {
    let (knows, names) = berth.grants(|holds| (holds.knows_host(host), holds.names_host(host)));
    let most = berth.limits().label_bytes;
    if label_bytes > most && !names {
        let reason = format!(
            "A label of this name has more than {most} bytes, as if it carried something. Grant the whole name if it is a host's."
        );
        return Some(refuse(berth, host, Code::TooLarge, &reason));
    }
    if knows {
        return None;
    }
    let reason = format!("{} may not reach {host}. Use one of the hosts it was given.", berth.run.called());
    Some(missing(berth, host, &reason))
}

fn refuse(berth: &Berth, host: &HostName, code: Code, reason: &str) -> Said {
    berth.turn_away(host, DNS, code, reason);
    Said { rcode: Rcode::Refused, records: Vec::new(), why: Some(reason.to_owned()) }
}

/// As [`refuse`], where there is no such name for the agent.
fn missing(berth: &Berth, host: &HostName, reason: &str) -> Said {
    Said { rcode: Rcode::NxDomain, ..refuse(berth, host, Code::NotGranted, reason) }
}

/// The name of an address that was given out. Others have none; `asked` is the name that stands for the address.
fn pointer(berth: &Berth, asked: &HostName, address: IpAddr) -> Said {
    match berth.names.dialled(address) {
        Dialled::Gateway => Said::names(GATEWAY),
        Dialled::Host(host) if host.address().is_none() => Said::names(host.as_str()),
        Dialled::Host(_) => {
            let reason =
                format!("No name was given the address {address} in here, and nobody outside is asked.");
            missing(berth, asked, &reason)
        }
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
