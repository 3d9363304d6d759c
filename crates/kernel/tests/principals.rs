//! Runs that are not an agent's: a tool server's, and the node's own builds. They reach hosts, by the same path, and nothing else.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on panics")]

mod common;

use std::sync::Arc;

use common::{Node, crash_copy, dana, json, open_at, server, start, workspace};
use ringfence_kernel::{
    Actor, Admission, AgentSetup, Begin, Builds, Call, Clock, EgressCall, EgressClearance, EgressGrants,
    EgressProposal, EgressProtocol, EndedBy, Mint, MintError, Outcome, Phase, Proposal, Run, RunError,
    RunStep, Setup, Suspend,
};
use ringfence_types::{Builder, Code, HostName, Principal, Scope, ServerName, ToolName};

const POLICY: &str = "
rules:
  - { name: tools, match: { kind: egress, server: tools, host: [a.example, no.example, index.example] }, decision: ALLOW }
  - { name: never, match: { kind: egress, host: [no.example, evil.example] }, decision: DENY }
  - { name: all-agents, match: { kind: egress, agent: assistant }, decision: ALLOW }
";

fn setup() -> Setup {
    let mut setup = common::setup(POLICY, common::limits());
    let workspace_setup = setup.workspaces.get_mut(&workspace()).unwrap();
    let grants = |texts: &[&str]| EgressGrants::parse(texts.iter().copied()).unwrap();
    let holds = AgentSetup::reaching(grants(&["a.example", "no.example", "unruled.example"]));
    workspace_setup.servers.get_mut(&server()).unwrap().holds = Some(Box::new(holds));
    setup.builds = Builds::reaching(grants(&["index.example", "evil.example"]), grants(&["npm.example"]));
    setup
}

async fn open(folder: &std::path::Path) -> Node {
    let node = open_at(folder, Clock::manual(start()), setup()).await;
    node.observe().await;
    node
}

async fn server_run(node: &Node) -> Arc<Run> {
    let run = node.kernel.queue_server_run(&workspace(), &server()).await.unwrap();
    runs(node, &run).await;
    run
}

async fn runs(node: &Node, run: &Arc<Run>) {
    for step in [RunStep::Starting, RunStep::Running { layers: json("{}") }] {
        node.kernel.step_run(run.id, step, &Actor::node()).await.unwrap();
    }
}

async fn ask(node: &Node, run: &Arc<Run>, host: &str) -> Admission<EgressClearance> {
    let call = EgressCall {
        host: HostName::new(host).unwrap(),
        port: 443,
        protocol: EgressProtocol::Tls,
        method: None,
        path: None,
    };
    node.kernel.admit_egress(EgressProposal { run: Arc::clone(run), call }).await
}

async fn code(node: &Node, run: &Arc<Run>, host: &str) -> Option<Code> {
    match ask(node, run, host).await {
        Admission::Cleared(clearance) => {
            clearance.settle(Outcome::NotSent { message: "a test".into() });
            None
        }
        Admission::Refused(refusal) => Some(refusal.code),
        Admission::Pending(pending) => panic!("pending: {pending:?}"),
    }
}

#[tokio::test]
async fn a_tool_server_reaches_what_it_holds_and_rules_know_which_one_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let node = open(folder.path()).await;
    let run = server_run(&node).await;
    assert_eq!(code(&node, &run, "a.example").await, None);
    assert_eq!(code(&node, &run, "no.example").await, Some(Code::DeniedByPolicy));
    // No rule for this server says so: denied by default, as for agents.
    assert_eq!(code(&node, &run, "unruled.example").await, Some(Code::DeniedByPolicy));
    assert_eq!(code(&node, &run, "b.example").await, Some(Code::NotGranted));
    let intent = &node.entries("intent")[0];
    assert_eq!((intent.text("agent"), intent.text("host")), (Some("tool:tools"), Some("a.example")));
    assert_eq!(intent.get("facts").unwrap().as_object().unwrap().text("server"), Some("tools"));
    let life = node.entries("run");
    assert!(
        life.iter()
            .any(|entry| entry.text("agent") == Some("tool:tools") && entry.text("event") == Some("running"))
    );
}

#[tokio::test]
async fn who_is_no_agent_has_no_tools_no_token_and_is_not_held() {
    let folder = tempfile::tempdir().unwrap();
    let node = open(folder.path()).await;
    let run = server_run(&node).await;
    let call =
        Call::Tool { tool: ToolName::new("query").unwrap(), arguments: json("{}"), continuation: None };
    let proposal = Proposal { run: Arc::clone(&run), server: server(), call };
    match node.kernel.admit(proposal).await {
        Admission::Refused(refusal) => assert_eq!(refusal.code, Code::NotGranted),
        other => panic!("{other:?}"),
    }
    for agent in [Principal::server_name(&server()).unwrap(), Builder::Python.name()] {
        let mint = Mint {
            workspace: workspace(),
            agent: agent.clone(),
            user: None,
            conversation: None,
            ttl: std::time::Duration::from_mins(1),
        };
        let minted = node.kernel.mint(mint, &dana()).await;
        assert!(matches!(minted, Err(MintError::UnknownAgent { .. })), "{minted:?}");
        let begin = Begin { workspace: workspace(), agent, user: None, conversation: None };
        let begun = node.kernel.queue_run(begin, &dana()).await;
        assert!(matches!(begun, Err(MintError::UnknownAgent { .. })), "{begun:?}");
    }
    let other = ServerName::new("other").unwrap();
    let begun = node.kernel.queue_server_run(&workspace(), &other).await;
    assert!(matches!(begun, Err(MintError::UnknownServer { .. })), "{begun:?}");
    let paused = node.kernel.step_run(run.id, RunStep::Paused { reason: "a test".into() }, &dana()).await;
    assert!(matches!(paused, Err(RunError::Step(..))), "{paused:?}");
}

#[tokio::test]
async fn a_suspended_server_reaches_nothing_and_what_it_has_open_is_cut() {
    for scope in [
        Scope { server: Some(server()), ..Scope::default() },
        Scope { workspace: Some(workspace()), ..Scope::default() },
    ] {
        let folder = tempfile::tempdir().unwrap();
        let node = open(folder.path()).await;
        let run = server_run(&node).await;
        let Admission::Cleared(open) = ask(&node, &run, "a.example").await else { panic!("not cleared") };
        let other = Scope { server: Some(ServerName::new("other").unwrap()), ..Scope::default() };
        let suspend = |scope| Suspend { scope, reason: "a test".into(), duration: None };
        node.kernel.suspend(suspend(other), &dana()).await.unwrap();
        assert!(open.cancel().check().is_ok(), "another server was suspended");
        node.kernel.suspend(suspend(scope), &dana()).await.unwrap();
        assert_eq!(open.cancel().check().unwrap_err().code, Code::Suspended);
        assert_eq!(code(&node, &run, "a.example").await, Some(Code::Suspended));
    }
}

#[tokio::test]
async fn a_run_that_is_killed_is_over_for_whoever_supervises_it() {
    let folder = tempfile::tempdir().unwrap();
    let node = open(folder.path()).await;
    let run = server_run(&node).await;
    let waiting = tokio::spawn({
        let (kernel, run) = (node.kernel.clone(), Arc::clone(&run));
        async move { kernel.run_over(&run).await }
    });
    tokio::task::yield_now().await;
    node.kernel.kill(run.id, "enough", &dana()).await.unwrap();
    assert_eq!(waiting.await.unwrap(), (EndedBy::Person, "enough".to_owned()));
    let life = node.kernel.run(run.id).unwrap().life.unwrap();
    assert_eq!(life.phase, Phase::Stopping);
}

#[tokio::test]
async fn a_build_reaches_its_index_without_a_rule_and_never_against_one() {
    let folder = tempfile::tempdir().unwrap();
    let node = open(folder.path()).await;
    let run = node.kernel.queue_build(&workspace(), Builder::Python).await.unwrap();
    runs(&node, &run).await;
    assert_eq!(code(&node, &run, "index.example").await, None);
    assert_eq!(code(&node, &run, "evil.example").await, Some(Code::DeniedByPolicy));
    for other in ["a.example", "npm.example"] {
        assert_eq!(code(&node, &run, other).await, Some(Code::NotGranted), "{other}");
    }
    let intent = &node.entries("intent")[0];
    assert_eq!((intent.text("agent"), intent.text("decision")), (Some("build:python"), Some("ALLOW")));
}

#[tokio::test]
async fn they_are_known_again_after_a_crash() {
    let folder = tempfile::tempdir().unwrap();
    let node = open(folder.path()).await;
    let (served, built) =
        (server_run(&node).await, node.kernel.queue_build(&workspace(), Builder::Python).await.unwrap());
    let copy = crash_copy(folder.path(), &node);
    let again = open_at(copy.path(), Clock::manual(start()), setup()).await;
    for run in [served, built] {
        assert_eq!(again.kernel.run(run.id).unwrap().run, run);
    }
    assert_eq!(again.kernel.living_runs().len(), 2);
}
