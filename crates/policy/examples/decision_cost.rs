//! What a decision costs as a policy grows: p50 and p99 at 10, 100, 1,000 and 10,000 rules.
//!
//! Run it with `cargo run --release -p ringfence-policy --example decision_cost`.

use std::hint::black_box;
use std::time::Instant;

use ringfence_json::{Limits, Object, parse};
use ringfence_policy::{InputSchema, PolicySet, Request, Source, Vocabulary};
use ringfence_types::{ActionType, Kind, Role};

const ROUNDS: usize = 200_000;

/// The rules that meet the call, as in `examples/safety-policy.yaml`.
const MEETING: &str = "rules:
  - {name: production-writes, match: {environment: production, action_type: write}, decision: REQUIRE_APPROVAL}
  - {name: deployment-limits, match: {capability: kubernetes, action: deploy}, decision: ALLOW_WITH_CONSTRAINTS,
     constraints: {max_replicas: 10, allowed_namespaces: [app, staging]}}
  - {name: no-delete-databases, match: {capability: database, action: drop}, decision: DENY}
";

/// One of the rules that do not: by agent and tool, by host, by the beginning of a tool's name, by label and action.
fn other(index: usize) -> String {
    let on = match index % 4 {
        0 => format!("agent: agent-{}, tool: [tool-{index}, deploy_app]", index % 997),
        1 => format!("host: '*.customer-{index}.example.com'"),
        2 => format!("tool: 'service{index}_*', environment: production"),
        _ => format!("labels: team-{}, action: [action-{index}, deploy]", index % 499),
    };
    format!("  - {{name: other-{index}, match: {{{on}}}, decision: DENY}}\n")
}

fn policy(rules: usize) -> PolicySet {
    let mut text = MEETING.to_owned();
    (3..rules).for_each(|index| text.push_str(&other(index)));
    match PolicySet::compile(&[Source::yaml("policy.yaml", text)], &Vocabulary::default()) {
        Ok(compiled) => compiled.set,
        Err(errors) => {
            errors.iter().take(10).for_each(|error| eprintln!("{error}"));
            std::process::exit(1);
        }
    }
}

fn object(text: &str) -> Object {
    parse(text.as_bytes(), &Limits::default())
        .ok()
        .and_then(ringfence_json::Value::into_object)
        .unwrap_or_default()
}

fn main() {
    let note = "x".repeat(130);
    let text =
        format!(r#"{{"app":"shop","replicas":50,"namespace":"app","image":"shop:1.2.3","note":"{note}"}}"#);
    let arguments = object(&text);
    let schema = object(
        r#"{"type":"object","required":["app"],"properties":{"app":{"type":"string"},"replicas":{"type":"integer"},
            "namespace":{"type":"string","default":"app"},"image":{"type":"string"},"note":{"type":"string"}}}"#,
    );
    let schema = InputSchema::parse(&schema.into()).ok();
    let roles: Vec<Role> = Role::new("engineer").into_iter().collect();
    let labels = ["infra".into(), "team-a".into()];
    println!("{} bytes of arguments, {ROUNDS} decisions each", text.len());
    println!("{:>8}  {:>10}  {:>10}  {:>10}", "rules", "compile ms", "p50 ns", "p99 ns");
    for rules in [10, 100, 1_000, 10_000] {
        let start = Instant::now();
        let policy = policy(rules);
        let compiled = start.elapsed().as_millis();
        let request = Request {
            kind: Kind::ToolCall,
            organization: "acme",
            workspace: "research",
            environment: "production",
            agent: "assistant",
            user: Some("mia"),
            roles: &roles,
            server: Some("cluster"),
            tool: Some("deploy_app"),
            model: None,
            host: None,
            capability: Some("kubernetes"),
            action: Some("deploy"),
            action_type: ActionType::Write,
            risk: Some("high"),
            labels: &labels,
            arguments: &arguments,
            schema: schema.as_ref(),
        };
        let mut times: Vec<u128> = (0..ROUNDS)
            .map(|_| {
                let start = Instant::now();
                black_box(policy.decide(black_box(&request)));
                start.elapsed().as_nanos()
            })
            .collect();
        times.sort_unstable();
        println!("{rules:>8}  {compiled:>10}  {:>10}  {:>10}", times[ROUNDS / 2], times[ROUNDS / 100 * 99]);
    }
}
