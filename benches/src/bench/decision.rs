//! What a decision costs as a policy grows, in YAML alone and with conditions in Cedar.

use std::hint::black_box;
use std::time::{Duration, Instant};

use ringfence_json::{Limits, Object, Value, parse};
use ringfence_policy::{InputSchema, PolicySet, Request, Source, Vocabulary};
use ringfence_types::{ActionType, Decision, Kind, Role};

use crate::bench::Plan;
use crate::failure::{Failure, failure};
use crate::fsync::Probe;
use crate::histogram::{Times, ms, us};
use crate::table::{Bound, Cell, Table};

/// The rules that meet the call, as in `examples/safety-policy.yaml`.
const MEETING: &str = "rules:
  - {name: production-writes, match: {environment: production, action_type: write}, decision: REQUIRE_APPROVAL}
  - {name: deployment-limits, match: {capability: kubernetes, action: deploy}, decision: ALLOW_WITH_CONSTRAINTS,
     constraints: {max_replicas: 10, allowed_namespaces: [app, staging]}}
  - {name: no-delete-databases, match: {capability: database, action: drop}, decision: DENY}
";

/// A condition on the arguments, which meets the call and holds.
const CONDITION: &str =
    "  - {name: large-deploys, match: {capability: kubernetes, action: deploy}, decision: REQUIRE_APPROVAL,
     when: 'context.input.replicas > 10 && context.input.namespace == \"app\"'}
";

const COLUMNS: &[&str] = &["rules", "conditions", "compile ms", "p50 µs", "p99 µs"];

/// One of the policies.
struct Case {
    rules: usize,
    /// Whether one of them has a condition in Cedar.
    cedar: bool,
    compiled: Duration,
    policy: PolicySet,
    times: Times,
}

pub fn measure(plan: &Plan) -> Result<Vec<Table>, Failure> {
    let mut cases = Vec::new();
    for rules in [10, 100, 1_000, 10_000] {
        cases.push(Case::new(rules, false)?);
    }
    cases.push(Case::new(10, true)?);
    cases.push(Case::new(10_000, true)?);
    let scene = Scene::new()?;
    // In turns, so that what else the machine does meets all of them.
    for _ in 0..plan.choose(20, 5) {
        for case in &mut cases {
            case.decide(&scene, plan.choose(10_000, 4_000))?;
        }
    }
    let mut probe = Probe::new(&plan.folder)?;
    probe.sample(plan.choose(300, 100))?;
    Ok(vec![table(&cases, &scene, &probe)])
}

/// The call that is decided.
struct Scene {
    arguments: Object,
    bytes: usize,
    schema: Option<InputSchema>,
    roles: Vec<Role>,
    labels: [smol_str::SmolStr; 2],
}

// === impl Case ===

impl Case {
    fn new(rules: usize, cedar: bool) -> Result<Self, Failure> {
        let mut text = MEETING.to_owned();
        if cedar {
            text.push_str(CONDITION);
        }
        (3 + usize::from(cedar)..rules).for_each(|index| text.push_str(&other(index)));
        let started = Instant::now();
        let compiled = PolicySet::compile(&[Source::yaml("policy.yaml", text)], &Vocabulary::default());
        let policy = compiled
            .map_err(|errors| failure(errors.first().map(ToString::to_string).unwrap_or_default()))?
            .set;
        Ok(Self { rules, cedar, compiled: started.elapsed(), policy, times: Times::default() })
    }

    fn decide(&mut self, scene: &Scene, count: u32) -> Result<(), Failure> {
        let request = scene.request();
        let verdict = self.policy.decide(&request);
        if verdict.decision != Decision::RequireApproval {
            return Err(failure(format!("{} rules decided {:?}", self.rules, verdict.decision)));
        }
        for _ in 0..count {
            let started = Instant::now();
            black_box(self.policy.decide(black_box(&request)));
            self.times.record(started.elapsed());
        }
        Ok(())
    }
}

// === impl Scene ===

impl Scene {
    fn new() -> Result<Self, Failure> {
        let note = "x".repeat(123);
        let text = format!(
            r#"{{"app":"shop","replicas":50,"namespace":"app","image":"shop:1.2.3","note":"{note}"}}"#
        );
        let schema = object(
            r#"{"type":"object","required":["app"],"properties":{"app":{"type":"string"},"replicas":{"type":"integer"},
                "namespace":{"type":"string","default":"app"},"image":{"type":"string"},"note":{"type":"string"}}}"#,
        )?;
        Ok(Self {
            arguments: object(&text)?,
            bytes: text.len(),
            schema: InputSchema::parse(&schema.into()).ok(),
            roles: Role::new("engineer").into_iter().collect(),
            labels: ["infra".into(), "team-a".into()],
        })
    }

    fn request(&self) -> Request<'_> {
        Request {
            kind: Kind::ToolCall,
            organization: "acme",
            workspace: "research",
            environment: "production",
            agent: "assistant",
            user: Some("mia"),
            roles: &self.roles,
            server: Some("cluster"),
            tool: Some("deploy_app"),
            model: None,
            host: None,
            capability: Some("kubernetes"),
            action: Some("deploy"),
            action_type: ActionType::Write,
            risk: Some("high"),
            labels: &self.labels,
            arguments: &self.arguments,
            schema: self.schema.as_ref(),
        }
    }
}

/// A rule that does not meet the call: by agent and tool, by host, by the beginning of a tool's name, by label and action.
fn other(index: usize) -> String {
    let on = match index % 4 {
        0 => format!("agent: agent-{}, tool: [tool-{index}, deploy_app]", index % 997),
        1 => format!("host: '*.customer-{index}.example.com'"),
        2 => format!("tool: 'service{index}_*', environment: production"),
        _ => format!("labels: team-{}, action: [action-{index}, deploy]", index % 499),
    };
    format!("  - {{name: other-{index}, match: {{{on}}}, decision: DENY}}\n")
}

fn object(text: &str) -> Result<Object, Failure> {
    let value = parse(text.as_bytes(), &Limits::default()).map_err(|error| failure(error.to_string()))?;
    Value::into_object(value).ok_or_else(|| failure("not an object"))
}

fn table(cases: &[Case], scene: &Scene, probe: &Probe) -> Table {
    let mut table = Table::new("decision", "A decision", COLUMNS);
    for case in cases {
        table.row(vec![
            Cell::Count(case.rules as u64),
            Cell::from_text(if case.cedar { "one, in Cedar" } else { "none" }),
            Cell::Figure(ms(case.compiled), 1),
            Cell::Figure(us(case.times.p50()), 2),
            Cell::Figure(us(case.times.p99()), 2),
        ]);
    }
    let bytes = scene.bytes;
    table.fsync(probe.syncs());
    table.note(format!(
        "{bytes} bytes of arguments, a pinned schema, two constraints; a decision writes nothing"
    ));
    let p50 = |rules, cedar| {
        let case = cases.iter().find(|case| case.rules == rules && case.cedar == cedar);
        case.map_or(f64::INFINITY, |case| us(case.times.p50()))
    };
    table.goal("YAML, 10 rules, p50", p50(10, false), Bound::Most(5.0), "µs");
    table.goal("with a condition in Cedar, p50", p50(10, true), Bound::Most(40.0), "µs");
    table.goal("10,000 rules to 10", p50(10_000, false) / p50(10, false), Bound::Most(1.5), "times");
    let ratio = p50(10_000, true) / p50(10, true);
    table.goal("10,000 rules to 10, with a condition in Cedar", ratio, Bound::Most(1.5), "times");
    table
}
