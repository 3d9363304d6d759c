//! Who has room, and what is forgotten.

use std::sync::Arc;
use std::time::Duration;

use ringfence_types::{AgentName, Digest, PersonName};

use super::*;
use crate::fold::{Fold, Runs};
use crate::{Ancestor, Run, RunBounds};

fn workspace(name: &str) -> WorkspaceName {
    WorkspaceName::new(name).unwrap()
}

fn id(number: u32) -> RunId {
    let mut random = [0; 10];
    random[..4].copy_from_slice(&number.to_be_bytes());
    RunId::new(Timestamp::from_micros(0), random)
}

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_micros(0).after(Duration::from_secs(seconds))
}

/// A run without a token, of a workspace; over at a time, if it is.
fn run(number: u32, of: &str, ended: Option<u64>) -> RunState {
    let run = Run {
        id: id(number),
        workspace: workspace(of),
        agent: AgentName::new("assistant").unwrap(),
        user: None,
        conversation: None,
        minted_at: at(0),
        expires_at: at(30 * 86_400),
        above: vec![Ancestor { run: id(u32::MAX), agent: AgentName::new("lead").unwrap() }],
        bounds: RunBounds::default(),
    };
    RunState {
        run: Arc::new(run),
        token: None,
        by: PersonName::new("dana").unwrap(),
        first_used: None,
        actions: 0,
        model_calls: 0,
        actions_below: 0,
        model_calls_below: 0,
        last_action: None,
        ended: ended.map(|seconds| (at(seconds), "done".into())),
        life: None,
    }
}

fn of(runs: &Runs, name: &str) -> usize {
    runs.iter().filter(|state| state.run.workspace == workspace(name)).count()
}

#[test]
fn no_workspace_has_all_the_room_and_what_runs_start_leaves_some_to_people() {
    let mut crowd = Crowd::default();
    let (lab, victim) = (workspace("lab"), workspace("victim"));
    let fill = |crowd: &mut Crowd, of: &WorkspaceName, workspaces, by| {
        let mut count = 0;
        while crowd.has_room(of, workspaces, by) {
            crowd.came(of);
            count += 1;
        }
        count
    };
    assert_eq!(fill(&mut crowd, &lab, 2, BegunBy::Run), 45_000);
    assert!(crowd.has_room(&lab, 2, BegunBy::Operator), "people begin runs beside them");
    assert_eq!(fill(&mut crowd, &victim, 2, BegunBy::Run), 45_000);
    assert_eq!(fill(&mut crowd, &lab, 2, BegunBy::Operator), 5_000);
    // A third has its share although there are as many as there may be, and there is an end to it.
    assert_eq!(fill(&mut crowd, &victim, 3, BegunBy::Operator), 5_000);
    assert!(!crowd.has_room(&lab, 3, BegunBy::Operator));
    assert_eq!(fill(&mut crowd, &workspace("third"), 3, BegunBy::Run), 30_000);
    assert_eq!(fill(&mut crowd, &workspace("third"), 3, BegunBy::Operator), 3_333);
    // One alone has everything, but for what is kept for people.
    let mut alone = Crowd::default();
    assert_eq!(fill(&mut alone, &lab, 1, BegunBy::Run), 90_000);
    assert_eq!(fill(&mut alone, &lab, 1, BegunBy::Operator), 10_000);
    (0..RUNS_MAX).for_each(|_| alone.went(&lab));
    assert_eq!(alone, Crowd::default());
}

#[test]
fn of_runs_that_ended_the_last_thousand_of_each_workspace_are_known() {
    let mut runs = Runs::default();
    for number in 0..1_500 {
        runs.insert(run(number, "lab", Some(u64::from(number))));
    }
    (2_000..2_010).for_each(|number| runs.insert(run(number, "victim", Some(1))));
    // One that lives, one with a token, and one that is needed.
    runs.insert(run(3_000, "lab", None));
    runs.insert(RunState { token: Some(Digest::of(b"token")), ..run(3_001, "lab", Some(0)) });
    runs.prune(at(1_600), |run| run == id(7));
    assert_eq!((of(&runs, "lab"), of(&runs, "victim")), (1_003, 10));
    for (number, known) in [(0, false), (7, true), (499, false), (500, true), (3_000, true), (3_001, true)] {
        assert_eq!(runs.get(id(number)).is_some(), known, "{number}");
    }
    assert_eq!(runs.children(id(u32::MAX)).count(), 1_013, "and nobody has forgotten children");
    // However many there are: for a moment, whoever waits can see how it ended.
    let mut lately = Runs::default();
    (0..1_500).for_each(|number| lately.insert(run(number, "lab", Some(100))));
    lately.prune(at(105), |_| false);
    assert_eq!(of(&lately, "lab"), 1_500);
    lately.prune(at(111), |_| false);
    assert_eq!(of(&lately, "lab"), 1_000);
    lately.prune(at(100 + 3_601), |_| false);
    assert_eq!(lately.crowd(), &Crowd::default(), "none for longer than an hour");
}

#[test]
fn what_is_read_from_a_snapshot_is_counted_like_what_began() {
    let mut fold = Fold::default();
    (0..3).for_each(|number| fold.runs.insert(run(number, "lab", None)));
    let read = Fold::from_document(&fold.to_document()).unwrap();
    assert_eq!(read.runs.crowd(), fold.runs.crowd());
    assert_ne!(read.runs.crowd(), &Crowd::default());
}
