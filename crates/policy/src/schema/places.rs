//! Walks a schema before it is compiled: what a stranger wrote must be bounded first.

use std::collections::HashMap;

use ringfence_json::{Object, Value};

use super::SchemaError;
use super::reference::{Anchors, resolve};
use crate::limits::{
    PATTERN_BYTES_MAX, PATTERNS_MAX, SCHEMA_CHAIN_MAX, SCHEMA_DEPTH_MAX, SCHEMA_FANOUT_MAX,
    SCHEMA_PLACES_MAX, SCHEMA_VALUES_MAX,
};

/// Keywords whose value is a schema for the same value (2020-12 core §10.2).
const SAME_ONE: [&str; 4] = ["not", "if", "then", "else"];
/// Keywords whose value is a list of schemas for the same value.
const SAME_LIST: [&str; 3] = ["allOf", "anyOf", "oneOf"];
/// Keywords whose value maps names to schemas for the same value; `dependencies` is draft 7's.
const SAME_MAP: [&str; 2] = ["dependentSchemas", "dependencies"];
/// Keywords whose value is a schema for parts of the value (§10.3), or, in draft 7, a list of them.
const INNER_ONE: [&str; 9] = [
    "items",
    "additionalItems",
    "additionalProperties",
    "unevaluatedItems",
    "unevaluatedProperties",
    "contains",
    "propertyNames",
    "contentSchema",
    "prefixItems",
];
/// Keywords whose value maps names to schemas for parts of the value, or for nothing yet.
const INNER_MAP: [&str; 4] = ["properties", "patternProperties", "$defs", "definitions"];

/// What a walk found out.
pub(super) struct Survey {
    /// Whether a regular expression may backtrack.
    pub(super) backtracking: bool,
}

/// Refuses what is too large, reaches outside of the document, or could take too long.
pub(super) fn survey(root: &Value) -> Result<Survey, SchemaError> {
    let mut values = 0;
    measure(root, 0, &mut values)?;
    let mut walk = Walk { root, anchors: Anchors::default(), places: HashMap::new(), patterns: Vec::new() };
    walk.places_below(root)?;
    let mut effort = Effort { walk: &walk, known: HashMap::new() };
    for place in walk.places.values() {
        effort.of(place, 0)?;
    }
    Ok(Survey { backtracking: walk.patterns.iter().any(|pattern| may_backtrack(pattern)) })
}

fn measure(value: &Value, depth: usize, values: &mut usize) -> Result<(), SchemaError> {
    *values += 1;
    if *values > SCHEMA_VALUES_MAX {
        return Err(SchemaError::TooLarge { what: "values", max: SCHEMA_VALUES_MAX });
    }
    if depth > SCHEMA_DEPTH_MAX {
        return Err(SchemaError::TooLarge { what: "levels", max: SCHEMA_DEPTH_MAX });
    }
    match value {
        Value::Array(elements) => elements.iter().try_for_each(|inner| measure(inner, depth + 1, values)),
        Value::Object(object) => object.iter().try_for_each(|(_, inner)| measure(inner, depth + 1, values)),
        _ => Ok(()),
    }
}

/// Whether a regular expression has what a linear-time engine cannot do: look-around or a back-reference.
fn may_backtrack(pattern: &str) -> bool {
    let looks = ["(?=", "(?!", "(?<=", "(?<!", "(?>", "\\k<", "(?("];
    looks.iter().any(|look| pattern.contains(look))
        || pattern.as_bytes().windows(2).any(|pair| pair[0] == b'\\' && pair[1].is_ascii_digit())
}

struct Walk<'a> {
    root: &'a Value,
    anchors: Anchors<'a>,
    /// Every place at which a schema stands, by address.
    places: HashMap<usize, &'a Value>,
    patterns: Vec<&'a str>,
}

impl<'a> Walk<'a> {
    fn places_below(&mut self, root: &'a Value) -> Result<(), SchemaError> {
        let mut waiting = vec![root];
        let mut references = Vec::new();
        while let Some(schema) = waiting.pop() {
            if self.places.insert(address(schema), schema).is_some() {
                continue;
            }
            if self.places.len() > SCHEMA_PLACES_MAX {
                return Err(SchemaError::TooLarge { what: "schemas", max: SCHEMA_PLACES_MAX });
            }
            let Some(object) = schema.as_object() else { continue };
            self.keywords(schema, object)?;
            references.extend(reference(object)?);
            same(object).into_iter().chain(inner(object)).for_each(|inner| waiting.push(inner));
            // Anchors may stand anywhere, so references are followed when everything else has been seen.
            if waiting.is_empty() {
                for target in references.drain(..) {
                    waiting.push(resolve(self.root, &self.anchors, target)?);
                }
            }
        }
        Ok(())
    }

    fn keywords(&mut self, place: &'a Value, object: &'a Object) -> Result<(), SchemaError> {
        if !std::ptr::eq(place, self.root)
            && (object.text("$id").is_some() || object.text("$schema").is_some())
        {
            return Err(SchemaError::Nested);
        }
        for keyword in ["$anchor", "$dynamicAnchor"] {
            if let Some(name) = object.text(keyword) {
                self.anchors.insert(name, place)?;
            }
        }
        if let Some(pattern) = object.text("pattern") {
            self.pattern(pattern)?;
        }
        if let Some(by_pattern) = object.get("patternProperties").and_then(Value::as_object) {
            by_pattern.iter().try_for_each(|(pattern, _)| self.pattern(pattern))?;
        }
        Ok(())
    }

    fn pattern(&mut self, pattern: &'a str) -> Result<(), SchemaError> {
        if pattern.len() > PATTERN_BYTES_MAX {
            return Err(SchemaError::TooLarge { what: "bytes in one pattern", max: PATTERN_BYTES_MAX });
        }
        if self.patterns.len() >= PATTERNS_MAX {
            return Err(SchemaError::TooLarge { what: "patterns", max: PATTERNS_MAX });
        }
        self.patterns.push(pattern);
        Ok(())
    }
}

/// How much one value can cost at a place, and how deep the schemas for it are nested.
#[derive(Clone, Copy)]
enum Cost {
    Open,
    Known { schemas: u32, chain: u32 },
}

struct Effort<'w, 'a> {
    walk: &'w Walk<'a>,
    known: HashMap<usize, Cost>,
}

impl<'a> Effort<'_, 'a> {
    /// The number of schemas that apply to the value that `schema` applies to, and the longest chain of them.
    fn of(&mut self, schema: &'a Value, depth: u32) -> Result<(u32, u32), SchemaError> {
        match self.known.get(&address(schema)) {
            Some(Cost::Known { schemas, chain }) => return Ok((*schemas, *chain)),
            Some(Cost::Open) => return Err(SchemaError::Endless),
            None => {}
        }
        let too_deep = SchemaError::TooLarge { what: "schemas in a chain", max: SCHEMA_CHAIN_MAX as usize };
        if depth > SCHEMA_CHAIN_MAX {
            return Err(too_deep);
        }
        self.known.insert(address(schema), Cost::Open);
        let (mut schemas, mut chain) = (1_u32, 0_u32);
        if let Some(object) = schema.as_object() {
            let mut next = same(object);
            for target in reference(object)? {
                next.push(resolve(self.walk.root, &self.walk.anchors, target)?);
            }
            for inner in next {
                let (inner_schemas, inner_chain) = self.of(inner, depth + 1)?;
                schemas = schemas.saturating_add(inner_schemas);
                chain = chain.max(inner_chain + 1);
            }
        }
        if schemas > SCHEMA_FANOUT_MAX {
            return Err(SchemaError::TooLarge {
                what: "schemas for one value",
                max: SCHEMA_FANOUT_MAX as usize,
            });
        }
        if chain > SCHEMA_CHAIN_MAX {
            return Err(too_deep);
        }
        self.known.insert(address(schema), Cost::Known { schemas, chain });
        Ok((schemas, chain))
    }
}

fn address(schema: &Value) -> usize {
    std::ptr::from_ref(schema) as usize
}

/// What a schema refers to. In one document `$dynamicRef` finds what `$ref` would.
fn reference(object: &Object) -> Result<Vec<&str>, SchemaError> {
    let mut found = Vec::new();
    for keyword in ["$ref", "$dynamicRef"] {
        match object.get(keyword) {
            None => {}
            Some(Value::String(target)) => found.push(target.as_str()),
            Some(_) => {
                return Err(SchemaError::Reference { target: "a value that is not a string".to_owned() });
            }
        }
    }
    Ok(found)
}

fn same(object: &Object) -> Vec<&Value> {
    let one = SAME_ONE.iter().filter_map(|keyword| object.get(keyword));
    let list = SAME_LIST.iter().filter_map(|keyword| object.get(keyword)?.as_array()).flatten();
    let map = SAME_MAP.iter().filter_map(|keyword| object.get(keyword)?.as_object());
    one.chain(list)
        .chain(map.flat_map(|map| map.iter().map(|(_, schema)| schema)))
        .filter(is_schema)
        .collect()
}

fn inner(object: &Object) -> Vec<&Value> {
    let one = INNER_ONE.iter().filter_map(|keyword| object.get(keyword)).flat_map(|value| match value {
        Value::Array(list) => list.iter().collect(),
        other => vec![other],
    });
    let map = INNER_MAP.iter().filter_map(|keyword| object.get(keyword)?.as_object());
    one.chain(map.flat_map(|map| map.iter().map(|(_, schema)| schema))).filter(is_schema).collect()
}

/// Whether a value can be a schema at all; what is wrong otherwise is for the compiler to say.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "the shape that `filter` asks for")]
fn is_schema(value: &&Value) -> bool {
    matches!(value, Value::Object(_) | Value::Bool(_))
}
