//! The types of arguments as far as a schema settles them: what Cedar rules are checked against, and how numbers
//! are handed to them.

use ringfence_json::{Object, Value};
use smol_str::SmolStr;

use super::reference::{Anchors, resolve};
use crate::limits::{SHAPE_DEPTH_MAX, SHAPE_MEMBERS_MAX};

/// What a schema says of a value's type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Shape {
    /// A string.
    Text,
    /// `true` or `false`.
    Flag,
    /// A number without a fraction.
    Whole,
    /// Any number.
    Number,
    /// An array of one kind of elements.
    List(Box<Shape>),
    /// An object with these members, perhaps with more.
    Members(Vec<Member>),
    /// Several types, or none that is known.
    Unknown,
}

/// A member that a schema lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Member {
    pub name: SmolStr,
    pub shape: Shape,
    /// Whether it is always there and never null.
    pub required: bool,
}

// === impl Shape ===

impl Shape {
    /// The shape of what `root` describes.
    pub(super) fn of(root: &Value) -> Self {
        let mut reader = Reader { root, members_left: SHAPE_MEMBERS_MAX };
        reader.shape(root, 0).0
    }

    /// The shape of a member.
    pub(crate) fn member(&self, name: &str) -> &Self {
        let Self::Members(members) = self else { return &Self::Unknown };
        members.iter().find(|member| member.name == name).map_or(&Self::Unknown, |member| &member.shape)
    }

    /// The shape of an element.
    pub(crate) fn element(&self) -> &Self {
        match self {
            Self::List(element) => element,
            _ => &Self::Unknown,
        }
    }
}

struct Reader<'a> {
    root: &'a Value,
    members_left: usize,
}

impl<'a> Reader<'a> {
    /// The shape, and whether null is allowed beside it.
    fn shape(&mut self, schema: &'a Value, depth: usize) -> (Shape, bool) {
        let unknown = (Shape::Unknown, true);
        let Some(object) = schema.as_object().filter(|_| depth < SHAPE_DEPTH_MAX) else { return unknown };
        if let Some(target) = object.text("$ref") {
            // What stands beside a reference can only narrow it.
            return match resolve(self.root, &Anchors::default(), target) {
                Ok(target) => self.shape(target, depth + 1),
                Err(_) => unknown,
            };
        }
        let mut types: Vec<&str> = match object.get("type") {
            Some(Value::String(one)) => vec![one],
            Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
            _ => return self.untyped(object, depth),
        };
        let nullable = types.contains(&"null");
        types.retain(|word| *word != "null");
        let shape = match types.as_slice() {
            ["string"] => Shape::Text,
            ["boolean"] => Shape::Flag,
            ["integer"] => Shape::Whole,
            ["number"] | ["integer", "number"] | ["number", "integer"] => Shape::Number,
            ["array"] => self.list(object, depth),
            ["object"] => self.members(object, depth),
            _ => Shape::Unknown,
        };
        (shape, nullable)
    }

    /// Without `type`, alternatives and listed values may still settle it.
    fn untyped(&mut self, object: &'a Object, depth: usize) -> (Shape, bool) {
        let listed = object.get("enum").and_then(Value::as_array);
        if let Some(values) = listed.or_else(|| object.get("const").map(std::slice::from_ref)) {
            let nullable = values.iter().any(Value::is_null);
            return (common(values.iter().filter(|value| !value.is_null()).map(of_value)), nullable);
        }
        let Some(alternatives) =
            ["anyOf", "oneOf"].iter().find_map(|keyword| object.get(keyword)?.as_array())
        else {
            return (Shape::Unknown, true);
        };
        let is_null = |schema: &Value| schema.get("type").and_then(Value::as_str) == Some("null");
        let mut nullable = alternatives.iter().any(is_null);
        let mut shapes = Vec::new();
        for alternative in alternatives.iter().filter(|schema| !is_null(schema)) {
            let (shape, also_null) = self.shape(alternative, depth + 1);
            nullable |= also_null;
            shapes.push(shape);
        }
        (common(shapes.into_iter()), nullable)
    }

    fn list(&mut self, object: &'a Object, depth: usize) -> Shape {
        let element = object.get("items").filter(|_| !object.contains("prefixItems"));
        match element.map(|element| self.shape(element, depth + 1).0) {
            None | Some(Shape::Unknown) => Shape::Unknown,
            Some(element) => Shape::List(Box::new(element)),
        }
    }

    fn members(&mut self, object: &'a Object, depth: usize) -> Shape {
        let Some(properties) = object.get("properties").and_then(Value::as_object) else {
            // An object about whose members nothing is said; the arguments themselves are at least an object.
            return if depth == 0 { Shape::Members(Vec::new()) } else { Shape::Unknown };
        };
        let required: Vec<&str> = object
            .get("required")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let mut members = Vec::new();
        for (name, schema) in properties.iter() {
            if self.members_left == 0 {
                break;
            }
            self.members_left -= 1;
            let (shape, nullable) = self.shape(schema, depth + 1);
            let required = required.contains(&name.as_str()) && !nullable;
            members.push(Member { name: name.clone(), shape, required });
        }
        Shape::Members(members)
    }
}

fn of_value(value: &Value) -> Shape {
    match value {
        Value::String(_) => Shape::Text,
        Value::Bool(_) => Shape::Flag,
        Value::Number(number) if super::number::is_integer(number) => Shape::Whole,
        Value::Number(_) => Shape::Number,
        _ => Shape::Unknown,
    }
}

/// The shape that all have; whole numbers beside others are numbers.
fn common(mut shapes: impl Iterator<Item = Shape>) -> Shape {
    let Some(first) = shapes.next() else { return Shape::Unknown };
    shapes.fold(first, |so_far, next| match (so_far, next) {
        (left, right) if left == right => left,
        (Shape::Whole | Shape::Number, Shape::Whole | Shape::Number) => Shape::Number,
        _ => Shape::Unknown,
    })
}
