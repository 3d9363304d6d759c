//! This gateway, with everything switched on that a careful user would switch on.

use std::net::SocketAddr;
use std::path::Path;

use super::mock::Mock;
use super::ways::{MODEL, Way};
use crate::config::{AGENT, WORKSPACE};
use crate::failure::Failure;
use crate::node::Node;

/// What a bench wants of the ways.
#[derive(Clone, Copy, Debug, Default)]
pub struct Setup {
    /// The money of all calls together, in US dollars; enough for any bench if it is not said.
    pub budget: Option<&'static str>,
}

/// Money that no bench spends, in US dollars.
const ENOUGH: &str = "1000000";

/// Ten rules, of which three meet the calls of the benches: by kind, by agent with general bounds, by model with a rate.
const POLICY: &str = "\
default: DENY
rules:
  - name: production-writes
    match: { environment: production, action_type: write }
    decision: REQUIRE_APPROVAL
  - name: no-delete-databases
    match: { capability: database, action: drop }
    decision: DENY
  - name: reads
    match: { action_type: read, kind: tool_call }
    decision: ALLOW
  - name: mail-needs-a-person
    match: { action: send_mail }
    decision: REQUIRE_APPROVAL
  - name: no-expensive-models
    match: { model: ['*-pro', 'opus-*'] }
    decision: DENY
  - name: answers-in-time
    match: { agent: [assistant, 'reviewer-*'], kind: model_call }
    decision: ALLOW_WITH_CONSTRAINTS
    constraints: { timeout: 1h }
  - name: model-rate
    match: { model: 'gpt-*' }
    decision: ALLOW_WITH_CONSTRAINTS
    constraints: { rate: 100000000/m }
  - name: no-strange-hosts
    match: { host: '*.example.com' }
    decision: DENY
  - name: no-secrets
    match: { tool: ['secret_*', 'vault_*'] }
    decision: DENY
  - name: model-calls
    match: { environment: [staging, test], kind: model_call }
    decision: ALLOW
";

/// Starts a node, and mints a token for a run.
pub async fn start(mock: &Mock, folder: &Path, setup: Setup) -> Result<Way, Failure> {
    write(folder, mock.address, setup)?;
    let node = Node::start_again(folder).await?;
    let token = node.mint().await?;
    Ok(Way::through(node, &token))
}

/// Writes `ringfence.yaml`, its policy and the provider's key.
fn write(folder: &Path, mock: SocketAddr, setup: Setup) -> Result<(), Failure> {
    let (all, key) = (setup.budget.unwrap_or(ENOUGH), folder.join("provider.key"));
    let key = key.display();
    let config = format!(
        "organization: acme
workspaces:
  {WORKSPACE}:
    environment: staging
    retention: 180d
    models:
      {MODEL}:
        provider: openai
        base_url: 'http://{mock}/v1'
        key: 'file:{key}'
        price: {{ input: 1, output: 2 }}
        timeout: 1h
        concurrent: 20000
        retries: 2
    budget: {{ usd: {all}, per: month }}
    budgets:
      agent: {{ usd: {ENOUGH}, per: day }}
      user: {{ usd: {ENOUGH}, per: hour }}
      conversation: {{ usd: {ENOUGH} }}
    agents:
      {AGENT}:
        models: [{MODEL}]
        budget: {{ usd: {ENOUGH}, tokens: 1000000000000, actions: 100000000 }}
        limits: {{ wall: 4h, concurrent: 20000, repetition: 5, model_calls: 100000 }}
    policy: [safety-policy.yaml]
"
    );
    std::fs::write(folder.join("ringfence.yaml"), config)?;
    std::fs::write(folder.join("safety-policy.yaml"), POLICY)?;
    std::fs::write(folder.join("provider.key"), "sk-bench-provider-key\n")?;
    Ok(())
}
