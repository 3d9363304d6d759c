//! Finding the rules that can apply without looking at the others.
//!
//! A tree: at each node a rule is filed under the key that fewest others share with it, by the values it names there
//! or, of a glob, by its beginning or end. A request goes down where its own values lead. What cannot be filed, and
//! what is too little to be worth it, is looked at one by one.

use std::collections::HashMap;

use smol_str::SmolStr;

use crate::glob::Glob;
use crate::key::{Key, Subject};
use crate::matcher::{Matcher, Test};

/// So many rules are looked at one by one.
const SCAN_MAX: usize = 8;
/// Below the first node a rule is filed under at most so many values of one key, or it would be in the tree too often.
const INNER_ANCHORS_MAX: usize = 8;
/// Below the first node filing may at most double the entries, and only so many times; else it is not worth it.
const GROWTH_MAX: usize = 2;
const DEPTH_MAX: u32 = 4;
/// Beginnings and ends of globs are cut to these lengths, in bytes, so that a lookup tries few.
const PART_BYTES: [usize; 5] = [16, 8, 4, 2, 1];

/// Rules by what they match.
#[derive(Debug, Default)]
pub(crate) struct Index {
    root: Node,
}

#[derive(Debug, Default)]
struct Node {
    /// Rules to look at.
    scan: Box<[u32]>,
    probes: Box<[Probe]>,
}

/// Where to go on for a value of a key.
#[derive(Debug)]
struct Probe {
    key: Key,
    part: Part,
    nodes: HashMap<SmolStr, Node>,
}

/// The part of a value that a probe looks up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Part {
    Whole,
    First(usize),
    Last(usize),
}

/// Where one rule can be filed.
type Anchor<'r> = (Part, &'r str);

/// Rules with their numbers, by the value they are filed under.
type Buckets<'r> = HashMap<SmolStr, Vec<(u32, &'r Matcher)>>;

// === impl Index ===

impl Index {
    /// Files rules under their numbers: their places in the slice.
    pub(crate) fn new<'r>(matchers: impl IntoIterator<Item = &'r Matcher>) -> Self {
        let rules: Vec<(u32, &Matcher)> = (0..).zip(matchers).collect();
        Self { root: Node::new(&rules, 0) }
    }

    /// Calls `visit` with the number of every rule that may match, perhaps of some that do not, and perhaps more than
    /// once; in no order.
    pub(crate) fn visit(&self, subject: &Subject<'_>, visit: &mut impl FnMut(u32)) {
        self.root.visit(subject, visit);
    }
}

// === impl Node ===

impl Node {
    /// `used` has a bit for each key that led here.
    fn new(rules: &[(u32, &Matcher)], used: u32) -> Self {
        if rules.len() <= SCAN_MAX || used.count_ones() > DEPTH_MAX {
            return Self::scanning(rules);
        }
        let shared = count(rules, used);
        let total = rules.len();
        let mut scan = Vec::new();
        let mut filed: HashMap<(Key, Part), Buckets<'_>> = HashMap::new();
        let mut entries = 0;
        for &(number, matcher) in rules {
            let Some((key, anchors)) = best(matcher, used, &shared, total) else {
                scan.push(number);
                continue;
            };
            entries += anchors.len();
            for (part, text) in anchors {
                filed.entry((key, part)).or_default().entry(text.into()).or_default().push((number, matcher));
            }
        }
        if used != 0 && entries > GROWTH_MAX * total {
            return Self::scanning(rules);
        }
        let probe = |((key, part), buckets): (_, Buckets<'_>)| {
            let below = |(text, rules): (_, Vec<_>)| (text, Self::new(&rules, used | bit(key)));
            Probe { key, part, nodes: buckets.into_iter().map(below).collect() }
        };
        Self { scan: scan.into(), probes: filed.into_iter().map(probe).collect() }
    }

    fn scanning(rules: &[(u32, &Matcher)]) -> Self {
        Self { scan: rules.iter().map(|(number, _)| *number).collect(), probes: Box::default() }
    }

    fn visit(&self, subject: &Subject<'_>, visit: &mut impl FnMut(u32)) {
        for number in &self.scan {
            visit(*number);
        }
        for probe in &self.probes {
            probe.key.any(subject, |value| {
                if let Some(node) = probe.part.of(value).and_then(|part| probe.nodes.get(part)) {
                    node.visit(subject, visit);
                }
                false
            });
        }
    }
}

// === impl Part ===

impl Part {
    fn of(self, value: &str) -> Option<&str> {
        match self {
            Self::Whole => Some(value),
            Self::First(length) => value.get(..length),
            Self::Last(length) => value.get(value.len().checked_sub(length)?..),
        }
    }
}

fn bit(key: Key) -> u32 {
    1 << (key as u32)
}

/// How many rules share each anchor.
fn count<'r>(rules: &[(u32, &'r Matcher)], used: u32) -> HashMap<(Key, Anchor<'r>), usize> {
    let mut shared = HashMap::new();
    for (_, matcher) in rules {
        for test in matcher.tests.iter().filter(|test| used & bit(test.key) == 0) {
            for anchor in anchors(test, used).unwrap_or_default() {
                *shared.entry((test.key, anchor)).or_default() += 1;
            }
        }
    }
    shared
}

/// The key under which the rule has fewest beside it, with its anchors there; `None` if no key tells it from the rest.
fn best<'r>(
    matcher: &'r Matcher,
    used: u32,
    shared: &HashMap<(Key, Anchor<'r>), usize>,
    total: usize,
) -> Option<(Key, Vec<Anchor<'r>>)> {
    let crowd = |key, anchors: &[Anchor<'r>]| {
        anchors.iter().filter_map(|anchor| shared.get(&(key, *anchor))).max().copied().unwrap_or(total)
    };
    matcher
        .tests
        .iter()
        .filter(|test| used & bit(test.key) == 0)
        .filter_map(|test| anchors(test, used).map(|anchors| (test.key, anchors)))
        .map(|(key, anchors)| (crowd(key, &anchors), key, anchors))
        .filter(|(crowd, _, _)| *crowd < total)
        .min_by_key(|(crowd, _, anchors)| (*crowd, anchors.len()))
        .map(|(_, key, anchors)| (key, anchors))
}

/// Every anchor of a test; `None` if one of its patterns has none.
fn anchors(test: &Test, used: u32) -> Option<Vec<Anchor<'_>>> {
    let patterns = &test.patterns;
    if used != 0 && patterns.exact.len() + patterns.globs.len() > INNER_ANCHORS_MAX {
        return None;
    }
    let whole = patterns.exact.iter().map(|text| Some((Part::Whole, text.as_str())));
    whole.chain(patterns.globs.iter().map(glob_anchor)).collect()
}

/// The longer of beginning and end, cut to one of the lengths that are looked up.
fn glob_anchor(glob: &Glob) -> Option<Anchor<'_>> {
    let (prefix, suffix) = (glob.prefix(), glob.suffix());
    let first = || PART_BYTES.iter().find_map(|length| Some((Part::First(*length), prefix.get(..*length)?)));
    let last = || {
        let cut =
            |length: &usize| Some((Part::Last(*length), suffix.get(suffix.len().checked_sub(*length)?..)?));
        PART_BYTES.iter().find_map(cut)
    };
    if prefix.len() >= suffix.len() { first() } else { last() }
}
