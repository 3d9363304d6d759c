//! A mapping, read by its keys.

use crate::{Diagnostic, Key, Node, Report};

/// Parts of the names of keys whose values are likely to be secrets.
const SECRET_PARTS: [&str; 6] = ["key", "token", "secret", "password", "passwd", "auth"];

/// A mapping whose keys are asked for one by one; those that nobody asked for are errors in the end.
#[must_use = "call `finish` to report unknown keys"]
pub struct Fields<'n> {
    what: &'static str,
    shape: Option<&'static str>,
    node: &'n Node,
    members: &'n [(Key, Node)],
    known: Vec<&'static str>,
    /// Known, and not in this version: nothing to suggest.
    later: Vec<&'static str>,
    /// What others call some of the keys.
    other_names: &'static [(&'static str, &'static str)],
}

// === impl Fields ===

impl<'n> Fields<'n> {
    /// The fields of a mapping; `None`, with an error, if the value is something else. `what` names it in messages
    /// ("a rule").
    pub fn of(node: &'n Node, what: &'static str, report: &mut Report) -> Option<Self> {
        Self::read(node, what, None, report)
    }

    /// As [`Fields::of`]; `shape` is an example of the whole, which is shown where it is something else or lacks a key.
    pub fn shaped(
        node: &'n Node,
        what: &'static str,
        shape: &'static str,
        report: &mut Report,
    ) -> Option<Self> {
        Self::read(node, what, Some(shape), report)
    }

    fn read(
        node: &'n Node,
        what: &'static str,
        shape: Option<&'static str>,
        report: &mut Report,
    ) -> Option<Self> {
        let Some(members) = node.as_mapping() else {
            let message = format!("{what} must be a mapping, not {}", node.kind());
            let diagnostic = Diagnostic::error(report.source().clone(), node.place, message);
            report.push(with_shape(diagnostic, shape));
            return None;
        };
        let (known, later) = (Vec::new(), Vec::new());
        Some(Self { what, shape, node, members, known, later, other_names: &[] })
    }

    /// What others call some of the keys: who writes the first of a pair is told the second.
    pub fn other_names(&mut self, names: &'static [(&'static str, &'static str)]) {
        self.other_names = names;
    }

    /// The value of a key, if it stands there; a key without a value is one.
    pub fn get(&mut self, key: &'static str) -> Option<&'n Node> {
        if !self.known.contains(&key) {
            self.known.push(key);
        }
        self.members.iter().find(|(name, _)| name.text == key).map(|(_, value)| value)
    }

    /// The value of a key that has to be there, with an error if it is not.
    pub fn require(&mut self, key: &'static str, report: &mut Report) -> Option<&'n Node> {
        let value = self.get(key);
        if value.is_none() {
            let message = format!("{} needs `{key}`", self.what);
            let diagnostic = Diagnostic::error(report.source().clone(), self.node.place, message);
            report.push(with_shape(diagnostic, self.shape));
        }
        value
    }

    /// A key whose part is not in this version: an error that says so if it stands there.
    pub fn later(&mut self, key: &'static str, report: &mut Report) {
        self.later.push(key);
        if let Some((name, _)) = self.members.iter().find(|(name, _)| name.text == key) {
            report.error(name.place, format!("`{key}` is not in this version"));
        }
    }

    /// Reports every key that was not asked for.
    pub fn finish(self, report: &mut Report) {
        let is_known = |key: &Key| self.known.iter().chain(&self.later).any(|known| *known == key.text);
        for (key, value) in self.members.iter().filter(|(key, _)| !is_known(key)) {
            let message = format!("unknown key `{}` in {}", key.text, self.what);
            let diagnostic = Diagnostic::error(report.source().clone(), key.place, message);
            let diagnostic = match self.instead(key, value) {
                Some(hint) => diagnostic.with_hint(hint),
                None => diagnostic.with_nearest(&key.text, &self.known),
            };
            // What stands behind it may have been meant for a key that takes no secrets, or is one.
            report.push(Diagnostic { concealed: may_be_secret(&key.text), ..diagnostic });
        }
    }

    /// What was meant by a key that is none, where that is not a slip of the pen.
    fn instead(&self, key: &Key, value: &Node) -> Option<String> {
        let is_digits = !key.text.is_empty() && key.text.bytes().all(|byte| byte.is_ascii_digit());
        if is_digits && value.is_null() {
            return Some("a comma ends a member: write decimals with a point, such as 0.20".into());
        }
        let named = |(other, _): &&(&str, &str)| key.text.eq_ignore_ascii_case(other);
        let (_, own) = self.other_names.iter().find(named)?;
        Some(format!("here it is called `{own}`"))
    }
}

fn with_shape(diagnostic: Diagnostic, shape: Option<&str>) -> Diagnostic {
    match shape {
        Some(shape) => diagnostic.with_hint(format!("write `{shape}`")),
        None => diagnostic,
    }
}

fn may_be_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    SECRET_PARTS.iter().any(|part| key.contains(part))
}
