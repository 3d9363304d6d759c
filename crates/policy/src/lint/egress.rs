//! Hosts that are held and that nothing allows to be reached.

use ringfence_document::{Diagnostic, Place};
use ringfence_types::{ActionType, Decision, Kind};

use super::{Origin, permits};
use crate::glob::Glob;
use crate::key::Key;
use crate::matcher::{Patterns, Test};
use crate::set::Rule;
use crate::{KnownEgress, PolicySet, Vocabulary};

/// The action of a connection in which no requests are seen.
const CONNECT: &str = "connect";

/// Hosts that one warning names.
const HOSTS_SHOWN_MAX: usize = 3;

/// Warns of each holder of hosts that no rule lets reach some of them.
pub(super) fn check(set: &PolicySet, origins: &[Origin], vocabulary: &Vocabulary) -> Vec<Diagnostic> {
    let is_open = set.default.decision != Decision::Deny || !set.cedar.rules().is_empty();
    let Some(origin) = origins.first().filter(|_| !is_open) else { return Vec::new() };
    let allows =
        |held: &KnownEgress| set.rules.iter().any(|rule| permits(rule) && may_fit(rule, held, vocabulary));
    let refused: Vec<&KnownEgress> = vocabulary.egress.iter().filter(|held| !allows(held)).collect();
    // All that one holds stands together.
    let holders = refused.chunk_by(|one, other| one.workspace == other.workspace && one.agent == other.agent);
    holders.filter_map(|all| Some(warning(all.first()?, all, origin))).collect()
}

fn warning(first: &KnownEgress, all: &[&KnownEgress], origin: &Origin) -> Diagnostic {
    let shown: Vec<String> =
        all.iter().take(HOSTS_SHOWN_MAX).map(|held| format!("`{}`", held.grant)).collect();
    let more = all.len() - shown.len();
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    // Of these rules see the connection, and where they are not encrypted, on port 80, the requests.
    let is_connection = |held: &&KnownEgress| held.actions.iter().any(|(action, _)| action == CONNECT);
    let doing = if all.iter().all(is_connection) { "connect to" } else { "reach" };
    let message = format!(
        "no rule allows `{}` of `{}` to {doing} {}{more}: denied by default",
        first.agent,
        first.workspace,
        shown.join(", ")
    );
    let holder = match &first.server {
        Some(server) => format!("server: {server}"),
        None => format!("agent: {}", first.agent),
    };
    let hint = format!(
        "if it may, add a rule with `match: {{ kind: egress, {holder}, host: \"{}\" }}` and `decision: ALLOW`",
        first.hosts
    );
    Diagnostic::warning(origin.source.clone(), Place::WHOLE, message).with_hint(hint)
}

/// Whether the `match` of a rule can fit something of what is held. Says no only when that is certain.
fn may_fit(rule: &Rule, held: &KnownEgress, vocabulary: &Vocabulary) -> bool {
    rule.matcher.tests.iter().all(|test| test_may_fit(test, held, vocabulary)) && some_action_fits(rule, held)
}

fn test_may_fit(test: &Test, held: &KnownEgress, vocabulary: &Vocabulary) -> bool {
    let patterns = &test.patterns;
    match test.key {
        Key::Organization => {
            vocabulary.organization.as_ref().is_none_or(|name| patterns.matches(name.as_str()))
        }
        Key::Workspace => patterns.matches(held.workspace.as_str()),
        Key::Environment => patterns.matches(&held.environment),
        Key::Agent => patterns.matches(held.agent.as_str()),
        Key::Kind => patterns.matches(Kind::Egress.as_str()),
        Key::Server => held.server.as_ref().is_some_and(|server| patterns.matches(server.as_str())),
        Key::Host => some_host_fits(patterns, &held.hosts),
        // A run may be somebody's, with any role; actions are looked at together.
        Key::User | Key::Role | Key::Action | Key::ActionType => true,
        Key::Tool | Key::Model | Key::Capability | Key::Risk | Key::Labels => false,
    }
}

/// A name and its type belong together: a rule about `action: get` and `action_type: write` fits neither.
fn some_action_fits(rule: &Rule, held: &KnownEgress) -> bool {
    let fits = |action: &str, action_type: ActionType| {
        let fits = |key: Key, word: &str| rule.matcher.on(key).is_none_or(|test| test.patterns.matches(word));
        fits(Key::Action, action) && fits(Key::ActionType, action_type.as_str())
    };
    held.actions.is_empty() || held.actions.iter().any(|(action, action_type)| fits(action, *action_type))
}

/// Whether one of the hosts that are held fits one of the patterns.
fn some_host_fits(patterns: &Patterns, hosts: &str) -> bool {
    if !Glob::is_glob(hosts) {
        return patterns.matches(hosts);
    }
    let held = Glob::new(hosts);
    // What is held begins with any characters, so that only how the two end can keep them apart.
    let overlaps = |glob: &Glob| {
        let (one, other) = (glob.suffix(), held.suffix());
        one.ends_with(other) || other.ends_with(one)
    };
    patterns.exact.iter().any(|host| held.matches(host)) || patterns.globs.iter().any(overlaps)
}
