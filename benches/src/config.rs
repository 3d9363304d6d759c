//! The node that is measured: everything switched on that a careful user would switch on.

use std::net::SocketAddr;
use std::path::Path;

use crate::failure::Failure;

/// Ten rules, of which four meet the calls of the benches: one by its kind, one by capability and action with bounds on
/// three arguments, one by label with a rate, and one by agent with general bounds.
const POLICY: &str = "\
default: DENY
rules:
  - name: production-writes
    match: { environment: production, action_type: write }
    decision: REQUIRE_APPROVAL
  - name: deployment-limits
    match: { capability: kubernetes, action: deploy }
    decision: ALLOW_WITH_CONSTRAINTS
    constraints: { max_replicas: 10, min_replicas: 1, allowed_namespaces: [app, staging], denied_images: ['shop:latest'] }
  - name: no-delete-databases
    match: { capability: database, action: drop }
    decision: DENY
  - name: reads
    match: { action_type: read }
    decision: ALLOW
  - name: mail-needs-a-person
    match: { action: send_mail }
    decision: REQUIRE_APPROVAL
  - name: results-stay-small
    match: { agent: [assistant, 'reviewer-*'] }
    decision: ALLOW_WITH_CONSTRAINTS
    constraints: { timeout: 10m, max_result_bytes: 1Mi }
  - name: infrastructure-rate
    match: { labels: infra }
    decision: ALLOW_WITH_CONSTRAINTS
    constraints: { rate: 100000000/m }
  - name: no-strange-hosts
    match: { host: '*.example.com' }
    decision: DENY
  - name: no-secrets
    match: { tool: ['secret_*', 'vault_*'] }
    decision: DENY
  - name: staging-calls
    match: { environment: [staging, test], kind: tool_call }
    decision: ALLOW
";

/// Rules of which two meet what leaves a sandbox.
pub const POLICY_OPEN: &str = "\
default: DENY
rules:
  - { name: egress, match: { kind: egress }, decision: ALLOW }
  - { name: no-strange-hosts, match: { host: '*.example.com' }, decision: DENY }
  - name: hosts-in-time
    match: { kind: egress, environment: [staging, test] }
    decision: ALLOW_WITH_CONSTRAINTS
    constraints: { timeout: 1h }
";

/// The workspace of the benches.
pub const WORKSPACE: &str = "lab";

/// The one agent of the benches.
pub const AGENT: &str = "assistant";

/// The one server of the benches.
pub const SERVER: &str = "cluster";

/// Writes `ringfence.yaml` and its policy. The bounds of a run are on, and wide enough that none ends a bench.
pub fn write(folder: &Path, upstream: SocketAddr) -> Result<(), Failure> {
    let config = format!(
        "organization: acme
workspaces:
  {WORKSPACE}:
    environment: staging
    trust: first-use
    retention: 180d
    tools:
      {SERVER}:
        url: http://{upstream}/mcp
        capability: kubernetes
        timeout: 10m
        actions:
          deploy_app: {{ action: deploy, action_type: write, risk: high, labels: [infra, team-a] }}
          watch: {{ action: watch, action_type: read }}
    agents:
      {AGENT}:
        tools: ['{SERVER}/*']
        budget: {{ actions: 100000000 }}
        limits: {{ wall: 4h, concurrent: 256, repetition: 5 }}
    policy: [safety-policy.yaml]
"
    );
    std::fs::write(folder.join("ringfence.yaml"), config)?;
    std::fs::write(folder.join("safety-policy.yaml"), POLICY)?;
    Ok(())
}
