//! Names that one reader takes for another.
//!
//! JSON tells names apart to the letter (RFC 8259, section 4), and so do rules. Many decoders do not: they fold case
//! or stop at a NUL when they look for a field. An agent that sends both `replicas` and `Replicas` would have one
//! judged and the other one used.

use std::collections::HashSet;

use ringfence_json::{Object, Value, push_token};

use crate::InputSchema;

/// Objects with more members than this are compared by a set.
const PAIRWISE_MAX: usize = 8;

/// The JSON Pointer of an argument that can be taken for another: of the same object, or of those that the tool's
/// definition names there.
pub fn lookalike(arguments: &Object, schema: Option<&InputSchema>) -> Option<String> {
    let mut path: Vec<String> = Vec::new();
    in_object(arguments, schema.map(InputSchema::schema), &mut path).then(|| {
        let mut pointer = String::new();
        for name in &path {
            push_token(&mut pointer, name);
        }
        pointer
    })
}

/// Whether there is one; `path` then leads to it.
fn in_object(object: &Object, schema: Option<&Value>, path: &mut Vec<String>) -> bool {
    let declared = schema.and_then(|schema| schema.get("properties")).and_then(Value::as_object);
    if let Some(name) = twice(object).or_else(|| declared.and_then(|declared| undeclared(object, declared))) {
        path.push(name.to_owned());
        return true;
    }
    object.iter().any(|(name, value)| {
        path.push(name.to_string());
        let found = in_value(value, declared.and_then(|declared| declared.get(name)), path);
        if !found {
            path.pop();
        }
        found
    })
}

fn in_value(value: &Value, schema: Option<&Value>, path: &mut Vec<String>) -> bool {
    match value {
        Value::Object(object) => in_object(object, schema, path),
        Value::Array(elements) => {
            let schema = schema.and_then(|schema| schema.get("items"));
            elements.iter().enumerate().any(|(index, element)| {
                path.push(index.to_string());
                let found = in_value(element, schema, path);
                if !found {
                    path.pop();
                }
                found
            })
        }
        _ => false,
    }
}

/// A member that looks like another one of the object.
fn twice(object: &Object) -> Option<&str> {
    if object.len() > PAIRWISE_MAX {
        let mut seen = HashSet::with_capacity(object.len());
        return object
            .iter()
            .map(|(name, _)| name.as_str())
            .find(|name| !seen.insert(folded(name).collect::<String>()));
    }
    let names = || object.iter().map(|(name, _)| name.as_str());
    names()
        .enumerate()
        .find(|(index, name)| names().take(*index).any(|other| alike(name, other)))
        .map(|(_, name)| name)
}

/// A member that is not declared and looks like one that is.
fn undeclared<'o>(object: &'o Object, declared: &Object) -> Option<&'o str> {
    let names = object.iter().map(|(name, _)| name.as_str()).filter(|name| !declared.contains(name));
    names.into_iter().find(|name| declared.iter().any(|(other, _)| alike(name, other)))
}

fn alike(left: &str, right: &str) -> bool {
    folded(left).eq(folded(right))
}

/// A name as the widest of decoders reads it: without NUL, and without case, also that of `ſ` and the Kelvin sign.
fn folded(name: &str) -> impl Iterator<Item = char> {
    name.chars()
        .filter(|character| *character != '\0')
        .flat_map(char::to_uppercase)
        .flat_map(char::to_lowercase)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(text: &str) -> Object {
        ringfence_json::parse(text.as_bytes(), &ringfence_json::Limits::default())
            .unwrap()
            .into_object()
            .unwrap()
    }

    #[test]
    fn names_that_a_decoder_may_take_for_each_other_are_found() {
        for (arguments, found) in [
            (r#"{"replicas":1,"name":"a"}"#, None),
            (r#"{"replicas":1,"Replicas":2}"#, Some("/Replicas")),
            (r#"{"params":1,"param\u017f":2}"#, Some("/param\u{17f}")),
            (r#"{"kind":1,"\u212Aind":2}"#, Some("/\u{212a}ind")),
            (r#"{"path":1,"path\u0000":2}"#, Some("/path\0")),
            (r#"{"a/b":[{"x":1},{"x":1,"X":2}]}"#, Some("/a~1b/1/X")),
            (r#"{"a":1,"b":2,"c":3,"d":4,"e":5,"f":6,"g":7,"h":8,"i":9,"A":0}"#, Some("/A")),
        ] {
            assert_eq!(lookalike(&object(arguments), None).as_deref(), found, "{arguments}");
        }
    }

    #[test]
    fn what_the_tool_declares_counts_as_sent() {
        let schema = object(
            r#"{"type":"object","properties":{"replicas":{},"spec":{"properties":{"image":{}}},"all":{"items":{"properties":{"id":{}}}}}}"#,
        );
        let schema = InputSchema::parse(&Value::Object(schema)).unwrap();
        for (arguments, found) in [
            (r#"{"replicas":1,"other":2}"#, None),
            (r#"{"Replicas":1}"#, Some("/Replicas")),
            (r#"{"spec":{"Image":1}}"#, Some("/spec/Image")),
            (r#"{"all":[{"id":1},{"ID":1}]}"#, Some("/all/1/ID")),
        ] {
            assert_eq!(lookalike(&object(arguments), Some(&schema)).as_deref(), found, "{arguments}");
        }
    }
}
