//! Who plays the agents: programs in sandboxes, or where this machine makes none, the demo itself with tokens.

use std::time::Duration;

use ringfence_control::Node;
use ringfence_json::{Object, Value};
use ringfence_kernel::{Actor, Kernel, Mint};
use ringfence_sandbox::{LayerName, Layers};
use ringfence_types::{AgentName, RunId, UserName, WorkspaceName};

use super::agent::{Done, Order, act};
use super::failed;
use super::message::Way;
use super::story::{name, not_as_told};
use crate::client::Client;
use crate::failure::Failure;
use crate::show::field;

/// The workspace of everybody.
pub(super) const WORKSPACE: &str = "demo";

/// On whose behalf the agents work.
const USER: &str = "erin";

/// How often it is looked whether a run has ended.
const LOOK: Duration = Duration::from_millis(5);

/// Those who play.
pub(super) struct Cast {
    kernel: Kernel,
    gateway: String,
    dana: Actor,
    /// Where runs are begun; none where they would have no sandbox.
    client: Option<Client>,
}

// === impl Cast ===

impl Cast {
    pub fn new(node: &Node, dana: &Actor, client: Client, layers: &Layers) -> Self {
        let sandboxed = [LayerName::PrivateRoot, LayerName::NetworkNamespace]
            .into_iter()
            .all(|layer| layers.in_force(layer));
        Self {
            kernel: node.kernel().clone(),
            gateway: node.addresses().gateway.trim_start_matches("http://").to_owned(),
            dana: dana.clone(),
            client: sandboxed.then_some(client),
        }
    }

    /// Whether each of them runs in a sandbox of its own.
    pub fn is_sandboxed(&self) -> bool {
        self.client.is_some()
    }

    /// Has an agent do something, in a run of its own.
    pub async fn play(&self, step: &str, agent: &str, order: &Order) -> Result<(RunId, Done), Failure> {
        match &self.client {
            Some(client) => inside(client, step, agent, order).await,
            None => self.outside(step, agent, order).await,
        }
    }

    async fn outside(&self, step: &str, agent: &str, order: &Order) -> Result<(RunId, Done), Failure> {
        let mint = Mint {
            workspace: name(WorkspaceName::new(WORKSPACE))?,
            agent: name(AgentName::new(agent))?,
            user: Some(name(UserName::new(USER))?),
            conversation: None,
            ttl: Duration::from_mins(10),
        };
        let minted =
            self.kernel.mint(mint, &self.dana).await.map_err(|error| failed("mint a token", &error))?;
        let done = act(order, &Way::with_token(self.gateway.clone(), minted.token)).await;
        Ok((minted.run, done.map_err(|error| not_as_told(step, error.to_string()))?))
    }
}

/// In a sandbox: the order is what the program reads, what came of it the line that it writes.
async fn inside(client: &Client, step: &str, agent: &str, order: &Order) -> Result<(RunId, Done), Failure> {
    let (run, lines) = run(client, agent, Some(order.to_text())).await?;
    let done = lines.iter().find_map(|line| Done::read(line));
    let done = done.ok_or_else(|| not_as_told(step, lines.join("; ")))?;
    Ok((run.parse().map_err(|error| failed("read the name of a run", &error))?, done))
}

/// Runs an agent to its end: the run, and the lines that its program wrote.
pub(super) async fn run(
    client: &Client,
    agent: &str,
    input: Option<String>,
) -> Result<(String, Vec<String>), Failure> {
    let body = Object::new()
        .with("workspace", WORKSPACE)
        .with("agent", agent)
        .with("user", USER)
        .with_some("input", input);
    let run = field(&client.post("/api/v1/runs", body).await?, "run");
    let mut lines = client.lines(&format!("/api/v1/runs/{run}/output?follow=true")).await?;
    let mut written = Vec::new();
    while let Some(line) = lines.next().await? {
        written.extend(line.get("text").and_then(Value::as_str).map(str::to_owned));
    }
    // Its last entry stands in the log.
    while field(&client.get(&format!("/api/v1/runs/{run}")).await?, "state") != "ended" {
        tokio::time::sleep(LOOK).await;
    }
    Ok((run, written))
}
