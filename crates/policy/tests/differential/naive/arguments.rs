//! Which arguments a constraint is about, and what a call has there.

use crate::plain::Json;

/// The names on the way to an argument; elements of arrays have none.
pub type Path = Vec<String>;

/// What there is at one place that a path leads to.
pub enum Found<'a> {
    /// A value, where it stands, and what the definition says of it.
    Value { place: Vec<String>, value: &'a Json, schema: Option<&'a Json> },
    /// Nothing, and what the definition says of the first name that is not there, and of those after it.
    Lacking { schema: Option<&'a Json>, rest: &'a [String] },
    /// Something on the way that is no object.
    NoObject,
}

/// What the definition says of the member of that name, of an object or of the elements of an array.
pub fn member<'a>(schema: Option<&'a Json>, name: &str) -> Option<&'a Json> {
    let schema = schema?;
    match schema.get("properties").and_then(|members| members.get(name)) {
        Some(found) => Some(found),
        None => member(schema.get("items"), name),
    }
}

/// Everything that a value has at a path: arrays on the way, and at the end, mean every element of them.
pub fn look<'a>(
    value: &'a Json,
    schema: Option<&'a Json>,
    path: &'a [String],
    place: &[String],
) -> Vec<Found<'a>> {
    let deeper = |step: &str| [place, &[step.to_owned()]].concat();
    match (value, path) {
        (Json::Array(elements), _) => {
            let places = elements.iter().enumerate();
            places
                .flat_map(|(index, element)| look(element, schema, path, &deeper(&index.to_string())))
                .collect()
        }
        (_, []) => vec![Found::Value { place: place.to_vec(), value, schema }],
        (Json::Object(_), [first, rest @ ..]) => {
            let of_member = member(schema, first);
            match value.get(first) {
                Some(found) => look(found, of_member, rest, &deeper(first)),
                None => vec![Found::Lacking { schema: of_member, rest }],
            }
        }
        _ => vec![Found::NoObject],
    }
}

/// The values that stand for what a call lacks; `None` if there is no default.
pub fn defaults<'a>(schema: Option<&'a Json>, rest: &'a [String]) -> Option<Vec<Option<&'a Json>>> {
    let own = schema.and_then(|schema| schema.get("default")).map(|default| {
        look(default, schema, rest, &[]).into_iter().flat_map(|found| match found {
            Found::Value { value, .. } => vec![Some(value)],
            Found::Lacking { schema, rest } => defaults(schema, rest).unwrap_or_else(|| vec![None]),
            Found::NoObject => vec![None],
        })
    });
    let inner = rest.split_first().and_then(|(first, rest)| defaults(member(schema, first), rest));
    match (own, inner) {
        (None, None) => None,
        (own, inner) => Some(own.into_iter().flatten().chain(inner.into_iter().flatten()).collect()),
    }
}

/// Every way to read a text with dots: each may divide two names or belong to one.
fn readings(text: &str) -> Vec<Path> {
    let Some((first, rest)) = text.split_once('.') else { return vec![vec![text.to_owned()]] };
    let mut all = Vec::new();
    for reading in readings(rest) {
        all.push([vec![format!("{first}.{}", reading[0])], reading[1..].to_vec()].concat());
        all.push([vec![first.to_owned()], reading].concat());
    }
    all
}

fn is_declared(schema: Option<&Json>, path: &[String]) -> bool {
    path.split_first()
        .is_none_or(|(first, rest)| member(schema, first).is_some_and(|found| is_declared(Some(found), rest)))
}

/// Whether a call has something there; an array without elements has all that its elements could have.
fn is_sent(value: &Json, path: &[String]) -> bool {
    match (value, path) {
        (_, []) => true,
        (Json::Array(elements), _) => {
            elements.is_empty() || elements.iter().any(|element| is_sent(element, path))
        }
        (_, [first, rest @ ..]) => value.get(first).is_some_and(|member| is_sent(member, rest)),
    }
}

/// The arguments that a constraint is about.
pub fn meant(key: &str, arguments: &Json, schema: Option<&Json>) -> Vec<Path> {
    let declared = |path: &Path| is_declared(schema, path);
    let there = |path: &Path| declared(path) || is_sent(arguments, path);
    let exact = readings(key);
    if exact.iter().any(declared) {
        return exact.into_iter().filter(declared).collect();
    }
    let (prefix, name) = key.split_once('_').unwrap();
    let mut named = readings(name);
    if matches!(prefix, "allowed" | "denied")
        && let Some(singular) = name.strip_suffix('s')
    {
        named.extend(readings(singular));
    }
    let mut all: Vec<Path> = exact.iter().chain(&named).filter(|path| there(path)).cloned().collect();
    // Where an argument is there and nothing in it that could be meant, the call lacks it.
    for path in named.iter().filter(|path| there(&path[..1].to_vec())) {
        if all.iter().all(|known| known[0] != path[0] || !named.contains(known)) {
            let longest =
                named.iter().filter(|other| other[0] == path[0]).rev().max_by_key(|other| other.len());
            all.extend(longest.cloned());
        }
    }
    all
}
