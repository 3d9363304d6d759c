//! The evaluator under test, asked.

use ringfence_json::Object;
use ringfence_policy::{InputSchema, PolicySet, Request, Source, Vocabulary};
use ringfence_types::Role;
use smol_str::SmolStr;

use crate::model::{Call, File};
use crate::plain::Json;
use crate::write::yaml;

/// The policy, compiled.
pub fn compile(policy: &[File]) -> Result<PolicySet, String> {
    let sources: Vec<Source> = policy
        .iter()
        .enumerate()
        .map(|(index, file)| Source::yaml(format!("{index}.yaml"), yaml(file)))
        .collect();
    PolicySet::compile(&sources, &Vocabulary::default())
        .map(|compiled| compiled.set)
        .map_err(|errors| errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
}

pub fn schema(schema: &Json) -> InputSchema {
    InputSchema::parse(&schema.to_product()).unwrap()
}

/// What a request borrows.
pub struct Asked {
    arguments: Object,
    roles: Vec<Role>,
    labels: Vec<SmolStr>,
}

impl Asked {
    pub fn of(call: &Call) -> Self {
        Self {
            arguments: call.arguments.to_product_object(),
            roles: call.values("role").iter().map(|role| Role::new(role).unwrap()).collect(),
            labels: call.values("labels").iter().map(Into::into).collect(),
        }
    }

    pub fn request<'a>(&'a self, call: &'a Call, schema: Option<&'a InputSchema>) -> Request<'a> {
        let maybe = |key: &str| call.values(key).first().map(String::as_str);
        let always = |key: &str| maybe(key).unwrap();
        Request {
            kind: always("kind").parse().unwrap(),
            organization: always("organization"),
            workspace: always("workspace"),
            environment: always("environment"),
            agent: always("agent"),
            user: maybe("user"),
            roles: &self.roles,
            server: maybe("server"),
            tool: maybe("tool"),
            model: maybe("model"),
            host: maybe("host"),
            capability: maybe("capability"),
            action: maybe("action"),
            action_type: always("action_type").parse().unwrap(),
            risk: maybe("risk"),
            labels: &self.labels,
            arguments: &self.arguments,
            schema,
        }
    }
}
