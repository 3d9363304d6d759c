//! How the validator sees our own JSON values: without copying them, and without rounding a number unnoticed.

use std::borrow::Cow;
use std::cell::Cell;

use jsonschema::JsonType;
use jsonschema::json::{self, Json, JsonNumber, NodeIdentity};
use ringfence_json::{Number, Object, Value};
use serde_json::Value as Foreign;
use smol_str::SmolStr;

use super::containers::{Elements, Members};
use super::foreign::{equals, equals_object, shape, shape_of_object};
use super::number::{Exact, denotes};
use crate::limits::{
    INSTANCE_DEPTH_MAX, PATTERN_BACKTRACKING_TEXT_BYTES_MAX, TEXT_BYTES_PER_STEP, VALIDATION_STEPS,
    VALIDATION_STEPS_PER_PART,
};

/// Our representation of JSON, as the validator's type parameter.
pub(super) struct Ours;

/// What went on during one validation, beside its answer.
///
/// A value is looked at through [`Node`]s that all share one of these. When a bound is passed, containers look
/// empty from then on, so that the validator finishes soon; its answer is then thrown away.
pub(super) struct Watch {
    steps_left: Cell<u32>,
    trouble: Cell<Option<Trouble>>,
    /// Whether the schema has regular expressions that may backtrack.
    backtracking: bool,
}

/// Why the answer of a validation cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    /// The schema compared a number that a double cannot tell from its neighbours.
    Digits,
    /// Too many steps, or too deep.
    Effort,
    /// A text too long for a pattern that may backtrack.
    Text,
}

/// A part of the value being validated.
#[derive(Clone, Copy)]
pub(super) struct Node<'a> {
    part: Part<'a>,
    depth: u16,
    watch: &'a Watch,
}

/// What a node stands for: arguments come as an object, everything in them as a value.
#[derive(Clone, Copy)]
pub(super) enum Part<'a> {
    Value(&'a Value),
    Object(&'a Object),
}

/// A number with the watch that hears of a comparison that would not be exact.
pub(super) struct WatchedNumber<'a> {
    number: &'a Number,
    watch: &'a Watch,
}

// === impl Watch ===

impl Watch {
    /// For one validation of a whole value.
    pub(super) fn of(whole: Part<'_>, backtracking: bool) -> Self {
        let parts = match whole {
            Part::Value(value) => parts(value),
            Part::Object(object) => parts_of_object(object),
        };
        let steps = parts.saturating_mul(VALIDATION_STEPS_PER_PART).saturating_add(VALIDATION_STEPS);
        Self { steps_left: Cell::new(steps), trouble: Cell::new(None), backtracking }
    }

    pub(super) fn trouble(&self) -> Option<Trouble> {
        self.trouble.get()
    }

    /// Takes steps; false when there are none left.
    pub(super) fn spend(&self, steps: usize) -> bool {
        let left = u32::try_from(steps).ok().and_then(|steps| self.steps_left.get().checked_sub(steps));
        if left.is_none() {
            self.report(Trouble::Effort);
        }
        self.steps_left.set(left.unwrap_or(0));
        left.is_some()
    }

    /// The first trouble is kept: what follows may only be its consequence.
    fn report(&self, trouble: Trouble) {
        if self.trouble.get().is_none() {
            self.trouble.set(Some(trouble));
        }
    }
}

/// How many values there are, long texts counting more.
fn parts(value: &Value) -> u32 {
    match value {
        Value::Array(elements) => elements.iter().map(parts).fold(1, u32::saturating_add),
        Value::Object(object) => parts_of_object(object),
        Value::String(text) => u32::try_from(1 + text.len() / TEXT_BYTES_PER_STEP).unwrap_or(u32::MAX),
        _ => 1,
    }
}

fn parts_of_object(object: &Object) -> u32 {
    object.iter().map(|(_, value)| parts(value)).fold(1, u32::saturating_add)
}

// === impl Node ===

impl<'a> Node<'a> {
    pub(super) fn new(part: Part<'a>, watch: &'a Watch) -> Self {
        Self { part, depth: 0, watch }
    }

    /// Of a part at that depth.
    pub(super) fn below(value: &'a Value, depth: u16, watch: &'a Watch) -> Self {
        Self { part: Part::Value(value), depth, watch }
    }

    /// Whether one may still look inside.
    fn may_enter(&self) -> bool {
        if self.depth >= INSTANCE_DEPTH_MAX {
            self.watch.report(Trouble::Effort);
            return false;
        }
        self.watch.spend(1)
    }

    fn text(&self) -> Option<&'a str> {
        match self.part {
            Part::Value(value) => value.as_str(),
            Part::Object(_) => None,
        }
    }
}

impl<'a> json::Node<'a, Ours> for Node<'a> {
    type Object = Members<'a>;
    type Array = Elements<'a>;
    type Number = WatchedNumber<'a>;

    fn as_object(&self) -> Option<Members<'a>> {
        let object = match self.part {
            Part::Object(object) | Part::Value(Value::Object(object)) => object,
            Part::Value(_) => return None,
        };
        self.may_enter().then_some(Members { object, depth: self.depth + 1, watch: self.watch })
    }

    fn as_array(&self) -> Option<Elements<'a>> {
        let Part::Value(Value::Array(elements)) = self.part else { return None };
        self.may_enter().then_some(Elements { values: elements, depth: self.depth + 1, watch: self.watch })
    }

    fn as_string(&self) -> Option<Cow<'a, str>> {
        let text = self.text()?;
        if self.watch.backtracking && text.len() > PATTERN_BACKTRACKING_TEXT_BYTES_MAX {
            self.watch.report(Trouble::Text);
            return None;
        }
        self.watch.spend(1 + text.len() / TEXT_BYTES_PER_STEP).then_some(Cow::Borrowed(text))
    }

    fn as_number(&self) -> Option<WatchedNumber<'a>> {
        let Part::Value(Value::Number(number)) = self.part else { return None };
        self.watch.spend(1);
        Some(WatchedNumber { number, watch: self.watch })
    }

    fn as_boolean(&self) -> Option<bool> {
        match self.part {
            Part::Value(value) => value.as_bool(),
            Part::Object(_) => None,
        }
    }

    fn is_null(&self) -> bool {
        matches!(self.part, Part::Value(Value::Null))
    }

    fn is_number(&self) -> bool {
        matches!(self.part, Part::Value(Value::Number(_)))
    }

    fn json_type(&self) -> JsonType {
        self.watch.spend(1);
        match self.part {
            Part::Object(_) | Part::Value(Value::Object(_)) => JsonType::Object,
            Part::Value(Value::Null) => JsonType::Null,
            Part::Value(Value::Bool(_)) => JsonType::Boolean,
            Part::Value(Value::Number(_)) => JsonType::Number,
            Part::Value(Value::String(_)) => JsonType::String,
            Part::Value(Value::Array(_)) => JsonType::Array,
        }
    }

    fn string_length(&self) -> Option<u64> {
        let text = self.text()?;
        self.watch.spend(1 + text.len() / TEXT_BYTES_PER_STEP);
        Some(text.chars().count() as u64)
    }

    fn equals_value(&self, expected: &Foreign) -> bool {
        self.watch.spend(1);
        match self.part {
            Part::Value(value) => equals(value, expected, self.watch),
            Part::Object(object) => equals_object(object, expected, self.watch),
        }
    }

    /// Only errors carry it, and what an agent sent does not belong into an error: the whole value gives its shape,
    /// in which the validator looks up the place of a failed match, and parts give nothing.
    fn to_value(&self) -> Cow<'a, Foreign> {
        Cow::Owned(match self.part {
            Part::Object(object) if self.depth == 0 => shape_of_object(object),
            Part::Value(value) if self.depth == 0 => shape(value),
            _ => Foreign::Null,
        })
    }

    fn identity(&self) -> Option<NodeIdentity> {
        // An object is always known by the address of its `Object`, whichever way it was reached.
        let address = match self.part {
            Part::Object(object) | Part::Value(Value::Object(object)) => std::ptr::from_ref(object) as usize,
            Part::Value(value) => std::ptr::from_ref(value) as usize,
        };
        Some(NodeIdentity::new(address))
    }
}

impl Json for Ours {
    type Node<'a> = Node<'a>;
    type PreparedKey = SmolStr;
    type StringBuffer = Value;

    fn prepare_key(key: &str) -> SmolStr {
        SmolStr::new(key)
    }

    fn with_string_node<T>(buffer: &mut Value, string: &str, f: impl FnOnce(Node<'_>) -> T) -> T {
        *buffer = Value::from(string);
        // A name is matched under a watch of its own: names are few and short, the parser bounds them.
        let name = Part::Value(buffer);
        let watch = Watch::of(name, false);
        f(Node::new(name, &watch))
    }
}

// === impl WatchedNumber ===

impl JsonNumber for WatchedNumber<'_> {
    fn as_u64(&self) -> Option<u64> {
        self.number.as_u64()
    }

    fn as_i64(&self) -> Option<i64> {
        self.number.as_i64()
    }

    fn as_f64(&self) -> Option<f64> {
        match denotes(self.number) {
            Exact::Double(double) => Some(double),
            // Whatever is answered here, the watch makes sure that nobody relies on it.
            Exact::No => {
                self.watch.report(Trouble::Digits);
                self.number.as_f64()
            }
        }
    }

    fn as_str(&self) -> Cow<'_, str> {
        Cow::Borrowed(self.number.as_str())
    }

    fn to_number(&self) -> Cow<'_, serde_json::Number> {
        Cow::Owned(0.into())
    }

    fn is_integer(&self) -> bool {
        super::number::is_integer(self.number)
    }
}
