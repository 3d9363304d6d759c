//! A node whose one agent holds what a test says, a sandbox's sockets, and hosts to reach.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use ringfence_json::{Object, Value, parse};
use ringfence_kernel::{
    Actor, AgentModels, AgentSetup, Clock, EgressGrants, Grants, Kernel, Mint, Minted, Options, Run,
    RunLimits, Setup, Suspend, Trust, WorkspaceBudgets, WorkspaceSetup,
};
use ringfence_policy::{PolicySet, Source, Vocabulary};
use ringfence_types::{
    AgentName, Digest, HostName, NodeName, OrganizationName, PersonName, Scope, WorkspaceName,
};
use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::egress::berth::Berth;
use crate::egress::harbour::moor;
use crate::egress::leads::{Lead, LeadName, Leads};
use crate::egress::tls::authority::Authority;
use crate::egress::world::World;
use crate::targets::{Table, Targets};
use crate::{Doors, EgressLimits, Gateway, Limits};

pub(super) const POLICY: &str = "
rules:
  - { name: reach, match: { kind: egress }, decision: ALLOW }
  - { name: no-deletes, match: { kind: egress, action: delete }, decision: DENY, reason: Nothing is deleted. }
  - { name: small, match: { host: small.example }, decision: ALLOW_WITH_CONSTRAINTS, constraints: { max_result_bytes: 100000 } }
  - { name: secrets, match: { host: secrets.example }, decision: ALLOW_WITH_CONSTRAINTS, constraints: { redact: [/ssn] } }
";

/// A node, and the sandbox of one run.
pub(super) struct Sandbox {
    pub(super) kernel: Kernel,
    targets: Targets,
    pub(super) gateway: Gateway,
    pub(super) minted: Minted,
    pub(super) run: Arc<Run>,
    pub(super) berth: Arc<Berth>,
    /// Where the sandbox's listeners really are, by their port inside.
    pub(super) ports: HashMap<u16, u16>,
    _folder: tempfile::TempDir,
}

pub(super) fn host(text: &str) -> HostName {
    HostName::new(text).unwrap()
}

pub(super) fn limits() -> Limits {
    let egress = EgressLimits {
        first_time: Duration::from_millis(500),
        connect_time: Duration::from_secs(2),
        lookup_time: Duration::from_secs(2),
        ..EgressLimits::default()
    };
    Limits { egress, ..Limits::default() }
}

fn setup(egress: &[&str]) -> Setup {
    let compiled =
        PolicySet::compile(&[Source::yaml("policy.yaml", POLICY)], &Vocabulary::default()).unwrap();
    let agent = AgentSetup {
        grants: Grants::default(),
        models: AgentModels::default(),
        egress: EgressGrants::parse(egress.iter().copied()).unwrap(),
        spawn: Vec::new(),
        limits: RunLimits { wall: None, concurrent: None, repetition: None, actions: None },
    };
    let workspace = WorkspaceSetup {
        environment: "production".into(),
        trust: Trust::FirstUse,
        retention: Duration::from_hours(24),
        servers: HashMap::new(),
        models: HashMap::new(),
        budgets: WorkspaceBudgets::default(),
        agents: HashMap::from([(AgentName::new("assistant").unwrap(), agent)]),
        policy: Arc::new(compiled.set),
    };
    Setup {
        digest: Digest::of(POLICY.as_bytes()),
        organization: OrganizationName::new("acme").unwrap(),
        workspaces: HashMap::from([(WorkspaceName::new("research").unwrap(), workspace)]),
        people: HashMap::new(),
        approval_wait: Duration::from_millis(300),
        builds: ringfence_kernel::Builds::default(),
    }
}

fn dana() -> Actor {
    Actor { person: PersonName::new("dana").unwrap(), roles: Vec::new(), owner: true }
}

/// What there is in the world of a test: names on this machine, and an authority for them.
pub(super) fn world(names: &[(&str, IpAddr)], authorities: Vec<CertificateDer<'static>>) -> World {
    let mut leads = Leads::default();
    for (name, address) in names {
        leads.add(LeadName::One(host(name)), Lead::Fixed(vec![*address]));
    }
    World::new(leads, authorities.into())
}

pub(super) const NEAR: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

impl Sandbox {
    /// A sandbox whose agent holds these hosts, in a world where all names that end in `.example` are on this machine.
    pub(super) async fn start(egress: &[&str]) -> Self {
        let names = ["api.example", "other.example", "small.example"].map(|name| (name, NEAR));
        Self::start_in(egress, world(&names, Vec::new()), limits()).await
    }

    pub(super) async fn start_in(egress: &[&str], world: World, limits: Limits) -> Self {
        Self::start_beside(&[], egress, world, limits).await
    }

    /// As there, on a node that listens on these addresses.
    pub(super) async fn start_beside(
        listeners: &[SocketAddr],
        egress: &[&str],
        world: World,
        limits: Limits,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let options = Options {
            node: NodeName::new("test").unwrap(),
            clock: Clock::system(),
            segment_bytes: Some(1 << 20),
        };
        let (kernel, _) = Kernel::open(folder.path(), options, setup(egress)).await.unwrap();
        let targets = Targets::new(Table { world: Arc::new(world), ..Table::default() });
        let gateway =
            Gateway::beside(kernel.clone(), targets.clone(), None, Doors::default(), limits, listeners)
                .unwrap();
        let minted = mint(&kernel).await;
        let run = kernel.authenticate(minted.token.reveal()).unwrap();
        let authority = Authority::new(kernel.now(), run.expires_at, 16).unwrap();
        let berth = Arc::new(Berth::new(Arc::clone(gateway.gate()), Arc::clone(&run), Some(authority)));
        Self { kernel, targets, gateway, minted, run, berth, ports: HashMap::new(), _folder: folder }
    }

    /// Has another world hold from now on.
    pub(super) fn turn(&self, world: World) {
        self.targets.replace(Table { world: Arc::new(world), ..Table::default() });
    }

    /// Opens a listener that stands for this port on every address inside.
    pub(super) fn open(&mut self, port: u16) {
        let listener = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
        self.ports.insert(port, listener.local_addr().unwrap().port());
        let sockets = ringfence_kernel::RunSockets { tcp: vec![(port, listener)], ..Default::default() };
        moor(&self.berth, sockets);
    }

    /// Has hosts listen where a test has them: on this port, instead of the one that they are said to be on.
    pub(super) fn lead(&self, said: u16, really: u16) {
        self.berth.ports.lock().insert(said, really);
    }

    /// Dials a host as a program inside does, by the address that its name has there. On loopback, each name has an
    /// address of its own.
    pub(super) async fn dial(&mut self, name: &str, port: u16) -> TcpStream {
        if !self.ports.contains_key(&port) {
            self.open(port);
        }
        let address = self.inside(name);
        TcpStream::connect(SocketAddr::new(address, self.ports[&port])).await.unwrap()
    }

    /// The address of a name inside.
    pub(super) fn inside(&self, name: &str) -> IpAddr {
        self.berth.names.stand_in(&host(name))
    }

    pub(super) async fn suspend(&self) {
        let scope = Scope { run: Some(self.run.id), ..Scope::default() };
        let suspend = Suspend { scope, reason: "an incident".into(), duration: None };
        self.kernel.suspend(suspend, &dana()).await.unwrap();
    }

    /// The bodies of all entries of one kind, once there are `count`.
    pub(super) async fn entries(&self, kind: &str, count: usize) -> Vec<Object> {
        let mut found = Vec::new();
        for _ in 0..300 {
            let ledger = self.kernel.ledger();
            if ledger.durable() >= ledger.size() {
                let bodies = ledger.read(0).unwrap().map(|entry| object(&entry.unwrap().bytes));
                found = bodies.filter(|body| body.text("kind") == Some(kind)).collect();
                if found.len() >= count {
                    return found;
                }
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("there are no {count} entries of kind {kind}, but {}", found.len());
    }

    /// The codes of all refusals, once there are `count`.
    pub(super) async fn refusals(&self, count: usize) -> Vec<String> {
        let refusals = self.entries("refusal", count).await;
        refusals.iter().map(|refusal| refusal.text("code").unwrap().to_owned()).collect()
    }

    /// The status of the last outcome, once there are `count`.
    pub(super) async fn outcome(&self, count: usize) -> String {
        let outcomes = self.entries("outcome", count).await;
        outcomes.last().unwrap().text("status").unwrap_or_default().to_owned()
    }
}

pub(super) async fn mint(kernel: &Kernel) -> Minted {
    let mint = Mint {
        workspace: WorkspaceName::new("research").unwrap(),
        agent: AgentName::new("assistant").unwrap(),
        user: None,
        conversation: None,
        ttl: Duration::from_hours(1),
    };
    kernel.mint(mint, &dana()).await.unwrap()
}

pub(super) fn object(bytes: &[u8]) -> Object {
    parse(bytes, &ringfence_json::Limits::default()).unwrap().into_object().unwrap()
}

/// A host that answers every connection with `answer`, and the port it is on.
pub(super) async fn a_host<F, A>(answer: F) -> u16
where
    F: Fn(TcpStream) -> A + Send + Sync + 'static,
    A: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer(stream));
        }
    });
    port
}

/// Reads to the end, or until nothing comes.
pub(super) async fn read_all<S: AsyncRead + Unpin>(stream: &mut S) -> Vec<u8> {
    let mut bytes = Vec::new();
    let reading = stream.read_to_end(&mut bytes);
    let _ = tokio::time::timeout(Duration::from_secs(5), reading).await;
    bytes
}

/// Reads one answer of HTTP/1.1 whose length is written in it: its head, and its body.
pub(super) async fn read_answer<S: AsyncRead + Unpin>(stream: &mut S) -> (String, Vec<u8>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let reading = tokio::time::timeout(Duration::from_secs(5), stream.read_u8());
        match reading.await {
            Ok(Ok(byte)) => head.push(byte),
            _ => return (String::from_utf8(head).unwrap(), Vec::new()),
        }
    }
    let head = String::from_utf8(head).unwrap();
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().unwrap())
    });
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).await.unwrap();
    (head, body)
}

pub(super) async fn say<S: AsyncWrite + Unpin>(stream: &mut S, text: &str) {
    stream.write_all(text.as_bytes()).await.unwrap();
}

/// The reason in the body of a refusal.
pub(super) fn reason(body: &[u8]) -> String {
    match object(body).get("error").and_then(Value::as_object) {
        Some(error) => error.text("message").unwrap().to_owned(),
        None => panic!("no error in {}", String::from_utf8_lossy(body)),
    }
}
