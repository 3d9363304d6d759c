//! One at a time: who may change what an agent keeps.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use ringfence_types::{AgentName, RunId, WorkspaceName};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::error::StateError;

/// Whose turn it is, for each agent that keeps something. Who waits gets it in the order of coming.
#[derive(Debug, Default)]
pub(crate) struct Turns(Mutex<HashMap<(WorkspaceName, AgentName), Arc<Seat>>>);

/// A turn; over when it is dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    seat: Arc<Seat>,
    _permit: OwnedSemaphorePermit,
}

#[derive(Debug)]
struct Seat {
    one: Arc<Semaphore>,
    holder: Mutex<Option<RunId>>,
}

// === impl Turns ===

impl Turns {
    /// Waits for a run's turn; `None` when there will be none any more.
    pub(crate) async fn wait(
        &self,
        workspace: &WorkspaceName,
        agent: &AgentName,
        run: RunId,
    ) -> Option<Turn> {
        let seat = self.seat(workspace, agent);
        let permit = Arc::clone(&seat.one).acquire_owned().await.ok()?;
        *seat.holder.lock() = Some(run);
        Some(Turn { seat, _permit: permit })
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
        let mut seats = self.0.lock();
        let seat = seats
            .entry((workspace.clone(), agent.clone()))
            .or_insert_with(|| Arc::new(Seat { one: Arc::new(Semaphore::new(1)), holder: Mutex::new(None) }));
        Arc::clone(seat)
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
        let first = turns.wait(&workspace, &agent, run(1)).await.unwrap();
        assert_eq!(turns.holder(&workspace, &agent), Some(run(1)));
        assert!(matches!(turns.take(&workspace, &agent), Err(StateError::Held(holder)) if holder == run(1)));
        let second = turns.wait(&workspace, &agent, run(2));
        let mut second = std::pin::pin!(second);
        assert!(tokio::time::timeout(Duration::from_millis(10), second.as_mut()).await.is_err());
        let other = AgentName::new("other").unwrap();
        assert!(turns.wait(&workspace, &other, run(3)).await.is_some(), "another agent has its own");
        drop(first);
        let second = second.await.unwrap();
        assert_eq!(turns.holder(&workspace, &agent), Some(run(2)));
        drop(second);
        let operator = turns.take(&workspace, &agent).unwrap();
        assert!(matches!(turns.take(&workspace, &agent), Err(StateError::Busy)));
        drop(operator);
        assert_eq!(turns.holder(&workspace, &agent), None);
    }
}
