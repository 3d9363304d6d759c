//! A mapping, read by its keys.

use crate::{Key, Node, Report};

/// A mapping whose keys are asked for one by one; those that nobody asked for are errors in the end.
#[must_use = "call `finish` to report unknown keys"]
pub struct Fields<'n> {
    what: &'static str,
    node: &'n Node,
    members: &'n [(Key, Node)],
    known: Vec<&'static str>,
}

// === impl Fields ===

impl<'n> Fields<'n> {
    /// The fields of a mapping; `None`, with an error, if the value is something else. `what` names it in messages
    /// ("a rule").
    pub fn of(node: &'n Node, what: &'static str, report: &mut Report) -> Option<Self> {
        let members = node.as_mapping();
        if members.is_none() {
            report.error(node.place, format!("{what} must be a mapping, not {}", node.kind()));
        }
        members.map(|members| Self { what, node, members, known: Vec::new() })
    }

    /// The value of a key, if it stands there; a key without a value is one.
    pub fn get(&mut self, key: &'static str) -> Option<&'n Node> {
        self.known.push(key);
        self.members.iter().find(|(name, _)| name.text == key).map(|(_, value)| value)
    }

    /// The value of a key that has to be there, with an error if it is not.
    pub fn require(&mut self, key: &'static str, report: &mut Report) -> Option<&'n Node> {
        let value = self.get(key);
        if value.is_none() {
            report.error(self.node.place, format!("{} needs `{key}`", self.what));
        }
        value
    }

    /// A key whose part is not in this version: an error that says so if it stands there.
    pub fn later(&mut self, key: &'static str, report: &mut Report) {
        self.known.push(key);
        if let Some((name, _)) = self.members.iter().find(|(name, _)| name.text == key) {
            report.error(name.place, format!("`{key}` is not in this version"));
        }
    }

    /// Reports every key that was not asked for.
    pub fn finish(self, report: &mut Report) {
        for (key, _) in self.members.iter().filter(|(key, _)| !self.known.contains(&key.text.as_str())) {
            let message = format!("unknown key `{}` in {}", key.text, self.what);
            report.unknown(key.place, message, &key.text, &self.known);
        }
    }
}
