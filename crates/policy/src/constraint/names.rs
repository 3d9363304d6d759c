//! Which arguments a constraint means.

use ringfence_json::Object;
use smol_str::SmolStr;

use crate::InputSchema;
use crate::limits::PATH_SEGMENTS_MAX;

/// The names that a constraint's key can stand for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Names {
    /// The key itself.
    exact: Vec<Path>,
    /// What follows the prefix; of lists also without a final `s`.
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
        let mut prefixed = paths(rest)?;
        let singular = if is_list { rest.strip_suffix('s') } else { None };
        if let Some(more) = singular.and_then(paths) {
            prefixed.extend(more);
        }
        Some(Self { exact: paths(key)?, prefixed })
    }

    /// The arguments that the constraint applies to in this call.
    ///
    /// An exact name that the pinned schema lists is meant alone. Otherwise everything counts that the key could mean
    /// and that the schema lists or the call has: an agent must not be able to divert a constraint from one argument
    /// by sending another that the schema knows nothing of.
    pub(crate) fn targets<'n>(&'n self, arguments: &Object, schema: Option<&InputSchema>) -> Vec<&'n Path> {
        let declared =
            |path: &Path| schema.is_some_and(|schema| path.with_strs(|strs| schema.has_path(strs)));
        let present = |path: &Path| arguments.contains(path.first());
        let mut targets: Vec<&Path> = Vec::with_capacity(1);
        let mut exact_declared = false;
        for path in &self.exact {
            let is_declared = declared(path);
            exact_declared |= is_declared;
            if is_declared || present(path) {
                targets.push(path);
            }
        }
        if !exact_declared {
            targets.extend(self.prefixed.iter().filter(|path| present(path) || declared(path)));
        }
        targets
    }

    /// The name that a reader would take it for first.
    pub(crate) fn likeliest(&self) -> Option<&Path> {
        self.prefixed.first()
    }
}

/// A name as a path, and, if it has dots, also as the name of one argument.
fn paths(name: &str) -> Option<Vec<Path>> {
    let path = Path::dotted(name)?;
    let literal = (path.0.len() > 1).then(|| Path(Box::new([SmolStr::new(name)])));
    Some(std::iter::once(path).chain(literal).collect())
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
