//! Bounds of conversations, and what is forgotten to keep them.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use ringfence_policy::{PolicySet, Source, Vocabulary};
use ringfence_types::{Code, ConversationName, Digest, ModelName, NodeName, Price, RunId, Window};

use super::*;
use crate::kernel::Options;
use crate::model::{Charge, Reservation};
use crate::record::Subject;
use crate::target::Target;
use crate::{
    Actor, Admission, AgentModels, AgentSetup, BreakerSetup, Clock, Demand, EgressGrants, Kernel, LoopLimits,
    Mint, ModelCall, ModelProposal, ModelSetup, RunLimits, Setup, Trust, WorkspaceBudgets, WorkspaceSetup,
};

const MANY: usize = CONVERSATIONS_PER_WORKSPACE_MAX * CONVERSATIONS_MANY_PERCENT / 100;
const KEPT: usize = CONVERSATIONS_PER_WORKSPACE_MAX * CONVERSATIONS_KEPT_PERCENT / 100;
const NOTHING: Reservation = Reservation { usd: Money::ZERO, tokens: 0 };
const SOME: Reservation = Reservation { usd: Money::from_nanos(7), tokens: 3 };

fn workspace(name: &str) -> WorkspaceName {
    WorkspaceName::new(name).unwrap()
}

fn subject(of: &str, number: usize) -> Subject {
    Subject {
        workspace: workspace(of),
        agent: "assistant".parse().unwrap(),
        run: RunId::new(at(0), [7; 10]),
        above: Vec::new(),
        user: None,
        conversation: Some(ConversationName::new(&format!("c{number}")).unwrap()),
        target: Target::Model { model: ModelName::new("smart").unwrap(), operation: "chat".into() },
    }
}

/// So many seconds after the beginning of a day.
fn at(seconds: usize) -> Timestamp {
    let begin: Timestamp = "2026-11-21T00:00:00Z".parse().unwrap();
    begin.after(Duration::from_secs(seconds as u64))
}

/// Conversations of a workspace, each a second after the one before, with what each has spent.
fn spend(accounts: &mut Accounts, of: &str, numbers: Range<usize>, spent: Reservation) {
    for number in numbers {
        let subject = subject(of, number);
        accounts.reserve(at(number), &subject, spent);
        accounts.settle(at(number), &subject, spent, &Charge::reserved(spent));
    }
}

fn knows(accounts: &Accounts, number: usize) -> bool {
    let name = subject("lab", number).conversation.unwrap();
    accounts.get(&Account::Conversation(workspace("lab"), None, name)).is_some()
}

/// How many conversations of the workspace `lab` are left.
fn left(accounts: &mut Accounts, budgets: &[Budget], now: Timestamp) -> usize {
    accounts.forget_silent(1, |_| Some(budgets), now);
    accounts.conversations().of(&workspace("lab"))
}

fn budget(per: Option<Window>) -> Budget {
    Budget { usd: Some(Money::MAX), tokens: None, per }
}

#[test]
fn no_workspace_takes_the_place_of_another() {
    let mut conversations = Conversations::default();
    let mut add = |of: &str, count: usize| {
        let name = ConversationName::new("c").unwrap();
        let account = Account::Conversation(workspace(of), None, name);
        (0..count).for_each(|_| conversations.added(&account));
        conversations.clone()
    };
    let room = |conversations: &Conversations, of: &str| conversations.has_room(&workspace(of), 5);
    let almost = add("a", CONVERSATIONS_PER_WORKSPACE_MAX - 1);
    assert!(room(&almost, "a"));
    let full = add("a", 1);
    assert!(!room(&full, "a") && room(&full, "b"));
    for of in ["b", "c"] {
        add(of, CONVERSATIONS_PER_WORKSPACE_MAX);
    }
    // The node has as many as it adds up: each of five workspaces still has its fifth.
    let share = CONVERSATIONS_MAX / 5;
    add("d", share + 1);
    let node_full = add("e", CONVERSATIONS_MAX - 3 * CONVERSATIONS_PER_WORKSPACE_MAX - share - 1);
    assert!(!room(&node_full, "d") && room(&node_full, "e"));
    assert!(!room(&add("e", share), "e"));
}

#[test]
fn those_silent_longest_make_room_where_no_budget_counts_them() {
    let mut accounts = Accounts::default();
    spend(&mut accounts, "lab", 0..MANY - 1, SOME);
    assert_eq!(left(&mut accounts, &[], at(MANY)), MANY - 1, "there are not many yet");
    spend(&mut accounts, "lab", MANY - 1..MANY, SOME);
    // The first one goes on, the second has something under way.
    accounts.reserve(at(MANY), &subject("lab", 0), NOTHING);
    accounts.reserve(at(1), &subject("lab", 1), SOME);
    accounts.forget_silent(1, |_| None, at(MANY));
    assert_eq!(accounts.conversations().of(&workspace("lab")), MANY, "nobody knows its budgets");
    assert_eq!(left(&mut accounts, &[], at(MANY)), KEPT);
    let gone = MANY - KEPT;
    assert!(knows(&accounts, 0) && knows(&accounts, 1));
    assert!((2..gone + 2).all(|number| !knows(&accounts, number)));
    assert!((gone + 2..MANY).all(|number| knows(&accounts, number)));
    let workspace = accounts.get(&Account::Workspace(workspace("lab"))).unwrap();
    assert_eq!(
        workspace.total.usd,
        Money::from_nanos(7 * MANY as u64),
        "what they spent stays spent above them"
    );
}

#[test]
fn one_that_has_spent_anything_under_a_budget_for_life_is_not_forgotten() {
    let mut accounts = Accounts::default();
    spend(&mut accounts, "lab", 0..MANY - 10, SOME);
    assert_eq!(left(&mut accounts, &[budget(None)], at(MANY)), MANY - 10);
    spend(&mut accounts, "lab", MANY - 10..MANY, NOTHING);
    assert_eq!(left(&mut accounts, &[budget(Some(Window::Hour)), budget(None)], at(MANY)), MANY - 10);
    assert!((0..MANY - 10).all(|number| knows(&accounts, number)));
}

#[test]
fn what_was_spent_in_the_present_window_is_not_forgotten() {
    let mut accounts = Accounts::default();
    spend(&mut accounts, "lab", 0..MANY, SOME);
    let daily = [budget(Some(Window::Day))];
    assert_eq!(left(&mut accounts, &daily, at(24 * 3600 - 1)), MANY);
    accounts.reserve(at(24 * 3600), &subject("lab", 3), SOME);
    accounts.settle(at(24 * 3600), &subject("lab", 3), SOME, &Charge::reserved(SOME));
    assert_eq!(left(&mut accounts, &daily, at(24 * 3600)), KEPT);
    assert!(knows(&accounts, 3) && !knows(&accounts, 2));
}

/// A workspace `lab` with a free model `smart`.
fn setup(conversation: Vec<Budget>) -> Setup {
    let policy = "rules: [{ name: all, match: {}, decision: ALLOW }]";
    let policy = PolicySet::compile(&[Source::yaml("policy.yaml", policy)], &Vocabulary::default()).unwrap();
    let smart = ModelName::new("smart").unwrap();
    let model = ModelSetup {
        price: Price::default(),
        breaker: BreakerSetup { failures: 3, open_for: Duration::from_secs(1) },
        call_timeout: Duration::from_mins(1),
        floor: 1,
        onward: Vec::new(),
    };
    let models = AgentModels {
        held: vec![smart.clone()],
        calls: None,
        loops: LoopLimits { errors: None, ..LoopLimits::default() },
        ..AgentModels::default()
    };
    let limits = RunLimits { wall: None, concurrent: None, repetition: None, actions: None };
    let agent = AgentSetup { models, limits, ..AgentSetup::reaching(EgressGrants::default()) };
    let lab = WorkspaceSetup {
        environment: "test".into(),
        trust: Trust::FirstUse,
        retention: Duration::from_hours(1),
        servers: HashMap::new(),
        models: HashMap::from([(smart, Arc::new(model))]),
        budgets: WorkspaceBudgets { conversation, ..WorkspaceBudgets::default() },
        agents: HashMap::from([("assistant".parse().unwrap(), agent)]),
        policy: Arc::new(policy.set),
    };
    Setup {
        digest: Digest::of(b"setup"),
        organization: "acme".parse().unwrap(),
        workspaces: HashMap::from([(workspace("lab"), lab)]),
        people: HashMap::new(),
        approval_wait: Duration::from_millis(1),
        builds: crate::Builds::default(),
    }
}

fn proposal(run: &Arc<crate::Run>, conversation: &str) -> ModelProposal {
    let call = ModelCall {
        model: ModelName::new("smart").unwrap(),
        named: None,
        operation: "chat".into(),
        request: b"{}"[..].into(),
        view: ringfence_json::Object::new(),
        demand: Demand { input: 1, output: Some(1), answers: 1, ..Demand::default() },
        trail: None,
        conversation: Some(conversation.parse().unwrap()),
        instead_of: None,
        why: None,
        cached: false,
    };
    ModelProposal { run: Arc::clone(run), call }
}

#[tokio::test]
async fn a_full_workspace_is_refused_new_conversations_until_silent_ones_made_room() {
    let folder = tempfile::tempdir().unwrap();
    let (node, clock) = (NodeName::new("test").unwrap(), Clock::manual(at(0)));
    let options = Options { node, clock, segment_bytes: Some(1 << 20) };
    let opened = Kernel::open(folder.path(), options, setup(vec![budget(None)])).await;
    let (kernel, _) = opened.unwrap();
    let owner = Actor { person: "dana".parse().unwrap(), roles: Vec::new(), owner: true };
    let (lab, agent) = (workspace("lab"), "assistant".parse().unwrap());
    let mint = Mint { workspace: lab, agent, user: None, conversation: None, ttl: Duration::from_hours(1) };
    let minted = kernel.mint(mint, &owner).await.unwrap();
    let run = kernel.authenticate(minted.token.reveal()).unwrap();
    spend(&mut kernel.0.state.lock().fold.accounts, "lab", 0..CONVERSATIONS_PER_WORKSPACE_MAX, SOME);
    let admit = |conversation| kernel.admit_model(proposal(&run, conversation));
    // Each has spent something that counts for its whole life.
    kernel.tend().await;
    let Admission::Refused(refusal) = admit("new").await else { panic!("there is no room") };
    assert_eq!(refusal.code, Code::Overloaded);
    assert!(refusal.reason.contains("Go on with one of them"), "{}", refusal.reason);
    assert!(matches!(admit("c7").await, Admission::Cleared(_)), "those that are known go on");
    // No budget counts them: they make room.
    kernel.apply(setup(Vec::new()), &owner).await.unwrap();
    assert!(matches!(admit("new").await, Admission::Refused(_)));
    kernel.tend().await;
    assert!(matches!(admit("new").await, Admission::Cleared(_)));
}
