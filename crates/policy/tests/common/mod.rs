//! What several tests need: a call in one expression.
#![allow(dead_code, reason = "each test uses some of it")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "only tests call it")]

pub mod world;

use ringfence_json::{Limits, Object, Value, parse};
use ringfence_policy::{Compiled, InputSchema, PolicySet, Request, Source, Verdict, Vocabulary};
use ringfence_types::{ActionType, Kind, Role};
use smol_str::SmolStr;

/// A tool call that owns what a request borrows.
#[derive(Clone, Debug)]
pub struct Call {
    pub kind: Kind,
    pub environment: SmolStr,
    pub agent: SmolStr,
    pub user: Option<SmolStr>,
    pub roles: Vec<Role>,
    pub server: Option<SmolStr>,
    pub tool: Option<SmolStr>,
    pub model: Option<SmolStr>,
    pub host: Option<SmolStr>,
    pub capability: Option<SmolStr>,
    pub action: Option<SmolStr>,
    pub action_type: ActionType,
    pub risk: Option<SmolStr>,
    pub labels: Vec<SmolStr>,
    pub arguments: Object,
    pub schema: Option<String>,
}

impl Default for Call {
    fn default() -> Self {
        Self {
            kind: Kind::ToolCall,
            environment: "production".into(),
            agent: "assistant".into(),
            user: Some("mia".into()),
            roles: vec![Role::new("engineer").unwrap()],
            server: Some("cluster".into()),
            tool: Some("deploy_app".into()),
            model: None,
            host: None,
            capability: Some("kubernetes".into()),
            action: Some("deploy".into()),
            action_type: ActionType::Write,
            risk: Some("high".into()),
            labels: vec!["infra".into()],
            arguments: Object::new(),
            schema: None,
        }
    }
}

impl Call {
    /// The default call with these arguments.
    pub fn with(arguments: &str) -> Self {
        Self { arguments: object(arguments), ..Self::default() }
    }

    /// The same with a pinned schema.
    pub fn and_schema(mut self, schema: &str) -> Self {
        self.schema = Some(schema.to_owned());
        self
    }

    /// Asks with the request that this call is.
    pub fn ask<T>(&self, ask: impl FnOnce(&Request<'_>) -> T) -> T {
        let schema = self.schema.as_deref().map(|text| InputSchema::parse(&json(text)).unwrap());
        ask(&Request {
            kind: self.kind,
            organization: "acme",
            workspace: "research",
            environment: &self.environment,
            agent: &self.agent,
            user: self.user.as_deref(),
            roles: &self.roles,
            server: self.server.as_deref(),
            tool: self.tool.as_deref(),
            model: self.model.as_deref(),
            host: self.host.as_deref(),
            capability: self.capability.as_deref(),
            action: self.action.as_deref(),
            action_type: self.action_type,
            risk: self.risk.as_deref(),
            labels: &self.labels,
            arguments: &self.arguments,
            schema: schema.as_ref(),
        })
    }

    /// What a policy says of it.
    pub fn decide(&self, policy: &PolicySet) -> Verdict {
        self.ask(|request| policy.decide(request))
    }
}

pub fn json(text: &str) -> Value {
    parse(text.as_bytes(), &Limits::default()).unwrap()
}

pub fn object(text: &str) -> Object {
    json(text).into_object().unwrap()
}

pub fn compiled(text: &str) -> Compiled {
    let sources = [Source::yaml("policy.yaml", text)];
    PolicySet::compile(&sources, &Vocabulary::default()).unwrap_or_else(|errors| {
        panic!("{}", errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
    })
}

pub fn policy(text: &str) -> PolicySet {
    compiled(text).set
}
