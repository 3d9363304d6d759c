//! Whether a rule is about a request.

use smol_str::SmolStr;

use crate::glob::Glob;
use crate::key::{Key, Subject};

/// The `match` of a rule: all tests must hold; without any, it is about everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Matcher {
    pub tests: Box<[Test]>,
}

/// One key of a `match`: one of the patterns must fit one of the values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Test {
    pub key: Key,
    pub patterns: Patterns,
}

/// Several patterns, any of which may fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Patterns {
    // INVARIANT: sorted and without duplicates; `Patterns::new` establishes it, `matches` searches by it.
    pub exact: Box<[SmolStr]>,
    pub globs: Box<[Glob]>,
    /// As written, for people.
    pub written: Box<[SmolStr]>,
}

// === impl Matcher ===

impl Matcher {
    pub(crate) fn matches(&self, subject: &Subject<'_>) -> bool {
        self.tests.iter().all(|test| test.matches(subject))
    }

    /// The test on that key.
    pub(crate) fn on(&self, key: Key) -> Option<&Test> {
        self.tests.iter().find(|test| test.key == key)
    }
}

// === impl Test ===

impl Test {
    pub(crate) fn matches(&self, subject: &Subject<'_>) -> bool {
        self.key.any(subject, |value| self.patterns.matches(value))
    }
}

// === impl Patterns ===

impl Patterns {
    /// The patterns of one key, as written.
    pub(crate) fn new(key: Key, written: impl IntoIterator<Item = SmolStr>) -> Self {
        let written: Box<[SmolStr]> = written.into_iter().collect();
        let normalized = |text: &SmolStr| SmolStr::new(key.normalized(text));
        let (globs, exact): (Vec<_>, Vec<_>) = written.iter().partition(|text| Glob::is_glob(text));
        let mut exact: Vec<SmolStr> = exact.into_iter().map(normalized).collect();
        exact.sort_unstable();
        exact.dedup();
        let globs = globs.into_iter().map(|text| Glob::new(&normalized(text))).collect();
        Self { exact: exact.into(), globs, written }
    }

    pub(crate) fn matches(&self, value: &str) -> bool {
        self.exact.binary_search_by(|pattern| pattern.as_str().cmp(value)).is_ok()
            || self.globs.iter().any(|glob| glob.matches(value))
    }
}
