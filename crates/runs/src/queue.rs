//! Places: so many runs at once, so many of one workspace, and so many that wait for one.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;
use ringfence_kernel::SPAWN_DEPTH_MAX;
use ringfence_types::WorkspaceName;
use tokio::sync::oneshot;

use crate::limits::AT_ONCE_PER_DEPTH;
use crate::state::{Claim, Turn};

/// Places for runs. A place that becomes free goes round the workspaces that wait for one; of the runs of one workspace, the
/// first gets it. No workspace has more of them than it may.
///
/// A run keeps its place while it waits for one that it has started, so runs that stand under others have a few places more at each
/// depth: the deepest start nobody, always come to their end, and with them, step by step, those that wait for them.
///
/// A run that wants its turn as well gets both at once, and until then keeps neither from others: whoever came later and can begin
/// now does. Of those that want the same turn and the same places, the first that came gets them.
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

/// What somebody waited for.
#[derive(Debug)]
pub(crate) struct Given {
    pub place: Place,
    /// For whoever wanted one.
    pub turn: Option<Turn>,
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
    /// The turn that it wants as well.
    claim: Option<Claim>,
    given: oneshot::Sender<Given>,
}

/// What is free for one that wants it.
struct Found {
    /// Whose turn it is among the workspaces, and which of those that want a place there.
    workspace: usize,
    wanting: usize,
    pool: usize,
    turn: Option<Turn>,
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

    /// For whoever ends a turn that somebody may wait for: it gives out what is free.
    pub(crate) fn look_again(&self) -> impl Fn() + Send + Sync + 'static {
        let shared = Arc::clone(&self.shared);
        move || shared.give_out()
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
    /// Waits for a place to run in, and for the turn that is claimed, together; `None` when there will be none any more.
    pub(crate) async fn place(&self, claim: Option<Claim>) -> Option<Given> {
        let (give, given) = oneshot::channel();
        // From here on it is taken back when nobody waits for it any more.
        let _wish = self.wish(claim, give);
        self.shared.give_out();
        given.await.ok()
    }

    fn wish(&self, claim: Option<Claim>, given: oneshot::Sender<Given>) -> Wish<'_> {
        let mut state = self.shared.state.lock();
        let number = state.next;
        state.next += 1;
        if !state.wanting.contains_key(&self.workspace) {
            state.turns.push_back(self.workspace.clone());
        }
        let wanting = state.wanting.entry(self.workspace.clone()).or_default();
        wanting.push_back(Wanting { number, depth: self.depth, claim, given });
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
            let Some((wanting, workspace, pool, turn)) = self.state.lock().next(self.at_once) else { return };
            let place = Place { workspace, pool, shared: Arc::clone(self) };
            // It waits no more for the turn that it has.
            drop(wanting.claim);
            // Not under the lock: where nobody waits any more, both are dropped here and free again.
            let _ = wanting.given.send(Given { place, turn });
        }
    }
}

// === impl State ===

impl State {
    /// Takes a place for whoever is next and can have one, and its turn.
    fn next(&mut self, at_once: usize) -> Option<(Wanting, WorkspaceName, usize, Option<Turn>)> {
        let found = self.find(at_once)?;
        // INVARIANT: from here on nothing is given up: who drops a turn looks who is next, under the lock that is held here. What
        // was found is there, so that none of these is `None`.
        let workspace = self.turns.remove(found.workspace)?;
        let wanting = self.wanting.get_mut(&workspace)?.remove(found.wanting)?;
        let pool = self.pools.get_mut(found.pool)?;
        pool.free -= 1;
        *pool.held.entry(workspace.clone()).or_default() += 1;
        self.turns.push_back(workspace.clone());
        self.leave_turns(&workspace);
        Some((wanting, workspace, found.pool, found.turn))
    }

    /// The first for whom there is a place, and whose turn it is.
    fn find(&self, at_once: usize) -> Option<Found> {
        self.turns.iter().enumerate().find_map(|(at, workspace)| {
            self.wanting.get(workspace)?.iter().enumerate().find_map(|(wanting, one)| {
                let pool = self.pool_for(workspace, one.depth, at_once)?;
                let turn = match &one.claim {
                    Some(claim) => Some(claim.take()?),
                    None => None,
                };
                Some(Found { workspace: at, wanting, pool, turn })
            })
        })
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
mod tests;
