//! Which runs each run has started.

use std::collections::{HashMap, HashSet};

use ringfence_types::RunId;

/// The runs that each has started, as far as they are known.
#[derive(Debug, Clone, Default)]
pub(super) struct Children(HashMap<RunId, Of>);

/// Those of one.
#[derive(Debug, Clone, Default)]
struct Of {
    /// In the order in which they were started.
    all: Vec<RunId>,
    /// How many of them have not ended: counted, because a run asks for it whenever it starts one more.
    living: usize,
}

// === impl Children ===

impl Children {
    /// One more, which may have ended already.
    pub(super) fn started(&mut self, parent: RunId, child: RunId, lives: bool) {
        let of = self.0.entry(parent).or_default();
        of.all.push(child);
        of.living += usize::from(lives);
    }

    /// One of them has ended.
    pub(super) fn ended(&mut self, parent: RunId) {
        if let Some(of) = self.0.get_mut(&parent) {
            of.living = of.living.saturating_sub(1);
        }
    }

    pub(super) fn of(&self, parent: RunId) -> &[RunId] {
        self.0.get(&parent).map_or(&[], |of| &of.all)
    }

    pub(super) fn living(&self, parent: RunId) -> usize {
        self.0.get(&parent).map_or(0, |of| of.living)
    }

    /// Forgets runs that have ended, each with the one that started it.
    pub(super) fn forget(&mut self, gone: &HashMap<RunId, Option<RunId>>) {
        let parents: HashSet<RunId> = gone.values().flatten().copied().collect();
        for parent in parents {
            let Some(of) = self.0.get_mut(&parent) else { continue };
            of.all.retain(|child| !gone.contains_key(child));
            if of.all.is_empty() {
                self.0.remove(&parent);
            }
        }
        for run in gone.keys() {
            self.0.remove(run);
        }
    }
}

#[cfg(test)]
mod tests {
    use ringfence_types::Timestamp;

    use super::*;

    fn run(number: u8) -> RunId {
        RunId::new(Timestamp::from_micros(0), [number; 10])
    }

    #[test]
    fn those_that_live_are_counted_and_those_that_are_gone_forgotten() {
        let mut children = Children::default();
        for child in 1..=4 {
            children.started(run(0), run(child), child != 1);
        }
        children.started(run(4), run(5), true);
        assert_eq!((children.of(run(0)).len(), children.living(run(0))), (4, 3));
        children.ended(run(0));
        children.forget(&HashMap::from([(run(1), Some(run(0))), (run(2), Some(run(0)))]));
        assert_eq!((children.of(run(0)), children.living(run(0))), (&[run(3), run(4)][..], 2));
        children.forget(&HashMap::from([(run(4), Some(run(0))), (run(3), Some(run(0))), (run(9), None)]));
        assert!(children.0.is_empty(), "{children:?}");
    }
}
