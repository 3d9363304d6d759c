//! Words that mean nothing here.

use std::collections::BTreeSet;

use ringfence_document::{Diagnostic, nearest};
use ringfence_types::Role;

use super::Origin;
use crate::Vocabulary;
use crate::key::Key;
use crate::matcher::Patterns;
use crate::set::Rule;

/// How the names begin that stand where an agent's would: of tool servers, and of what the node builds.
const OTHERS: [&str; 2] = ["tool:", "build:"];

/// Warns of every pattern that fits nothing that is known, and of approvers that nobody is.
pub(super) fn check(rule: &Rule, origin: &Origin, vocabulary: &Vocabulary, found: &mut Vec<Diagnostic>) {
    for (test, places) in rule.matcher.tests.iter().zip(&origin.patterns) {
        let known = known(test.key, vocabulary);
        if known.is_empty() {
            continue;
        }
        for (written, place) in test.patterns.written.iter().zip(places) {
            if test.key == Key::Agent && OTHERS.iter().any(|form| written.starts_with(form)) {
                continue;
            }
            let pattern = Patterns::new(test.key, [written.clone()]);
            if !known.iter().any(|word| pattern.matches(word)) {
                let message = format!("no {} here is `{written}`", name(test.key));
                let diagnostic = Diagnostic::warning(origin.source.clone(), *place, message);
                found.push(suggesting(diagnostic, written, known.iter().copied()));
            }
        }
    }
    check_approvers(rule, origin, vocabulary, found);
}

fn check_approvers(rule: &Rule, origin: &Origin, vocabulary: &Vocabulary, found: &mut Vec<Diagnostic>) {
    let approvers = rule.effect.approval.iter().flat_map(|terms| &terms.approvers);
    if vocabulary.roles.is_empty() {
        return;
    }
    for role in approvers.filter(|role| !vocabulary.roles.contains(role)) {
        let message = format!(
            "nobody but the owner of the data folder has the role `{role}`, which rule `{}` asks to approve",
            rule.effect.name
        );
        let diagnostic = Diagnostic::warning(origin.source.clone(), origin.place, message);
        found.push(suggesting(diagnostic, role.as_str(), vocabulary.roles.iter().map(Role::as_str)));
    }
}

fn suggesting<'v>(diagnostic: Diagnostic, word: &str, known: impl Iterator<Item = &'v str>) -> Diagnostic {
    match nearest(word, known) {
        Some(near) => diagnostic.with_hint(format!("did you mean `{near}`?")),
        None => diagnostic,
    }
}

fn name(key: Key) -> &'static str {
    match key {
        Key::Action => "tool's action",
        Key::Capability => "server's capability",
        other => other.as_str(),
    }
}

/// The words that a key can have; empty where they are not known.
fn known(key: Key, vocabulary: &Vocabulary) -> BTreeSet<&str> {
    match key {
        Key::Organization => vocabulary.organization.iter().map(AsRef::as_ref).collect(),
        Key::Workspace => vocabulary.agents.iter().map(|agent| agent.workspace.as_str()).collect(),
        Key::Environment => vocabulary.agents.iter().map(|agent| agent.environment.as_str()).collect(),
        Key::Agent => vocabulary.agents.iter().map(|agent| agent.name.as_str()).collect(),
        Key::Server => vocabulary.servers.iter().map(|server| server.name.as_str()).collect(),
        Key::Capability => {
            vocabulary.servers.iter().filter_map(|server| server.capability.as_deref()).collect()
        }
        Key::Tool => vocabulary.tools.iter().map(|tool| tool.name.as_str()).collect(),
        Key::Action => vocabulary.tools.iter().map(|tool| tool.action.as_str()).collect(),
        Key::Model => vocabulary.models.iter().map(|model| model.name.as_str()).collect(),
        // Users and their roles come from elsewhere; risks, labels and hosts can be new every day.
        Key::User | Key::Role | Key::Host | Key::Risk | Key::Labels | Key::Kind | Key::ActionType => {
            BTreeSet::new()
        }
    }
}
