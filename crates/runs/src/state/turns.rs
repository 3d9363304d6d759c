//! One at a time: who may change what an agent keeps.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use parking_lot::Mutex;
use ringfence_types::{AgentName, RunId, WorkspaceName};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::error::StateError;

/// Whose it is.
type Whose = (WorkspaceName, AgentName);

/// Whose turn it is, for each agent that keeps something. Who waits gets it in the order of coming.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    seats: Mutex<HashMap<Whose, Arc<Seat>>>,
    waiting: Mutex<HashMap<RunId, Waits>>,
}

/// A turn; over when it is dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    seat: Arc<Seat>,
    _permit: OwnedSemaphorePermit,
}

/// Why a run gets no turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoTurn {
    /// There are none any more.
    Over,
    /// Who has it may wait, by others, for what a run above this one has until it ends: all of them would wait for one another.
    Circle(RunId),
}

#[derive(Debug)]
struct Seat {
    one: Arc<Semaphore>,
    holder: Mutex<Option<RunId>>,
}

/// What a run waits for, and who stands above it.
#[derive(Debug)]
struct Waits {
    seat: Arc<Seat>,
    above: Vec<RunId>,
}

/// A run that waits; no longer when it is dropped.
struct Waiter<'a> {
    turns: &'a Turns,
    run: RunId,
}

// === impl Turns ===

impl Turns {
    /// Waits for the turn of a run that stands under these.
    ///
    /// # Errors
    /// When it would wait in a circle, or there will be no turn any more.
    pub(crate) async fn wait(
        &self,
        workspace: &WorkspaceName,
        agent: &AgentName,
        run: RunId,
        above: Vec<RunId>,
    ) -> Result<Turn, NoTurn> {
        let seat = self.seat(workspace, agent);
        let waiter = self.line_up(&seat, run, above)?;
        let permit = Arc::clone(&seat.one).acquire_owned().await.map_err(|_| NoTurn::Over)?;
        *seat.holder.lock() = Some(run);
        drop(waiter);
        Ok(Turn { seat, _permit: permit })
    }

    // INVARIANT: there is no circle among those that wait. One is closed by whoever begins to wait, because nobody who has a
    // turn had started anything before; and it is looked for under the lock under which it is known to wait.
    fn line_up(&self, seat: &Arc<Seat>, run: RunId, above: Vec<RunId>) -> Result<Waiter<'_>, NoTurn> {
        let mut waiting = self.waiting.lock();
        if let Some(holder) = circle(&waiting, seat, &above) {
            return Err(NoTurn::Circle(holder));
        }
        waiting.insert(run, Waits { seat: Arc::clone(seat), above });
        Ok(Waiter { turns: self, run })
    }

    /// An operator's turn, who does not wait.
    pub(crate) fn take(&self, workspace: &WorkspaceName, agent: &AgentName) -> Result<Turn, StateError> {
        let seat = self.seat(workspace, agent);
        match Arc::clone(&seat.one).try_acquire_owned() {
            Ok(permit) => Ok(Turn { seat, _permit: permit }),
            Err(_) => Err((*seat.holder.lock()).map_or(StateError::Busy, StateError::Held)),
        }
    }

    /// The run that has it.
    pub(crate) fn holder(&self, workspace: &WorkspaceName, agent: &AgentName) -> Option<RunId> {
        *self.seat(workspace, agent).holder.lock()
    }

    fn seat(&self, workspace: &WorkspaceName, agent: &AgentName) -> Arc<Seat> {
        let mut seats = self.seats.lock();
        let seat = seats
            .entry((workspace.clone(), agent.clone()))
            .or_insert_with(|| Arc::new(Seat { one: Arc::new(Semaphore::new(1)), holder: Mutex::new(None) }));
        Arc::clone(seat)
    }
}

/// Who has this seat, if a run with these above it would wait for it in a circle: who has it, or what that one started, waits
/// for somebody, and so on until it is one of these.
fn circle(waiting: &HashMap<RunId, Waits>, seat: &Seat, above: &[RunId]) -> Option<RunId> {
    let first = (*seat.holder.lock())?;
    let (mut seen, mut next) = (HashSet::new(), vec![first]);
    while let Some(holder) = next.pop() {
        if above.contains(&holder) {
            return Some(first);
        }
        if seen.insert(holder) {
            let below = waiting.values().filter(|waits| waits.above.contains(&holder));
            next.extend(below.filter_map(|waits| *waits.seat.holder.lock()));
        }
    }
    None
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        self.turns.waiting.lock().remove(&self.run);
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        // Before the permit goes on to the next.
        *self.seat.holder.lock() = None;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use ringfence_types::Timestamp;

    use super::*;

    #[tokio::test]
    async fn one_has_its_turn_the_next_waits_and_operators_are_told_who_has_it() {
        let turns = Turns::default();
        let (workspace, agent) = (WorkspaceName::new("lab").unwrap(), AgentName::new("assistant").unwrap());
        let run = |number| RunId::new(Timestamp::default(), [number; 10]);
        let first = turns.wait(&workspace, &agent, run(1), vec![]).await.unwrap();
        assert_eq!(turns.holder(&workspace, &agent), Some(run(1)));
        assert!(matches!(turns.take(&workspace, &agent), Err(StateError::Held(holder)) if holder == run(1)));
        let second = turns.wait(&workspace, &agent, run(2), vec![]);
        let mut second = std::pin::pin!(second);
        assert!(tokio::time::timeout(Duration::from_millis(10), second.as_mut()).await.is_err());
        let other = AgentName::new("other").unwrap();
        assert!(turns.wait(&workspace, &other, run(3), vec![]).await.is_ok(), "another agent has its own");
        drop(first);
        let second = second.await.unwrap();
        assert_eq!(turns.holder(&workspace, &agent), Some(run(2)));
        drop(second);
        let operator = turns.take(&workspace, &agent).unwrap();
        assert!(matches!(turns.take(&workspace, &agent), Err(StateError::Busy)));
        drop(operator);
        assert_eq!(turns.holder(&workspace, &agent), None);
    }

    #[tokio::test]
    async fn nobody_waits_in_a_circle() {
        let turns = Turns::default();
        let workspace = WorkspaceName::new("lab").unwrap();
        let [a, b, c] = ["a", "b", "c"].map(|name| AgentName::new(name).unwrap());
        let run = |number| RunId::new(Timestamp::default(), [number; 10]);
        let soon = Duration::from_millis(10);
        // Three runs, each with what its own agent keeps, and what they start: 11 and 12 under 1, and so on.
        let one = turns.wait(&workspace, &a, run(1), vec![]).await.unwrap();
        let _two = turns.wait(&workspace, &b, run(2), vec![]).await.unwrap();
        let _three = turns.wait(&workspace, &c, run(3), vec![]).await.unwrap();
        let mut first = std::pin::pin!(turns.wait(&workspace, &b, run(12), vec![run(11), run(1)]));
        assert!(
            tokio::time::timeout(soon, first.as_mut()).await.is_err(),
            "it waits for 2, which ends some day"
        );
        let mut second = std::pin::pin!(turns.wait(&workspace, &c, run(21), vec![run(2)]));
        assert!(tokio::time::timeout(soon, second.as_mut()).await.is_err(), "and that one for 3");
        let closing = || tokio::time::timeout(soon, turns.wait(&workspace, &a, run(31), vec![run(3)]));
        let told = closing().await.expect("it waits although nobody ever ends").unwrap_err();
        assert_eq!(told, NoTurn::Circle(run(1)));
        // The shortest: 2 has what 11 wants, and wants what 1 has.
        let mut short = std::pin::pin!(turns.wait(&workspace, &a, run(22), vec![run(2)]));
        let told = tokio::time::timeout(soon, short.as_mut()).await.expect("it waits").unwrap_err();
        assert_eq!(told, NoTurn::Circle(run(1)));
        // What a run above it has is the same.
        let own = turns.wait(&workspace, &a, run(13), vec![run(1)]).await;
        assert_eq!(own.unwrap_err(), NoTurn::Circle(run(1)));
        // Somebody else may wait, and whoever stands there no more is in no circle.
        let mut other = std::pin::pin!(turns.wait(&workspace, &a, run(4), vec![run(5)]));
        assert!(tokio::time::timeout(soon, other.as_mut()).await.is_err());
        drop(one);
        assert!(tokio::time::timeout(soon, other.as_mut()).await.is_ok());
    }

    #[tokio::test]
    async fn who_no_longer_waits_closes_no_circle() {
        let turns = Turns::default();
        let workspace = WorkspaceName::new("lab").unwrap();
        let [a, b] = ["a", "b"].map(|name| AgentName::new(name).unwrap());
        let run = |number| RunId::new(Timestamp::default(), [number; 10]);
        let soon = Duration::from_millis(10);
        let one = turns.wait(&workspace, &a, run(1), vec![]).await.unwrap();
        let _two = turns.wait(&workspace, &b, run(2), vec![]).await.unwrap();
        assert!(tokio::time::timeout(soon, turns.wait(&workspace, &b, run(11), vec![run(1)])).await.is_err());
        let mut under = std::pin::pin!(turns.wait(&workspace, &a, run(21), vec![run(2)]));
        assert!(
            tokio::time::timeout(soon, under.as_mut()).await.is_err(),
            "11 was given up: it waits for 1 alone"
        );
        drop(one);
        assert!(tokio::time::timeout(soon, under.as_mut()).await.unwrap().is_ok());
    }
}
