//! Runs that runs start: nothing is gained by it, everything they use counts for whoever started them, and with it they end.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on panics")]

mod common;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use common::{Node, crash_copy, dana, dollars, json, model, open_at, proposal, server, start, workspace};
use ringfence_json::Object;
use ringfence_kernel::{
    Account, Actor, Admission, Begin, Clock, Demand, EgressCall, EgressGrants, EgressProposal,
    EgressProtocol, EndedBy, Grants, ModelCall, ModelProposal, Outcome, Phase, Run, RunStep, RunView, Setup,
    SpawnCall, SpawnClearance, SpawnProposal, Suspend,
};
use ringfence_types::{
    AgentName, Budget, Code, ConversationName, Decision, HostName, ModelName, Refusal, RunId, Scope,
    ToolName, UserName,
};

const POLICY: &str = "
rules:
  - { name: reads, match: { action_type: read }, decision: ALLOW }
  - { name: models, match: { kind: model_call }, decision: ALLOW }
  - { name: hosts, match: { kind: egress }, decision: ALLOW }
  - { name: spawns, match: { kind: spawn }, decision: ALLOW_WITH_CONSTRAINTS, constraints: { allowed_agents: [helper, assistant, asker] } }
  - { name: cheap, match: { kind: spawn, user: erin }, decision: ALLOW_WITH_CONSTRAINTS, constraints: { max_budget.usd: 0.01, timeout: 5m, max_result_bytes: 1Ki } }
  - { name: asks, match: { kind: spawn, agent: asker }, decision: REQUIRE_APPROVAL, approval: { expires: 10m } }
";

fn name(agent: &str) -> AgentName {
    AgentName::new(agent).unwrap()
}

/// `assistant` holds less than `helper`, which it may start; `stranger` may be started by nobody.
fn setup(change: impl FnOnce(&mut Setup)) -> Setup {
    let mut setup = common::setup(POLICY, common::limits());
    let known = setup.workspaces.get_mut(&workspace()).unwrap();
    for model_name in ["smart", "dear"] {
        known.models.insert(ModelName::new(model_name).unwrap(), model());
    }
    let models = |held: &[&str]| held.iter().map(|held| ModelName::new(held).unwrap()).collect::<Vec<_>>();
    let mut assistant = known.agents[&name("assistant")].clone();
    assistant.grants = Grants::parse(["tools/query"]).unwrap();
    assistant.models.held = models(&["smart"]);
    assistant.egress = EgressGrants::parse(["*.example.com", "api.example GET /v1/*"]).unwrap();
    assistant.spawn = ["assistant", "helper", "gone"].map(name).to_vec();
    let mut helper = assistant.clone();
    helper.grants = Grants::parse(["tools/*", "other/*"]).unwrap();
    helper.models.held = models(&["smart", "dear"]);
    helper.egress = EgressGrants::parse(["*"]).unwrap();
    helper.spawn = ["assistant", "helper", "stranger", "asker"].map(name).to_vec();
    known.agents.insert(name("stranger"), helper.clone());
    known.agents.insert(name("asker"), helper.clone());
    known.agents.insert(name("helper"), helper);
    known.agents.insert(name("assistant"), assistant);
    change(&mut setup);
    setup
}

fn agent<'s>(setup: &'s mut Setup, of: &str) -> &'s mut ringfence_kernel::AgentSetup {
    setup.workspaces.get_mut(&workspace()).unwrap().agents.get_mut(&name(of)).unwrap()
}

async fn node(folder: &std::path::Path, setup: Setup) -> Node {
    let node = open_at(folder, Clock::manual(start()), setup).await;
    node.observe().await;
    node
}

fn wanted(text: &str) -> SpawnCall {
    SpawnCall::read(json(text)).unwrap()
}

async fn ask(node: &Node, run: &Arc<Run>, text: &str) -> Admission<SpawnClearance> {
    node.kernel.admit_spawn(SpawnProposal { run: Arc::clone(run), call: wanted(text) }).await
}

async fn cleared(node: &Node, run: &Arc<Run>, text: &str) -> SpawnClearance {
    match ask(node, run, text).await {
        Admission::Cleared(clearance) => clearance,
        other => panic!("{text} was not cleared: {other:?}"),
    }
}

async fn refused(node: &Node, run: &Arc<Run>, text: &str) -> Refusal {
    match ask(node, run, text).await {
        Admission::Refused(refusal) => refusal,
        other => panic!("{text} was not refused: {other:?}"),
    }
}

async fn step(node: &Node, run: &Run, step: RunStep) {
    node.kernel.step_run(run.id, step, &Actor::node()).await.unwrap();
}

/// Starts a run under another, and has it run.
async fn child(node: &Node, run: &Arc<Run>, text: &str) -> Arc<Run> {
    let child = node.kernel.begin_child(cleared(node, run, text).await).await.unwrap();
    step(node, &child, RunStep::Starting).await;
    step(node, &child, RunStep::Running { layers: Object::new() }).await;
    child
}

/// A run that a person started here.
async fn first(node: &Node, agent: &str, user: Option<&str>) -> Arc<Run> {
    let begin = Begin {
        workspace: workspace(),
        agent: name(agent),
        user: user.map(|user| UserName::new(user).unwrap()),
        conversation: Some(ConversationName::new("c").unwrap()),
    };
    let run = node.kernel.queue_run(begin, &dana()).await.unwrap();
    step(node, &run, RunStep::Starting).await;
    step(node, &run, RunStep::Running { layers: Object::new() }).await;
    run
}

fn ended(why: EndedBy) -> RunStep {
    RunStep::Ended { why, reason: "it was done".into(), exit: None, output_bytes: 0, used: None }
}

fn phase(node: &Node, run: RunId) -> Phase {
    node.kernel.run(run).unwrap().life.unwrap().phase
}

async fn call_model(node: &Node, run: &Arc<Run>, model: &str) -> Admission<ringfence_kernel::ModelClearance> {
    let call = ModelCall {
        model: ModelName::new(model).unwrap(),
        named: None,
        operation: "chat".into(),
        request: Bytes::from_static(b"{\"model\":\"x\"}"),
        view: Object::new().with("stream", false),
        // Two tenths of a cent at most.
        demand: Demand { input: 1_000, output: Some(500), answers: 1, ..Demand::default() },
        trail: None,
        conversation: None,
        instead_of: None,
        why: None,
        cached: false,
    };
    node.kernel.admit_model(ModelProposal { run: Arc::clone(run), call }).await
}

fn code<C: std::fmt::Debug>(admission: &Admission<C>) -> Option<Code> {
    match admission {
        Admission::Refused(refusal) => Some(refusal.code),
        _ => None,
    }
}

#[tokio::test]
async fn the_start_of_a_run_is_an_action_like_any_other() {
    let folder = tempfile::tempdir().unwrap();
    let node = node(folder.path(), setup(|_| {})).await;
    let parent = first(&node, "assistant", Some("dana")).await;
    let clearance =
        cleared(&node, &parent, r#"{"agent":"helper","input":"tides","budget":{"usd":0.5}}"#).await;
    assert_eq!(clearance.decision(), Decision::AllowWithConstraints);
    assert_eq!(clearance.call().input(), Some("tides"));
    let child = node.kernel.begin_child(clearance).await.unwrap();
    assert_eq!((child.parent(), &child.agent), (Some(parent.id), &name("helper")));
    assert_eq!((&child.user, &child.conversation), (&parent.user, &parent.conversation));
    assert!(child.expires_at <= parent.expires_at);

    let intent = node.entries("intent").pop().unwrap();
    assert_eq!((intent.text("spawns"), intent.text("run")), (Some("helper"), Some(&*parent.id.to_string())));
    let outcome = node.entries("outcome").pop().unwrap();
    assert_eq!(outcome.text("status"), Some("completed"));
    let queued = node.entries("run").pop().unwrap();
    let parents = queued.get("parents").unwrap().to_string();
    assert!(parents.contains(intent.text("action").unwrap()), "what led to it: {queued:?}");
    assert_eq!(queued.get("bounds").unwrap().to_string(), r#"{"usd_nanos":500000000}"#);
    let line = queued.get("ancestors").unwrap().to_string();
    assert!(line.contains(&parent.id.to_string()) && line.contains("assistant"), "{line}");

    // Without a grant, without such an agent, without a rule that allows it: refused, and on record.
    for (run, text, expected) in [
        (&parent, r#"{"agent":"stranger"}"#, Code::NotGranted),
        (&parent, r#"{"agent":"gone"}"#, Code::NotGranted),
        (&child, r#"{"agent":"stranger"}"#, Code::NotGranted),
    ] {
        assert_eq!(refused(&node, run, text).await.code, expected, "{text}");
    }
    let other = first(&node, "helper", None).await;
    assert_eq!(refused(&node, &other, r#"{"agent":"stranger"}"#).await.code, Code::DeniedByPolicy);
    assert!(node.entries("refusal").iter().any(|entry| entry.text("spawns") == Some("stranger")));
    assert_eq!(node.kernel.spawnable(&parent), ["assistant", "helper"].map(name));
    assert_eq!(node.kernel.spawnable(&child), ["assistant", "helper"].map(name), "what both may start");
}

#[tokio::test]
async fn rules_narrow_ask_a_person_and_bound_what_is_started() {
    let folder = tempfile::tempdir().unwrap();
    let node = node(folder.path(), setup(|_| {})).await;
    let parent = first(&node, "assistant", Some("erin")).await;
    let clearance =
        cleared(&node, &parent, r#"{"agent":"helper","budget":{"usd":5,"actions":3},"wall":"1h"}"#).await;
    assert_eq!(clearance.narrowed().len(), 1, "{:?}", clearance.narrowed());
    let child = node.kernel.begin_child(clearance).await.unwrap();
    let bounds = child.bounds;
    assert_eq!((bounds.budget.usd, bounds.actions), (Some(dollars("0.01")), Some(3)));
    assert_eq!((bounds.wall, bounds.result_bytes), (Some(Duration::from_mins(5)), Some(1_024)));
    // A bound that the call does not say cannot be held against the rule.
    assert_eq!(refused(&node, &parent, r#"{"agent":"helper"}"#).await.code, Code::DeniedByPolicy);

    let asker = first(&node, "asker", Some("other")).await;
    let kernel = node.kernel.clone();
    let Admission::Pending(pending) = ask(&node, &asker, r#"{"agent":"helper"}"#).await else {
        panic!("nobody is asked")
    };
    let view = kernel.approvals().pop().unwrap();
    assert_eq!(view.spawns, Some(name("helper")));
    kernel.approve(view.id, &dana(), None, None).await.unwrap();
    let Admission::Cleared(clearance) = pending.wait().await else { panic!("approved and not cleared") };
    kernel.begin_child(clearance).await.unwrap();
}

#[tokio::test]
async fn a_run_holds_what_everybody_above_it_holds_too() {
    let folder = tempfile::tempdir().unwrap();
    let node = node(folder.path(), setup(|_| {})).await;
    let parent = first(&node, "assistant", None).await;
    let helper = first(&node, "helper", None).await;
    let below = child(&node, &parent, r#"{"agent":"helper"}"#).await;
    let deeper = child(&node, &below, r#"{"agent":"helper"}"#).await;
    let tool = |run: &Arc<Run>, tool: &str| node.kernel.admit(proposal(run, tool, r#"{"q":"x"}"#));
    for run in [&below, &deeper] {
        assert_eq!(code(&tool(run, "query").await), None);
        assert_eq!(code(&tool(run, "drop").await), Some(Code::NotGranted), "only the agent itself holds it");
        assert_eq!(code(&call_model(&node, run, "smart").await), None);
        assert_eq!(code(&call_model(&node, run, "dear").await), Some(Code::NotGranted));
    }
    assert_ne!(code(&tool(&helper, "drop").await), Some(Code::NotGranted), "by itself it holds more");
    assert_eq!(code(&call_model(&node, &helper, "dear").await), None);
    let host = |run: &Arc<Run>, host: &str, request: Option<(&str, &str)>| {
        let call = EgressCall {
            host: HostName::new(host).unwrap(),
            port: 443,
            protocol: if request.is_some() { EgressProtocol::Https } else { EgressProtocol::Tls },
            method: request.map(|(method, _)| method.into()),
            path: request.map(|(_, path)| path.to_owned()),
        };
        node.kernel.admit_egress(EgressProposal { run: Arc::clone(run), call })
    };
    assert_eq!(code(&host(&deeper, "a.example.com", None).await), None);
    assert_eq!(code(&host(&deeper, "else.example", None).await), Some(Code::NotGranted));
    assert_eq!(code(&host(&deeper, "api.example", Some(("GET", "/v1/x"))).await), None);
    assert_eq!(code(&host(&deeper, "api.example", Some(("POST", "/v1/x"))).await), Some(Code::NotGranted));
    let setup = node.kernel.setup();
    let holds = setup.holds(&deeper).unwrap();
    assert!(holds.wants_requests(&HostName::new("api.example").unwrap(), 443), "somebody holds a part only");
    assert!(!holds.server(&"other".parse().unwrap()) && holds.server(&server()));
    assert_eq!(holds.models(), [ModelName::new("smart").unwrap()]);
    // What is no action either: a visit to a server that only the agent itself holds.
    assert!(node.kernel.visit(&deeper, &"other".parse().unwrap(), "tools/list").is_err());
    // An ancestor that is no longer configured holds nothing.
    node.kernel
        .apply(
            self::setup(|setup| {
                drop(setup.workspaces.get_mut(&workspace()).unwrap().agents.remove(&name("assistant")));
            }),
            &dana(),
        )
        .await
        .unwrap();
    assert_eq!(code(&tool(&deeper, "query").await), Some(Code::NotGranted));
}

#[tokio::test]
async fn of_many_children_at_once_no_more_is_spent_than_whoever_started_them_may() {
    let folder = tempfile::tempdir().unwrap();
    // Two tenths of a cent a call: money for five of them, whoever makes them.
    let setup = setup(|setup| {
        agent(setup, "assistant").models.budgets =
            vec![Budget { usd: Some(dollars("0.0101")), ..Budget::default() }];
        agent(setup, "helper").models.budgets = vec![Budget { usd: Some(dollars("1")), ..Budget::default() }];
    });
    let node = node(folder.path(), setup).await;
    let parent = first(&node, "assistant", None).await;
    let mut runs = Vec::new();
    for _ in 0..8 {
        let below = child(&node, &parent, r#"{"agent":"helper"}"#).await;
        runs.push(child(&node, &below, r#"{"agent":"helper"}"#).await);
        runs.push(below);
    }
    runs.push(Arc::clone(&parent));
    let node = Arc::new(node);
    let calls = runs.iter().cycle().take(200).map(|run| {
        let (node, run) = (Arc::clone(&node), Arc::clone(run));
        tokio::spawn(async move {
            match call_model(&node, &run, "smart").await {
                Admission::Cleared(clearance) => {
                    tokio::task::yield_now().await;
                    clearance.meter().sent(1_000);
                    clearance.meter().reported(
                        ringfence_types::Usage { input: 1_000, output: 500, ..Default::default() },
                        true,
                    );
                    clearance.settle(Outcome::Completed { result: b"{}".to_vec(), is_error: false });
                    (run.id, 1)
                }
                Admission::Refused(refusal) => {
                    assert_eq!(refusal.code, Code::OverBudget, "{refusal:?}");
                    (run.id, 0)
                }
                Admission::Pending(_) => panic!("nobody is asked"),
            }
        })
    });
    let mut went = 0;
    for call in calls.collect::<Vec<_>>() {
        went += call.await.unwrap().1;
    }
    let spent = |run: RunId| node.kernel.spent(&Account::Run(run));
    assert_eq!(went, 5, "as many as there was money for");
    assert_eq!(spent(parent.id).usd, dollars("0.01"));
    let own: u64 = runs.iter().map(|run| node.kernel.run(run.id).unwrap().actions).sum();
    assert!(own >= 5);
    let view = node.kernel.run(parent.id).unwrap();
    let below: u64 = runs
        .iter()
        .filter(|run| run.id != parent.id)
        .map(|run| node.kernel.run(run.id).unwrap().actions)
        .sum();
    assert_eq!(view.actions_below, below, "what they do counts for it");
    // Each level once, also where the same agent stands there twice.
    assert_eq!(node.kernel.spent(&Account::Agent(workspace(), name("assistant"))).usd, dollars("0.01"));
    // The log alone says the same after a crash.
    let copy = crash_copy(folder.path(), &node);
    let again = open_at(copy.path(), node.clock.clone(), self::setup(|_| {})).await;
    assert_eq!(again.kernel.spent(&Account::Run(parent.id)), spent(parent.id));
    assert_eq!(again.kernel.run(parent.id).unwrap().actions_below, below);
    assert_eq!(again.kernel.children_of(parent.id, 100).len(), 8);
}

#[tokio::test]
async fn what_a_run_was_given_bounds_it_and_all_under_it() {
    let folder = tempfile::tempdir().unwrap();
    let setup = setup(|setup| {
        agent(setup, "assistant").models.budgets =
            vec![Budget { usd: Some(dollars("1")), ..Budget::default() }];
        agent(setup, "helper").models.budgets = vec![Budget { usd: Some(dollars("1")), ..Budget::default() }];
    });
    let node = node(folder.path(), setup).await;
    let parent = first(&node, "assistant", None).await;
    let below = child(&node, &parent, r#"{"agent":"helper","budget":{"usd":0.005,"actions":5}}"#).await;
    let deeper = child(&node, &below, r#"{"agent":"helper","budget":{"usd":100}}"#).await;
    let spend = async |run: &Arc<Run>| match call_model(&node, run, "smart").await {
        Admission::Cleared(clearance) => {
            clearance.meter().sent(1_000);
            let usage = ringfence_types::Usage { input: 1_000, output: 500, ..Default::default() };
            clearance.meter().reported(usage, true);
            clearance.settle(Outcome::Completed { result: b"{}".to_vec(), is_error: false });
            None
        }
        Admission::Refused(refusal) => Some(refusal),
        Admission::Pending(_) => panic!("nobody is asked"),
    };
    assert_eq!(spend(&deeper).await, None);
    assert_eq!(spend(&below).await, None);
    let over = spend(&deeper).await.unwrap();
    assert_eq!(over.code, Code::OverBudget);
    assert!(over.reason.contains("the run that started this one"), "{}", over.reason);
    assert_eq!(spend(&parent).await, None, "it has more than it gave away");
    // Of five actions two were calls and one the start; two are left, whoever takes them.
    for run in [&deeper, &below] {
        node.cleared(run, "query", r#"{"q":"x"}"#).await.settle(common::completed("{}"));
    }
    let over = node.refused(&deeper, "query", r#"{"q":"y"}"#).await;
    assert_eq!(over.code, Code::OverBudget, "{over:?}");
    node.cleared(&parent, "query", r#"{"q":"x"}"#).await.settle(common::completed("{}"));
    let budgets = node.kernel.budgets(|account, _, _, _| *account == Account::Run(below.id));
    assert_eq!(budgets.len(), 1);
    assert_eq!(budgets[0].budget.usd, Some(dollars("0.005")), "whichever is less");
}

#[tokio::test]
async fn turns_and_model_calls_count_for_whoever_stands_above() {
    let folder = tempfile::tempdir().unwrap();
    let setup = setup(|setup| {
        agent(setup, "assistant").limits.concurrent = Some(2);
        agent(setup, "assistant").models.calls = Some(2);
    });
    let node = node(folder.path(), setup).await;
    let parent = first(&node, "assistant", None).await;
    let (one, two) = (
        child(&node, &parent, r#"{"agent":"helper"}"#).await,
        child(&node, &parent, r#"{"agent":"helper"}"#).await,
    );
    let held = [
        node.cleared(&one, "query", r#"{"q":"1"}"#).await,
        node.cleared(&two, "query", r#"{"q":"2"}"#).await,
    ];
    assert_eq!(node.kernel.run(parent.id).unwrap().in_flight, 2);
    for run in [&one, &two, &parent] {
        assert_eq!(node.refused(run, "query", r#"{"q":"3"}"#).await.code, Code::RateLimited);
    }
    drop(held);
    assert_eq!(node.kernel.run(parent.id).unwrap().in_flight, 0);
    for run in [&one, &two] {
        let Admission::Cleared(clearance) = call_model(&node, run, "smart").await else { panic!("refused") };
        drop(clearance);
    }
    assert_eq!(code(&call_model(&node, &one, "smart").await), Some(Code::OverBudget));
}

#[tokio::test]
async fn what_is_suspended_above_a_run_suspends_it() {
    let folder = tempfile::tempdir().unwrap();
    let node = node(folder.path(), setup(|_| {})).await;
    let parent = first(&node, "assistant", None).await;
    let below = child(&node, &parent, r#"{"agent":"helper"}"#).await;
    let deeper = child(&node, &below, r#"{"agent":"helper"}"#).await;
    let of = |scope: Scope| Suspend { scope, reason: "to look".into(), duration: None };
    for scope in [
        Scope { run: Some(parent.id), ..Scope::default() },
        Scope { agent: Some(name("assistant")), ..Scope::default() },
        Scope { run: Some(parent.id), tool: Some(ToolName::new("query").unwrap()), ..Scope::default() },
    ] {
        let clearance = node.cleared(&deeper, "query", r#"{"q":"x"}"#).await;
        let suspension = node.kernel.suspend(of(scope.clone()), &dana()).await.unwrap();
        assert!(clearance.cancel().check().is_err(), "{scope}");
        drop(clearance);
        for run in [&below, &deeper] {
            assert_eq!(node.refused(run, "query", r#"{"q":"x"}"#).await.code, Code::Suspended, "{scope}");
        }
        node.kernel.resume(suspension.id, &dana()).await.unwrap();
        node.cleared(&deeper, "query", r#"{"q":"x"}"#).await.settle(common::completed("{}"));
    }
    // What is suspended under it leaves whoever stands above alone.
    node.kernel.suspend(of(Scope { run: Some(below.id), ..Scope::default() }), &dana()).await.unwrap();
    assert_eq!(node.refused(&deeper, "query", r#"{"q":"x"}"#).await.code, Code::Suspended);
    node.cleared(&parent, "query", r#"{"q":"x"}"#).await.settle(common::completed("{}"));
}

#[tokio::test]
async fn with_a_run_end_those_under_it_however_it_ends() {
    let folder = tempfile::tempdir().unwrap();
    let node = node(folder.path(), setup(|_| {})).await;
    for how in ["ended", "killed", "elsewhere"] {
        let parent = match how {
            "elsewhere" => node.mint_for(None).await.1,
            _ => first(&node, "assistant", None).await,
        };
        let below = child(&node, &parent, r#"{"agent":"helper"}"#).await;
        let deeper = child(&node, &below, r#"{"agent":"helper"}"#).await;
        let waiting =
            node.kernel.begin_child(cleared(&node, &below, r#"{"agent":"helper"}"#).await).await.unwrap();
        let clearance = node.cleared(&deeper, "query", r#"{"q":"x"}"#).await;
        let pending_start = cleared(&node, &below, r#"{"agent":"helper"}"#).await;
        match how {
            "ended" => step(&node, &parent, ended(EndedBy::Program)).await,
            _ => node.kernel.kill(parent.id, "enough", &dana()).await.unwrap(),
        }
        assert!(clearance.cancel().check().is_err(), "{how}");
        for run in [&below, &deeper, &waiting] {
            assert_eq!(phase(&node, run.id), Phase::Stopping, "{how}");
            let (why, _) = node.kernel.run_over(run).await;
            assert_eq!(why, EndedBy::Parent, "{how}");
        }
        assert_eq!(node.refused(&deeper, "query", r#"{"q":"y"}"#).await.code, Code::Suspended);
        // What was cleared before and not begun is not begun any more.
        let refusal = node.kernel.begin_child(pending_start).await.unwrap_err();
        assert_eq!(refusal.code, Code::Suspended, "{how}: {refusal:?}");
        assert_eq!(node.kernel.living_below(parent.id).len(), 3, "until their processes have gone");
        for run in [&deeper, &waiting, &below] {
            step(&node, run, ended(EndedBy::Parent)).await;
        }
        assert!(node.kernel.living_below(parent.id).is_empty());
    }
}

#[tokio::test]
async fn a_child_that_ends_leaves_its_parent_alone_and_is_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let node = node(folder.path(), setup(|_| {})).await;
    let parent = first(&node, "assistant", None).await;
    let below = child(&node, &parent, r#"{"agent":"helper"}"#).await;
    let other = first(&node, "assistant", None).await;
    assert!(node.kernel.child_of(parent.id, below.id).is_some());
    assert!(node.kernel.child_of(other.id, below.id).is_none(), "somebody else's");
    let kernel = node.kernel.clone();
    let id = below.id;
    let waiting = tokio::spawn(async move { kernel.run_ended(id).await });
    tokio::task::yield_now().await;
    step(&node, &below, ended(EndedBy::Program)).await;
    assert!(waiting.await.unwrap().unwrap().ended.is_some());
    assert_eq!(phase(&node, parent.id), Phase::Running);
    assert_eq!(node.kernel.run(parent.id).unwrap().living_children, 0);
    node.cleared(&parent, "query", r#"{"q":"x"}"#).await.settle(common::completed("{}"));
}

#[tokio::test]
async fn a_run_has_no_more_time_than_whoever_started_it() {
    let folder = tempfile::tempdir().unwrap();
    let setup = setup(|setup| {
        agent(setup, "assistant").limits.wall = Some(Duration::from_mins(10));
        agent(setup, "helper").limits.wall = Some(Duration::from_hours(1));
    });
    let node = node(folder.path(), setup).await;
    let parent = first(&node, "assistant", None).await;
    let short = child(&node, &parent, r#"{"agent":"helper","wall":"2m"}"#).await;
    node.clock.advance(Duration::from_mins(5));
    let below = child(&node, &parent, r#"{"agent":"helper","wall":"30m"}"#).await;
    assert_eq!(node.refused(&short, "query", r#"{"q":"x"}"#).await.code, Code::Deadline, "its own bound");
    let clearance = node.cleared(&below, "query", r#"{"q":"x"}"#).await;
    clearance.settle(common::completed("{}"));
    node.clock.advance(Duration::from_mins(5));
    let late = node.refused(&below, "query", r#"{"q":"y"}"#).await;
    assert_eq!(late.code, Code::Deadline);
    assert!(late.reason.contains("the run that started this one"), "{}", late.reason);
    assert_eq!(node.kernel.run_over(&below).await.0, EndedBy::Deadline);
}

#[tokio::test]
async fn runs_start_one_another_so_deep_and_so_many_and_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let node = node(folder.path(), setup(|_| {})).await;
    let parent = first(&node, "assistant", None).await;
    let mut run = Arc::clone(&parent);
    for _ in 0..4 {
        run = child(&node, &run, r#"{"agent":"assistant"}"#).await;
    }
    let deepest = refused(&node, &run, r#"{"agent":"assistant"}"#).await;
    assert_eq!(deepest.code, Code::NotGranted);
    assert!(deepest.reason.contains("as deep as"), "{}", deepest.reason);
    let other = first(&node, "assistant", None).await;
    let mut held = Vec::new();
    let mut children = Vec::new();
    for number in 0..16 {
        let text = format!(r#"{{"agent":"helper","arguments":["{number}"]}}"#);
        if number % 2 == 0 {
            children.push(child(&node, &other, &text).await);
        } else {
            // What is cleared and not begun counts too.
            held.push(cleared(&node, &other, &text).await);
        }
    }
    let many = refused(&node, &other, r#"{"agent":"helper"}"#).await;
    assert_eq!(many.code, Code::RateLimited);
    assert!(many.retry_after.is_some());
    drop(held);
    step(&node, &children[0], ended(EndedBy::Program)).await;
    child(&node, &other, r#"{"agent":"helper"}"#).await;
}

#[tokio::test]
async fn the_same_start_again_and_again_is_no_progress() {
    let folder = tempfile::tempdir().unwrap();
    let node =
        node(folder.path(), setup(|setup| agent(setup, "assistant").limits.repetition = Some(2))).await;
    let parent = first(&node, "assistant", None).await;
    for _ in 0..2 {
        let below = child(&node, &parent, r#"{"agent":"helper"}"#).await;
        step(&node, &below, ended(EndedBy::Program)).await;
    }
    assert_eq!(refused(&node, &parent, r#"{"agent":"helper"}"#).await.code, Code::Repetition);
    child(&node, &parent, r#"{"agent":"helper","input":"something else"}"#).await;
}

#[tokio::test]
async fn the_line_of_a_run_is_known_again_after_a_restart_and_a_crash_ends_all_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let node = node(folder.path(), setup(|_| {})).await;
    let parent = first(&node, "assistant", Some("dana")).await;
    let below = child(&node, &parent, r#"{"agent":"helper","budget":{"tokens":7}}"#).await;
    let deeper = child(&node, &below, r#"{"agent":"helper","wall":"1m"}"#).await;
    let open = cleared(&node, &parent, r#"{"agent":"helper"}"#).await;
    let copy = crash_copy(folder.path(), &node);
    let again = open_at(copy.path(), node.clock.clone(), setup(|_| {})).await;
    assert_eq!(again.recovered.unknown, 1, "it may have been started, and was not");
    let mut living = again.kernel.living_runs();
    living.sort_by_key(|run| run.above.len());
    assert_eq!(living, [Arc::clone(&parent), Arc::clone(&below), Arc::clone(&deeper)]);
    again.kernel.step_run(parent.id, ended(EndedBy::Crash), &Actor::node()).await.unwrap();
    assert_eq!(again.kernel.living_below(parent.id), [below.id, deeper.id]);
    assert_eq!(phase(&again, deeper.id), Phase::Stopping);
    drop(open);
    // The same through a snapshot.
    node.kernel.stop().await;
    let again = open_at(folder.path(), node.clock.clone(), setup(|_| {})).await;
    assert!(again.recovered.replayed < again.recovered.entries);
    assert_eq!(again.kernel.run(deeper.id).unwrap().run, deeper);
    assert_eq!(again.kernel.living_below(parent.id), [below.id, deeper.id]);
}

#[tokio::test]
async fn a_run_and_all_under_it_start_others_so_fast_and_no_faster() {
    let folder = tempfile::tempdir().unwrap();
    let node = node(folder.path(), setup(|_| {})).await;
    let parent = first(&node, "assistant", None).await;
    let below = child(&node, &parent, r#"{"agent":"assistant"}"#).await;
    // One was started, and here are 119 more: by whom of the two does not matter.
    for number in 1..120 {
        let text = format!(r#"{{"agent":"helper","arguments":["{number}"]}}"#);
        let by = if number % 2 == 0 { &parent } else { &below };
        cleared(&node, by, &text).await.settle(Outcome::NotSent { message: "not now".into() });
    }
    for by in [&parent, &below] {
        let fast = refused(&node, by, r#"{"agent":"helper"}"#).await;
        assert_eq!(fast.code, Code::RateLimited, "{}", fast.reason);
        assert!(fast.reason.contains("120/m"), "{}", fast.reason);
        assert_eq!(fast.retry_after, Some(Duration::from_millis(500)));
    }
    // Others are not slowed down, and neither is it for long.
    let other = first(&node, "assistant", None).await;
    child(&node, &other, r#"{"agent":"helper"}"#).await;
    node.clock.advance(Duration::from_millis(500));
    child(&node, &below, r#"{"agent":"helper"}"#).await;
    assert_eq!(refused(&node, &parent, r#"{"agent":"helper"}"#).await.code, Code::RateLimited);
}

#[tokio::test]
async fn of_many_runs_that_ended_the_last_thousand_are_known_and_those_that_live() {
    let folder = tempfile::tempdir().unwrap();
    let node = node(folder.path(), setup(|_| {})).await;
    let parent = first(&node, "assistant", None).await;
    let mut all = Vec::new();
    for number in 0..1_050 {
        node.clock.advance(Duration::from_secs(1));
        let text = format!(r#"{{"agent":"helper","arguments":["{number}"]}}"#);
        let run = node.kernel.begin_child(cleared(&node, &parent, &text).await).await.unwrap();
        step(&node, &run, ended(EndedBy::Program)).await;
        all.push(run.id);
    }
    node.clock.advance(Duration::from_secs(11));
    node.kernel.tend().await;
    assert_eq!(node.kernel.runs().len(), 1_001);
    assert!(node.kernel.run(all[49]).is_none() && node.kernel.run(all[50]).is_some());
    assert_eq!(phase(&node, parent.id), Phase::Running);
    assert_eq!(node.kernel.children_of(parent.id, 2_000).len(), 1_000);
    // What the log says of the first is still there.
    let said = all[0].to_string();
    let events = node.entries("run").into_iter().filter(|entry| entry.text("run") == Some(&said));
    let events: Vec<Object> = events.collect();
    assert_eq!(events.len(), 2, "queued and ended");
    let told = RunView::told_by(all[0], &events).unwrap();
    assert_eq!((told.run.parent(), told.state(node.kernel.now())), (Some(parent.id), "ended"));
    assert_eq!(
        (told.life.unwrap().why, told.ended.unwrap().1.as_str()),
        (Some(EndedBy::Program), "it was done")
    );
    assert!(RunView::told_by(all[1], &events).is_none(), "they say nothing of others");
}
