//! Which rules can apply, by their scopes: looked up, so that rules about something else cost nothing.

use std::collections::HashMap;

use cedar_policy::{ActionConstraint, EntityUid, Policy, PrincipalConstraint, ResourceConstraint};

use super::facts::Scope;

/// Stands for a part of a scope that does not name an entity.
const ANY: u32 = 0;

/// Rules by the entities that their scopes name.
#[derive(Default)]
pub(super) struct Slices {
    entities: HashMap<EntityUid, u32>,
    /// Places of rules by principal, action and resource.
    rules: HashMap<(u32, u32, u32), Vec<u32>>,
}

// === impl Slices ===

impl Slices {
    /// Adds a rule.
    pub(super) fn add(&mut self, rule: u32, policy: &Policy) {
        let principal = match policy.principal_constraint() {
            PrincipalConstraint::Eq(uid)
            | PrincipalConstraint::In(uid)
            | PrincipalConstraint::IsIn(_, uid) => self.number(uid),
            PrincipalConstraint::Any | PrincipalConstraint::Is(_) => ANY,
        };
        let resource = match policy.resource_constraint() {
            ResourceConstraint::Eq(uid) | ResourceConstraint::In(uid) | ResourceConstraint::IsIn(_, uid) => {
                self.number(uid)
            }
            ResourceConstraint::Any | ResourceConstraint::Is(_) => ANY,
        };
        let actions: Vec<u32> = match policy.action_constraint() {
            ActionConstraint::Any => vec![ANY],
            ActionConstraint::Eq(uid) => vec![self.number(uid)],
            ActionConstraint::In(uids) => uids.into_iter().map(|uid| self.number(uid)).collect(),
        };
        for action in actions {
            self.rules.entry((principal, action, resource)).or_default().push(rule);
        }
    }

    fn number(&mut self, uid: EntityUid) -> u32 {
        // There are far fewer rules than numbers; 0 is taken.
        let next = u32::try_from(self.entities.len() + 1).unwrap_or(u32::MAX);
        *self.entities.entry(uid).or_insert(next)
    }

    /// The places of the rules whose scope can hold, in order, each once. An entity counts as being in itself and
    /// in its group, which are all the hierarchies there are.
    pub(super) fn candidates(&self, scope: &Scope) -> Vec<u32> {
        let numbers = |uids: &[&EntityUid]| {
            let mut numbers = vec![ANY];
            numbers.extend(uids.iter().filter_map(|uid| self.entities.get(uid)));
            numbers
        };
        let principals = numbers(&[&scope.principal, &scope.workspace]);
        let actions = numbers(&[&scope.action, &scope.group]);
        let resources = numbers(&[&scope.resource]);
        let mut found = Vec::new();
        for principal in &principals {
            for action in &actions {
                for resource in &resources {
                    found.extend(self.rules.get(&(*principal, *action, *resource)).into_iter().flatten());
                }
            }
        }
        found.sort_unstable();
        found.dedup();
        found
    }
}
