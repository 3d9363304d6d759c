//! The small world as a kernel is told of it.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use ringfence_json::Object;
use ringfence_kernel::{
    AgentModels, AgentSetup, BreakerSetup, Clock, Demand, EgressGrants, Grants, Kernel, LoopLimits, Mint,
    ModelCall, ModelSetup, Options, RunLimits, Setup, Trust, WorkspaceBudgets, WorkspaceSetup,
};
use ringfence_ledger::Faults;
use ringfence_policy::{PolicySet, Source, Vocabulary};
use ringfence_types::{
    AgentName, Budget, CacheWrite, ConversationName, Digest, ModelName, Money, NodeName, OrganizationName,
    Price, Schedule, UserName, Window, WorkspaceName,
};

use crate::common::Node;
use crate::world::{AGENTS, CALL, CONVERSATIONS, Call, Cap, Caps, Level, MODELS, Model, PERS, Per, Rates};
use crate::world::{Steps, TOKEN, USERS, WORKSPACES};

/// The hosted tool of this world.
pub const SEARCH: &str = "web_search";

fn policy() -> Arc<PolicySet> {
    static POLICY: OnceLock<Arc<PolicySet>> = OnceLock::new();
    let compile = || {
        let text = "rules: [{ name: models, match: { kind: model_call }, decision: ALLOW }]";
        Arc::new(
            PolicySet::compile(&[Source::yaml("policy.yaml", text)], &Vocabulary::default()).unwrap().set,
        )
    };
    Arc::clone(POLICY.get_or_init(compile))
}

pub fn setup(config: u64) -> Setup {
    let workspaces = WORKSPACES.iter().enumerate();
    Setup {
        digest: Digest::of(&config.to_le_bytes()),
        organization: OrganizationName::new("acme").unwrap(),
        workspaces: workspaces
            .map(|(index, name)| (WorkspaceName::new(name).unwrap(), workspace(config, index)))
            .collect(),
        people: HashMap::new(),
        approval_wait: Duration::from_secs(1),
        builds: ringfence_kernel::Builds::default(),
    }
}

fn workspace(config: u64, index: usize) -> WorkspaceSetup {
    let caps = Caps::of(config, index);
    let budgets = |level| budgets(caps.at(level));
    let agents = AGENTS.iter().filter(|(workspace, _)| *workspace == index);
    WorkspaceSetup {
        environment: "production".into(),
        trust: Trust::FirstUse,
        retention: Duration::from_hours(24 * 365),
        servers: HashMap::new(),
        models: MODELS
            .iter()
            .map(|model| (ModelName::new(model.name).unwrap(), Arc::new(model_setup(model))))
            .collect(),
        budgets: WorkspaceBudgets {
            workspace: budgets(Level::Workspace),
            agent: budgets(Level::Agent),
            user: budgets(Level::User),
            conversation: budgets(Level::Conversation),
        },
        agents: agents.map(|(_, name)| (AgentName::new(name).unwrap(), agent(budgets(Level::Run)))).collect(),
        policy: policy(),
    }
}

fn agent(budgets: Vec<Budget>) -> AgentSetup {
    let held = MODELS.iter().filter(|model| model.held);
    AgentSetup {
        egress: EgressGrants::default(),
        grants: Grants::parse(["tools/*"]).unwrap(),
        models: AgentModels {
            held: held.map(|model| ModelName::new(model.name).unwrap()).collect(),
            budgets,
            calls: None,
            loops: LoopLimits { stale: None, failing: None, errors: None },
            hosted: vec![SEARCH.into()],
            ..AgentModels::default()
        },
        spawn: Vec::new(),
        limits: RunLimits { wall: None, concurrent: None, repetition: None, actions: None },
    }
}

/// The caps, and behind them one without a bound for each window: what it covers is reported.
fn budgets(caps: &[Cap]) -> Vec<Budget> {
    let seen = PERS.map(|per| Cap { usd: None, tokens: None, per });
    let all = caps.iter().chain(&seen);
    all.map(|cap| Budget { usd: cap.usd.map(Money::from_nanos), tokens: cap.tokens, per: window(cap.per) })
        .collect()
}

fn window(per: Per) -> Option<Window> {
    match per {
        Per::Life => None,
        Per::Hour => Some(Window::Hour),
        Per::Day => Some(Window::Day),
        Per::Month => Some(Window::Month),
    }
}

pub fn per(window: Option<Window>) -> Per {
    match window {
        None => Per::Life,
        Some(Window::Hour) => Per::Hour,
        Some(Window::Day) => Per::Day,
        Some(Window::Month) => Per::Month,
    }
}

fn model_setup(model: &Model) -> ModelSetup {
    let tiers = model.tiers[1..].iter().map(|(name, steps)| ((*name).into(), schedule(steps)));
    ModelSetup {
        price: Price {
            standard: schedule(model.tiers[0].1),
            tiers: tiers.collect(),
            hosted: model.search.map(|price| (SEARCH.into(), Money::from_nanos(price))).into_iter().collect(),
            ..Price::default()
        },
        breaker: BreakerSetup { failures: u32::MAX, open_for: Duration::from_secs(1) },
        call_timeout: Duration::from_secs(CALL),
        floor: model.floor,
        onward: Vec::new(),
    }
}

fn schedule(steps: Steps) -> Schedule {
    let rates = |rates: Rates| {
        let [input, cached_input, cache_write, cache_write_1h, output, reasoning] =
            rates.map(Money::from_nanos);
        ringfence_types::Rates { input, cached_input, cache_write, cache_write_1h, output, reasoning }
    };
    Schedule {
        base: rates(steps[0].1),
        steps: steps[1..].iter().map(|(above, step)| (*above, rates(*step))).collect(),
    }
}

pub fn call(call: Call) -> ModelCall {
    ModelCall {
        model: ModelName::new(MODELS[call.model].name).unwrap(),
        named: None,
        operation: "chat".into(),
        request: Bytes::from_static(b"{}"),
        view: Object::new(),
        demand: Demand {
            input: call.input,
            output: call.output,
            extra: call.extra,
            answers: call.answers,
            writes_cache: [CacheWrite::Never, CacheWrite::Short, CacheWrite::Hour][usize::from(call.cache)],
            tier: call.tier.map(Into::into),
            hosted: if call.searches == 0 { Vec::new() } else { vec![(SEARCH.into(), call.searches)] },
        },
        trail: None,
        conversation: conversation(call.conversation),
        instead_of: None,
        why: None,
        cached: call.kept,
    }
}

pub fn mint(agent: usize, user: usize, named: usize) -> Mint {
    let (workspace, agent) = AGENTS[agent];
    Mint {
        workspace: WorkspaceName::new(WORKSPACES[workspace]).unwrap(),
        agent: AgentName::new(agent).unwrap(),
        user: USERS[user].map(|name| UserName::new(name).unwrap()),
        conversation: conversation(named),
        ttl: Duration::from_secs(TOKEN),
    }
}

fn conversation(index: usize) -> Option<ConversationName> {
    CONVERSATIONS[index].map(|name| ConversationName::new(name).unwrap())
}

pub async fn open(folder: &Path, clock: Clock, config: u64, faults: &Faults) -> Node {
    let options =
        Options { node: NodeName::new("test").unwrap(), clock: clock.clone(), segment_bytes: Some(1 << 20) };
    let opened = Kernel::open_with_faults(folder, options, setup(config), faults.clone()).await;
    let (kernel, recovered) = opened.unwrap();
    Node { kernel, clock, recovered }
}
