//! `people:`

use std::collections::HashMap;

use ringfence_document::{Diagnostic, Fields, Key, Node, Report, nearest};
use ringfence_types::{Digest, PersonName, Role};

use super::super::PersonConfig;
use super::value::key_name;
use crate::people::{POWERS, parse_token_hash};

/// Reads everybody.
pub(super) fn read(node: &Node, report: &mut Report) -> Vec<PersonConfig> {
    let Some(members) = node.as_mapping() else {
        if !node.is_null() {
            report.error(node.place, format!("`people` must be a mapping, not {}", node.kind()));
        }
        return Vec::new();
    };
    let people: Vec<_> = members.iter().filter_map(|(key, value)| person(key, value, report)).collect();
    tell_apart(members, report);
    people
}

fn person(key: &Key, node: &Node, report: &mut Report) -> Option<PersonConfig> {
    let name = key_name(key, "a person", PersonName::new, report);
    let mut fields = Fields::of(node, "a person", report)?;
    let roles = fields.require("roles", report).map(|node| roles(node, report)).unwrap_or_default();
    let token_hash = fields.get("token_hash").and_then(|node| token_hash(node, report));
    let uid = fields.get("uid").and_then(|node| node.whole("`uid`", 0..=u64::from(u32::MAX - 1), report));
    let uid = uid.and_then(|uid| u32::try_from(uid).ok());
    for later in ["sso", "email", "webauthn"] {
        fields.later(later, report);
    }
    fields.finish(report);
    Some(PersonConfig { name: name?, roles, token_hash, uid })
}

fn roles(node: &Node, report: &mut Report) -> Vec<Role> {
    let mut roles: Vec<Role> = Vec::new();
    for element in node.one_or_many() {
        let Some(role) = element.parsed("a role", Role::new, report) else { continue };
        let is_power = POWERS.contains(&role.as_str());
        if let Some(near) = nearest(role.as_str(), POWERS).filter(|_| !is_power) {
            report.warning_with_hint(
                element.place,
                format!("the role `{role}` is only a name that rules may use"),
                format!("did you mean `{near}`?"),
            );
        }
        if !roles.contains(&role) {
            roles.push(role);
        }
    }
    roles
}

fn token_hash(node: &Node, report: &mut Report) -> Option<Digest> {
    let text = node.text("`token_hash`", report)?;
    let digest = parse_token_hash(text);
    if digest.is_none() {
        // It may be the token itself, so the line is not shown.
        let source = report.source().clone();
        let message = "`token_hash` is not the hash of a token: `sha256:` and 64 hexadecimal digits";
        let diagnostic = Diagnostic::error(source, node.place, message)
            .with_hint("`ringfence token person NAME` makes a token and its hash");
        report.push(Diagnostic { concealed: true, ..diagnostic });
    }
    digest
}

/// Two people with one token or one user on this machine could not be told apart in the log.
fn tell_apart(members: &[(Key, Node)], report: &mut Report) {
    for field in ["token_hash", "uid"] {
        let mut seen: HashMap<&str, &Key> = HashMap::new();
        for (key, node) in members {
            let Some(value) = node.get(field) else { continue };
            let Some(scalar) = value.as_scalar() else { continue };
            if let Some(first) = seen.insert(&scalar.text, key) {
                let message = format!("`{}` and `{}` have the same `{field}`", first.text, key.text);
                report.error(value.place, message);
            }
        }
    }
}
