//! Which arguments a constraint means.

use ringfence_json::{Object, Value};
use smol_str::SmolStr;

use crate::InputSchema;
use crate::limits::{DOTTED_NAMES_SEGMENTS_MAX, PATH_SEGMENTS_MAX};

/// The names that a constraint's key can stand for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Names {
    /// The key itself.
    exact: Vec<Path>,
    /// What follows the prefix; of lists also without a final `s`.
    // INVARIANT: paths of one first segment stand together, that with the most segments first; `grouped` sees to it.
    prefixed: Vec<Path>,
}

/// Where an argument is: names from the top down. Arrays on the way are stepped into, every element of them.
// INVARIANT: 1 to PATH_SEGMENTS_MAX segments, none empty; `Path::dotted` establishes it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Path(Box<[SmolStr]>);

// === impl Names ===

impl Names {
    /// The names for a key and what follows its prefix; `None` if that is no path.
    pub(crate) fn new(key: &str, rest: &str, is_list: bool) -> Option<Self> {
        let mut prefixed = readings(rest)?;
        let singular = if is_list { rest.strip_suffix('s') } else { None };
        if let Some(more) = singular.and_then(readings) {
            prefixed.extend(more);
        }
        Some(Self { exact: readings(key)?, prefixed: grouped(prefixed) })
    }

    /// The arguments that the constraint applies to in this call.
    ///
    /// An exact name that the pinned schema lists is meant alone. Otherwise everything counts that the key could mean
    /// and that the schema lists or the call has: an agent must not be able to divert a constraint from one argument
    /// by sending another that the schema knows nothing of.
    pub(crate) fn targets<'n>(&'n self, arguments: &Object, schema: Option<&InputSchema>) -> Vec<&'n Path> {
        let exact_declared: Vec<&Path> = self.exact.iter().filter(|path| path.is_declared(schema)).collect();
        if !exact_declared.is_empty() {
            return exact_declared;
        }
        let mut targets: Vec<&Path> = self.exact.iter().filter(|path| path.is_sent(arguments)).collect();
        for group in self.prefixed.chunk_by(|one, other| one.first() == other.first()) {
            let others = targets.len();
            targets.extend(group.iter().filter(|path| path.is_sent(arguments) || path.is_declared(schema)));
            // The argument is there, and nothing in it that could be meant: the call lacks it.
            if let [path, ..] = group
                && targets.len() == others
                && path.segments().len() > 1
                && (arguments.contains(path.first())
                    || schema.is_some_and(|schema| schema.has_argument(path.first())))
            {
                targets.push(path);
            }
        }
        targets
    }

    /// Whether the schema lists an argument that the constraint can mean.
    pub(crate) fn are_declared(&self, schema: &InputSchema) -> bool {
        self.exact.iter().chain(&self.prefixed).any(|path| path.is_declared(Some(schema)))
    }

    /// The name that a reader would take it for first.
    pub(crate) fn likeliest(&self) -> Option<&Path> {
        self.prefixed.first()
    }
}

/// A name as a path, and in every other way that its dots can be read: each may part two names or belong to one. Of
/// long paths only all dots together.
fn readings(name: &str) -> Option<Vec<Path>> {
    let path = Path::dotted(name)?;
    let dots = path.0.len() - 1;
    let last = (1_u32 << dots) - 1;
    let all: Vec<u32> =
        if path.0.len() <= DOTTED_NAMES_SEGMENTS_MAX { (0..=last).collect() } else { vec![0, last] };
    Some(all.into_iter().map(|joined| path.joined(joined)).collect())
}

/// Brings paths of one first segment together, that with the most segments first, else in their order.
fn grouped(paths: Vec<Path>) -> Vec<Path> {
    let mut groups: Vec<Vec<Path>> = Vec::new();
    for path in paths {
        match groups.iter_mut().find(|group| group[0].first() == path.first()) {
            Some(group) => group.push(path),
            None => groups.push(vec![path]),
        }
    }
    for group in &mut groups {
        group.sort_by_key(|path| std::cmp::Reverse(path.segments().len()));
    }
    groups.into_iter().flatten().collect()
}

/// Whether a value has something at a path, in any element of the arrays on the way.
fn has(value: &Value, path: &[SmolStr]) -> bool {
    match (value, path) {
        (_, []) => true,
        (Value::Array(elements), _) => {
            elements.is_empty() || elements.iter().any(|element| has(element, path))
        }
        (Value::Object(object), [first, rest @ ..]) => {
            object.get(first).is_some_and(|value| has(value, rest))
        }
        _ => false,
    }
}

// === impl Path ===

impl Path {
    /// A path as it is written: `spec.replicas`.
    pub(crate) fn dotted(text: &str) -> Option<Self> {
        let segments: Box<[SmolStr]> = text.split('.').map(SmolStr::new).collect();
        let fits = segments.len() <= PATH_SEGMENTS_MAX && segments.iter().all(|segment| !segment.is_empty());
        fits.then_some(Self(segments))
    }

    pub(crate) fn segments(&self) -> &[SmolStr] {
        &self.0
    }

    fn first(&self) -> &str {
        self.0.first().map_or("", SmolStr::as_str)
    }

    /// The path with the dot after segment `n` taken as part of a name where bit `n` of `joined` is set.
    fn joined(&self, joined: u32) -> Self {
        let mut segments: Vec<String> = Vec::new();
        for (place, segment) in self.0.iter().enumerate() {
            match segments.last_mut() {
                Some(last) if joined & (1 << (place - 1)) != 0 => {
                    last.push('.');
                    last.push_str(segment);
                }
                _ => segments.push(segment.to_string()),
            }
        }
        Self(segments.into_iter().map(SmolStr::from).collect())
    }

    fn is_declared(&self, schema: Option<&InputSchema>) -> bool {
        schema.is_some_and(|schema| self.with_strs(|strs| schema.has_path(strs)))
    }

    /// Whether a call has something there. An array without elements has all that its elements could have.
    fn is_sent(&self, arguments: &Object) -> bool {
        arguments.get(self.first()).is_some_and(|value| has(value, &self.0[1..]))
    }

    /// Lends the segments in the form that schemas take.
    pub(crate) fn with_strs<T>(&self, take: impl FnOnce(&[&str]) -> T) -> T {
        let mut strs = [""; PATH_SEGMENTS_MAX];
        for (to, from) in strs.iter_mut().zip(&self.0) {
            *to = from;
        }
        take(&strs[..self.0.len()])
    }
}

impl std::fmt::Display for Path {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0.join("."))
    }
}

impl std::fmt::Debug for Path {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Path({self})")
    }
}
