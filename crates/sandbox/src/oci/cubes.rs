//! What a rule of our own list says of the arguments of a call, as conditions that an OCI profile can hold.
//!
//! Ours is a list of steps. A profile holds alternatives, each a conjunction with at most one comparison of each
//! argument ("of these bits, this value"); two comparisons of one argument would be taken as alternatives, and let
//! through what was to be refused. So each path to "allow" is followed, and what it says of an argument is kept as a set
//! of such comparisons: a union of cubes.

use std::collections::BTreeMap;

use crate::inside::Step;

/// All numbers of 32 bits that have `value` in the bits of `mask`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cube {
    pub(super) mask: u32,
    pub(super) value: u32,
}

/// One alternative: what is compared of each argument.
pub(super) type Conjunction = BTreeMap<u32, Cube>;

/// What is known on a path: of each argument, the union of these.
type Known = BTreeMap<u32, Vec<Cube>>;

const ANY: Cube = Cube { mask: 0, value: 0 };

// === impl Cube ===

impl Cube {
    fn and(self, other: Self) -> Option<Self> {
        let both = self.mask & other.mask;
        let agree = self.value & both == other.value & both;
        agree.then_some(Self { mask: self.mask | other.mask, value: self.value | other.value })
    }

    /// This without the other: one cube for each bit that only the other looks at, in which it differs there and agrees
    /// before.
    fn without(self, other: Self) -> Vec<Self> {
        if self.and(other).is_none() {
            return vec![self];
        }
        let mut rest = Vec::new();
        let mut agreed = self;
        for bit in (0..32).map(|bit| 1 << bit).filter(|bit| other.mask & !self.mask & bit != 0) {
            rest.push(Self { mask: agreed.mask | bit, value: agreed.value | (!other.value & bit) });
            agreed = Self { mask: agreed.mask | bit, value: agreed.value | (other.value & bit) };
        }
        rest
    }
}

/// All alternatives in which the steps end in "allow".
pub(super) fn allowed(steps: &[Step]) -> Vec<Conjunction> {
    let mut found = Vec::new();
    follow(steps, Known::new(), &mut found);
    found
}

fn follow(steps: &[Step], mut known: Known, found: &mut Vec<Conjunction>) {
    let (mut argument, mut bits) = (0, u32::MAX);
    for step in steps {
        match step {
            Step::Look(which) => (argument, bits) = (*which, u32::MAX),
            Step::Only(these) => bits &= these,
            Step::Is(value, inner) => {
                // A value with bits that are not looked at is never met.
                if value & !bits == 0 {
                    let is = Cube { mask: bits, value: *value };
                    branch(inner, &known, argument, &[is], found);
                    without(&mut known, argument, is);
                }
            }
            Step::HasAny(any, inner) => {
                let any = any & bits;
                let each = (0..32).map(|bit| any & (1 << bit)).filter(|bit| *bit != 0);
                branch(inner, &known, argument, &disjoint(each), found);
                narrow(&mut known, argument, &[Cube { mask: any, value: 0 }]);
            }
            Step::Allow => return found.extend(conjunctions(&known)),
            Step::Refuse(_) => return,
        }
    }
}

/// One cube for each bit: it is the first of them that is set.
fn disjoint(bits: impl Iterator<Item = u32>) -> Vec<Cube> {
    let mut before = 0;
    let each = bits.map(|bit| {
        let cube = Cube { mask: before | bit, value: bit };
        before |= bit;
        cube
    });
    each.collect()
}

fn branch(inner: &[Step], known: &Known, argument: u32, is: &[Cube], found: &mut Vec<Conjunction>) {
    let mut within = known.clone();
    narrow(&mut within, argument, is);
    if within.get(&argument).is_some_and(|cubes| !cubes.is_empty()) {
        follow(inner, within, found);
    }
}

fn narrow(known: &mut Known, argument: u32, to: &[Cube]) {
    let cubes = known.entry(argument).or_insert_with(|| vec![ANY]);
    *cubes = cubes.iter().flat_map(|cube| to.iter().filter_map(|one| cube.and(*one))).collect();
}

fn without(known: &mut Known, argument: u32, is: Cube) {
    let cubes = known.entry(argument).or_insert_with(|| vec![ANY]);
    *cubes = cubes.iter().flat_map(|cube| cube.without(is)).collect();
}

fn conjunctions(known: &Known) -> Vec<Conjunction> {
    let mut all = vec![Conjunction::new()];
    for (argument, cubes) in known {
        let with = |before: &Conjunction, cube: &Cube| {
            let mut after = before.clone();
            if cube.mask != 0 {
                after.insert(*argument, *cube);
            }
            after
        };
        all = all.iter().flat_map(|before| cubes.iter().map(move |cube| with(before, cube))).collect();
    }
    all
}
