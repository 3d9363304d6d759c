//! Runs that are started here: their steps are entries, and what is known of them is a fold of these.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on panics")]

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::{Node, crash_copy, dana, open, open_at, workspace};
use ringfence_json::Object;
use ringfence_kernel::{
    Actor, Begin, CancelledBy, EndedBy, Exit, MintError, Outcome, Phase, Run, RunError, RunStep, Suspend,
    Used,
};
use ringfence_types::{AgentName, Code, Scope, UserName};

fn begin(agent: &str) -> Begin {
    Begin {
        workspace: workspace(),
        agent: AgentName::new(agent).unwrap(),
        user: Some(UserName::new("erin").unwrap()),
        conversation: None,
    }
}

async fn queued(node: &Node) -> Arc<Run> {
    node.kernel.queue_run(begin("assistant"), &dana()).await.unwrap()
}

async fn step(node: &Node, run: &Run, step: RunStep) -> Result<(), RunError> {
    node.kernel.step_run(run.id, step, &Actor::node()).await
}

fn running() -> RunStep {
    RunStep::Running { layers: Object::new().with("seccomp", "40 system calls") }
}

fn ended(why: EndedBy, exit: Option<Exit>) -> RunStep {
    let used = Some(Used { memory_bytes_peak: Some(1 << 20), cpu_us: 1_500, memory_kills: 2 });
    RunStep::Ended { why, reason: "it was done".into(), exit, output_bytes: 7, used }
}

fn phase(node: &Node, run: &Run) -> Phase {
    node.kernel.run(run.id).unwrap().life.unwrap().phase
}

#[tokio::test]
async fn a_run_goes_from_the_queue_to_its_end_and_a_restart_knows_it() {
    let folder = tempfile::tempdir().unwrap();
    let node = open(folder.path()).await;
    let run = queued(&node).await;
    assert_eq!(phase(&node, &run), Phase::Queued);
    for (taken, expected) in [
        (RunStep::Starting, Phase::Starting),
        (running(), Phase::Running),
        (RunStep::Paused { reason: "to look".into() }, Phase::Paused),
        (RunStep::Signalled { signal: "USR1".into() }, Phase::Paused),
        (RunStep::Resumed, Phase::Running),
        (RunStep::Signalled { signal: "INT".into() }, Phase::Running),
    ] {
        step(&node, &run, taken).await.unwrap();
        assert_eq!(phase(&node, &run), expected);
        let copy = crash_copy(folder.path(), &node);
        let again =
            open_at(copy.path(), node.clock.clone(), common::setup(common::POLICY, common::limits())).await;
        assert_eq!(phase(&again, &run), expected);
        assert_eq!(again.kernel.living_runs(), [Arc::clone(&run)]);
    }
    let view = node.kernel.run(run.id).unwrap();
    assert!(view.first_used.is_some(), "its time counts from where it runs");
    step(&node, &run, ended(EndedBy::Program, Some(Exit::Code(3)))).await.unwrap();
    let life = node.kernel.run(run.id).unwrap().life.unwrap();
    assert_eq!((life.why, life.exit), (Some(EndedBy::Program), Some(Exit::Code(3))));
    assert!(life.layers.is_some() && node.kernel.living_runs().is_empty());
    let events: Vec<_> =
        node.entries("run").iter().filter_map(|entry| entry.text("event").map(str::to_owned)).collect();
    let expected = ["queued", "starting", "running", "paused", "signalled", "resumed", "signalled", "ended"];
    assert_eq!(events[1..], expected);
    // The same through a snapshot.
    node.kernel.stop().await;
    let again =
        open_at(folder.path(), node.clock.clone(), common::setup(common::POLICY, common::limits())).await;
    assert!(again.recovered.replayed < again.recovered.entries);
    let life = again.kernel.run(run.id).unwrap().life.unwrap();
    assert_eq!((life.phase, life.exit), (Phase::Ended, Some(Exit::Code(3))));
    let used = life.used.unwrap();
    assert_eq!((used.memory_bytes_peak, used.cpu_us, used.memory_kills), (Some(1 << 20), 1_500, 2));
}

#[tokio::test]
async fn no_step_leads_back_or_over_another() {
    let folder = tempfile::tempdir().unwrap();
    let node = open(folder.path()).await;
    let run = queued(&node).await;
    let signal = RunStep::Signalled { signal: "INT".into() };
    for wrong in [running(), RunStep::Resumed, signal, RunStep::Paused { reason: String::new() }] {
        let error = step(&node, &run, wrong).await.unwrap_err();
        assert!(matches!(error, RunError::Step(..)), "{error}");
    }
    step(&node, &run, ended(EndedBy::Start, None)).await.unwrap();
    assert_eq!(step(&node, &run, RunStep::Starting).await, Err(RunError::Ended(run.id)));
    let unknown = node.kernel.queue_run(begin("nobody"), &dana()).await;
    assert!(matches!(unknown, Err(MintError::UnknownAgent { .. })));
    // A run that runs elsewhere has no such life.
    let (_, elsewhere) = node.mint().await;
    assert!(matches!(step(&node, &elsewhere, RunStep::Starting).await, Err(RunError::Step(..))));
    assert!(node.kernel.run(elsewhere.id).unwrap().life.is_none());
}

#[tokio::test]
async fn what_the_end_of_a_run_cuts_off_says_why_and_what_a_suspension_does_too() {
    let folder = tempfile::tempdir().unwrap();
    let node = open(folder.path()).await;
    for (why, code, by) in [
        (EndedBy::Idle, Code::Suspended, CancelledBy::Suspension),
        (EndedBy::Deadline, Code::Deadline, CancelledBy::Deadline),
        (EndedBy::Node, Code::Overloaded, CancelledBy::Shutdown),
        // Its program may be seen to be gone first.
        (EndedBy::Output, Code::Suspended, CancelledBy::Client),
    ] {
        let run = queued(&node).await;
        for taken in [RunStep::Starting, running()] {
            step(&node, &run, taken).await.unwrap();
        }
        let clearance = node.cleared(&run, "query", r#"{"q":"x"}"#).await;
        let stopping = RunStep::Stopping { why, reason: format!("of {}", why.as_str()) };
        step(&node, &run, stopping).await.unwrap();
        assert_eq!(clearance.cancel().check().unwrap_err().code, code);
        clearance.settle(Outcome::Cancelled { by });
        let outcome = node.entries("outcome").pop().unwrap();
        let expected = format!("cut off because the run ended: of {}", why.as_str());
        assert_eq!((outcome.text("reason"), outcome.text("code")), (Some(&*expected), Some(code.as_str())));
        step(&node, &run, ended(why, None)).await.unwrap();
    }
    let run = queued(&node).await;
    for taken in [RunStep::Starting, running()] {
        step(&node, &run, taken).await.unwrap();
    }
    let clearance = node.cleared(&run, "query", r#"{"q":"x"}"#).await;
    let suspend = Suspend { scope: run.scope(), reason: "to look".into(), duration: None };
    node.kernel.suspend(suspend, &dana()).await.unwrap();
    // What came first is what cut it off.
    step(&node, &run, RunStep::Stopping { why: EndedBy::Person, reason: "enough".into() }).await.unwrap();
    clearance.settle(Outcome::Cancelled { by: CancelledBy::Suspension });
    let outcome = node.entries("outcome").pop().unwrap();
    assert_eq!(outcome.text("reason"), Some("cut off by a suspension"));
}

#[tokio::test]
async fn a_run_that_is_killed_acts_no_more_and_ends_when_its_program_has() {
    let folder = tempfile::tempdir().unwrap();
    let node = open(folder.path()).await;
    let run = queued(&node).await;
    step(&node, &run, RunStep::Starting).await.unwrap();
    step(&node, &run, running()).await.unwrap();
    let clearance = node.cleared(&run, "query", r#"{"q":"x"}"#).await;
    let lease = node.kernel.lease(&run, None).unwrap();
    node.kernel.kill(run.id, "enough", &dana()).await.unwrap();
    assert_eq!(phase(&node, &run), Phase::Stopping);
    assert!(clearance.cancel().check().is_err() && lease.cancel().check().is_err());
    assert_eq!(node.refused(&run, "query", r#"{"q":"y"}"#).await.code, Code::Suspended);
    drop(clearance);
    step(&node, &run, ended(EndedBy::Person, Some(Exit::Signal(9)))).await.unwrap();
    assert_eq!(phase(&node, &run), Phase::Ended);
    assert_eq!(node.refused(&run, "query", r#"{"q":"z"}"#).await.code, Code::Suspended);
    assert!(node.kernel.kill(run.id, "again", &dana()).await.is_err());
}

#[tokio::test]
async fn time_runs_out_while_a_run_is_suspended_too() {
    let folder = tempfile::tempdir().unwrap();
    let mut limits = common::limits();
    limits.wall = Some(Duration::from_mins(2));
    let node = common::open_with(folder.path(), common::POLICY, limits).await;
    let run = queued(&node).await;
    step(&node, &run, RunStep::Starting).await.unwrap();
    step(&node, &run, running()).await.unwrap();
    let scope = Scope { agent: Some(run.agent.clone()), workspace: Some(workspace()), ..Scope::default() };
    let suspend = Suspend { scope, reason: "to look".into(), duration: None };
    node.kernel.suspend(suspend, &dana()).await.unwrap();
    let over =
        async |millis| tokio::time::timeout(Duration::from_millis(millis), node.kernel.run_over(&run)).await;
    assert!(over(300).await.is_err(), "what is suspended may be let go on");
    node.clock.advance(Duration::from_mins(2));
    assert_eq!(over(5_000).await.unwrap().0, EndedBy::Deadline);
}

#[tokio::test]
async fn a_run_whose_agent_is_configured_no_more_has_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let node = open(folder.path()).await;
    let run = queued(&node).await;
    step(&node, &run, RunStep::Starting).await.unwrap();
    step(&node, &run, running()).await.unwrap();
    let (kernel, living) = (node.kernel.clone(), Arc::clone(&run));
    let over = tokio::spawn(async move { kernel.run_over(&living).await });
    tokio::task::yield_now().await;
    let mut without = common::setup(common::POLICY, common::limits());
    without.workspaces.get_mut(&workspace()).unwrap().agents.remove(&run.agent);
    node.kernel.apply(without, &dana()).await.unwrap();
    node.kernel.tend().await;
    let (why, reason) = tokio::time::timeout(Duration::from_secs(5), over).await.unwrap().unwrap();
    assert_eq!((why, &*reason), (EndedBy::Person, "its agent was taken out of the configuration"));
    assert_eq!(node.refused(&run, "query", r#"{"q":"x"}"#).await.code, Code::NotGranted);
}
