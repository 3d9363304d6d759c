//! Places: so many runs at once, and so many that wait for one.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use ringfence_types::WorkspaceName;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Places for runs. Who waits gets one in the order of coming.
#[derive(Debug)]
pub(crate) struct Queue {
    places: Arc<Semaphore>,
    waiting: Arc<Mutex<HashMap<WorkspaceName, usize>>>,
    most: usize,
}

/// A place among those that wait; given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Waiting {
    workspace: WorkspaceName,
    counts: Arc<Mutex<HashMap<WorkspaceName, usize>>>,
    places: Arc<Semaphore>,
}

// === impl Queue ===

impl Queue {
    pub(crate) fn new(at_once: usize, most: usize) -> Self {
        Self { places: Arc::new(Semaphore::new(at_once)), waiting: Arc::default(), most }
    }

    /// Takes a place among those that wait; `None` when the workspace has as many there as it may.
    pub(crate) fn join(&self, workspace: &WorkspaceName) -> Option<Waiting> {
        let mut waiting = self.waiting.lock();
        let count = waiting.entry(workspace.clone()).or_default();
        if *count >= self.most {
            return None;
        }
        *count += 1;
        let (workspace, places) = (workspace.clone(), Arc::clone(&self.places));
        Some(Waiting { workspace, counts: Arc::clone(&self.waiting), places })
    }
}

// === impl Waiting ===

impl Waiting {
    /// Waits for a place to run in; `None` when there will be none any more.
    pub(crate) async fn place(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.places).acquire_owned().await.ok()
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
        let join = || queue.join(&workspace("research"));
        let joined = join().unwrap();
        let first = joined.place().await.unwrap();
        drop(joined);
        let (second, _third) = (join().unwrap(), join().unwrap());
        assert!(join().is_none());
        assert!(queue.join(&workspace("other")).is_some(), "another workspace has room of its own");
        let soon = std::time::Duration::from_millis(10);
        assert!(tokio::time::timeout(soon, second.place()).await.is_err());
        drop(first);
        assert!(second.place().await.is_some());
        drop(second);
        assert!(join().is_some(), "who has a place to run in waits no more");
    }
}
