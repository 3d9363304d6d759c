//! However a flight ends, its call is settled and its provider left in peace: nothing has to be done for that.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Uri;
use ringfence_json::{Limits as JsonLimits, Object, parse};
use ringfence_kernel::{
    Account, Actor, Admission, AgentModels, AgentSetup, BreakerSetup, Clock, Demand, EgressGrants, Grants,
    Kernel, Mint, ModelCall, ModelProposal, ModelSetup, Options, Run, RunLimits, Setup, Sum, Trust,
    WorkspaceBudgets, WorkspaceSetup,
};
use ringfence_llm::{Api, Family};
use ringfence_policy::{PolicySet, Source, Vocabulary};
use ringfence_types::{
    AgentName, Digest, ModelName, Money, NodeName, OrganizationName, PersonName, Price, Rates, Schedule,
    WorkspaceName,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::*;
use crate::gate::Gate;
use crate::llm::call::Said;
use crate::llm::outgoing::{Manner, Outgoing};
use crate::targets::{HttpProvider, Table, Targets};
use crate::{Doors, Gateway, Limits};

/// How long anything may take that must happen by itself.
const PATIENCE: Duration = Duration::from_secs(10);

/// The beginning of a stream that goes no further.
const BEGINNING: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n\
    9\r\ndata: 1\n\n\r\n";

/// What may happen to the task in which a call is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It is dropped, as when the client goes away.
    Dropped,
    /// It panics.
    Panics,
}

fn model() -> ModelName {
    ModelName::new("smart").unwrap()
}

fn workspace() -> WorkspaceName {
    WorkspaceName::new("lab").unwrap()
}

fn assistant() -> AgentName {
    AgentName::new("assistant").unwrap()
}

/// A model at a dollar for a million tokens, whichever.
fn priced() -> ModelSetup {
    let one: Money = "1".parse().unwrap();
    let base = Rates {
        input: one,
        cached_input: one,
        cache_write: one,
        cache_write_1h: one,
        output: one,
        reasoning: one,
    };
    ModelSetup {
        price: Price { standard: Schedule { base, steps: Vec::new() }, ..Price::default() },
        breaker: BreakerSetup { failures: 3, open_for: Duration::from_secs(30) },
        call_timeout: Duration::from_mins(1),
        floor: 16,
        onward: Vec::new(),
    }
}

fn setup() -> Setup {
    let policy = "rules:\n  - { name: everything, match: {}, decision: ALLOW }\n";
    let compiled = PolicySet::compile(&[Source::yaml("policy.yaml", policy)], &Vocabulary::default());
    let agent = AgentSetup {
        grants: Grants::parse([]).unwrap(),
        models: AgentModels { held: vec![model()], ..AgentModels::default() },
        egress: EgressGrants::default(),
        spawn: Vec::new(),
        limits: RunLimits { wall: None, concurrent: None, repetition: None, actions: None },
    };
    let lab = WorkspaceSetup {
        environment: "test".into(),
        trust: Trust::FirstUse,
        retention: Duration::from_hours(24),
        servers: HashMap::new(),
        models: HashMap::from([(model(), Arc::new(priced()))]),
        budgets: WorkspaceBudgets::default(),
        agents: HashMap::from([(assistant(), agent)]),
        policy: Arc::new(compiled.unwrap().set),
    };
    Setup {
        digest: Digest::of(policy.as_bytes()),
        organization: OrganizationName::new("acme").unwrap(),
        workspaces: HashMap::from([(workspace(), lab)]),
        people: HashMap::new(),
        approval_wait: Duration::from_secs(1),
        builds: ringfence_kernel::Builds::default(),
    }
}

async fn gate(folder: &std::path::Path) -> (Arc<Gate>, Arc<Run>) {
    let options = Options {
        node: NodeName::new("test").unwrap(),
        clock: Clock::system(),
        segment_bytes: Some(1 << 20),
    };
    let (kernel, _) = Kernel::open(folder, options, setup()).await.unwrap();
    let dana = Actor { person: PersonName::new("dana").unwrap(), roles: Vec::new(), owner: true };
    let mint = Mint {
        workspace: workspace(),
        agent: assistant(),
        user: None,
        conversation: None,
        ttl: Duration::from_hours(1),
    };
    let minted = kernel.mint(mint, &dana).await.unwrap();
    let run = kernel.authenticate(minted.token.reveal()).unwrap();
    let targets = Targets::new(Table::default());
    let gateway = Gateway::new(kernel, targets, None, Doors::default(), Limits::default()).unwrap();
    (Arc::clone(gateway.gate()), run)
}

/// A cleared call.
async fn flight(gate: &Arc<Gate>, run: &Arc<Run>) -> Flight {
    let request = Bytes::from_static(b"{}");
    let asked = ModelCall {
        model: model(),
        named: None,
        operation: "chat".into(),
        request: request.clone(),
        view: Object::new(),
        demand: Demand { input: 1_000, output: Some(1_000), answers: 1, ..Demand::default() },
        trail: None,
        conversation: None,
        instead_of: None,
        why: None,
        cached: false,
    };
    let admission = gate.kernel.admit_model(ModelProposal { run: Arc::clone(run), call: asked }).await;
    let Admission::Cleared(clearance) = admission else { panic!("not cleared: {admission:?}") };
    let call = Call {
        gate: Arc::clone(gate),
        run: Arc::clone(run),
        api: Api::Chat,
        request,
        said: Said::default(),
        _room: Arc::new(gate.loads.body(run.id, 2).unwrap()),
    };
    Flight::new(call, clearance)
}

/// Somebody who begins to answer and waits until nobody wants to hear more.
async fn provider() -> (HttpProvider, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base: Uri = format!("http://{}/v1", listener.local_addr().unwrap()).parse().unwrap();
    let left = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut read = Vec::new();
        while !read.ends_with(b"\r\n\r\n{}") {
            read.push(stream.read_u8().await.unwrap());
        }
        stream.write_all(BEGINNING).await.unwrap();
        while stream.read_u8().await.is_ok() {}
    });
    (HttpProvider { family: Family::OpenAi, base, headers: Vec::new(), is_makers: false }, left)
}

/// A task in which a call is under way: 900 tokens were read, and 100 written.
async fn under_way(mut flight: Flight, provider: &HttpProvider, fate: Fate) -> JoinHandle<()> {
    let body = Bytes::from_static(b"{}");
    let outgoing =
        Outgoing::make(provider, Api::Chat, &Said::default(), body, Manner::of(true, false, None)).unwrap();
    let (began, begun) = oneshot::channel();
    let task = tokio::spawn(async move {
        flight.take_turn(1).await.unwrap();
        let sending = flight.call.gate.wires.send(outgoing.request());
        flight.clearance().meter().sent(900);
        let mut answer = sending.await.unwrap().into_body();
        assert!(answer.data().await.unwrap().is_some());
        flight.clearance().meter().written(100);
        began.send(()).unwrap();
        assert!(fate == Fate::Dropped, "something that nobody thought of");
        let _ = answer.data().await;
    });
    begun.await.unwrap();
    task
}

/// The last outcome in the log: its status and on what its charge is based.
fn outcome(gate: &Gate) -> (String, String) {
    let ledger = gate.kernel.ledger();
    while ledger.durable() < ledger.size() {
        std::thread::sleep(Duration::from_millis(1));
    }
    let entries = ledger.read(0).unwrap().map(|entry| entry.unwrap().bytes);
    let bodies = entries.map(|bytes| parse(&bytes, &JsonLimits::default()).unwrap().into_object().unwrap());
    let outcome = bodies.filter(|body| body.text("kind") == Some("outcome")).last().unwrap();
    let charge = outcome.get("charge").unwrap().as_object().unwrap();
    (outcome.text("status").unwrap().to_owned(), charge.text("basis").unwrap().to_owned())
}

#[tokio::test]
async fn a_flight_whose_task_is_dropped_or_panics_is_settled_and_its_provider_let_go() {
    for (fate, status) in [(Fate::Dropped, "cancelled"), (Fate::Panics, "unknown")] {
        let folder = tempfile::tempdir().unwrap();
        let (gate, run) = gate(folder.path()).await;
        let (provider, left) = provider().await;
        let task = under_way(flight(&gate, &run).await, &provider, fate).await;
        if fate == Fate::Dropped {
            let sum = gate.kernel.spent(&Account::Run(run.id));
            assert_eq!(sum.reserved_usd, "0.002".parse().unwrap(), "under way");
            task.abort();
        }
        let ended = task.await.unwrap_err();
        assert_eq!(ended.is_panic(), fate == Fate::Panics);
        tokio::time::timeout(PATIENCE, left).await.expect("the provider is let go").unwrap();
        assert_eq!(outcome(&gate), (status.to_owned(), "counted".to_owned()), "{fate:?}");
        // 900 read, 100 written, and a margin of 5 % and 256.
        let expected = Sum { usd: "0.001261".parse().unwrap(), tokens: 1_261, calls: 1, ..Sum::default() };
        assert_eq!(gate.kernel.spent(&Account::Run(run.id)), expected, "{fate:?}");
        // Its place at the model is free again.
        flight(&gate, &run).await.take_turn(1).await.unwrap();
    }
}
