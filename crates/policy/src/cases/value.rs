//! YAML as JSON, for arguments in cases.

use ringfence_document::{Content, Node, Report, Scalar};
use ringfence_json::{Number, Object, Value};

/// The value that a node stands for. A scalar without quotes is what JSON would take it for, and a text otherwise.
pub(super) fn value(node: &Node) -> Value {
    match &node.content {
        Content::Scalar(scalar) => of_scalar(scalar),
        Content::Sequence(elements) => Value::Array(elements.iter().map(value).collect()),
        Content::Mapping(members) => {
            members.iter().map(|(key, node)| (key.text.clone(), value(node))).collect::<Object>().into()
        }
    }
}

fn of_scalar(scalar: &Scalar) -> Value {
    if scalar.is_null() {
        return Value::Null;
    }
    if let Some(truth) = scalar.as_bool() {
        return Value::Bool(truth);
    }
    match Number::new(&scalar.text) {
        Ok(number) if scalar.plain => Value::Number(number),
        _ => Value::String(scalar.text.clone()),
    }
}

/// An object of arguments.
pub(super) fn arguments(node: &Node, report: &mut Report) -> Option<Object> {
    let found = value(node).into_object();
    if found.is_none() {
        report.error(node.place, format!("`arguments` must be a mapping, not {}", node.kind()));
    }
    found
}
