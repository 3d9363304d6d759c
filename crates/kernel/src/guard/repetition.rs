//! The repetition guard: the same call with the same result, or a cycle of a few such, again and again.

use std::collections::VecDeque;

use ringfence_types::Digest;

/// The longest cycle that is recognised, in calls.
const CYCLE_MAX: usize = 4;

/// What one settled call was: tool and arguments, and the result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Step {
    pub call: Digest,
    pub result: Digest,
}

/// The last calls of a run, as many as the longest cycle needs.
#[derive(Debug, Clone, Default)]
pub(crate) struct Repetition {
    steps: VecDeque<Step>,
}

impl Repetition {
    /// After these calls, however many.
    pub(crate) fn of(steps: impl IntoIterator<Item = Step>) -> Self {
        Self { steps: steps.into_iter().collect() }
    }

    /// The length of the shortest cycle that everything that happened is rounds of, the last of them perhaps not whole.
    pub(crate) fn whole(&self) -> Option<usize> {
        (1..=CYCLE_MAX).find(|period| {
            *period < self.steps.len()
                && (*period..self.steps.len()).all(|index| self.steps[index] == self.steps[index - period])
        })
    }

    /// Whether `call` would go on with what has happened `bound` times already; if so, the length of the cycle.
    pub(crate) fn continues(&self, call: Digest, bound: u32) -> Option<usize> {
        (1..=CYCLE_MAX)
            .find(|period| self.has_cycled(*period, bound as usize) && self.next_of(*period) == Some(call))
    }

    /// The length of the cycle that has happened `bound` times, if one has.
    pub(crate) fn cycle(&self, bound: u32) -> Option<usize> {
        (1..=CYCLE_MAX).find(|period| self.has_cycled(*period, bound as usize))
    }

    /// A call was settled.
    pub(crate) fn settled(&mut self, step: Step, bound: u32) {
        self.steps.push_back(step);
        while self.steps.len() > CYCLE_MAX * bound as usize {
            self.steps.pop_front();
        }
    }

    /// Whether the last `period × times` steps are `times` times the same.
    fn has_cycled(&self, period: usize, times: usize) -> bool {
        let needed = period * times;
        let Some(from) = self.steps.len().checked_sub(needed).filter(|_| needed > 0) else { return false };
        (from + period..self.steps.len()).all(|index| self.steps[index] == self.steps[index - period])
    }

    /// The call that would continue a cycle of that length.
    fn next_of(&self, period: usize) -> Option<Digest> {
        let at = self.steps.len().checked_sub(period)?;
        self.steps.get(at).map(|step| step.call)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(call: &str, result: &str) -> Step {
        Step { call: Digest::of(call.as_bytes()), result: Digest::of(result.as_bytes()) }
    }

    fn after(steps: &[(&str, &str)], times: usize) -> Repetition {
        let mut repetition = Repetition::default();
        for _ in 0..times {
            for (call, result) in steps {
                repetition.settled(step(call, result), 5);
            }
        }
        repetition
    }

    fn refused(repetition: &Repetition, call: &str) -> bool {
        repetition.continues(Digest::of(call.as_bytes()), 5).is_some()
    }

    #[test]
    fn the_sixth_of_the_same_is_refused_and_something_else_is_not() {
        assert!(!refused(&after(&[("a", "1")], 4), "a"));
        let five = after(&[("a", "1")], 5);
        assert!(refused(&five, "a"));
        assert!(!refused(&five, "b"));
    }

    #[test]
    fn cycles_of_up_to_four_are_seen() {
        let cycle = [("a", "1"), ("b", "2"), ("c", "3"), ("d", "4")];
        for length in 2..=4 {
            assert!(!refused(&after(&cycle[..length], 4), "a"), "length {length}, four times");
            assert!(refused(&after(&cycle[..length], 5), "a"), "length {length}");
            assert!(!refused(&after(&cycle[..length], 5), "x"), "length {length}, broken off");
        }
        let five = [("a", "1"), ("b", "2"), ("c", "3"), ("d", "4"), ("e", "5")];
        assert!(!refused(&after(&five, 5), "a"), "a longer cycle is not looked for");
    }

    #[test]
    fn another_result_is_progress() {
        let mut repetition = after(&[("a", "1")], 4);
        repetition.settled(step("a", "2"), 5);
        assert!(!refused(&repetition, "a"));
    }

    #[test]
    fn a_whole_is_rounds_of_its_shortest_cycle() {
        let whole = |steps: &[&str]| Repetition::of(steps.iter().map(|call| step(call, "1"))).whole();
        for (steps, length) in [
            (&[][..], None),
            (&["a"], None),
            (&["a", "b"], None),
            (&["a", "a"], Some(1)),
            (&["a", "b", "a"], Some(2)),
            (&["a", "a", "b"], None),
            (&["a", "a", "b", "a", "a", "b"], Some(3)),
            (&["a", "b", "a", "c", "a", "b", "a", "c"], Some(4)),
        ] {
            assert_eq!(whole(steps), length, "{steps:?}");
        }
    }

    #[test]
    fn memory_stays_within_the_longest_cycle() {
        assert_eq!(after(&[("a", "1")], 1000).steps.len(), 20);
    }
}
