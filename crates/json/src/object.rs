//! A JSON object that keeps the order in which its members came.

use std::fmt;

use smol_str::SmolStr;

use crate::Value;

/// Members in order of arrival, names unique.
// INVARIANT: no two members share a name; `insert` replaces and the parser refuses duplicates.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Object {
    members: Vec<(SmolStr, Value)>,
}

// === impl Object ===

impl Object {
    /// An object without members.
    pub const fn new() -> Self {
        Self { members: Vec::new() }
    }

    /// Only for the parser, which has refused duplicates already.
    pub(crate) fn from_unique(members: Vec<(SmolStr, Value)>) -> Self {
        Self { members }
    }

    /// The member of that name.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.members.iter().find(|(key, _)| key == name).map(|(_, value)| value)
    }

    /// The member of that name, to change it in place.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut Value> {
        self.members.iter_mut().find(|(key, _)| key == name).map(|(_, value)| value)
    }

    /// The text of the member of that name, if it is a string.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(Value::as_str)
    }

    /// Sets a member: in its old place if there is one of that name, else at the end.
    pub fn insert(&mut self, name: impl Into<SmolStr>, value: impl Into<Value>) -> Option<Value> {
        let name = name.into();
        let value = value.into();
        if let Some(old) = self.get_mut(&name) {
            return Some(std::mem::replace(old, value));
        }
        self.members.push((name, value));
        None
    }

    /// The same object with one more member; for building in one expression.
    #[must_use]
    pub fn with(mut self, name: impl Into<SmolStr>, value: impl Into<Value>) -> Self {
        self.insert(name, value);
        self
    }

    /// As [`Object::with`], leaving the member out when there is no value.
    #[must_use]
    pub fn with_some(self, name: impl Into<SmolStr>, value: Option<impl Into<Value>>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// Takes a member out, keeping the order of the others.
    pub fn remove(&mut self, name: &str) -> Option<Value> {
        let at = self.members.iter().position(|(key, _)| key == name)?;
        Some(self.members.remove(at).1)
    }

    /// Whether there is a member of that name.
    pub fn contains(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// How many members there are.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// The members in order of arrival.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&SmolStr, &Value)> {
        self.members.iter().map(|(name, value)| (name, value))
    }

    /// The members in order of arrival, values open to change.
    pub fn iter_mut(&mut self) -> impl ExactSizeIterator<Item = (&SmolStr, &mut Value)> {
        self.members.iter_mut().map(|(name, value)| (&*name, value))
    }
}

impl FromIterator<(SmolStr, Value)> for Object {
    /// A later member of a name replaces an earlier one.
    fn from_iter<I: IntoIterator<Item = (SmolStr, Value)>>(members: I) -> Self {
        let mut object = Self::new();
        for (name, value) in members {
            object.insert(name, value);
        }
        object
    }
}

impl IntoIterator for Object {
    type Item = (SmolStr, Value);
    type IntoIter = std::vec::IntoIter<(SmolStr, Value)>;

    fn into_iter(self) -> Self::IntoIter {
        self.members.into_iter()
    }
}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Object({} members)", self.len())
    }
}
