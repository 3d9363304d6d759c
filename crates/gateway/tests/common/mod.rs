//! A gateway with a real kernel in front of small upstreams, and a client that can misbehave.
#![allow(dead_code, unused_imports, reason = "each test file uses a part of it")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on panics")]

pub mod client;
pub mod upstream;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use ringfence_gateway::targets::{HttpTarget, Source as Secret, Table, Target, Targets};
use ringfence_gateway::{Doors, Gateway, Limits};
use ringfence_json::{Object, Value, parse};
use ringfence_kernel::{
    Actor, AgentModels, AgentSetup, BreakerSetup, Clock, EgressGrants, Grants, Kernel, Mint, Options,
    RunLimits, ServerSetup, Setup, Trust, WorkspaceBudgets, WorkspaceSetup,
};
use ringfence_policy::{PolicySet, Source, Vocabulary};
use ringfence_types::{
    AgentName, Digest, NodeName, OrganizationName, PersonName, Role, RunId, Scope, ServerName, WorkspaceName,
};
use tokio::net::TcpListener;
use tokio_util::sync::DropGuard;

pub use client::Client;
pub use upstream::{Reply, Upstream};

/// What everybody may do but for a few words.
pub const POLICY: &str = "
rules:
  - { name: everything, match: { kind: tool_call }, decision: ALLOW }
  - { name: at-most-ten, match: { action: scale }, decision: ALLOW_WITH_CONSTRAINTS, constraints: { max_replicas: 10 } }
  - { name: no-drops, match: { action: drop }, decision: DENY, reason: Databases stay. }
  - { name: asks, match: { action: send }, decision: REQUIRE_APPROVAL, approval: { expires: 10m } }
  - { name: secrets, match: { action: whois }, decision: ALLOW_WITH_CONSTRAINTS, constraints: { redact: [/ssn] } }
  - { name: small, match: { action: dump }, decision: ALLOW_WITH_CONSTRAINTS, constraints: { max_result_bytes: 200 } }
";

pub struct Node {
    pub kernel: Kernel,
    pub gateway: Gateway,
    pub targets: Targets,
    pub address: std::net::SocketAddr,
    _folder: tempfile::TempDir,
    _stop: DropGuard,
}

pub fn workspace() -> WorkspaceName {
    WorkspaceName::new("research").unwrap()
}

pub fn server(name: &str) -> ServerName {
    ServerName::new(name).unwrap()
}

pub fn object(text: &str) -> Object {
    parse(text.as_bytes(), &ringfence_json::Limits::default()).unwrap().into_object().unwrap()
}

pub fn dana() -> Actor {
    Actor {
        person: PersonName::new("dana").unwrap(),
        roles: vec![Role::new("approver").unwrap()],
        owner: true,
    }
}

/// A configuration with one agent.
pub fn setup(policy: &str, servers: &[&str], grants: &[&str]) -> Setup {
    let compiled =
        PolicySet::compile(&[Source::yaml("policy.yaml", policy)], &Vocabulary::default()).unwrap();
    let one = ServerSetup {
        capability: None,
        trust_hints: false,
        actions: HashMap::new(),
        breaker: BreakerSetup { failures: 1_000, open_for: Duration::from_secs(1) },
        call_timeout: Duration::from_secs(3),
        holds: None,
    };
    let limits = RunLimits { wall: None, concurrent: Some(64), repetition: None, actions: None };
    let agent = AgentSetup {
        grants: Grants::parse(grants.iter().copied()).unwrap(),
        models: AgentModels::default(),
        egress: EgressGrants::default(),
        spawn: Vec::new(),
        limits,
    };
    let workspace_setup = WorkspaceSetup {
        environment: "production".into(),
        trust: Trust::FirstUse,
        retention: Duration::from_hours(24),
        servers: servers.iter().map(|name| (server(name), one.clone())).collect(),
        models: HashMap::new(),
        budgets: WorkspaceBudgets::default(),
        agents: HashMap::from([(AgentName::new("assistant").unwrap(), agent)]),
        policy: Arc::new(compiled.set),
    };
    Setup {
        digest: Digest::of(policy.as_bytes()),
        organization: OrganizationName::new("acme").unwrap(),
        workspaces: HashMap::from([(workspace(), workspace_setup)]),
        people: HashMap::new(),
        approval_wait: Duration::from_millis(300),
        builds: ringfence_kernel::Builds::default(),
    }
}

/// Limits small enough to be reached.
pub fn limits() -> Limits {
    Limits {
        body_bytes: 64 << 10,
        body_time: Duration::from_millis(300),
        message_bytes: 256 << 10,
        sessions_per_agent: 4,
        errand_time: Duration::from_secs(2),
        connect_time: Duration::from_millis(500),
        refresh_wait: Duration::from_millis(10),
        ..Limits::default()
    }
}

pub fn target(url: &str, key: &str) -> Target {
    let headers = vec![(http::header::AUTHORIZATION, Secret::Fixed(key.into()))];
    Target::Http(Arc::new(HttpTarget { url: url.parse().unwrap(), headers }))
}

pub fn table(upstreams: &[(&str, &str)]) -> Table {
    let servers =
        upstreams.iter().map(|(name, url)| (server(name), target(url, "Bearer upstream-key"))).collect();
    Table { workspaces: HashMap::from([(workspace(), servers)]), ..Table::default() }
}

impl Node {
    /// A node whose servers are these, all granted, and their tools pinned as they are now.
    pub async fn start(upstreams: &[(&str, &str)]) -> Self {
        let grants: Vec<String> = upstreams.iter().map(|(name, _)| format!("{name}/*")).collect();
        let grants: Vec<&str> = grants.iter().map(String::as_str).collect();
        Self::start_with(upstreams, &grants, POLICY, limits()).await
    }

    pub async fn start_with(
        upstreams: &[(&str, &str)],
        grants: &[&str],
        policy: &str,
        limits: Limits,
    ) -> Self {
        Self::start_targets(table(upstreams), grants, policy, limits, None).await
    }

    pub async fn start_targets(
        table: Table,
        grants: &[&str],
        policy: &str,
        limits: Limits,
        spawner: Option<ringfence_sandbox::Spawner>,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let servers = table.workspaces.get(&workspace()).into_iter().flat_map(HashMap::keys);
        let names: Vec<String> = servers.map(ToString::to_string).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let options = Options {
            node: NodeName::new("test").unwrap(),
            clock: Clock::system(),
            segment_bytes: Some(1 << 20),
        };
        let (kernel, _) = Kernel::open(folder.path(), options, setup(policy, &names, grants)).await.unwrap();
        let targets = Targets::new(table);
        let gateway =
            Gateway::new(kernel.clone(), targets.clone(), spawner, Doors::default(), limits).unwrap();
        gateway.discover_all().await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = tokio_util::sync::CancellationToken::new();
        let (serving, stopping) = (gateway.clone(), stop.clone());
        tokio::spawn(async move { serving.serve(listener, stopping.cancelled_owned()).await });
        Self { kernel, gateway, targets, address, _folder: folder, _stop: stop.drop_guard() }
    }

    /// A client with a run of its own.
    pub async fn client(&self) -> Client {
        let mint = Mint {
            workspace: workspace(),
            agent: AgentName::new("assistant").unwrap(),
            user: None,
            conversation: None,
            ttl: Duration::from_hours(1),
        };
        let minted = self.kernel.mint(mint, &dana()).await.unwrap();
        Client::new(self.address, minted.token.reveal(), minted.run)
    }

    pub async fn suspend(&self, run: RunId) {
        let scope = Scope { run: Some(run), ..Scope::default() };
        let suspend = ringfence_kernel::Suspend { scope, reason: "an incident".into(), duration: None };
        self.kernel.suspend(suspend, &dana()).await.unwrap();
    }

    /// The bodies of all entries of one kind, once there are `count`.
    pub async fn entries(&self, kind: &str, count: usize) -> Vec<Object> {
        for _ in 0..200 {
            let ledger = self.kernel.ledger();
            if ledger.durable() >= ledger.size() {
                let bodies = ledger
                    .read(0)
                    .unwrap()
                    .map(|entry| object(std::str::from_utf8(&entry.unwrap().bytes).unwrap()));
                let found: Vec<_> = bodies.filter(|body| body.text("kind") == Some(kind)).collect();
                if found.len() >= count {
                    return found;
                }
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("there are no {count} entries of kind {kind}");
    }
}

/// A way to an upstream that can be shut: aborted, nothing is behind its address any more.
pub async fn door(url: &str) -> (String, tokio::task::JoinHandle<()>) {
    let behind = url.parse::<http::Uri>().unwrap().authority().unwrap().to_string();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let front = format!("http://{}/mcp", listener.local_addr().unwrap());
    let door = tokio::spawn(async move {
        let mut open = tokio::task::JoinSet::new();
        while let Ok((mut near, _)) = listener.accept().await {
            let mut far = tokio::net::TcpStream::connect(&behind).await.unwrap();
            open.spawn(async move { tokio::io::copy_bidirectional(&mut near, &mut far).await });
        }
    });
    (front, door)
}

/// A value by JSON Pointer, as text.
pub fn at(value: &Value, pointer: &str) -> String {
    value.pointer(pointer).map_or_else(
        || format!("nothing at {pointer}"),
        |found| match found {
            Value::String(text) => text.to_string(),
            other => other.to_string(),
        },
    )
}
