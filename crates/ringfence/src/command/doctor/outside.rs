//! What sandboxes find outside: whom this machine trusts, and where the names of a configuration lead from here.

use std::net::{IpAddr, ToSocketAddrs as _};
use std::path::Path;

use ringfence_control::config::{AddressConfig, AuthoritiesFile, OutsideConfig, load};
use ringfence_gateway::{Lead, LeadName, machine_authorities};
use ringfence_types::HostName;

use super::{Finding, State};

const SECTION: &str = "the way out of sandboxes";

/// So many names are looked up: a resolver that does not answer takes its time with each.
const NAMES_TRIED_MAX: usize = 32;

/// What there is of it, with a configuration also what that says.
pub(super) fn findings(config: Option<&Path>) -> Vec<Finding> {
    let mut all = vec![machine()];
    match config.map(load) {
        None => {}
        Some(Ok(loaded)) => all.extend(of(&loaded.config.egress)),
        Some(Err(rejected)) => {
            let way = "`ringfence check -c FILE` says everything that is wrong";
            all.push(finding("configuration", State::Broken, rejected.to_string(), way));
        }
    }
    all
}

fn finding(name: &str, state: State, detail: String, remedy: &str) -> Finding {
    let remedy = (state != State::Good).then(|| remedy.to_owned());
    Finding { section: SECTION, name: name.to_owned(), state, detail, remedy }
}

fn machine() -> Finding {
    let name = "whom TLS trusts";
    match machine_authorities() {
        Ok(count) => finding(name, State::Good, format!("{count} authorities of this machine"), ""),
        Err(error) => {
            let detail = format!("the machine's certificate authorities cannot be read: {error}");
            finding(name, State::Broken, detail, "install them (Debian: ca-certificates)")
        }
    }
}

fn of(outside: &OutsideConfig) -> Vec<Finding> {
    let files = outside.authorities.iter().map(authorities);
    let names = outside.addresses.iter().take(NAMES_TRIED_MAX).map(address);
    let mut all: Vec<Finding> = files.chain(names).collect();
    let left = outside.addresses.len().saturating_sub(NAMES_TRIED_MAX);
    if left > 0 {
        all.push(finding("more names", State::Good, format!("{left} were not tried"), ""));
    }
    all
}

fn authorities(file: &AuthoritiesFile) -> Finding {
    let count = file.certificates.count();
    finding(&file.shown, State::Good, format!("{count} more that hosts may be vouched for by"), "")
}

fn address(entry: &AddressConfig) -> Finding {
    let name = entry.name.to_string();
    match (&entry.lead, &entry.name) {
        (Lead::Fixed(addresses), _) => {
            finding(&name, State::Good, format!("leads to {}", listed(addresses)), "")
        }
        (Lead::System, LeadName::Below(_)) => {
            finding(&name, State::Good, "each leads where this machine's resolver says".to_owned(), "")
        }
        (Lead::System, LeadName::One(host)) => resolved(&name, &entry.lead, host),
    }
}

fn resolved(name: &str, lead: &Lead, host: &HostName) -> Finding {
    let found = match (host.as_str(), 0).to_socket_addrs() {
        Ok(found) => found.map(|address| address.ip()),
        Err(error) => {
            let way = "the resolver of this machine (/etc/resolv.conf, /etc/hosts) has to know it; or write its addresses";
            return finding(name, State::Less, format!("this machine cannot resolve it: {error}"), way);
        }
    };
    let mut found: Vec<IpAddr> = found.collect();
    found.dedup();
    let (led, left): (Vec<IpAddr>, Vec<IpAddr>) =
        found.into_iter().partition(|address| lead.allows(*address));
    if led.is_empty() {
        let detail = format!("resolves to {}, where no name is led by `system`", listed(&left));
        let way = "write the address of the service under `egress: addresses` if it is this machine's own; link-local and the \
                   metadata of clouds are never reached";
        return finding(name, State::Less, detail, way);
    }
    finding(name, State::Good, format!("leads to {}", listed(&led)), "")
}

fn listed(addresses: &[IpAddr]) -> String {
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use ringfence_control::config::load_text;

    use super::*;

    #[test]
    fn where_names_lead_from_this_machine_is_tried() {
        let text = "organization: acme
egress:
  addresses: { git.corp: [10.1.2.3, 10.1.2.4], '*.svc.corp': system, localhost: system, no-such-host.invalid: system }
workspaces: { main: {} }
";
        let loaded = load_text("ringfence.yaml", Path::new("/nonexistent/ringfence.yaml"), text.to_owned());
        let findings = of(&loaded.unwrap().config.egress);
        let told: Vec<_> = findings.iter().map(|one| (one.name.as_str(), one.state)).collect();
        assert_eq!(
            told,
            [
                ("git.corp", State::Good),
                ("*.svc.corp", State::Good),
                ("localhost", State::Less),
                ("no-such-host.invalid", State::Less)
            ]
        );
        assert_eq!(findings[0].detail, "leads to 10.1.2.3, 10.1.2.4");
        assert!(findings[2].detail.contains("127.0.0.1") || findings[2].detail.contains("::1"));
        let wrong = super::findings(Some(Path::new("/nonexistent/ringfence.yaml")));
        assert_eq!(wrong.last().map(|one| one.state), Some(State::Broken));
    }
}
