//! How many calls of one model are under way at once.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use ringfence_types::{ModelName, WorkspaceName};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The places at every model.
#[derive(Debug, Default)]
pub(crate) struct Turns(Mutex<HashMap<(WorkspaceName, ModelName), Places>>);

#[derive(Debug)]
struct Places {
    most: usize,
    free: Arc<Semaphore>,
}

/// A place, as long as it is held.
#[derive(Debug)]
pub(crate) struct Turn(#[expect(dead_code, reason = "held, not looked at")] OwnedSemaphorePermit);

// === impl Turns ===

impl Turns {
    /// Waits for a place at a model that has `most` of them; `None` when none came free in time.
    pub(crate) async fn take(
        &self,
        workspace: &WorkspaceName,
        model: &ModelName,
        most: usize,
        wait: Duration,
    ) -> Option<Turn> {
        let free = self.places(workspace, model, most);
        if let Ok(permit) = Arc::clone(&free).try_acquire_owned() {
            return Some(Turn(permit));
        }
        let permit = tokio::time::timeout(wait, free.acquire_owned()).await.ok()?.ok()?;
        Some(Turn(permit))
    }

    fn places(&self, workspace: &WorkspaceName, model: &ModelName, most: usize) -> Arc<Semaphore> {
        let fresh = || Places { most, free: Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS))) };
        let mut all = self.0.lock();
        let places = all.entry((workspace.clone(), model.clone())).or_insert_with(fresh);
        if places.most != most {
            // The configuration has changed: those under way keep the places they have.
            *places = fresh();
        }
        Arc::clone(&places.free)
    }

    /// Forgets models that nobody calls.
    pub(crate) fn sweep(&self) {
        let is_idle = |places: &Places| {
            Arc::strong_count(&places.free) == 1 && places.free.available_permits() == places.most
        };
        self.0.lock().retain(|_, places| !is_idle(places));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn no_more_than_its_places_are_taken_at_a_model() {
        let turns = Turns::default();
        let (workspace, model) = (WorkspaceName::new("w").unwrap(), ModelName::new("m").unwrap());
        let wait = Duration::from_millis(10);
        let one = turns.take(&workspace, &model, 1, wait).await.unwrap();
        assert!(turns.take(&workspace, &model, 1, wait).await.is_none());
        let other = ModelName::new("other").unwrap();
        assert!(turns.take(&workspace, &other, 1, wait).await.is_some(), "another model has its own");
        turns.sweep();
        assert_eq!(turns.0.lock().len(), 1);
        drop(one);
        assert!(turns.take(&workspace, &model, 1, wait).await.is_some());
        assert!(
            turns.take(&workspace, &model, 2, wait).await.is_some(),
            "more, since the configuration says so"
        );
        turns.sweep();
        assert!(turns.0.lock().is_empty());
    }
}
