//! Who does something on the operators' side.

use ringfence_types::{PersonName, Role};

/// A person, or the node itself. Made by whoever authenticated them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// Who.
    pub person: PersonName,
    /// The roles they have.
    pub roles: Vec<Role>,
    /// Whether they own the node's data, and with it every role.
    pub owner: bool,
}

// === impl Actor ===

impl Actor {
    /// The node itself, for what nobody asked it to do.
    pub fn node() -> Self {
        Self { person: node_name(), roles: Vec::new(), owner: false }
    }

    /// Whether they have any of these roles.
    pub fn has_any(&self, roles: &[&str]) -> bool {
        self.owner || self.roles.iter().any(|role| roles.contains(&role.as_str()))
    }

    /// Whether they may answer a request that names these roles; none named means anyone who may approve at all.
    pub(crate) fn may_approve(&self, approvers: &[Role]) -> bool {
        if approvers.is_empty() {
            return self.has_any(&["approver", "admin"]);
        }
        self.owner || approvers.iter().any(|wanted| self.roles.contains(wanted))
    }
}

/// The name under which the node itself stands in the log.
#[expect(clippy::expect_used, reason = "the literal is a name: letters and a hyphen")]
pub(crate) fn node_name() -> PersonName {
    PersonName::new("ringfence-node").expect("a literal name")
}
