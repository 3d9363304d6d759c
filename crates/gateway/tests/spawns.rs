//! Runs that runs ask for, by tool and over HTTP, with somebody who starts them that the test holds in its hand.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on panics")]

mod common;

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use common::{Client, Node, Upstream, at, dana, limits, object, setup, workspace};
use http::{Method, StatusCode};
use ringfence_gateway::Limits;
use ringfence_json::{Object, Value};
use ringfence_kernel::{
    Actor, EndedBy, Exit, Kernel, Nursery, Printed, Run, RunError, RunStep, SpawnClearance,
};
use ringfence_types::{AgentName, Refusal, RunId};

const POLICY: &str = "
rules:
  - { name: tools, match: { kind: tool_call }, decision: ALLOW }
  - { name: spawns, match: { kind: spawn }, decision: ALLOW_WITH_CONSTRAINTS, constraints: { denied_agents: [forbidden], max_result_bytes: 100 } }
";

type Later<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Begins what is asked for; nothing runs.
struct Cot(Kernel);

impl Cot {
    async fn step(&self, run: RunId, step: RunStep) -> Result<(), RunError> {
        self.0.step_run(run, step, &Actor::node()).await
    }
}

impl Nursery for Cot {
    fn start(&self, clearance: SpawnClearance) -> Later<'_, Result<Arc<Run>, Refusal>> {
        Box::pin(async move {
            let run = self.0.begin_child(clearance).await?;
            for step in [RunStep::Starting, RunStep::Running { layers: Object::new() }] {
                self.step(run.id, step).await.unwrap();
            }
            Ok(run)
        })
    }

    fn printed(&self, _: RunId, bytes_max: u64) -> Later<'_, Printed> {
        Box::pin(async move {
            let line = Object::new().with("stream", "stdout").with("text", format!("at most {bytes_max}"));
            Printed { lines: vec![line], is_whole: false }
        })
    }

    fn stop<'a>(&'a self, run: RunId, reason: &'a str) -> Later<'a, Result<(), RunError>> {
        let step = RunStep::Stopping { why: EndedBy::Parent, reason: reason.to_owned() };
        Box::pin(async move { self.step(run, step).await })
    }
}

/// A node with one tool server whose agent may start two others.
async fn node(limits: Limits) -> (Node, Upstream) {
    let upstream = Upstream::modern().await;
    let node = Node::start_with(&[("tools", &upstream.url)], &["tools/echo"], POLICY, limits).await;
    apply(&node, &["helper", "forbidden"]).await;
    node.gateway.start_runs_with(Arc::new(Cot(node.kernel.clone())));
    (node, upstream)
}

async fn apply(node: &Node, spawn: &[&str]) {
    let mut setup = setup(POLICY, &["tools"], &["tools/echo"]);
    let agents = &mut setup.workspaces.get_mut(&workspace()).unwrap().agents;
    let name = |name: &str| AgentName::new(name).unwrap();
    let mut assistant = agents[&name("assistant")].clone();
    for agent in ["helper", "forbidden"] {
        agents.insert(name(agent), assistant.clone());
    }
    assistant.spawn = spawn.iter().map(|agent| name(agent)).collect();
    agents.insert(name("assistant"), assistant);
    node.kernel.apply(setup, &dana()).await.unwrap();
}

async fn end(node: &Node, run: &str) {
    let ended = RunStep::Ended {
        why: EndedBy::Program,
        reason: "its program ended".into(),
        exit: Some(Exit::Code(3)),
        output_bytes: 5,
        used: None,
    };
    node.kernel.step_run(run.parse().unwrap(), ended, &Actor::node()).await.unwrap();
}

/// The newest run that this client's has started, once there is one.
async fn child(node: &Node, client: &Client) -> String {
    for _ in 0..200 {
        if let Some(view) = node.kernel.children_of(client.run, 100).first() {
            return view.run.id.to_string();
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("nothing was started");
}

async fn own(client: &Client, tool: &str, arguments: &str) -> common::client::Answer {
    let params = format!(r#""name":"{tool}","arguments":{arguments}"#);
    client.modern("/mcp", "tools/call", Some(tool), &params).await
}

async fn api(client: &Client, method: Method, path: &str, body: &str) -> (StatusCode, Value) {
    let answer = client.send(method, &format!("/api/v1/runs{path}"), &[], body).await;
    (answer.status, answer.message())
}

fn names(list: &Value) -> Vec<String> {
    let tools = list.pointer("/result/tools").and_then(Value::as_array).unwrap();
    tools.iter().map(|tool| at(tool, "/name")).collect()
}

#[tokio::test]
async fn the_tools_are_there_for_those_who_may_start_something() {
    let (node, _upstream) = node(limits()).await;
    let client = node.client().await;
    let list = client.modern("/mcp", "tools/list", None, "").await.message();
    assert_eq!(names(&list), ["ringfence__spawn", "ringfence__runs", "tools__echo"]);
    let agents = "/result/tools/0/inputSchema/properties/agent/enum";
    assert_eq!(at(&list, agents), r#"["helper","forbidden"]"#);
    let own_server = client.modern("/mcp/tools", "tools/list", None, "").await.message();
    assert_eq!(names(&own_server), ["echo"]);
    apply(&node, &[]).await;
    let list = client.modern("/mcp", "tools/list", None, "").await.message();
    assert_eq!(names(&list), ["tools__echo"]);
    let refused = own(&client, "ringfence__spawn", r#"{"agent":"helper"}"#).await;
    assert_eq!(refused.code(), "not_granted");
    let (status, refused) = api(&client, Method::POST, "", r#"{"agent":"helper"}"#).await;
    assert_eq!((status, at(&refused, "/error/code")), (StatusCode::FORBIDDEN, "not_granted".into()));
    assert!(node.kernel.children_of(client.run, 100).is_empty());
}

#[tokio::test]
async fn a_call_waits_for_the_end_and_tells_how_it_was() {
    let (node, _upstream) = node(limits()).await;
    for legacy in [false, true] {
        let client = node.client().await;
        let client = if legacy { client.initialize("/mcp").await } else { client };
        let arguments = r#"{"agent":"helper","budget":{"usd":0.5}}"#;
        let waiting = {
            let client = client.clone();
            tokio::spawn(async move {
                if legacy {
                    client.call("/mcp", "ringfence__spawn", arguments).await
                } else {
                    own(&client, "ringfence__spawn", arguments).await
                }
            })
        };
        let run = child(&node, &client).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(!waiting.is_finished());
        end(&node, &run).await;
        let answer = waiting.await.unwrap();
        let message = answer.message();
        let structured = |name: &str| at(&message, &format!("/result/structuredContent/{name}"));
        assert_eq!(
            (structured("run"), structured("state"), structured("exit_code")),
            (run, "ended".into(), "3".into())
        );
        assert_eq!(structured("output/0/text"), "at most 100", "the rule's bound");
        assert_eq!(structured("output_is_cut"), "true");
        assert_eq!(answer.text(), message.pointer("/result/structuredContent").unwrap().to_string());
        assert_eq!(message.pointer("/result/resultType").is_some(), !legacy);
    }
}

#[tokio::test]
async fn a_wait_has_an_end_and_can_be_taken_up_again() {
    let (node, _upstream) = node(Limits { spawn_wait: Duration::from_millis(50), ..limits() }).await;
    let client = node.client().await;
    let answer = own(&client, "ringfence__spawn", r#"{"agent":"helper"}"#).await.message();
    let run = at(&answer, "/result/structuredContent/run");
    assert_eq!(at(&answer, "/result/structuredContent/state"), "running");
    let wait = format!(r#"{{"action":"wait","run":"{run}"}}"#);
    let answer = own(&client, "ringfence__runs", &wait).await.message();
    assert_eq!(at(&answer, "/result/structuredContent/state"), "running");
    end(&node, &run).await;
    let answer = own(&client, "ringfence__runs", &wait).await.message();
    assert_eq!(at(&answer, "/result/structuredContent/state"), "ended");
    // Over HTTP the answer comes at once unless it is asked to wait.
    let (status, begun) = api(&client, Method::POST, "", r#"{"agent":"helper","input":"x"}"#).await;
    assert_eq!((status, at(&begun, "/state")), (StatusCode::CREATED, "running".into()));
    let (status, waited) =
        api(&client, Method::POST, "", r#"{"agent":"helper","input":"y","wait":true}"#).await;
    assert_eq!((status, at(&waited, "/state")), (StatusCode::OK, "running".into()));
}

#[tokio::test]
async fn who_is_cut_off_waits_no_longer_and_who_calls_off_leaves_the_run_alone() {
    let (node, _upstream) = node(limits()).await;
    let client = node.client().await.initialize("/mcp").await;
    let waiting = {
        let client = client.clone();
        tokio::spawn(async move { client.call("/mcp", "ringfence__spawn", r#"{"agent":"helper"}"#).await })
    };
    let run = child(&node, &client).await;
    let cancelled = r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":7}}"#;
    client.legacy("/mcp", cancelled).await;
    assert!(waiting.await.unwrap().body.contains("called the request off"));
    assert_eq!(node.kernel.run(run.parse().unwrap()).unwrap().state(node.kernel.now()), "running");
    let other = node.client().await;
    let waiting = {
        let other = other.clone();
        tokio::spawn(async move { own(&other, "ringfence__spawn", r#"{"agent":"helper"}"#).await })
    };
    child(&node, &other).await;
    node.suspend(other.run).await;
    assert_eq!(waiting.await.unwrap().code(), "suspended");
    assert_eq!(own(&other, "ringfence__runs", r#"{"action":"list"}"#).await.code(), "suspended");
}

#[tokio::test]
async fn a_run_sees_and_stops_its_own_and_nobody_elses() {
    let (node, _upstream) = node(limits()).await;
    let (client, other) = (node.client().await, node.client().await);
    let (_, begun) = api(&client, Method::POST, "", r#"{"agent":"helper"}"#).await;
    let run = at(&begun, "/run");
    for (method, path) in [(Method::GET, ""), (Method::GET, "/output"), (Method::POST, "/stop")] {
        let path = format!("/{run}{path}");
        let (status, _) = api(&other, method.clone(), &path, "").await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{method} {path}");
    }
    let (_, none) = api(&other, Method::GET, "", "").await;
    assert_eq!(at(&none, "/runs"), "[]");
    for action in ["show", "output", "wait", "stop"] {
        let asked = format!(r#"{{"action":"{action}","run":"{run}"}}"#);
        let answer = own(&other, "ringfence__runs", &asked).await;
        assert_eq!(at(&answer.message(), "/result/isError"), "true", "{action}: {}", answer.body);
    }
    assert_eq!(node.kernel.run(run.parse().unwrap()).unwrap().state(node.kernel.now()), "running");
    let (status, stopped) = api(&client, Method::POST, &format!("/{run}/stop"), "").await;
    assert_eq!((status, at(&stopped, "/state")), (StatusCode::OK, "stopping".into()));
    end(&node, &run).await;
    let (status, shown) = api(&client, Method::GET, &format!("/{run}"), "").await;
    assert_eq!((status, at(&shown, "/state")), (StatusCode::OK, "ended".into()));
    let (status, _) = api(&client, Method::POST, &format!("/{run}/stop"), "").await;
    assert_eq!(status, StatusCode::OK, "it has arrived already");
}

#[tokio::test]
async fn what_cannot_be_read_or_started_is_refused_and_on_record() {
    let (node, _upstream) = node(limits()).await;
    let client = node.client().await;
    for (arguments, code) in [
        (r#"{"agent":"forbidden"}"#, "denied_by_policy"),
        (r#"{"agent":"stranger"}"#, "not_granted"),
        (r#"{"agent":"helper","wall":"long"}"#, "invalid_input"),
        (r#"{"agent":"helper","wait":7}"#, "invalid_input"),
        ("{}", "invalid_input"),
        ("[]", "invalid_input"),
    ] {
        assert_eq!(own(&client, "ringfence__spawn", arguments).await.code(), code, "{arguments}");
    }
    let list = own(&client, "ringfence__runs", r#"{"action":"kill"}"#).await.message();
    assert_eq!(at(&list, "/result/isError"), "true");
    let refusals = node.entries("refusal", 6).await;
    assert!(refusals.iter().any(|entry| entry.text("spawns") == Some("forbidden")));
    for (headers, body, status) in [
        (&[("content-type", "text/plain")][..], "{}", StatusCode::UNSUPPORTED_MEDIA_TYPE),
        (&[], "{", StatusCode::BAD_REQUEST),
        (&[], "[]", StatusCode::BAD_REQUEST),
        (&[], r#"{"agent":"helper","agent":"forbidden"}"#, StatusCode::BAD_REQUEST),
        (&[("authorization", "")], "{}", StatusCode::UNAUTHORIZED),
        (&[("origin", "https://evil.example")], "{}", StatusCode::FORBIDDEN),
    ] {
        let answer = client.send(Method::POST, "/api/v1/runs", headers, body).await;
        assert_eq!(answer.status, status, "{body}: {answer:?}");
        assert!(object(&answer.body).contains("error"));
    }
    for (method, path, status) in [
        (Method::DELETE, "/api/v1/runs", StatusCode::METHOD_NOT_ALLOWED),
        (Method::GET, "/api/v1/approvals", StatusCode::NOT_FOUND),
        (Method::GET, "/api/v1/runs/run_00000000000000000000000000", StatusCode::NOT_FOUND),
    ] {
        assert_eq!(client.send(method, path, &[], "").await.status, status, "{path}");
    }
    assert!(node.kernel.children_of(client.run, 100).is_empty());
}

#[tokio::test]
async fn where_nobody_starts_anything_nothing_is_started() {
    let upstream = Upstream::modern().await;
    let node = Node::start_with(&[("tools", &upstream.url)], &["tools/echo"], POLICY, limits()).await;
    apply(&node, &["helper"]).await;
    let client = node.client().await;
    assert_eq!(own(&client, "ringfence__spawn", r#"{"agent":"helper"}"#).await.code(), "upstream_failed");
    let outcome = node.entries("outcome", 1).await.remove(0);
    assert_eq!((outcome.text("spawns"), outcome.text("status")), (Some("helper"), Some("not_sent")));
}
