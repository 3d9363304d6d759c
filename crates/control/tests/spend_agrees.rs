//! Whatever happens, the index, the entries and the kernel's accounts say the same of what was spent, to the nano-dollar.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on panics; its helpers too")]

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;
use ringfence_json::{Limits, Object, Value, parse};
use ringfence_kernel::{
    Account, Actor, Admission, AgentModels, AgentSetup, BreakerSetup, CancelledBy, Clock, Demand,
    EgressGrants, Grants, Kernel, LoopLimits, Mint, ModelCall, ModelClearance, ModelProposal, ModelSetup,
    Options, Outcome, Run, RunLimits, Setup, Trust, WorkspaceBudgets, WorkspaceSetup,
};
use ringfence_policy::{PolicySet, Source, Vocabulary};
use ringfence_store::{Index, SpendQuery};
use ringfence_types::{
    Budget, Digest, ModelName, Money, NodeName, OrganizationName, PersonName, Price, Rates, Schedule,
    Timestamp, Usage, UserName, Window, WorkspaceName,
};

const POLICY: &str = "rules:\n  - { name: all, match: {}, decision: ALLOW }\n";
const WORKSPACES: [&str; 2] = ["lab", "shop"];
const AGENTS: [&str; 2] = ["assistant", "mailer"];

/// What happens next.
#[derive(Debug, Clone)]
enum Happening {
    /// A run calls a model, maybe in a conversation.
    Call { run: usize, conversation: Option<u8>, output: u64 },
    /// The call that was cleared so many calls ago ends so.
    End { which: usize, end: End },
    /// Time passes, and what is overdue then is given up.
    Pass { minutes: u64 },
}

#[derive(Debug, Clone)]
enum End {
    Reported(Usage),
    LeftAt { written: u64 },
    Dropped,
}

fn happening() -> impl Strategy<Value = Happening> {
    // Odd rates and counts, so that an amount that is rounded anywhere shows.
    let usage = (0..900_u64, 0..90_u64, 0..9_u64, 0..300_u64, 0..50_u64).prop_map(
        |(input, cached_input, cache_write, output, reasoning)| Usage {
            input,
            cached_input,
            cache_write,
            output,
            reasoning,
            ..Usage::default()
        },
    );
    let end = prop_oneof![
        3 => usage.prop_map(End::Reported),
        1 => (0..200_u64).prop_map(|written| End::LeftAt { written }),
        1 => Just(End::Dropped),
    ];
    prop_oneof![
        4 => (0..6_usize, prop::option::of(0..3_u8), 1..400_u64)
            .prop_map(|(run, conversation, output)| Happening::Call { run, conversation, output }),
        3 => (0..8_usize, end).prop_map(|(which, end)| Happening::End { which, end }),
        1 => (1..700_u64).prop_map(|minutes| Happening::Pass { minutes }),
    ]
}

fn setup() -> Setup {
    let nanos = |nanos| Money::from_nanos(nanos);
    let base = Rates {
        input: nanos(1_234_567),
        cached_input: nanos(123_457),
        cache_write: nanos(1_543_211),
        cache_write_1h: nanos(2_469_137),
        output: nanos(7_654_321),
        reasoning: nanos(8_765_433),
    };
    let model = Arc::new(ModelSetup {
        price: Price { standard: Schedule { base, steps: Vec::new() }, ..Price::default() },
        breaker: BreakerSetup { failures: 1_000, open_for: Duration::from_secs(1) },
        call_timeout: Duration::from_hours(5),
        floor: 1,
        onward: Vec::new(),
    });
    let smart = ModelName::new("smart").unwrap();
    let agent = AgentSetup {
        egress: EgressGrants::default(),
        grants: Grants::parse(Vec::<&str>::new()).unwrap(),
        models: AgentModels {
            held: vec![smart.clone()],
            loops: LoopLimits { errors: None, ..LoopLimits::default() },
            ..AgentModels::default()
        },
        spawn: Vec::new(),
        limits: RunLimits { wall: None, concurrent: None, repetition: None, actions: None },
    };
    let policy = PolicySet::compile(&[Source::yaml("policy.yaml", POLICY)], &Vocabulary::default()).unwrap();
    let policy = Arc::new(policy.set);
    let workspace = || WorkspaceSetup {
        environment: "test".into(),
        trust: Trust::FirstUse,
        retention: Duration::from_hours(24),
        servers: HashMap::new(),
        models: HashMap::from([(smart.clone(), Arc::clone(&model))]),
        budgets: WorkspaceBudgets {
            workspace: vec![Budget { usd: Some(nanos(15_000)), tokens: None, per: Some(Window::Day) }],
            ..WorkspaceBudgets::default()
        },
        agents: AGENTS.iter().map(|name| (name.parse().unwrap(), agent.clone())).collect(),
        policy: Arc::clone(&policy),
    };
    Setup {
        digest: Digest::of(b"setup"),
        organization: OrganizationName::new("acme").unwrap(),
        workspaces: WORKSPACES.iter().map(|name| (name.parse().unwrap(), workspace())).collect(),
        people: HashMap::new(),
        approval_wait: Duration::from_millis(1),
        builds: ringfence_kernel::Builds::default(),
    }
}

fn call(conversation: Option<u8>, output: u64) -> ModelCall {
    ModelCall {
        model: ModelName::new("smart").unwrap(),
        named: None,
        operation: "chat".into(),
        request: Bytes::from_static(b"{}"),
        view: Object::new(),
        demand: Demand { input: 1_000, output: Some(output), answers: 1, ..Demand::default() },
        trail: None,
        conversation: conversation.map(|number| format!("c{number}").parse().unwrap()),
        instead_of: None,
        why: None,
        cached: false,
    }
}

fn end(clearance: ModelClearance, how: &End) {
    clearance.meter().sent(700);
    match how {
        End::Reported(usage) => {
            clearance.meter().reported(*usage, true);
            clearance.settle(Outcome::Completed { result: b"{}".to_vec(), is_error: false });
        }
        End::LeftAt { written } => {
            clearance.meter().written(*written);
            clearance.settle(Outcome::Cancelled { by: CancelledBy::Client });
        }
        End::Dropped => drop(clearance),
    }
}

async fn runs(kernel: &Kernel) -> Vec<Arc<Run>> {
    let owner = Actor { person: PersonName::new("owner").unwrap(), roles: Vec::new(), owner: true };
    let mut runs = Vec::new();
    for number in 0..6_usize {
        let mint = Mint {
            workspace: WORKSPACES[number % 2].parse().unwrap(),
            agent: AGENTS[number / 3].parse().unwrap(),
            user: (number % 3 > 0).then(|| UserName::new("erin").unwrap()),
            conversation: None,
            ttl: Duration::from_hours(24 * 20),
        };
        let minted = kernel.mint(mint, &owner).await.unwrap();
        runs.push(kernel.authenticate(minted.token.reveal()).unwrap());
    }
    runs
}

/// Members of entries and their values.
type Members = Vec<(&'static str, Option<String>)>;

/// What the entries say that was spent by whoever has these members, cleared from `since` on.
fn by_hand(entries: &[Object], whose: &[(&str, Option<String>)], since: Timestamp) -> (u64, u64) {
    let mut sum = (0, 0);
    for intent in entries.iter().filter(|entry| entry.text("kind") == Some("intent")) {
        let at: Timestamp = intent.text("at").unwrap().parse().unwrap();
        if at < since || whose.iter().any(|(name, value)| intent.text(name) != value.as_deref()) {
            continue;
        }
        // What came of it, or what an incident says later in its place.
        let of_it =
            |entry: &&Object| entry.contains("charge") && entry.text("action") == intent.text("action");
        let charge =
            entries.iter().rfind(of_it).and_then(|entry| entry.get("charge")?.get("usd_nanos")?.as_u64());
        let reserved =
            intent.get("reserved").and_then(|reserved| reserved.get("usd_nanos")?.as_u64()).unwrap();
        match charge {
            Some(charge) => sum.0 += charge,
            None => sum.1 += reserved,
        }
    }
    sum
}

fn entries_of(kernel: &Kernel) -> Vec<Object> {
    let ledger = kernel.ledger();
    while ledger.durable() < ledger.size() {
        std::thread::sleep(Duration::from_millis(1));
    }
    let object = |bytes: &[u8]| parse(bytes, &Limits::default()).ok().and_then(Value::into_object);
    ledger.read(0).unwrap().map(|entry| object(&entry.unwrap().bytes).unwrap()).collect()
}

/// The accounts of this run in the conversations there are: what to ask the index, and the members of its entries.
fn accounts(run: &Run) -> Vec<(Account, SpendQuery, Members)> {
    let workspace = Some(run.workspace.clone());
    let in_it = || ("workspace", Some(run.workspace.to_string()));
    let all = SpendQuery { workspace, ..SpendQuery::default() };
    let user = run.user.as_ref();
    let mut found = vec![
        (Account::Workspace(run.workspace.clone()), all.clone(), vec![in_it()]),
        (
            Account::Agent(run.workspace.clone(), run.agent.clone()),
            SpendQuery { agent: Some(run.agent.clone()), ..all.clone() },
            vec![in_it(), ("agent", Some(run.agent.to_string()))],
        ),
        (
            Account::Run(run.id),
            SpendQuery { run: Some(run.id), ..SpendQuery::default() },
            vec![("run", Some(run.id.to_string()))],
        ),
    ];
    if let Some(user) = user {
        let of_user = SpendQuery { user: Some(user.clone()), ..all };
        let members = || vec![in_it(), ("user", Some(user.to_string()))];
        found.push((Account::User(run.workspace.clone(), user.clone()), of_user.clone(), members()));
        for number in 0..3 {
            let name: ringfence_types::ConversationName = format!("c{number}").parse().unwrap();
            let mut members = members();
            members.push(("conversation", Some(name.to_string())));
            found.push((
                Account::Conversation(run.workspace.clone(), Some(user.clone()), name.clone()),
                SpendQuery { conversation: Some(name), ..of_user.clone() },
                members,
            ));
        }
    }
    found
}

/// Says how many calls came to more than was booked when they were given up.
async fn check(happenings: Vec<Happening>) -> usize {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::manual("2026-11-21T09:00:00Z".parse().unwrap());
    let options =
        Options { node: NodeName::new("test").unwrap(), clock: clock.clone(), segment_bytes: Some(1 << 20) };
    let (kernel, _) = Kernel::open(folder.path(), options, setup()).await.unwrap();
    let index = Index::open(&folder.path().join("index.sqlite")).unwrap();
    let runs = runs(&kernel).await;
    let mut open: Vec<ModelClearance> = Vec::new();
    for happening in happenings {
        match happening {
            Happening::Call { run, conversation, output } => {
                let call = call(conversation, output);
                let proposal = ModelProposal { run: Arc::clone(&runs[run]), call };
                // What no budget covers is refused, and costs nothing.
                if let Admission::Cleared(clearance) = kernel.admit_model(proposal).await {
                    open.push(clearance);
                }
            }
            Happening::End { which, end: how } if which < open.len() => end(open.remove(which), &how),
            Happening::End { .. } => {}
            Happening::Pass { minutes } => {
                clock.advance(Duration::from_mins(minutes));
                kernel.tend().await;
            }
        }
    }
    let entries = entries_of(&kernel);
    index.catch_up(kernel.ledger()).unwrap();
    let now = kernel.now();
    for run in &runs {
        for (account, query, members) in accounts(run) {
            let windows = [None, Some(Window::Hour), Some(Window::Day), Some(Window::Month)];
            for per in windows {
                let since = per.map_or(Timestamp::from_micros(0), |window| window.around(now).0);
                let query = SpendQuery { since: Some(since), ..query.clone() };
                let indexed = index.spend(&query).unwrap().total;
                let live = kernel.spent_within(&account, per);
                let what = format!("{account:?} per {per:?}");
                assert_eq!((indexed.usd, indexed.reserved_usd), (live.usd, live.reserved_usd), "{what}");
                assert_eq!((indexed.usage.total(), indexed.calls), (live.tokens, live.calls), "{what}");
                let by_hand = by_hand(&entries, &members, since);
                assert_eq!((live.usd.nanos(), live.reserved_usd.nanos()), by_hand, "{what}");
            }
        }
    }
    let booked: Money = kernel.status().counts.booked.values().map(|sum| sum.usd).sum();
    assert_eq!(booked, index.spend(&SpendQuery::default()).unwrap().total.usd, "metrics say the same");
    drop(open);
    let total: Money = WORKSPACES
        .iter()
        .map(|name| kernel.spent(&Account::Workspace(WorkspaceName::new(name).unwrap())))
        .inspect(|sum| assert_eq!(sum.reserved_usd, Money::ZERO, "nothing stays set aside"))
        .map(|sum| sum.usd)
        .sum();
    entries_of(&kernel);
    index.catch_up(kernel.ledger()).unwrap();
    assert_eq!(index.spend(&SpendQuery::default()).unwrap().total.usd, total);
    let corrected = |entry: &&Object| entry.text("kind") == Some("incident") && entry.contains("charge");
    entries.iter().filter(corrected).count()
}

#[tokio::test]
async fn what_is_known_too_late_is_the_same_everywhere() {
    let usage = Usage { input: 700, output: 300, ..Usage::default() };
    let call = |run| Happening::Call { run, conversation: Some(0), output: 7 };
    let end = || Happening::End { which: 0, end: End::Reported(usage) };
    let happenings = vec![call(1), call(4), Happening::Pass { minutes: 310 }, end(), call(2), end(), end()];
    assert_eq!(check(happenings).await, 2);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn index_entries_and_accounts_say_the_same(happenings in prop::collection::vec(happening(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let _ = runtime.block_on(check(happenings));
    }
}
