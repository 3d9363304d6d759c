//! Places: so many runs at once, and so many that wait for one.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use ringfence_kernel::SPAWN_DEPTH_MAX;
use ringfence_types::WorkspaceName;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::limits::AT_ONCE_PER_DEPTH;

/// Places for runs. Who waits gets one in the order of coming.
///
/// A run keeps its place while it waits for one that it has started, so runs that stand under others have a few places more at each
/// depth: the deepest start nobody, always come to their end, and with them, step by step, those that wait for them.
#[derive(Debug)]
pub(crate) struct Queue {
    places: Arc<Semaphore>,
    /// Those for runs that stand so deep and deeper, from 1.
    deeper: Vec<Arc<Semaphore>>,
    waiting: Arc<Mutex<HashMap<WorkspaceName, usize>>>,
    most: usize,
}

/// A place among those that wait; given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Waiting {
    workspace: WorkspaceName,
    counts: Arc<Mutex<HashMap<WorkspaceName, usize>>>,
    places: Arc<Semaphore>,
    /// Those for runs that stand as deep as this one.
    deep: Option<Arc<Semaphore>>,
}

// === impl Queue ===

impl Queue {
    pub(crate) fn new(at_once: usize, most: usize) -> Self {
        let deeper = (0..SPAWN_DEPTH_MAX).map(|_| Arc::new(Semaphore::new(AT_ONCE_PER_DEPTH))).collect();
        Self { places: Arc::new(Semaphore::new(at_once)), deeper, waiting: Arc::default(), most }
    }

    /// Takes a place among those that wait, for a run with so many above it; `None` when the workspace has as many there as it may.
    pub(crate) fn join(&self, workspace: &WorkspaceName, depth: usize) -> Option<Waiting> {
        let mut waiting = self.waiting.lock();
        let count = waiting.entry(workspace.clone()).or_default();
        if *count >= self.most {
            return None;
        }
        *count += 1;
        let (workspace, places) = (workspace.clone(), Arc::clone(&self.places));
        let deep = depth.checked_sub(1).and_then(|at| self.deeper.get(at)).map(Arc::clone);
        Some(Waiting { workspace, counts: Arc::clone(&self.waiting), places, deep })
    }
}

// === impl Waiting ===

impl Waiting {
    /// Waits for a place to run in; `None` when there will be none any more.
    pub(crate) async fn place(&self) -> Option<OwnedSemaphorePermit> {
        let place = Arc::clone(&self.places).acquire_owned();
        let Some(deep) = &self.deep else { return place.await.ok() };
        tokio::select! {
            biased;
            place = place => place.ok(),
            place = Arc::clone(deep).acquire_owned() => place.ok(),
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut waiting = self.counts.lock();
        if let Some(count) = waiting.get_mut(&self.workspace) {
            *count -= 1;
            if *count == 0 {
                waiting.remove(&self.workspace);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn so_many_run_so_many_wait_and_the_rest_is_turned_away() {
        let queue = Queue::new(1, 2);
        let workspace = |name: &str| WorkspaceName::new(name).unwrap();
        let join = || queue.join(&workspace("research"), 0);
        let joined = join().unwrap();
        let first = joined.place().await.unwrap();
        drop(joined);
        let (second, _third) = (join().unwrap(), join().unwrap());
        assert!(join().is_none());
        assert!(queue.join(&workspace("other"), 0).is_some(), "another workspace has room of its own");
        let soon = std::time::Duration::from_millis(10);
        assert!(tokio::time::timeout(soon, second.place()).await.is_err());
        drop(first);
        assert!(second.place().await.is_some());
        drop(second);
        assert!(join().is_some(), "who has a place to run in waits no more");
    }

    #[tokio::test]
    async fn who_waits_for_those_under_it_keeps_no_place_from_them() {
        let queue = Queue::new(2, 100);
        let workspace = WorkspaceName::new("research").unwrap();
        let soon = std::time::Duration::from_millis(10);
        // All places are taken by runs that wait for others.
        let mut held = Vec::new();
        for depth in 0..=SPAWN_DEPTH_MAX {
            loop {
                let waiting = queue.join(&workspace, depth).unwrap();
                let Ok(place) = tokio::time::timeout(soon, waiting.place()).await else { break };
                held.push(place.unwrap());
            }
            let expected = 2 + depth * AT_ONCE_PER_DEPTH;
            assert_eq!(held.len(), expected, "at depth {depth} there is room of its own, and no more");
        }
        held.pop();
        let deepest = queue.join(&workspace, SPAWN_DEPTH_MAX).unwrap();
        assert!(
            tokio::time::timeout(soon, deepest.place()).await.unwrap().is_some(),
            "one ends, the next begins"
        );
    }
}
