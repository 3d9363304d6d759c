//! Model calls: money is set aside before they go out and booked exactly when they come back, at every level.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on panics")]

mod common;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use common::{Node, crash_copy, dana, dollars, json, model, open_at, start, workspace};
use ringfence_json::{Object, Value};
use ringfence_kernel::{
    Account, Admission, CancelledBy, Clock, Demand, Failure, LoopLimits, Mint, ModelCall, ModelClearance,
    ModelProposal, ModelSetup, Outcome, Run, Setup, Sum, Trail, TrailStep,
};
use ringfence_types::{
    AgentName, Budget, Code, ConversationName, Digest, ModelName, Money, Refusal, Usage, UserName, Window,
};

const POLICY: &str = "
rules:
  - { name: models, match: { kind: model_call }, decision: ALLOW }
  - { name: short, match: { model: short }, decision: ALLOW_WITH_CONSTRAINTS, constraints: { max_max_output_tokens: 50 } }
  - { name: asked, match: { model: asked }, decision: REQUIRE_APPROVAL }
  - { name: quiet, match: { model: quiet }, decision: ALLOW_WITH_CONSTRAINTS, constraints: { max_temperature: 0 } }
";

fn name(model: &str) -> ModelName {
    ModelName::new(model).unwrap()
}

fn usd(amount: &str) -> Budget {
    Budget { usd: Some(dollars(amount)), ..Budget::default() }
}

/// A workspace with models; `change` makes it what a test needs.
fn setup(change: impl FnOnce(&mut Setup)) -> Setup {
    let mut setup = common::setup(POLICY, common::limits());
    let workspace_setup = setup.workspaces.get_mut(&workspace()).unwrap();
    let leading = ModelSetup { onward: vec![name("cheap")], ..(*model()).clone() };
    for known in ["smart", "short", "asked", "quiet", "hidden", "cheap"] {
        workspace_setup.models.insert(name(known), model());
    }
    workspace_setup.models.insert(name("leading"), Arc::new(leading));
    let agent = workspace_setup.agents.get_mut(&AgentName::new("assistant").unwrap()).unwrap();
    agent.models.held = ["smart", "short", "asked", "quiet", "leading"].map(name).to_vec();
    agent.limits.repetition = Some(5);
    change(&mut setup);
    setup
}

fn assistant(setup: &mut Setup) -> &mut ringfence_kernel::AgentSetup {
    let workspace = setup.workspaces.get_mut(&workspace()).unwrap();
    workspace.agents.get_mut(&AgentName::new("assistant").unwrap()).unwrap()
}

fn budgets(setup: &mut Setup) -> &mut ringfence_kernel::WorkspaceBudgets {
    &mut setup.workspaces.get_mut(&workspace()).unwrap().budgets
}

async fn node(folder: &std::path::Path, setup: Setup) -> Node {
    open_at(folder, Clock::manual(start()), setup).await
}

fn call(model: &str, output: u64) -> ModelCall {
    ModelCall {
        model: name(model),
        named: None,
        operation: "chat".into(),
        request: Bytes::from_static(b"{\"model\":\"x\"}"),
        view: Object::new().with("stream", false),
        demand: Demand { input: 1_000, output: Some(output), answers: 1, ..Demand::default() },
        trail: None,
        conversation: None,
        instead_of: None,
        why: None,
        cached: false,
    }
}

async fn admit(node: &Node, run: &Arc<Run>, call: ModelCall) -> Admission<ModelClearance> {
    node.kernel.admit_model(ModelProposal { run: Arc::clone(run), call }).await
}

async fn cleared(node: &Node, run: &Arc<Run>, call: ModelCall) -> ModelClearance {
    match admit(node, run, call).await {
        Admission::Cleared(clearance) => clearance,
        other => panic!("not cleared: {other:?}"),
    }
}

async fn refused(node: &Node, run: &Arc<Run>, call: ModelCall) -> Refusal {
    match admit(node, run, call).await {
        Admission::Refused(refusal) => refusal,
        other => panic!("not refused: {other:?}"),
    }
}

fn done() -> Outcome {
    Outcome::Completed { result: b"{}".to_vec(), is_error: false }
}

fn used(input: u64, output: u64) -> Usage {
    Usage { input, output, ..Usage::default() }
}

fn spend(clearance: ModelClearance, usage: Usage) {
    clearance.meter().sent(usage.input);
    clearance.meter().reported(usage, true);
    clearance.settle(done());
}

fn sum(node: &Node, account: &Account) -> Sum {
    node.kernel.spent(account)
}

fn everybody(run: &Run) -> Vec<Account> {
    let mut all = vec![
        Account::Run(run.id),
        Account::Agent(run.workspace.clone(), run.agent.clone()),
        Account::Workspace(run.workspace.clone()),
    ];
    all.extend(run.user.clone().map(|user| Account::User(run.workspace.clone(), user)));
    all
}

#[tokio::test]
async fn money_is_set_aside_and_then_booked_exactly_at_every_level() {
    let folder = tempfile::tempdir().unwrap();
    let node = node(folder.path(), setup(|_| {})).await;
    let (_, run) = node.mint().await;
    let conversation = ConversationName::new("c").unwrap();
    let in_conversation = ModelCall { conversation: Some(conversation.clone()), ..call("smart", 100) };
    let clearance = cleared(&node, &run, in_conversation).await;
    assert_eq!((clearance.output(), clearance.is_lowered()), (Some(100), false));
    let mut all = everybody(&run);
    all.push(Account::Conversation(run.workspace.clone(), run.user.clone(), conversation));
    for account in &all {
        let sum = sum(&node, account);
        assert_eq!((sum.reserved_usd, sum.reserved_tokens), (dollars("0.0012"), 1_100), "{account:?}");
    }
    spend(clearance, Usage { cached_input: 500, ..used(500, 7) });
    for account in &all {
        let expected = Sum { usd: dollars("0.000564"), tokens: 1_007, calls: 1, ..Sum::default() };
        assert_eq!(sum(&node, account), expected, "{account:?}");
    }
    let outcome = node.entries("outcome").pop().unwrap();
    let charge = outcome.get("charge").unwrap().as_object().unwrap();
    assert_eq!(charge.get("usd_nanos").unwrap().as_u64(), Some(564_000));
    assert_eq!(charge.text("basis"), Some("reported"));
}

#[tokio::test]
async fn of_a_burst_no_more_goes_out_than_every_level_covers() {
    for level in ["run", "agent", "user", "conversation", "workspace"] {
        let folder = tempfile::tempdir().unwrap();
        // Enough for 20 calls of 0.0012 dollars.
        let budget = vec![usd("0.0241")];
        let setup = setup(|setup| match level {
            "run" => assistant(setup).models.budgets = budget,
            "agent" => budgets(setup).agent = budget,
            "user" => budgets(setup).user = budget,
            "conversation" => budgets(setup).conversation = budget,
            _ => budgets(setup).workspace = budget,
        });
        let node = Arc::new(node(folder.path(), setup).await);
        let (_, run) = node.mint().await;
        let tasks = (0..200).map(|_| {
            let (node, run) = (Arc::clone(&node), Arc::clone(&run));
            let conversation = ConversationName::new("c").ok();
            // Less than the floor, so that none is lowered.
            let mut call = ModelCall { conversation, ..call("smart", 100) };
            call.demand.input = 1_180;
            call.demand.output = Some(10);
            tokio::spawn(async move { admit(&node, &run, call).await })
        });
        let mut held = Vec::new();
        for task in tasks.collect::<Vec<_>>() {
            match task.await.unwrap() {
                Admission::Cleared(clearance) => held.push(clearance),
                Admission::Refused(refusal) => {
                    assert!(matches!(refusal.code, Code::OverBudget | Code::RateLimited), "{refusal:?}");
                }
                Admission::Pending(_) => panic!("nobody is asked"),
            }
        }
        assert_eq!(held.len(), 20, "{level}");
        for clearance in held {
            spend(clearance, used(1_000, 10));
        }
        // What was set aside and not used is there again.
        spend(cleared(&node, &run, call("smart", 10)).await, used(1_000, 10));
        assert_eq!(sum(&node, &Account::Run(run.id)).reserved_usd, Money::ZERO);
    }
}

#[tokio::test]
async fn an_output_limit_that_does_not_fit_is_lowered_to_what_fits_down_to_the_floor() {
    let folder = tempfile::tempdir().unwrap();
    let node = node(folder.path(), setup(|setup| assistant(setup).models.budgets = vec![usd("0.002")])).await;
    let (_, run) = node.mint().await;
    let clearance = cleared(&node, &run, call("smart", 8_192)).await;
    assert_eq!((clearance.output(), clearance.is_lowered()), (Some(500), true));
    assert_eq!(clearance.reserved(), dollars("0.002"));
    let refusal = refused(&node, &run, call("smart", 8_192)).await;
    assert_eq!(refusal.code, Code::OverBudget);
    assert!(refusal.reason.contains("this run"), "{}", refusal.reason);
    // 0.000960 are left after this: the input alone costs more.
    spend(clearance, used(1_000, 20));
    assert_eq!(refused(&node, &run, call("smart", 8_192)).await.code, Code::OverBudget);
    let mut small = call("smart", 8_192);
    small.demand.input = 900;
    let clearance = cleared(&node, &run, small.clone()).await;
    assert_eq!(clearance.output(), Some(30));
    spend(clearance, used(900, 0));
    small.demand.input = 40;
    assert_eq!(refused(&node, &run, small.clone()).await.code, Code::OverBudget, "below the floor");
    // What was asked for is below the floor itself.
    small.demand.output = Some(10);
    spend(cleared(&node, &run, small).await, used(40, 10));
}

#[tokio::test]
async fn a_refusal_says_whose_budget_it_is_what_is_left_of_it_and_what_is_needed() {
    let monthly = Budget { per: Some(Window::Month), ..usd("0.00101") };
    let tokens = Budget { tokens: Some(1_005), ..Budget::default() };
    for (budget, said, object) in [
        (
            monthly,
            "The budget of this agent for this month does not cover this call: it may come to $0.001032 for an answer of \
             16 tokens, and $0.00101 is left until 2026-12-01 00:00 UTC. Finish with what you have, or ask for less: with \
             a shorter conversation or a smaller max_tokens.",
            r#"{"level":"agent","per":"month","until":"2026-12-01T00:00:00.000000Z","left":{"usd_nanos":1010000},"needed":{"usd_nanos":1032000,"max_output_tokens":16}}"#,
        ),
        (
            tokens,
            "The budget of this agent does not cover this call: it may come to 1016 tokens for an answer of 16 tokens, and \
             1005 is left. Finish with what you have, or ask for less: with a shorter conversation or a smaller \
             max_tokens.",
            r#"{"level":"agent","left":{"tokens":1005},"needed":{"tokens":1016,"max_output_tokens":16}}"#,
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        // More is left of the other budget: it is not the one that is told.
        let bounded = setup(|setup| {
            budgets(setup).agent = vec![budget];
            budgets(setup).workspace = vec![usd("0.0011")];
        });
        let node = node(folder.path(), bounded).await;
        let (_, run) = node.mint().await;
        let refusal = refused(&node, &run, call("smart", 8_192)).await;
        assert_eq!(refusal.reason, said);
        let told = refusal.to_object();
        assert_eq!(told.get("budget").unwrap().to_string(), object);
    }
}

#[tokio::test]
async fn what_there_was_of_an_answer_is_kept_with_the_outcome_of_a_call_that_has_none() {
    let folder = tempfile::tempdir().unwrap();
    let node = node(folder.path(), setup(|_| ())).await;
    let (_, run) = node.mint().await;
    for given in [b"half of it".as_slice(), b""] {
        let clearance = cleared(&node, &run, call("smart", 100)).await;
        clearance.settle_short(Outcome::Cancelled { by: CancelledBy::Client }, given);
        let outcome = node.entries("outcome").pop().unwrap();
        assert_eq!(outcome.get("result").is_some(), !given.is_empty());
        assert_eq!(outcome.get("result_bytes").and_then(Value::as_u64), Some(given.len() as u64));
        assert_eq!(outcome.text("status"), Some("cancelled"));
    }
}

#[tokio::test]
async fn a_call_is_spent_when_what_it_used_costs_more_than_was_set_aside() {
    let folder = tempfile::tempdir().unwrap();
    let node = node(folder.path(), setup(|_| ())).await;
    let (_, run) = node.mint().await;
    let clearance = cleared(&node, &run, call("smart", 100)).await;
    // 1,000 were set aside for what is read, of which 800 are not: as much money as 400 more to write.
    clearance.meter().sent(200);
    for (written, is_spent) in [(100, false), (500, false), (501, true)] {
        clearance.meter().written(written);
        assert_eq!(clearance.is_spent(), is_spent, "{written}");
    }
    clearance.settle(done());
}

#[tokio::test]
async fn tokens_are_budgeted_like_money() {
    let folder = tempfile::tempdir().unwrap();
    let tokens = Budget { tokens: Some(1_500), ..Budget::default() };
    let node = node(folder.path(), setup(|setup| budgets(setup).user = vec![tokens])).await;
    let (_, run) = node.mint().await;
    let clearance = cleared(&node, &run, call("smart", 8_192)).await;
    assert_eq!(clearance.output(), Some(500));
    let refusal = refused(&node, &run, call("smart", 8_192)).await;
    assert!(refusal.reason.contains("this user"), "{}", refusal.reason);
    spend(clearance, used(1_000, 500));
    let (_, another) = node.mint_for(Some("mallory")).await;
    spend(cleared(&node, &another, call("smart", 100)).await, used(1, 1));
}

#[tokio::test]
async fn a_budget_is_whole_again_in_the_next_window() {
    let folder = tempfile::tempdir().unwrap();
    let hourly = Budget { per: Some(Window::Hour), ..usd("0.0012") };
    let node = node(folder.path(), setup(|setup| budgets(setup).workspace = vec![hourly])).await;
    let (_, run) = node.mint().await;
    node.clock.advance(Duration::from_mins(59));
    let late = cleared(&node, &run, call("smart", 100)).await;
    let refusal = refused(&node, &run, call("smart", 100)).await;
    assert_eq!((refusal.code, refusal.retry_after), (Code::OverBudget, Some(Duration::from_mins(1))));
    node.clock.advance(Duration::from_mins(1));
    let (_, run) = node.mint().await;
    let next = cleared(&node, &run, call("smart", 100)).await;
    // What was cleared in the last hour counts for the last hour.
    spend(late, used(1_000, 100));
    assert_eq!(refused(&node, &run, call("smart", 100)).await.code, Code::OverBudget);
    spend(next, used(1_000, 50));
    let spent = node.kernel.spending();
    let hour = spent.iter().find(|spending| spending.budget.per == Some(Window::Hour)).unwrap();
    assert_eq!((hour.sum.usd, hour.sum.reserved_usd), (dollars("0.0011"), Money::ZERO));
}

/// Everything that anybody has spent, with its last hour, as a kernel that reads the log again has it too.
fn sums(node: &Node) -> Vec<(Account, Option<Window>, Sum)> {
    let all = node.kernel.spending().into_iter();
    all.map(|spending| (spending.account, spending.budget.per, spending.sum)).collect()
}

#[tokio::test]
async fn what_a_call_used_that_was_given_up_is_booked_when_it_is_known_and_more_than_was_set_aside() {
    let folder = tempfile::tempdir().unwrap();
    let hourly = [Budget { per: Some(Window::Hour), ..usd("1") }, usd("1")];
    let bounded = || setup(|setup| budgets(setup).workspace = hourly.to_vec());
    let node = node(folder.path(), bounded()).await;
    let (_, run) = node.mint().await;
    let (dearer, cheaper) =
        (cleared(&node, &run, call("smart", 100)).await, cleared(&node, &run, call("smart", 100)).await);
    let action = dearer.action();
    node.clock.advance(Duration::from_secs(121));
    node.kernel.tend().await;
    let spent = || node.kernel.spent(&Account::Workspace(workspace()));
    let given_up = Sum { usd: dollars("0.0024"), tokens: 2_200, calls: 2, ..Sum::default() };
    assert_eq!(spent(), given_up, "at what was set aside");
    spend(cheaper, used(10, 1));
    assert_eq!(spent(), given_up, "what was booked stays booked");
    assert_eq!((node.entries("outcome").len(), node.entries("incident").len()), (2, 0));
    // In the next hour, as far as the clock goes; it counts in the hour in which it was cleared.
    node.clock.advance(Duration::from_hours(1));
    spend(dearer, used(1_000, 500));
    let corrected = Sum { usd: dollars("0.0032"), tokens: 2_600, ..given_up };
    assert_eq!(spent(), corrected);
    assert_eq!(
        node.kernel.spent_within(&Account::Workspace(workspace()), Some(Window::Hour)),
        Sum::default()
    );
    assert_eq!(node.kernel.spent(&Account::Run(run.id)), corrected);
    assert_eq!(node.kernel.suspensions().len(), 1, "the run is stopped, as by every overspend");
    let incident = node.entries("incident").pop().unwrap();
    assert_eq!(incident.text("event"), Some("over_reservation"));
    assert_eq!(incident.text("action"), Some(action.to_string().as_str()));
    let charge = incident.get("charge").unwrap().as_object().unwrap().clone();
    assert_eq!(
        (charge.text("basis"), charge.get("usd_nanos").unwrap().as_u64()),
        (Some("reported"), Some(2_000_000))
    );
    let booked = node.kernel.status().counts.booked.into_values().next().unwrap();
    assert_eq!((booked.usd, booked.usage.total(), booked.calls), (corrected.usd, corrected.tokens, 2));
    // The log is sound, and says the same to whoever reads it again.
    let before = sums(&node);
    let copy = crash_copy(folder.path(), &node);
    node.kernel.stop().await;
    ringfence_ledger::verify(&copy.path().join("ledger"), &ringfence_ledger::VerifyOptions::default())
        .unwrap();
    let again = open_at(copy.path(), node.clock.clone(), bounded()).await;
    assert_eq!(sums(&again), before);
}

#[tokio::test]
async fn an_answer_that_was_kept_costs_nothing_and_says_what_it_saved_if_that_is_known() {
    let folder = tempfile::tempdir().unwrap();
    let node = node(folder.path(), setup(|_| {})).await;
    let (_, run) = node.mint().await;
    let kept = || ModelCall { cached: true, ..call("smart", 100) };
    let charge =
        || node.entries("outcome").pop().unwrap().get("charge").unwrap().as_object().unwrap().clone();
    let clearance = cleared(&node, &run, kept()).await;
    clearance.meter().reported(Usage { cached_input: 1_000, ..used(500, 70) }, true);
    clearance.settle(done());
    let booked = charge();
    assert_eq!((booked.text("basis"), booked.get("usd_nanos").unwrap().as_u64()), (Some("cached"), Some(0)));
    assert_eq!(booked.get("saved_nanos").unwrap().as_u64(), Some(500_000 + 100_000 + 140_000));
    cleared(&node, &run, kept()).await.settle(done());
    assert!(!charge().contains("saved_nanos"), "nobody knows");
    assert_eq!(node.kernel.spent(&Account::Run(run.id)), Sum { calls: 2, ..Sum::default() });
}

#[tokio::test]
async fn what_a_call_used_in_part_beyond_what_was_set_aside_lowers_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let node = node(folder.path(), setup(|_| {})).await;
    let (_, run) = node.mint().await;
    let late = cleared(&node, &run, call("smart", 100)).await;
    node.clock.advance(Duration::from_secs(121));
    node.kernel.tend().await;
    // Fewer tokens than were set aside, and dearer ones.
    spend(late, Usage { cache_write_1h: 1_050, ..Usage::default() });
    let spent = node.kernel.spent(&Account::Run(run.id));
    assert_eq!((spent.usd, spent.tokens, spent.calls), (dollars("0.0021"), 1_100, 1));
}

#[tokio::test]
async fn what_nobody_reported_is_settled_at_what_was_counted_and_a_margin() {
    let folder = tempfile::tempdir().unwrap();
    let node = node(folder.path(), setup(|_| {})).await;
    let (_, run) = node.mint().await;
    let charged = || {
        let outcome = node.entries("outcome").pop().unwrap();
        let charge = outcome.get("charge").unwrap().as_object().unwrap().clone();
        (charge.text("basis").unwrap().to_owned(), charge.get("usd_nanos").unwrap().as_u64().unwrap())
    };
    // Gone in the middle: 800 read, 100 written, 5 % and 256 more.
    let clearance = cleared(&node, &run, call("smart", 1_000)).await;
    clearance.meter().sent(800);
    clearance.meter().written(100);
    clearance.settle(Outcome::Cancelled { by: CancelledBy::Client });
    assert_eq!(charged(), ("counted".into(), 800_000 + 361 * 2_000));
    // Dropped, by a panic say: the same.
    let clearance = cleared(&node, &run, call("smart", 1_000)).await;
    clearance.meter().sent(800);
    clearance.meter().written(100);
    drop(clearance);
    assert_eq!(charged(), ("counted".into(), 800_000 + 361 * 2_000));
    // Never more than the provider was told to write.
    let clearance = cleared(&node, &run, call("smart", 110)).await;
    clearance.meter().sent(800);
    clearance.meter().written(100);
    drop(clearance);
    assert_eq!(charged(), ("counted".into(), 800_000 + 110 * 2_000));
    // What the provider has said so far counts.
    let clearance = cleared(&node, &run, call("smart", 1_000)).await;
    clearance.meter().sent(800);
    clearance.meter().reported(Usage { cached_input: 400, ..used(400, 1) }, false);
    clearance.meter().written(10);
    drop(clearance);
    assert_eq!(charged(), ("counted".into(), 440_000 + 266 * 2_000));
    // Nor then more than it was told to write.
    let clearance = cleared(&node, &run, call("smart", 100)).await;
    clearance.meter().sent(800);
    clearance.meter().reported(used(1_000, 1), false);
    clearance.meter().written(99);
    drop(clearance);
    assert_eq!(charged(), ("counted".into(), 1_000_000 + 100 * 2_000));
    assert!(node.kernel.suspensions().is_empty(), "a client that hangs up late has broken no bound");
    // Turned down, or never sent.
    let clearance = cleared(&node, &run, call("smart", 1_000)).await;
    clearance.meter().sent(800);
    clearance.meter().turned_down();
    let message = "500".to_owned();
    clearance.settle(Outcome::Failed { failure: Failure::ServerError, message });
    assert_eq!(charged(), ("nothing".into(), 0));
    drop(cleared(&node, &run, call("smart", 1_000)).await);
    assert_eq!(charged(), ("nothing".into(), 0));
    let sum = sum(&node, &Account::Run(run.id));
    assert_eq!((sum.reserved_usd, sum.reserved_tokens), (Money::ZERO, 0), "nothing leaks");
}

#[tokio::test]
async fn after_a_crash_what_was_under_way_is_booked_at_what_was_set_aside() {
    let folder = tempfile::tempdir().unwrap();
    let setup = || setup(|setup| assistant(setup).models.budgets = vec![usd("0.0030")]);
    let node = node(folder.path(), setup()).await;
    let (_, run) = node.mint().await;
    spend(cleared(&node, &run, call("smart", 100)).await, used(1_000, 50));
    let open = cleared(&node, &run, call("smart", 100)).await;
    open.meter().sent(1_000);
    let copy = crash_copy(folder.path(), &node);
    spend(open, used(1, 1));
    let again = open_at(copy.path(), Clock::manual(start()), setup()).await;
    assert_eq!(again.recovered.unknown, 1);
    for account in everybody(&run) {
        let sum = sum(&again, &account);
        assert_eq!((sum.usd, sum.reserved_usd, sum.calls), (dollars("0.0023"), Money::ZERO, 2));
    }
    let charge = again.entries("outcome").pop().unwrap().get("charge").unwrap().as_object().unwrap().clone();
    assert_eq!(charge.text("basis"), Some("reserved"));
    assert_eq!(refused(&again, &run, call("smart", 100)).await.code, Code::OverBudget);
    // And the same after a clean stop, from the snapshot.
    again.kernel.stop().await;
    let third = open_at(copy.path(), Clock::manual(start()), setup()).await;
    assert!(third.recovered.replayed < 5, "a snapshot was read");
    assert_eq!(sum(&third, &Account::Run(run.id)).usd, dollars("0.0023"));
    assert_eq!(third.kernel.spending(), again.kernel.spending());
}

#[tokio::test]
async fn what_costs_more_than_was_set_aside_is_booked_in_full_and_stops_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let node = node(folder.path(), setup(|_| {})).await;
    let (_, run) = node.mint().await;
    spend(cleared(&node, &run, call("smart", 100)).await, used(1_000, 5_000));
    assert_eq!(sum(&node, &Account::Workspace(workspace())).usd, dollars("0.011"));
    assert_eq!(refused(&node, &run, call("smart", 100)).await.code, Code::Suspended);
    let incidents = node.entries("incident");
    assert!(incidents.iter().any(|incident| incident.text("event") == Some("over_reservation")));
    // Others go on, and a person can let this one go on.
    let (_, other) = node.mint().await;
    spend(cleared(&node, &other, call("smart", 100)).await, used(1, 1));
    let suspension = node.kernel.suspensions().pop().unwrap();
    node.kernel.resume(suspension.id, &dana()).await.unwrap();
    spend(cleared(&node, &run, call("smart", 100)).await, used(1, 1));
}

#[tokio::test]
async fn people_are_told_once_when_a_budget_fills_up() {
    let folder = tempfile::tempdir().unwrap();
    let setup =
        || setup(|setup| budgets(setup).workspace = vec![Budget { per: Some(Window::Day), ..usd("0.01") }]);
    let node = node(folder.path(), setup()).await;
    let (_, run) = node.mint().await;
    for _ in 0..9 {
        spend(cleared(&node, &run, call("smart", 100)).await, used(1_000, 0));
    }
    let told = |node: &Node| -> Vec<u64> {
        node.entries("budget").iter().map(|entry| entry.get("percent").unwrap().as_u64().unwrap()).collect()
    };
    assert_eq!(told(&node), [50, 80]);
    let entry = node.entries("budget").pop().unwrap();
    assert_eq!((entry.text("level"), entry.text("per")), (Some("workspace"), Some("day")));
    let copy = crash_copy(folder.path(), &node);
    let again = open_at(copy.path(), Clock::manual(start()), setup()).await;
    let small = |input, output| {
        let mut call = call("smart", output);
        call.demand.input = input;
        call
    };
    spend(cleared(&again, &run, small(400, 100)).await, used(400, 0));
    assert_eq!(told(&again), [50, 80], "not again after a restart");
    spend(cleared(&again, &run, small(100, 10)).await, used(100, 0));
    assert_eq!(told(&again), [50, 80, 95]);
    spend(cleared(&again, &run, small(460, 20)).await, used(460, 20));
    assert_eq!(told(&again), [50, 80, 95, 100]);
}

#[tokio::test]
async fn rules_and_grants_hold_for_models() {
    let folder = tempfile::tempdir().unwrap();
    let node = node(folder.path(), setup(|_| {})).await;
    let (_, run) = node.mint().await;
    for unheld in ["hidden", "nowhere", "cheap"] {
        assert_eq!(refused(&node, &run, call(unheld, 10)).await.code, Code::NotGranted, "{unheld}");
    }
    // Where a held one leads is held in its name, and in no other's.
    let led = |named: &str| ModelCall { named: Some(name(named)), ..call("cheap", 10) };
    spend(cleared(&node, &run, led("leading")).await, used(1, 1));
    assert_eq!(refused(&node, &run, led("smart")).await.code, Code::NotGranted);
    let clearance = cleared(&node, &run, call("short", 100)).await;
    assert_eq!((clearance.output(), clearance.is_lowered()), (Some(50), false));
    spend(clearance, used(1, 1));
    let hot = ModelCall { view: json(r#"{"temperature":1}"#), ..call("quiet", 10) };
    assert_eq!(refused(&node, &run, hot).await.code, Code::DeniedByPolicy);
    let Admission::Pending(pending) = admit(&node, &run, call("asked", 10)).await else {
        panic!("not pending")
    };
    let approval = pending.approval();
    node.kernel.approve(approval, &dana(), None, None).await.unwrap();
    let Admission::Cleared(clearance) = pending.wait().await else { panic!("not cleared") };
    spend(clearance, used(1, 1));
    assert!(matches!(admit(&node, &run, call("asked", 10)).await, Admission::Pending(_)), "once");
}

#[tokio::test]
async fn calls_are_counted_and_loops_are_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let node = node(
        folder.path(),
        setup(|setup| {
            let models = &mut assistant(setup).models;
            models.calls = Some(4);
            models.loops = LoopLimits { errors: Some(2), ..LoopLimits::default() };
        }),
    )
    .await;
    let (_, run) = node.mint().await;
    let digest = |text: &str| Digest::of(text.as_bytes());
    let step = TrailStep { call: digest("a"), result: digest("no"), failed: true };
    let trail = |steps: usize| Trail {
        root: digest("root"),
        steps: vec![step; steps],
        results: steps as u64,
        users: 1,
        messages: 10,
        last_user: digest("do it"),
    };
    let with = |steps| ModelCall { trail: Some(trail(steps)), ..call("smart", 10) };
    spend(cleared(&node, &run, with(4)).await, used(1, 1));
    assert_eq!(refused(&node, &run, with(5)).await.code, Code::Repetition);
    let fail = |clearance: ModelClearance| {
        clearance.meter().sent(1);
        clearance.meter().turned_down();
        clearance.settle(Outcome::Failed { failure: Failure::ServerError, message: "500".into() })
    };
    for _ in 0..2 {
        fail(cleared(&node, &run, call("smart", 10)).await);
    }
    assert_eq!(refused(&node, &run, call("smart", 10)).await.code, Code::BreakerOpen);
    node.clock.advance(Duration::from_secs(30));
    spend(cleared(&node, &run, call("smart", 10)).await, used(1, 1));
    assert_eq!(refused(&node, &run, call("smart", 10)).await.code, Code::OverBudget, "four calls were made");
}

#[tokio::test]
async fn a_provider_that_turns_a_run_away_holds_it_back_and_the_model_is_there_for_others() {
    let folder = tempfile::tempdir().unwrap();
    // The model itself is left alone after three failures in a row.
    let node = node(folder.path(), setup(|setup| assistant(setup).models.loops.errors = Some(5))).await;
    let fail = |clearance: ModelClearance, failure| {
        clearance.meter().sent(1);
        clearance.meter().turned_down();
        clearance.settle(Outcome::Failed { failure, message: "no".into() })
    };
    let (_, run) = node.mint().await;
    for _ in 0..5 {
        fail(cleared(&node, &run, call("smart", 10)).await, Failure::TurnedAway);
    }
    assert_eq!(refused(&node, &run, call("smart", 10)).await.code, Code::BreakerOpen);
    let (_, other) = node.mint().await;
    spend(cleared(&node, &other, call("smart", 10)).await, used(1, 1));
    // That a request is wrong is the agent's own doing.
    for _ in 0..9 {
        fail(cleared(&node, &other, call("smart", 10)).await, Failure::UpstreamError);
    }
    spend(cleared(&node, &other, call("smart", 10)).await, used(1, 1));
}

#[tokio::test]
async fn a_failing_result_counts_as_shown_when_the_model_has_answered() {
    let folder = tempfile::tempdir().unwrap();
    let setup =
        setup(|setup| assistant(setup).models.loops = LoopLimits { errors: None, ..LoopLimits::default() });
    let node = node(folder.path(), setup).await;
    let (_, run) = node.mint().await;
    let digest = |text: &str| Digest::of(text.as_bytes());
    let with = |root: &str| {
        let steps = vec![TrailStep { call: digest("a"), result: digest("no"), failed: true }];
        let (root, last_user) = (digest(root), digest("do it"));
        ModelCall {
            trail: Some(Trail { root, steps, results: 1, users: 1, messages: 3, last_user }),
            ..call("smart", 10)
        }
    };
    // Turned away, never sent, or gone before a word was said: the client asks again.
    let failed = |failure| Outcome::Failed { failure, message: "no".into() };
    let mut unanswered = vec![
        failed(Failure::TurnedAway),
        failed(Failure::ServerError),
        failed(Failure::Transport),
        // Or the model would be left alone.
        failed(Failure::TurnedAway),
        Outcome::Unreachable { message: "no".into() },
        Outcome::NotSent { message: "no".into() },
        Outcome::Cancelled { by: CancelledBy::Client },
    ];
    unanswered.extend(unanswered.clone());
    for outcome in unanswered {
        let clearance = cleared(&node, &run, with("first")).await;
        clearance.meter().sent(1_000);
        clearance.settle(outcome);
    }
    for _ in 0..4 {
        spend(cleared(&node, &run, with("first")).await, used(1_000, 1));
    }
    assert_eq!(refused(&node, &run, with("first")).await.code, Code::Repetition);
    // Whoever hangs up after the first words has shown it all the same.
    for _ in 0..4 {
        let clearance = cleared(&node, &run, with("second")).await;
        clearance.meter().sent(1_000);
        clearance.meter().written(1);
        clearance.settle(Outcome::Cancelled { by: CancelledBy::Client });
    }
    assert_eq!(refused(&node, &run, with("second")).await.code, Code::Repetition);
}

#[tokio::test]
async fn a_conversation_belongs_to_its_user_and_a_token_names_it_first() {
    let folder = tempfile::tempdir().unwrap();
    let node = node(folder.path(), setup(|setup| budgets(setup).conversation = vec![usd("0.0012")])).await;
    let conversation = |name: &str| ConversationName::new(name).ok();
    let within = |name: &str| ModelCall { conversation: conversation(name), ..call("smart", 100) };
    let (_, erin) = node.mint().await;
    let (_, frank) = node.mint_for(Some("frank")).await;
    spend(cleared(&node, &erin, within("c")).await, used(1_000, 100));
    assert_eq!(refused(&node, &erin, within("c")).await.code, Code::OverBudget);
    spend(cleared(&node, &frank, within("c")).await, used(1_000, 100));
    spend(cleared(&node, &erin, within("d")).await, used(1_000, 100));
    let minted = Mint {
        workspace: workspace(),
        agent: AgentName::new("assistant").unwrap(),
        user: UserName::new("erin").ok(),
        conversation: conversation("c"),
        ttl: Duration::from_hours(1),
    };
    let minted = node.kernel.mint(minted, &dana()).await.unwrap();
    let bound = node.kernel.authenticate(minted.token.reveal()).unwrap();
    assert_eq!(refused(&node, &bound, within("new")).await.code, Code::OverBudget, "the token's counts");
}
