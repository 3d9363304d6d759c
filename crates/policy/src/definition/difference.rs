//! What changed between two definitions, for people who have to decide whether to trust the new one.

use std::fmt;

use ringfence_json::{Value, member_pointer};

use crate::limits::{DIFFERENCE_LINES_MAX, DIFFERENCE_VALUE_CHARS_MAX};
use crate::text::escaped;

/// All that differs between two values.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Difference {
    /// What changed, in the order of the old value and then of what is new; bounded.
    pub changes: Vec<Change>,
    /// How many further changes are not listed.
    pub omitted: usize,
}

/// One member or element that differs. Everything in it is escaped and bounded: it comes from a stranger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Where: a JSON Pointer (RFC 6901), escaped.
    pub pointer: String,
    /// The JSON that was there, if any.
    pub before: Option<String>,
    /// The JSON that is there now, if any.
    pub after: Option<String>,
}

/// Compares two values member by member. The order of members does not matter, that of elements does.
pub fn diff(old: &Value, new: &Value) -> Difference {
    let mut difference = Difference::default();
    compare(&mut difference, "", old, new);
    difference
}

fn compare(difference: &mut Difference, pointer: &str, old: &Value, new: &Value) {
    match (old, new) {
        (Value::Object(before), Value::Object(after)) => {
            for (name, value) in before.iter() {
                let pointer = member_pointer(pointer, name);
                match after.get(name) {
                    Some(other) => compare(difference, &pointer, value, other),
                    None => difference.add(&pointer, Some(value), None),
                }
            }
            for (name, value) in after.iter().filter(|(name, _)| !before.contains(name)) {
                difference.add(&member_pointer(pointer, name), None, Some(value));
            }
        }
        (Value::Array(before), Value::Array(after)) => {
            for index in 0..before.len().max(after.len()) {
                let pointer = member_pointer(pointer, &index.to_string());
                match (before.get(index), after.get(index)) {
                    (Some(old), Some(new)) => compare(difference, &pointer, old, new),
                    (old, new) => difference.add(&pointer, old, new),
                }
            }
        }
        (old, new) if old == new => {}
        (old, new) => difference.add(pointer, Some(old), Some(new)),
    }
}

// === impl Difference ===

impl Difference {
    /// Whether nothing differs.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    fn add(&mut self, pointer: &str, before: Option<&Value>, after: Option<&Value>) {
        if self.changes.len() >= DIFFERENCE_LINES_MAX {
            self.omitted += 1;
            return;
        }
        self.changes.push(Change {
            pointer: escaped(pointer, DIFFERENCE_VALUE_CHARS_MAX),
            before: before.map(json),
            after: after.map(json),
        });
    }
}

fn json(value: &Value) -> String {
    escaped(&String::from_utf8_lossy(&value.to_bytes()), DIFFERENCE_VALUE_CHARS_MAX)
}

impl fmt::Display for Difference {
    /// One line a change: `+` what is new, `-` what is gone, `~` what is different.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for change in &self.changes {
            writeln!(f, "{change}")?;
        }
        match self.omitted {
            0 => Ok(()),
            omitted => writeln!(f, "… and {omitted} more"),
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pointer = if self.pointer.is_empty() { "the whole" } else { &self.pointer };
        match (&self.before, &self.after) {
            (Some(before), Some(after)) => write!(f, "~ {pointer}: {before} → {after}"),
            (Some(before), None) => write!(f, "- {pointer}: {before}"),
            (None, Some(after)) => write!(f, "+ {pointer}: {after}"),
            (None, None) => write!(f, "{pointer}"),
        }
    }
}
