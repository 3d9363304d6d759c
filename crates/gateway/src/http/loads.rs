//! What each run, and everybody together, may have open and in hand at once.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use ringfence_types::RunId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::Limits;

/// The places of all runs.
#[derive(Debug)]
pub(crate) struct Loads {
    runs: Mutex<HashMap<RunId, Arc<Load>>>,
    /// Bytes of bodies of all runs, in hand at once.
    bytes: Arc<Semaphore>,
    limits: Limits,
}

/// The places of one run.
#[derive(Debug)]
struct Load {
    connections: Arc<Semaphore>,
    bytes: Arc<Semaphore>,
}

/// A place for the connections of a run.
#[derive(Debug)]
pub(crate) struct Place {
    /// Whose it is.
    pub(crate) run: RunId,
    _permit: OwnedSemaphorePermit,
    _load: Arc<Load>,
}

/// Room for one body, as long as it is in hand.
#[derive(Debug)]
pub(crate) struct Room {
    _run: OwnedSemaphorePermit,
    _all: OwnedSemaphorePermit,
    _load: Arc<Load>,
}

// === impl Loads ===

impl Loads {
    pub(crate) fn new(limits: &Limits) -> Self {
        let bytes = Arc::new(Semaphore::new(limits.bodies_bytes));
        Self { runs: Mutex::default(), bytes, limits: limits.clone() }
    }

    fn of(&self, run: RunId) -> Arc<Load> {
        let mut runs = self.runs.lock();
        let load = runs.entry(run).or_insert_with(|| {
            Arc::new(Load {
                connections: Arc::new(Semaphore::new(self.limits.connections_per_run)),
                bytes: Arc::new(Semaphore::new(self.limits.bodies_bytes_per_run)),
            })
        });
        Arc::clone(load)
    }

    /// A place for one more connection of a run, unless it has as many as it may have.
    pub(crate) fn connection(&self, run: RunId) -> Option<Place> {
        let load = self.of(run);
        let permit = Arc::clone(&load.connections).try_acquire_owned().ok()?;
        Some(Place { run, _permit: permit, _load: load })
    }

    /// Room for a body of at most so many bytes, unless the run or everybody together has too much in hand.
    pub(crate) fn body(&self, run: RunId, bytes: usize) -> Option<Room> {
        let load = self.of(run);
        let bytes = u32::try_from(bytes).ok()?;
        let of_run = Arc::clone(&load.bytes).try_acquire_many_owned(bytes).ok()?;
        let of_all = Arc::clone(&self.bytes).try_acquire_many_owned(bytes).ok()?;
        Some(Room { _run: of_run, _all: of_all, _load: load })
    }

    /// Forgets runs that have nothing open and nothing in hand.
    pub(crate) fn sweep(&self) {
        self.runs.lock().retain(|_, load| Arc::strong_count(load) > 1);
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
    fn a_run_has_its_places_and_leaves_those_of_others_alone() {
        let limits = Limits {
            connections_per_run: 1,
            bodies_bytes_per_run: 10,
            bodies_bytes: 15,
            ..Limits::default()
        };
        let loads = Loads::new(&limits);
        let place = loads.connection(run(1)).unwrap();
        assert!(loads.connection(run(1)).is_none() && loads.connection(run(2)).is_some());
        drop(place);
        assert!(loads.connection(run(1)).is_some());
        let room = loads.body(run(1), 10).unwrap();
        assert!(loads.body(run(1), 1).is_none(), "the run's bound");
        assert!(loads.body(run(2), 6).is_none() && loads.body(run(2), 5).is_some(), "everybody's bound");
        drop(room);
        assert!(loads.body(run(1), 10).is_some());
        loads.sweep();
        assert!(loads.runs.lock().is_empty());
    }
}
