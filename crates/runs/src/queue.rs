//! Places: so many runs at once, so many of one workspace, and so many that wait for one.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;
use ringfence_kernel::SPAWN_DEPTH_MAX;
use ringfence_types::WorkspaceName;
use tokio::sync::oneshot;

use crate::limits::AT_ONCE_PER_DEPTH;

/// Places for runs. A place that becomes free goes round the workspaces that wait for one; of the runs of one workspace, the
/// first gets it. No workspace has more of them than it may.
///
/// A run keeps its place while it waits for one that it has started, so runs that stand under others have a few places more at each
/// depth: the deepest start nobody, always come to their end, and with them, step by step, those that wait for them.
#[derive(Debug)]
pub(crate) struct Queue {
    shared: Arc<Shared>,
    most: usize,
}

/// A place among those that wait; given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Waiting {
    workspace: WorkspaceName,
    depth: usize,
    shared: Arc<Shared>,
}

/// A place to run in; given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    workspace: WorkspaceName,
    /// In which of the pools.
    pool: usize,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    at_once: usize,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// The first is for all runs; that at `n` for those that stand `n` deep under others.
    pools: Vec<Pool>,
    /// How many of the first pool a workspace may have; one that is not here, all of them.
    bounds: HashMap<WorkspaceName, usize>,
    /// How many have joined and not left, of each workspace.
    joined: HashMap<WorkspaceName, usize>,
    /// Those that want a place now, of each workspace in the order of coming.
    // INVARIANT: no list is empty, and the workspaces are those of `turns`.
    wanting: HashMap<WorkspaceName, VecDeque<Wanting>>,
    /// Whose turn it is: the first that can take a place gets it and goes to the end.
    turns: VecDeque<WorkspaceName>,
    next: u64,
}

#[derive(Debug)]
struct Pool {
    size: usize,
    free: usize,
    held: HashMap<WorkspaceName, usize>,
}

/// One that wants a place now.
#[derive(Debug)]
struct Wanting {
    number: u64,
    depth: usize,
    given: oneshot::Sender<Place>,
}

/// Takes back what somebody wants who has gone.
struct Wish<'a> {
    waiting: &'a Waiting,
    number: u64,
}

// === impl Queue ===

impl Queue {
    pub(crate) fn new(at_once: usize, most: usize) -> Self {
        let deeper = (0..SPAWN_DEPTH_MAX).map(|_| AT_ONCE_PER_DEPTH);
        let state = State {
            pools: std::iter::once(at_once).chain(deeper).map(Pool::of).collect(),
            bounds: HashMap::new(),
            joined: HashMap::new(),
            wanting: HashMap::new(),
            turns: VecDeque::new(),
            next: 0,
        };
        Self { shared: Arc::new(Shared { at_once, state: Mutex::new(state) }), most }
    }

    /// How many runs of each workspace may have a place at once; of one that is not named, as many as there are. Who has more keeps
    /// them.
    pub(crate) fn bound(&self, bounds: HashMap<WorkspaceName, usize>) {
        self.shared.state.lock().bounds = bounds;
        self.shared.give_out();
    }

    /// Takes a place among those that wait, for a run with so many above it; `None` when the workspace has as many there as it may.
    pub(crate) fn join(&self, workspace: &WorkspaceName, depth: usize) -> Option<Waiting> {
        let mut state = self.shared.state.lock();
        let count = state.joined.entry(workspace.clone()).or_default();
        if *count >= self.most {
            return None;
        }
        *count += 1;
        Some(Waiting { workspace: workspace.clone(), depth, shared: Arc::clone(&self.shared) })
    }
}

// === impl Waiting ===

impl Waiting {
    /// Waits for a place to run in; `None` when there will be none any more.
    pub(crate) async fn place(&self) -> Option<Place> {
        let (given, place) = oneshot::channel();
        // From here on it is taken back when nobody waits for it any more.
        let _wish = self.wish(given);
        self.shared.give_out();
        place.await.ok()
    }

    fn wish(&self, given: oneshot::Sender<Place>) -> Wish<'_> {
        let mut state = self.shared.state.lock();
        let number = state.next;
        state.next += 1;
        if !state.wanting.contains_key(&self.workspace) {
            state.turns.push_back(self.workspace.clone());
        }
        let wanting = state.wanting.entry(self.workspace.clone()).or_default();
        wanting.push_back(Wanting { number, depth: self.depth, given });
        Wish { waiting: self, number }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        less(&mut self.shared.state.lock().joined, &self.workspace);
    }
}

impl Drop for Wish<'_> {
    fn drop(&mut self) {
        let workspace = &self.waiting.workspace;
        let mut state = self.waiting.shared.state.lock();
        if let Some(wanting) = state.wanting.get_mut(workspace) {
            wanting.retain(|one| one.number != self.number);
        }
        state.leave_turns(workspace);
    }
}

// === impl Place ===

impl Drop for Place {
    fn drop(&mut self) {
        {
            let mut state = self.shared.state.lock();
            if let Some(pool) = state.pools.get_mut(self.pool) {
                pool.free += 1;
                less(&mut pool.held, &self.workspace);
            }
        }
        self.shared.give_out();
    }
}

// === impl Shared ===

impl Shared {
    /// Gives out what is free.
    fn give_out(self: &Arc<Self>) {
        loop {
            let Some((given, workspace, pool)) = self.state.lock().next(self.at_once) else { return };
            // Not under the lock: where nobody waits any more, the place is dropped here and free again.
            let _ = given.send(Place { workspace, pool, shared: Arc::clone(self) });
        }
    }
}

// === impl State ===

impl State {
    /// Takes a place for whoever is next and can have one.
    fn next(&mut self, at_once: usize) -> Option<(oneshot::Sender<Place>, WorkspaceName, usize)> {
        let found = self.turns.iter().enumerate().find_map(|(turn, workspace)| {
            let wanting = self.wanting.get(workspace)?.iter().enumerate();
            let mut wanting = wanting.map(|(at, one)| (at, self.pool_for(workspace, one.depth, at_once)));
            let (at, pool) = wanting.find_map(|(at, pool)| Some((at, pool?)))?;
            Some((turn, at, pool))
        });
        let (turn, at, pool) = found?;
        let workspace = self.turns.remove(turn)?;
        let wanting = self.wanting.get_mut(&workspace)?.remove(at)?;
        self.turns.push_back(workspace.clone());
        self.leave_turns(&workspace);
        let taken = self.pools.get_mut(pool)?;
        taken.free -= 1;
        *taken.held.entry(workspace.clone()).or_default() += 1;
        Some((wanting.given, workspace, pool))
    }

    /// A pool with room for a run that stands so deep: that of all first.
    fn pool_for(&self, workspace: &WorkspaceName, depth: usize, at_once: usize) -> Option<usize> {
        let bound = self.bounds.get(workspace).copied().unwrap_or(at_once);
        let own = Some(depth).filter(|depth| *depth > 0);
        std::iter::once(0)
            .chain(own)
            .find(|at| self.pools.get(*at).is_some_and(|pool| pool.has_room(workspace, bound, at_once)))
    }

    /// A workspace in which nobody wants a place has no turn.
    fn leave_turns(&mut self, workspace: &WorkspaceName) {
        if self.wanting.get(workspace).is_some_and(VecDeque::is_empty) {
            self.wanting.remove(workspace);
            self.turns.retain(|other| other != workspace);
        }
    }
}

// === impl Pool ===

impl Pool {
    fn of(size: usize) -> Self {
        Self { size, free: size, held: HashMap::new() }
    }

    /// Whether a workspace can have one more. Of a pool for those that stand under others it may have the same part as of the first,
    /// and always one: who waits for those under it must not keep the last place from them.
    fn has_room(&self, workspace: &WorkspaceName, bound: usize, at_once: usize) -> bool {
        let part = self.size.saturating_mul(bound).checked_div(at_once).unwrap_or(0).max(1);
        self.free > 0 && self.held.get(workspace).is_none_or(|held| *held < part)
    }
}

/// Counts one less; what comes to nothing is not kept.
fn less(counts: &mut HashMap<WorkspaceName, usize>, workspace: &WorkspaceName) {
    if let Some(count) = counts.get_mut(workspace) {
        *count -= 1;
        if *count == 0 {
            counts.remove(workspace);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const SOON: Duration = Duration::from_millis(10);

    fn workspace(name: &str) -> WorkspaceName {
        WorkspaceName::new(name).unwrap()
    }

    /// A place that can be had now.
    async fn now(waiting: &Waiting) -> Option<Place> {
        tokio::time::timeout(SOON, waiting.place()).await.ok().flatten()
    }

    /// As many places as a workspace can have at a depth.
    async fn all(queue: &Queue, workspace: &WorkspaceName, depth: usize) -> Vec<Place> {
        let mut held = Vec::new();
        loop {
            let waiting = queue.join(workspace, depth).unwrap();
            let Some(place) = now(&waiting).await else { return held };
            held.push(place);
        }
    }

    #[tokio::test]
    async fn so_many_run_so_many_wait_and_the_rest_is_turned_away() {
        let queue = Queue::new(1, 2);
        let join = || queue.join(&workspace("research"), 0);
        let joined = join().unwrap();
        let first = joined.place().await.unwrap();
        drop(joined);
        let (second, _third) = (join().unwrap(), join().unwrap());
        assert!(join().is_none());
        assert!(queue.join(&workspace("other"), 0).is_some(), "another workspace has room of its own");
        assert!(now(&second).await.is_none());
        drop(first);
        assert!(second.place().await.is_some());
        drop(second);
        assert!(join().is_some(), "who has a place to run in waits no more");
    }

    #[tokio::test]
    async fn who_waits_for_those_under_it_keeps_no_place_from_them() {
        let queue = Queue::new(2, 100);
        let workspace = workspace("research");
        // All places are taken by runs that wait for others.
        let mut held = Vec::new();
        for depth in 0..=SPAWN_DEPTH_MAX {
            held.extend(all(&queue, &workspace, depth).await);
            let expected = 2 + depth * AT_ONCE_PER_DEPTH;
            assert_eq!(held.len(), expected, "at depth {depth} there is room of its own, and no more");
        }
        held.pop();
        let deepest = queue.join(&workspace, SPAWN_DEPTH_MAX).unwrap();
        assert!(now(&deepest).await.is_some(), "one ends, the next begins");
    }

    #[tokio::test]
    async fn a_free_place_goes_round_the_workspaces_and_within_one_in_the_order_of_coming() {
        let queue = Queue::new(1, 100);
        let (told, mut order) = tokio::sync::mpsc::unbounded_channel();
        let held = queue.join(&workspace("many"), 0).unwrap().place().await;
        let mut waits = Vec::new();
        for (name, number) in
            [("many", 1), ("many", 2), ("many", 3), ("few", 1), ("few", 2), ("one", 1), ("many", 4)]
        {
            let (waiting, told) = (queue.join(&workspace(name), 0).unwrap(), told.clone());
            waits.push(tokio::spawn(async move {
                let _place = waiting.place().await;
                told.send(format!("{name} {number}")).unwrap();
            }));
            // It waits before the next one comes.
            tokio::task::yield_now().await;
        }
        drop((held, told));
        let mut got = Vec::new();
        while let Some(next) = order.recv().await {
            got.push(next);
        }
        assert_eq!(got, ["many 1", "few 1", "one 1", "many 2", "few 2", "many 3", "many 4"]);
    }

    #[tokio::test]
    async fn no_workspace_has_more_places_than_it_may_and_always_one_for_those_under_others() {
        let queue = Queue::new(16, 100);
        let (bound, free) = (workspace("bound"), workspace("free"));
        queue.bound(HashMap::from([(bound.clone(), 4)]));
        let held = all(&queue, &bound, 0).await;
        assert_eq!(held.len(), 4);
        let mut rest = all(&queue, &free, 0).await;
        assert_eq!(rest.len(), 12, "what it may not have is for the others");
        // A quarter of all places, so a quarter of those for runs under others.
        let children = all(&queue, &bound, 1).await;
        assert_eq!(children.len(), AT_ONCE_PER_DEPTH / 4);
        queue.bound(HashMap::from([(bound.clone(), 1)]));
        let waiting = queue.join(&bound, 0).unwrap();
        rest.pop();
        assert!(now(&waiting).await.is_none(), "it has more than it may by now, and keeps them");
        assert_eq!(all(&queue, &bound, 2).await.len(), 1);
        queue.bound(HashMap::new());
        assert!(now(&waiting).await.is_some(), "a bound that is gone holds nobody");
    }

    #[tokio::test]
    async fn what_is_wanted_no_more_keeps_nothing_from_others() {
        let queue = Queue::new(1, 100);
        let held = queue.join(&workspace("a"), 0).unwrap().place().await;
        let (gone, stays) =
            (queue.join(&workspace("b"), 0).unwrap(), queue.join(&workspace("c"), 0).unwrap());
        assert!(now(&gone).await.is_none());
        drop(held);
        let place = now(&stays).await;
        assert!(place.is_some());
        // Given, and gone before it was looked at.
        let mut wish = Box::pin(gone.place());
        assert!(tokio::time::timeout(SOON, &mut wish).await.is_err());
        drop(place);
        drop(wish);
        assert!(now(&stays).await.is_some());
        let state = queue.shared.state.lock();
        assert!(
            state.turns.is_empty()
                && state.wanting.is_empty()
                && state.pools.iter().all(|pool| pool.held.is_empty())
        );
    }
}
