//! A node's kernel in a folder of its own, with a policy and a clock that stands still.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests; each file uses a part of them"
)]

pub mod random;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ringfence_json::{Limits, Object, Value, parse};
use ringfence_kernel::{
    Actor, Admission, AgentModels, AgentSetup, BreakerSetup, Call, Clearance, Clock, EgressGrants, Grants,
    Kernel, Mint, ModelSetup, Options, Outcome, Pending, PinSelection, Proposal, Recovered, Run, RunLimits,
    ServerSetup, Setup, ToolWords, Trust, WorkspaceBudgets, WorkspaceSetup,
};
use ringfence_policy::{PolicySet, Source, ToolDefinition, Vocabulary};
use ringfence_types::{
    ActionType, AgentName, Digest, Money, NodeName, OrganizationName, PersonName, Price, Rates, Refusal,
    Role, Schedule, ServerName, Timestamp, ToolName, UserName, WorkspaceName,
};

/// A rule for each decision; `query` reads, `send` asks a person, `scale` is narrowed, `drop` is denied.
pub const POLICY: &str = "
rules:
  - { name: reads, match: { action_type: read }, decision: ALLOW }
  - { name: sends, match: { action: send }, decision: REQUIRE_APPROVAL, approval: { expires: 10m } }
  - { name: scales, match: { action: scale }, decision: ALLOW_WITH_CONSTRAINTS, constraints: { max_replicas: 10 } }
  - { name: pays, match: { action: pay }, decision: REQUIRE_APPROVAL, constraints: { max_amount: 100 }, approval: { quorum: 2, expires: 10m } }
  - { name: drops, match: { action: drop }, decision: DENY, reason: databases stay }
";

pub struct Node {
    pub kernel: Kernel,
    pub clock: Clock,
    pub recovered: Recovered,
}

pub fn json(text: &str) -> Object {
    parse(text.as_bytes(), &Limits::default()).unwrap().into_object().unwrap()
}

pub fn limits() -> RunLimits {
    RunLimits { wall: None, concurrent: Some(64), repetition: None, actions: None }
}

pub fn setup(policy: &str, limits: RunLimits) -> Setup {
    let compiled =
        PolicySet::compile(&[Source::yaml("policy.yaml", policy)], &Vocabulary::default()).unwrap();
    let read = ToolWords { action_type: Some(ActionType::Read), ..ToolWords::default() };
    let server = ServerSetup {
        capability: Some("tools".into()),
        trust_hints: false,
        actions: HashMap::from([(ToolName::new("query").unwrap(), read)]),
        breaker: BreakerSetup { failures: 3, open_for: Duration::from_secs(30) },
        call_timeout: Duration::from_mins(1),
        holds: None,
    };
    let agent = AgentSetup {
        grants: Grants::parse(["tools/*"]).unwrap(),
        models: AgentModels::default(),
        egress: EgressGrants::default(),
        spawn: Vec::new(),
        limits,
    };
    let workspace = WorkspaceSetup {
        environment: "production".into(),
        trust: Trust::FirstUse,
        retention: Duration::from_hours(24),
        servers: HashMap::from([
            (ServerName::new("tools").unwrap(), server.clone()),
            (ServerName::new("other").unwrap(), server),
        ]),
        models: HashMap::new(),
        budgets: WorkspaceBudgets::default(),
        agents: HashMap::from([(AgentName::new("assistant").unwrap(), agent)]),
        policy: Arc::new(compiled.set),
    };
    Setup {
        digest: Digest::of(policy.as_bytes()),
        organization: OrganizationName::new("acme").unwrap(),
        workspaces: HashMap::from([(WorkspaceName::new("research").unwrap(), workspace)]),
        people: HashMap::from([(PersonName::new("dana").unwrap(), vec![Role::new("approver").unwrap()])]),
        approval_wait: Duration::from_millis(200),
        builds: ringfence_kernel::Builds::default(),
    }
}

pub fn start() -> Timestamp {
    "2026-11-21T09:00:00Z".parse().unwrap()
}

pub async fn open_at(folder: &Path, clock: Clock, setup: Setup) -> Node {
    let options =
        Options { node: NodeName::new("test").unwrap(), clock: clock.clone(), segment_bytes: Some(1 << 20) };
    let (kernel, recovered) = Kernel::open(folder, options, setup).await.unwrap();
    Node { kernel, clock, recovered }
}

pub async fn open_with(folder: &Path, policy: &str, limits: RunLimits) -> Node {
    let node = open_at(folder, Clock::manual(start()), setup(policy, limits)).await;
    node.observe().await;
    node
}

pub async fn open(folder: &Path) -> Node {
    open_with(folder, POLICY, limits()).await
}

pub fn tool(name: &str) -> Arc<ToolDefinition> {
    let text = format!(
        r#"{{"name":"{name}","description":"{name}","inputSchema":{{"type":"object","properties":{{"q":{{"type":"string"}},"replicas":{{"type":"integer","minimum":1}},"amount":{{"type":"number"}}}}}}}}"#
    );
    Arc::new(ToolDefinition::parse(&Value::Object(json(&text))).unwrap())
}

pub fn person(name: &str, roles: &[&str]) -> Actor {
    Actor {
        person: PersonName::new(name).unwrap(),
        roles: roles.iter().map(|role| Role::new(role).unwrap()).collect(),
        owner: false,
    }
}

pub fn dana() -> Actor {
    person("dana", &["approver"])
}

pub fn workspace() -> WorkspaceName {
    WorkspaceName::new("research").unwrap()
}

pub fn server() -> ServerName {
    ServerName::new("tools").unwrap()
}

impl Node {
    pub async fn observe(&self) {
        let tools: Vec<_> = ["query", "send", "scale", "pay", "drop"].into_iter().map(tool).collect();
        self.kernel.observe(&workspace(), &server(), &tools).await.unwrap();
    }

    pub async fn mint(&self) -> (String, Arc<Run>) {
        self.mint_for(Some("erin")).await
    }

    pub async fn mint_for(&self, user: Option<&str>) -> (String, Arc<Run>) {
        let request = Mint {
            workspace: workspace(),
            agent: AgentName::new("assistant").unwrap(),
            user: user.map(|user| UserName::new(user).unwrap()),
            conversation: None,
            ttl: Duration::from_hours(1),
        };
        let minted = self.kernel.mint(request, &dana()).await.unwrap();
        let token = minted.token.reveal().to_owned();
        let run = self.kernel.authenticate(&token).unwrap();
        (token, run)
    }

    pub async fn admit(&self, run: &Arc<Run>, tool: &str, arguments: &str) -> Admission {
        self.kernel.admit(proposal(run, tool, arguments)).await
    }

    pub async fn cleared(&self, run: &Arc<Run>, tool: &str, arguments: &str) -> Clearance {
        match self.admit(run, tool, arguments).await {
            Admission::Cleared(clearance) => clearance,
            other => panic!("{tool} was not cleared: {other:?}"),
        }
    }

    pub async fn refused(&self, run: &Arc<Run>, tool: &str, arguments: &str) -> Refusal {
        match self.admit(run, tool, arguments).await {
            Admission::Refused(refusal) => refusal,
            other => panic!("{tool} was not refused: {other:?}"),
        }
    }

    pub async fn pending(&self, run: &Arc<Run>, tool: &str, arguments: &str) -> Box<Pending> {
        match self.admit(run, tool, arguments).await {
            Admission::Pending(pending) => pending,
            other => panic!("{tool} is not pending: {other:?}"),
        }
    }

    /// The bodies of all durable entries of one kind, in order.
    pub fn entries(&self, kind: &str) -> Vec<Object> {
        let ledger = self.kernel.ledger();
        while ledger.durable() < ledger.size() {
            std::thread::sleep(Duration::from_millis(1));
        }
        let bodies =
            ledger.read(0).unwrap().map(|entry| json(std::str::from_utf8(&entry.unwrap().bytes).unwrap()));
        bodies.filter(|body| body.text("kind") == Some(kind)).collect()
    }
}

pub fn proposal(run: &Arc<Run>, tool: &str, arguments: &str) -> Proposal {
    Proposal {
        run: Arc::clone(run),
        server: server(),
        call: Call::Tool {
            tool: ToolName::new(tool).unwrap(),
            arguments: json(arguments),
            continuation: None,
        },
    }
}

pub fn completed(text: &str) -> Outcome {
    Outcome::Completed { result: text.as_bytes().to_vec(), is_error: false }
}

pub fn arguments_of(call: &Call) -> String {
    match call {
        Call::Tool { arguments, .. } => String::from_utf8(arguments.to_canonical()).unwrap(),
        other => panic!("no tool call: {other:?}"),
    }
}

pub fn all() -> PinSelection {
    PinSelection::All
}

/// A folder in memory where there is one: thousands of nodes are opened, and none has to outlive this machine.
pub fn folder() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory).unwrap() } else { tempfile::tempdir().unwrap() }
}

/// The node's folder as a crash would leave it now: what is durable, without any good-bye.
pub fn crash_copy(folder: &Path, node: &Node) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    crash_copy_to(folder, node, copy.path());
    copy
}

/// As [`crash_copy`], into a folder that is there.
pub fn crash_copy_to(folder: &Path, node: &Node, copy: &Path) {
    let ledger = node.kernel.ledger();
    while ledger.durable() < ledger.size() {
        std::thread::sleep(Duration::from_millis(1));
    }
    copy_folder(folder, copy);
}

fn copy_folder(from: &Path, to: &Path) {
    for file in std::fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        let target = to.join(file.file_name());
        if file.file_type().unwrap().is_dir() {
            std::fs::create_dir(&target).unwrap();
            copy_folder(&file.path(), &target);
        } else {
            std::fs::copy(file.path(), &target).unwrap();
        }
    }
}

pub fn dollars(text: &str) -> Money {
    text.parse().unwrap()
}

/// A dollar for a million tokens read, two for as many written.
pub fn model() -> Arc<ModelSetup> {
    let base = Rates {
        input: dollars("1"),
        cached_input: dollars("0.1"),
        cache_write: dollars("1.25"),
        cache_write_1h: dollars("2"),
        output: dollars("2"),
        reasoning: dollars("2"),
    };
    Arc::new(ModelSetup {
        price: Price { standard: Schedule { base, steps: Vec::new() }, ..Price::default() },
        breaker: BreakerSetup { failures: 3, open_for: Duration::from_secs(30) },
        call_timeout: Duration::from_mins(1),
        floor: 16,
        onward: Vec::new(),
    })
}
