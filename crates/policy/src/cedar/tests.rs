//! What Cedar rules see, say and refuse.

mod annotations;
mod checks;
mod hostile;
mod semantics;

use std::sync::Arc;

use ringfence_document::Diagnostic;
use ringfence_json::{Limits, Object, Value, parse};
use ringfence_types::{ActionType, Kind, Role};
use smol_str::SmolStr;

use super::{CedarSet, Checker, Condition, Facts, Outcome};
use crate::{InputSchema, KnownAgent, KnownServer, KnownTool, Request, Source, ToolDefinition, Vocabulary};

fn json(text: &str) -> Value {
    parse(text.as_bytes(), &Limits { bytes: 1 << 20, depth: 200, values: 100_000, number_bytes: 2_000 })
        .unwrap()
}

fn object(text: &str) -> Object {
    json(text).into_object().unwrap()
}

/// A tool call that has everything.
struct Call {
    roles: Vec<Role>,
    labels: Vec<SmolStr>,
    arguments: Object,
    schema: Option<InputSchema>,
}

impl Call {
    fn with(arguments: &str) -> Self {
        Self {
            roles: vec![Role::new("analyst").unwrap()],
            labels: vec!["infra".into()],
            arguments: object(arguments),
            schema: None,
        }
    }

    fn typed(arguments: &str, schema: &str) -> Self {
        Self { schema: Some(InputSchema::parse(&json(schema)).unwrap()), ..Self::with(arguments) }
    }

    fn request(&self) -> Request<'_> {
        Request {
            kind: Kind::ToolCall,
            organization: "acme",
            workspace: "research",
            environment: "production",
            agent: "assistant",
            user: Some("dana"),
            roles: &self.roles,
            server: Some("search"),
            tool: Some("query"),
            model: None,
            host: None,
            capability: Some("web_search"),
            action: Some("query"),
            action_type: ActionType::Read,
            risk: Some("low"),
            labels: &self.labels,
            arguments: &self.arguments,
            schema: self.schema.as_ref(),
        }
    }
}

fn compiled(text: &str) -> (CedarSet, Vec<Diagnostic>) {
    compiled_with(text, &Vocabulary::default())
}

fn compiled_with(text: &str, vocabulary: &Vocabulary) -> (CedarSet, Vec<Diagnostic>) {
    let mut diagnostics = Vec::new();
    let sources = [Source::cedar("rules.cedar", text)];
    let set = CedarSet::compile(&sources, Checker::of(vocabulary).as_ref(), &mut diagnostics);
    (set, diagnostics)
}

/// One a line.
fn listed(diagnostics: &[Diagnostic]) -> String {
    diagnostics.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// `rule=DECISION` of what applies, `rule: why` of what fails.
fn said(text: &str, request: &Request<'_>) -> Vec<String> {
    let (set, diagnostics) = compiled(text);
    assert!(diagnostics.is_empty(), "{diagnostics:?}");
    let outcomes = set.evaluate(&Facts::new(request));
    outcomes
        .iter()
        .map(|outcome| match outcome {
            Outcome::Applies(effect) => format!("{}={}", effect.name, effect.decision.as_str()),
            Outcome::Failed { effect, message } => format!("{}: {message}", effect.name),
        })
        .collect()
}

/// Whether a condition holds; the reason if it fails.
fn holds(condition: &str, call: &Call) -> Result<bool, String> {
    let (condition, _) = Condition::compile(condition, None, &[]).unwrap();
    condition.holds(&Facts::new(&call.request()))
}

fn tool(server: &str, name: &str, schema: &str) -> KnownTool {
    let definition = format!(
        r#"{{"name":{},"inputSchema":{schema}}}"#,
        String::from_utf8(Value::from(name).to_bytes()).unwrap()
    );
    KnownTool {
        workspace: "research".parse().unwrap(),
        server: server.parse().unwrap(),
        name: name.parse().unwrap(),
        action: name.into(),
        action_type: ActionType::Write,
        risk: None,
        labels: Vec::new(),
        definition: Some(Arc::new(ToolDefinition::parse(&json(&definition)).unwrap())),
    }
}

fn vocabulary(tools: Vec<KnownTool>) -> Vocabulary {
    let server = |name: &str| KnownServer {
        workspace: "research".parse().unwrap(),
        name: name.parse().unwrap(),
        capability: Some("web".into()),
    };
    Vocabulary {
        agents: vec![KnownAgent {
            workspace: "research".parse().unwrap(),
            environment: "production".into(),
            name: "assistant".parse().unwrap(),
            spawns: false,
        }],
        servers: vec![server("search"), server("cluster")],
        tools,
        ..Vocabulary::default()
    }
}

const DEPLOY: &str = r##"{"type":"object","required":["name","replicas"],"properties":{
    "name":{"type":"string"},"replicas":{"type":"integer"},"cpu":{"type":"number"},"dry":{"type":"boolean"},
    "tags":{"type":"array","items":{"type":"string"}},"limit":{"anyOf":[{"type":"integer"},{"type":"null"}]},
    "spec":{"type":"object","properties":{"image":{"type":"string"},"ports":{"type":"array","items":{"type":"integer"}}},"required":["image"]},
    "any":{},"mixed":{"type":["string","integer"]},"free":{"type":"object"},"mode":{"enum":["a","b"]},
    "ref":{"$ref":"#/$defs/r"}},"$defs":{"r":{"type":"object","properties":{"x":{"type":"integer"}}}}}"##;
