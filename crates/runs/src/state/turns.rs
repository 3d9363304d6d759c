//! One at a time: who may change what an agent keeps.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;
use ringfence_types::{AgentName, RunId, WorkspaceName};

use super::error::StateError;

/// Whose it is.
type Whose = (WorkspaceName, AgentName);

/// Whose turn it is, for each agent that keeps something.
///
/// A run gets its turn together with a place to run in, and waits without either: who had the one and waited for the other could
/// keep it from a run for which somebody waits who has the other. See [`crate::queue`].
#[derive(Debug, Default)]
pub(crate) struct Turns {
    seats: Mutex<HashMap<Whose, Arc<Seat>>>,
    waiting: Arc<Mutex<HashMap<RunId, Waits>>>,
    freed: Freed,
}

/// A turn; over when it is dropped.
#[derive(Debug)]
pub(crate) struct Turn(Arc<Seat>);

/// What a run wants that waits; no longer when it is dropped.
#[derive(Debug)]
pub(crate) struct Claim {
    seat: Arc<Seat>,
    run: RunId,
    waiting: Arc<Mutex<HashMap<RunId, Waits>>>,
}

/// Who has it may wait, by others, for what a run above this one has until it ends: all of them would wait for one another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Circle(pub RunId);

#[derive(Debug)]
struct Seat {
    holder: Mutex<Option<Holder>>,
    freed: Freed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holder {
    Run(RunId),
    Operator,
}

/// What a run waits for, and who stands above it.
#[derive(Debug)]
struct Waits {
    seat: Arc<Seat>,
    above: Vec<RunId>,
}

/// Whoever is told that a turn is over.
#[derive(Clone)]
struct Freed(Arc<dyn Fn() + Send + Sync>);

// === impl Turns ===

impl Turns {
    /// `freed` is called whenever a turn is over, by whoever had it.
    pub(crate) fn telling(freed: impl Fn() + Send + Sync + 'static) -> Self {
        Self { freed: Freed(Arc::new(freed)), ..Self::default() }
    }

    /// Begins to wait for the turn of a run that stands under these.
    ///
    /// # Errors
    /// When it would wait in a circle.
    // INVARIANT: there is no circle among those that wait. One is closed by whoever begins to wait, because nobody who gets a
    // turn had started anything before; and it is looked for under the lock under which it is known to wait.
    pub(crate) fn claim(
        &self,
        workspace: &WorkspaceName,
        agent: &AgentName,
        run: RunId,
        above: Vec<RunId>,
    ) -> Result<Claim, Circle> {
        let seat = self.seat(workspace, agent);
        let mut waiting = self.waiting.lock();
        if let Some(holder) = circle(&waiting, &seat, &above) {
            return Err(Circle(holder));
        }
        waiting.insert(run, Waits { seat: Arc::clone(&seat), above });
        Ok(Claim { seat, run, waiting: Arc::clone(&self.waiting) })
    }

    /// An operator's turn, who does not wait.
    pub(crate) fn take(&self, workspace: &WorkspaceName, agent: &AgentName) -> Result<Turn, StateError> {
        let seat = self.seat(workspace, agent);
        seat.take(Holder::Operator).map_err(|holder| match holder {
            Holder::Run(run) => StateError::Held(run),
            Holder::Operator => StateError::Busy,
        })
    }

    /// The run that has it.
    pub(crate) fn holder(&self, workspace: &WorkspaceName, agent: &AgentName) -> Option<RunId> {
        self.seat(workspace, agent).run()
    }

    fn seat(&self, workspace: &WorkspaceName, agent: &AgentName) -> Arc<Seat> {
        let mut seats = self.seats.lock();
        let seat = seats
            .entry((workspace.clone(), agent.clone()))
            .or_insert_with(|| Arc::new(Seat { holder: Mutex::new(None), freed: self.freed.clone() }));
        Arc::clone(seat)
    }
}

// === impl Claim ===

impl Claim {
    /// The turn, if nobody has it now.
    pub(crate) fn take(&self) -> Option<Turn> {
        self.seat.take(Holder::Run(self.run)).ok()
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.waiting.lock().remove(&self.run);
    }
}

// === impl Seat ===

impl Seat {
    /// The turn, or who has it.
    fn take(self: &Arc<Self>, holder: Holder) -> Result<Turn, Holder> {
        let mut held = self.holder.lock();
        if let Some(other) = *held {
            return Err(other);
        }
        *held = Some(holder);
        Ok(Turn(Arc::clone(self)))
    }

    fn run(&self) -> Option<RunId> {
        match *self.holder.lock() {
            Some(Holder::Run(run)) => Some(run),
            Some(Holder::Operator) | None => None,
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        *self.0.holder.lock() = None;
        (self.0.freed.0)();
    }
}

// === impl Freed ===

impl Default for Freed {
    fn default() -> Self {
        Self(Arc::new(|| {}))
    }
}

impl fmt::Debug for Freed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Freed(…)")
    }
}

/// Who has this seat, if a run with these above it would wait for it in a circle: who has it, or what that one started, waits
/// for somebody, and so on until it is one of these.
fn circle(waiting: &HashMap<RunId, Waits>, seat: &Seat, above: &[RunId]) -> Option<RunId> {
    let first = seat.run()?;
    let (mut seen, mut next) = (HashSet::new(), vec![first]);
    while let Some(holder) = next.pop() {
        if above.contains(&holder) {
            return Some(first);
        }
        if seen.insert(holder) {
            let below = waiting.values().filter(|waits| waits.above.contains(&holder));
            next.extend(below.filter_map(|waits| waits.seat.run()));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use ringfence_types::Timestamp;

    use super::*;

    struct Scene {
        turns: Turns,
        workspace: WorkspaceName,
    }

    impl Scene {
        fn new() -> Self {
            Self { turns: Turns::default(), workspace: WorkspaceName::new("lab").unwrap() }
        }

        fn claim(&self, agent: &str, run: RunId, above: &[RunId]) -> Result<Claim, Circle> {
            self.turns.claim(&self.workspace, &AgentName::new(agent).unwrap(), run, above.to_vec())
        }

        /// The turn of a run that begins.
        fn begun(&self, agent: &str, run: RunId) -> Turn {
            self.claim(agent, run, &[]).unwrap().take().unwrap()
        }
    }

    fn run(number: u8) -> RunId {
        RunId::new(Timestamp::default(), [number; 10])
    }

    #[test]
    fn one_has_its_turn_the_next_waits_and_operators_are_told_who_has_it() {
        let scene = Scene::new();
        let (workspace, agent) = (&scene.workspace, AgentName::new("assistant").unwrap());
        let first = scene.begun("assistant", run(1));
        assert_eq!(scene.turns.holder(workspace, &agent), Some(run(1)));
        let refused = scene.turns.take(workspace, &agent);
        assert!(matches!(refused, Err(StateError::Held(holder)) if holder == run(1)));
        let second = scene.claim("assistant", run(2), &[]).unwrap();
        assert!(second.take().is_none());
        scene.begun("other", run(3));
        drop(first);
        let second = second.take().unwrap();
        assert_eq!(scene.turns.holder(workspace, &agent), Some(run(2)));
        drop(second);
        let operator = scene.turns.take(workspace, &agent).unwrap();
        assert!(matches!(scene.turns.take(workspace, &agent), Err(StateError::Busy)));
        assert!(scene.claim("assistant", run(4), &[]).unwrap().take().is_none());
        drop(operator);
        assert_eq!(scene.turns.holder(workspace, &agent), None);
    }

    #[test]
    fn nobody_waits_in_a_circle() {
        let scene = Scene::new();
        // Three runs, each with what its own agent keeps, and what they start: 11 and 12 under 1, and so on.
        let one = scene.begun("a", run(1));
        let _two = scene.begun("b", run(2));
        let _three = scene.begun("c", run(3));
        let _waits_for_two = scene.claim("b", run(12), &[run(11), run(1)]).unwrap();
        let _waits_for_three = scene.claim("c", run(21), &[run(2)]).unwrap();
        assert_eq!(scene.claim("a", run(31), &[run(3)]).unwrap_err(), Circle(run(1)));
        // The shortest: 2 has what 11 wants, and wants what 1 has.
        assert_eq!(scene.claim("a", run(22), &[run(2)]).unwrap_err(), Circle(run(1)));
        // What a run above it has is the same.
        assert_eq!(scene.claim("a", run(13), &[run(1)]).unwrap_err(), Circle(run(1)));
        // Somebody else may wait, and whoever stands there no more is in no circle.
        let other = scene.claim("a", run(4), &[run(5)]).unwrap();
        assert!(other.take().is_none());
        drop(one);
        assert!(other.take().is_some());
    }

    #[test]
    fn whoever_got_its_turn_later_than_others_began_to_wait_closes_no_circle_unseen() {
        let scene = Scene::new();
        let _one = scene.begun("a", run(1));
        // Nobody has it: this one has only no place. Then another one gets it.
        let _waits = scene.claim("b", run(11), &[run(1)]).unwrap();
        let _two = scene.begun("b", run(2));
        assert_eq!(scene.claim("a", run(21), &[run(2)]).unwrap_err(), Circle(run(1)));
    }

    #[test]
    fn who_no_longer_waits_closes_no_circle() {
        let scene = Scene::new();
        let one = scene.begun("a", run(1));
        let _two = scene.begun("b", run(2));
        drop(scene.claim("b", run(11), &[run(1)]).unwrap());
        let under = scene.claim("a", run(21), &[run(2)]).expect("11 was given up: it waits for 1 alone");
        drop(one);
        assert!(under.take().is_some());
    }
}
