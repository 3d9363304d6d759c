//! What `egress` of the whole file comes to: names that may lead near, and authorities that the web does not know.

use std::path::PathBuf;

use ringfence_document::{Diagnostic, Place};
use ringfence_gateway::{Lead, LeadName, Leads, Trusted, World};
use ringfence_kernel::EgressGrants;
use smol_str::SmolStr;

use super::{Config, ServerConfig};

/// What sandboxes find in the world outside, beside what everybody does.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OutsideConfig {
    /// Files with certificates of authorities, in the order of the file.
    pub authorities: Vec<AuthoritiesFile>,
    /// Names and where they lead, in the order of the file.
    // INVARIANT: no two have one name.
    pub addresses: Vec<AddressConfig>,
}

/// A file with certificates of authorities, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthoritiesFile {
    /// Where it is; relative ones from the folder of the configuration file.
    pub path: PathBuf,
    /// The path as it is written.
    pub shown: SmolStr,
    /// What it holds; at least one.
    pub certificates: Trusted,
    /// Where the configuration names it.
    pub place: Place,
}

/// A name that leads somewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressConfig {
    /// Which.
    pub name: LeadName,
    /// Where to.
    pub lead: Lead,
    /// Where it stands.
    pub place: Place,
}

// === impl OutsideConfig ===

impl OutsideConfig {
    /// As the gateway takes it.
    pub fn world(&self) -> World {
        let files = self.authorities.iter();
        let all = files.fold(Trusted::default(), |all, file| all.and(&file.certificates));
        World::new(self.leads(), all)
    }

    /// Names and where they lead.
    pub fn leads(&self) -> Leads {
        let mut leads = Leads::default();
        for entry in &self.addresses {
            leads.add(entry.name.clone(), entry.lead.clone());
        }
        leads
    }
}

/// Says what a reader would miss: that something is for nobody, or for more than it seems.
pub(super) fn remarks(config: &Config, source: &str) -> Vec<Diagnostic> {
    let held = held(config);
    let mut found = Vec::new();
    for entry in &config.egress.addresses {
        let name = &entry.name;
        if !held.iter().any(|held| held.each().any(|grant| meet(&grant.hosts(), &name.to_string()))) {
            let message =
                format!("no agent and no tool server holds `{name}`, so this entry changes nothing");
            let hint = "write the host into the `egress` of whoever is to reach it; this only says where its name leads";
            found.push(Diagnostic::warning(source, entry.place, message).with_hint(hint));
        }
        if is_wide(name) && entry.lead == Lead::System {
            let message = format!(
                "whoever owns any name below `{}` can lead those that hold it into private networks",
                name.name()
            );
            let hint = "write names of your own, such as *.example.com, or give the addresses";
            found.push(Diagnostic::warning(source, entry.place, message).with_hint(hint));
        }
    }
    let sees_requests = held.iter().any(EgressGrants::names_requests);
    if let (Some(file), false) = (config.egress.authorities.first(), sees_requests) {
        let message = "no grant of a host names methods or paths, so TLS ends at the gateway for no host and these authorities are \
                       not used";
        let hint = "write `host GET,POST /path/*` where requests are to be seen; where TLS passes through, the program itself has \
                    to trust the authority";
        found.push(Diagnostic::warning(source, file.place, message).with_hint(hint));
    }
    found
}

/// All grants of hosts: those of agents, of tool servers, and of builds.
fn held(config: &Config) -> Vec<EgressGrants> {
    let agents = config.workspaces.iter().flat_map(|workspace| &workspace.agents).map(|agent| &agent.egress);
    let servers = config.workspaces.iter().flat_map(|workspace| &workspace.servers);
    let servers = servers.filter_map(ServerConfig::sandbox).map(|sandbox| &sandbox.egress);
    let builds = [&config.environments.python.hosts, &config.environments.node.hosts];
    let all = agents.chain(servers).chain(builds);
    all.filter_map(|grants| EgressGrants::parse(grants.iter().map(String::as_str)).ok()).collect()
}

/// Whether some name is covered by both: a name, `*.name`, or `*`.
fn meet(one: &str, other: &str) -> bool {
    let covers = |pattern: &str, name: &str| match pattern.strip_prefix('*') {
        Some(end) => name.trim_start_matches('*').ends_with(end),
        None => pattern == name,
    };
    covers(one, other) || covers(other, one)
}

/// Top-level names that are nobody's on the internet: what is below them is a network's own.
const OWN: [&str; 10] =
    ["corp", "home", "internal", "intranet", "lan", "local", "localdomain", "private", "test", "example"];

/// Whether strangers have names below it.
fn is_wide(name: &LeadName) -> bool {
    let below = name.name().as_str();
    matches!(name, LeadName::Below(_)) && !below.contains('.') && !OWN.contains(&below)
}

#[cfg(test)]
mod tests {
    use super::meet;

    #[test]
    fn patterns_meet_where_some_name_is_covered_by_both() {
        for (one, other, expected) in [
            ("git.corp", "git.corp", true),
            ("git.corp", "ci.corp", false),
            ("*.corp", "git.corp", true),
            ("*.corp", "corp", false),
            ("*.corp", "*.svc.corp", true),
            ("*.corp", "*.corp", true),
            ("*.svc.corp", "*.dev.corp", false),
            ("*.xcorp", "*.corp", false),
            ("*", "git.corp", true),
            ("*", "*.corp", true),
            ("10.0.0.1", "*.corp", false),
        ] {
            assert_eq!((meet(one, other), meet(other, one)), (expected, expected), "{one} {other}");
        }
    }
}
