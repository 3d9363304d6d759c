//! Who runs, who waits, and for what.

use std::time::Duration;

use ringfence_types::{AgentName, RunId, Timestamp};

use super::*;
use crate::state::{Turn, Turns};

const SOON: Duration = Duration::from_millis(10);

fn workspace(name: &str) -> WorkspaceName {
    WorkspaceName::new(name).unwrap()
}

/// A place that can be had now.
async fn now(waiting: &Waiting) -> Option<Place> {
    tokio::time::timeout(SOON, waiting.place(None)).await.ok().flatten().map(|given| given.place)
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
    let first = joined.place(None).await.unwrap();
    drop(joined);
    let (second, _third) = (join().unwrap(), join().unwrap());
    assert!(join().is_none());
    assert!(queue.join(&workspace("other"), 0).is_some(), "another workspace has room of its own");
    assert!(now(&second).await.is_none());
    drop(first);
    assert!(second.place(None).await.is_some());
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
    let held = queue.join(&workspace("many"), 0).unwrap().place(None).await;
    let mut waits = Vec::new();
    for (name, number) in
        [("many", 1), ("many", 2), ("many", 3), ("few", 1), ("few", 2), ("one", 1), ("many", 4)]
    {
        let (waiting, told) = (queue.join(&workspace(name), 0).unwrap(), told.clone());
        waits.push(tokio::spawn(async move {
            let _place = waiting.place(None).await;
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
    let held = queue.join(&workspace("a"), 0).unwrap().place(None).await;
    let (gone, stays) = (queue.join(&workspace("b"), 0).unwrap(), queue.join(&workspace("c"), 0).unwrap());
    assert!(now(&gone).await.is_none());
    drop(held);
    let place = now(&stays).await;
    assert!(place.is_some());
    // Given, and gone before it was looked at.
    let mut wish = Box::pin(gone.place(None));
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

fn run(number: u8) -> RunId {
    RunId::new(Timestamp::default(), [number; 10])
}

/// A run of an agent that keeps something: its place, and its turn to change that.
async fn both(queue: &Queue, turns: &Turns, depth: usize, number: u8, above: &[u8]) -> (Place, Turn) {
    let (workspace, agent) = (workspace("research"), AgentName::new("keeper").unwrap());
    let waiting = queue.join(&workspace, depth).unwrap();
    let above = above.iter().copied().map(run).collect();
    let claim = turns.claim(&workspace, &agent, run(number), above).unwrap();
    let given = waiting.place(Some(claim)).await.unwrap();
    (given.place, given.turn.unwrap())
}

/// So many places, and turns.
fn scene(at_once: usize) -> (Queue, Turns) {
    let queue = Queue::new(at_once, 100);
    let turns = Turns::telling(queue.look_again());
    (queue, turns)
}

async fn waits<T>(wanted: &mut (impl Future<Output = T> + Unpin)) -> bool {
    tokio::time::timeout(SOON, wanted).await.is_err()
}

#[tokio::test]
async fn who_waits_for_a_place_keeps_no_turn_from_those_that_can_have_one() {
    let (queue, turns) = scene(1);
    // It has the only place, and will wait for what it starts.
    let lead = queue.join(&workspace("research"), 0).unwrap().place(None).await.unwrap();
    let mut first = Box::pin(both(&queue, &turns, 0, 2, &[]));
    assert!(waits(&mut first).await);
    let started = tokio::time::timeout(SOON, both(&queue, &turns, 1, 3, &[1])).await;
    let started = started.expect("all three would wait for one another");
    drop(lead);
    assert!(waits(&mut first).await, "there is a place, and it is not its turn");
    drop(started);
    assert!(!waits(&mut first).await);
}

#[tokio::test]
async fn who_waits_for_a_turn_keeps_no_place_from_others() {
    let (queue, turns) = scene(2);
    let first = both(&queue, &turns, 0, 1, &[]).await;
    let mut second = Box::pin(both(&queue, &turns, 0, 2, &[]));
    let mut third = Box::pin(both(&queue, &turns, 0, 3, &[]));
    assert!(waits(&mut second).await && waits(&mut third).await);
    let other = queue.join(&workspace("research"), 0).unwrap();
    let other = now(&other).await.expect("it came later, and waits for nothing");
    drop(first);
    assert!(waits(&mut third).await, "it came after the second");
    let Ok(second) = tokio::time::timeout(SOON, second).await else { panic!("it is its turn") };
    drop(other);
    assert!(waits(&mut third).await);
    drop(second);
    assert!(!waits(&mut third).await);
}

#[tokio::test]
async fn who_waits_for_an_operator_begins_when_that_one_is_done() {
    let (queue, turns) = scene(1);
    let keeper = AgentName::new("keeper").unwrap();
    let operator = turns.take(&workspace("research"), &keeper).unwrap();
    let mut first = Box::pin(both(&queue, &turns, 0, 1, &[]));
    assert!(waits(&mut first).await);
    drop(operator);
    let Ok(first) = tokio::time::timeout(SOON, first).await else { panic!("nobody has it") };
    assert_eq!(turns.holder(&workspace("research"), &keeper), Some(run(1)));
    // Who goes while it waits is in nobody's way.
    let mut gone = Box::pin(both(&queue, &turns, 0, 2, &[]));
    assert!(waits(&mut gone).await);
    drop((gone, first));
    assert!(!waits(&mut Box::pin(both(&queue, &turns, 0, 3, &[]))).await);
}
