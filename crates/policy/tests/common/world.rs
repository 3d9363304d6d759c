//! A small node: two agents, two servers, four tools, a model.

use std::sync::Arc;

use ringfence_policy::{KnownAgent, KnownModel, KnownServer, KnownTool, ToolDefinition, Vocabulary};
use ringfence_types::{ActionType, Role};

fn tool(server: &str, name: &str, action_type: ActionType, properties: &str) -> KnownTool {
    let object =
        format!(r#"{{"name":"{name}","inputSchema":{{"type":"object","properties":{properties}}}}}"#);
    KnownTool {
        workspace: "research".parse().unwrap(),
        server: server.parse().unwrap(),
        name: name.parse().unwrap(),
        action: name.split('_').next().unwrap().into(),
        action_type,
        risk: None,
        labels: Vec::new(),
        definition: Some(Arc::new(ToolDefinition::parse(&super::json(&object)).unwrap())),
    }
}

pub fn vocabulary() -> Vocabulary {
    let agent = |name: &str| KnownAgent {
        workspace: "research".parse().unwrap(),
        environment: "production".into(),
        name: name.parse().unwrap(),
        spawns: false,
    };
    let server = |name: &str, capability: &str| KnownServer {
        workspace: "research".parse().unwrap(),
        name: name.parse().unwrap(),
        capability: Some(capability.into()),
    };
    Vocabulary {
        organization: Some("acme".parse().unwrap()),
        agents: vec![agent("assistant"), agent("janitor")],
        servers: vec![server("cluster", "kubernetes"), server("base", "database")],
        tools: vec![
            tool("cluster", "deploy_app", ActionType::Write, r#"{"replicas":{},"namespace":{}}"#),
            tool("cluster", "list_pods", ActionType::Read, r#"{"namespace":{}}"#),
            tool("base", "drop_table", ActionType::Write, r#"{"table":{}}"#),
            tool("base", "query", ActionType::Read, r#"{"sql":{},"limit":{}}"#),
        ],
        models: vec![KnownModel { workspace: "research".parse().unwrap(), name: "smart".parse().unwrap() }],
        egress: Vec::new(),
        roles: ["approver", "admin"].map(|role| Role::new(role).unwrap()).to_vec(),
    }
}
