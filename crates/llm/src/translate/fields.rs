//! What becomes of each member of a request.

use ringfence_json::Value;

use super::fault::Fault;
use super::node::{Node, UNKNOWN};

/// What becomes of a member.
#[derive(Clone, Copy)]
pub(super) enum Fate {
    /// It has a translation of its own.
    Said,
    /// Left out and listed: the answer does not depend on it.
    Dropped,
    /// Left out when this is true of its value, which then asks for nothing; else refused in these words.
    Only(fn(&Value) -> bool, &'static str),
}

/// Decides on every member of `node` by `fields`; what is not there is refused.
pub(super) fn sort_out(
    node: &Node<'_>,
    fields: &[(&str, Fate)],
    dropped: &mut Vec<String>,
) -> Result<(), Fault> {
    for (name, value) in node.object.iter().filter(|(_, value)| !matches!(value, Value::Null)) {
        match fields.iter().find(|(known, _)| known == name).map(|(_, fate)| *fate) {
            Some(Fate::Said) => {}
            Some(Fate::Dropped) => dropped.push(node.at.member(name).path()),
            Some(Fate::Only(nothing, _)) if nothing(value) => {}
            Some(Fate::Only(_, message)) => return Err(node.fault(name, message)),
            None => return Err(node.fault(name, UNKNOWN)),
        }
    }
    Ok(())
}

pub(super) fn is_false(value: &Value) -> bool {
    value.as_bool() == Some(false)
}

pub(super) fn is_zero(value: &Value) -> bool {
    value.as_number().is_some_and(|number| number.compare(&0_u64.into()).is_eq())
}

pub(super) fn is_one(value: &Value) -> bool {
    value.as_number().is_some_and(|number| number.compare(&1_u64.into()).is_eq())
}

pub(super) fn is_empty(value: &Value) -> bool {
    match value {
        Value::Array(elements) => elements.is_empty(),
        Value::Object(object) => object.is_empty(),
        _ => false,
    }
}

/// Refuses every value.
pub(super) fn never(_: &Value) -> bool {
    false
}
