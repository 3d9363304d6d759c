//! What leaves for a host takes the same path as every other action.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on panics")]

mod common;

use std::sync::Arc;

use common::{Node, crash_copy, dana, open_at, start, workspace};
use ringfence_kernel::{
    Admission, Clock, EgressCall, EgressClearance, EgressGrants, EgressProposal, EgressProtocol, Outcome,
    Run, Setup, Suspend,
};
use ringfence_types::{AgentName, Code, HostName, Refusal, Scope};

const POLICY: &str = "
rules:
  - { name: open, match: { kind: egress, host: [\"*.example.com\", shop.example] }, decision: ALLOW }
  - { name: looks, match: { kind: egress, host: api.example, action_type: read }, decision: ALLOW }
  - { name: buys, match: { kind: egress, host: shop.example, action: post }, decision: REQUIRE_APPROVAL }
  - { name: part, match: { kind: egress, host: part.example }, decision: ALLOW_WITH_CONSTRAINTS, constraints: { allowed_paths: [\"/a\"] } }
  - { name: less, match: { kind: egress, host: less.example }, decision: ALLOW_WITH_CONSTRAINTS, constraints: { max_port: 80 } }
";

fn setup() -> Setup {
    let mut setup = common::setup(POLICY, common::limits());
    let workspace_setup = setup.workspaces.get_mut(&workspace()).unwrap();
    let agent = workspace_setup.agents.get_mut(&AgentName::new("assistant").unwrap()).unwrap();
    agent.limits.repetition = Some(2);
    agent.egress = EgressGrants::parse([
        "*.example.com",
        "shop.example",
        "api.example",
        "part.example",
        "less.example",
        "unruled.example",
        "some.example.com:8443 GET /v1/*",
    ])
    .unwrap();
    setup
}

async fn open(folder: &std::path::Path) -> Node {
    open_at(folder, Clock::manual(start()), setup()).await
}

fn call(host: &str, port: u16, request: Option<(&str, &str)>) -> EgressCall {
    EgressCall {
        host: HostName::new(host).unwrap(),
        port,
        protocol: if request.is_some() { EgressProtocol::Http } else { EgressProtocol::Tls },
        method: request.map(|(method, _)| method.into()),
        path: request.map(|(_, path)| path.to_owned()),
    }
}

async fn ask(node: &Node, run: &Arc<Run>, call: EgressCall) -> Admission<EgressClearance> {
    node.kernel.admit_egress(EgressProposal { run: Arc::clone(run), call }).await
}

async fn cleared(node: &Node, run: &Arc<Run>, call: EgressCall) -> EgressClearance {
    match ask(node, run, call).await {
        Admission::Cleared(clearance) => clearance,
        other => panic!("not cleared: {other:?}"),
    }
}

async fn refused(node: &Node, run: &Arc<Run>, call: EgressCall) -> Refusal {
    match ask(node, run, call).await {
        Admission::Refused(refusal) => refusal,
        other => panic!("not refused: {other:?}"),
    }
}

#[tokio::test]
async fn a_connection_is_decided_recorded_and_settled() {
    let folder = tempfile::tempdir().unwrap();
    let node = open(folder.path()).await;
    let (_, run) = node.mint().await;
    // The same again is no repetition: that is how programs wait.
    for _ in 0..4 {
        let clearance = cleared(&node, &run, call("www.example.com", 443, None)).await;
        assert_eq!(clearance.call().host.as_str(), "www.example.com");
        clearance.settle(Outcome::Completed { result: br#"{"sent":1}"#.to_vec(), is_error: false });
    }
    let (intents, outcomes) = (node.entries("intent"), node.entries("outcome"));
    assert_eq!((intents.len(), outcomes.len()), (4, 4));
    assert_eq!(intents[0].text("host"), Some("www.example.com"));
    assert_eq!(intents[0].get("port").unwrap().as_u64(), Some(443));
    assert_eq!(intents[0].text("rule"), Some("open"));
    assert_eq!(outcomes[0].text("status"), Some("completed"));
    assert_eq!(outcomes[0].text("host"), Some("www.example.com"));
}

#[tokio::test]
async fn what_is_not_held_or_not_allowed_is_refused_on_the_record() {
    let folder = tempfile::tempdir().unwrap();
    let node = open(folder.path()).await;
    let (_, run) = node.mint().await;
    for (asked, code) in [
        (call("evil.example", 443, None), Code::NotGranted),
        (call("www.example.com", 22, None), Code::NotGranted),
        (call("some.example.com", 8443, None), Code::NotGranted),
        (call("some.example.com", 8443, Some(("POST", "/v1/x"))), Code::NotGranted),
        (call("some.example.com", 8443, Some(("GET", "/v1/../x"))), Code::InvalidInput),
        (call("www.example.com", 80, Some(("GET", "/x/../admin"))), Code::InvalidInput),
        (call("www.example.com", 80, Some(("GET", "/%61dmin"))), Code::InvalidInput),
        (call("www.example.com", 80, Some(("GET", "/a\\b"))), Code::InvalidInput),
        (call("unruled.example", 443, None), Code::DeniedByPolicy),
        // What is not seen may write.
        (call("api.example", 443, None), Code::DeniedByPolicy),
        (call("api.example", 80, Some(("POST", "/"))), Code::DeniedByPolicy),
        (call("part.example", 80, Some(("GET", "/b"))), Code::DeniedByPolicy),
        (call("part.example", 443, None), Code::DeniedByPolicy),
        (call("less.example", 443, None), Code::DeniedByPolicy),
    ] {
        let shown = format!("{asked:?}");
        let refusal = refused(&node, &run, asked).await;
        assert_eq!(refusal.code, code, "{shown}: {}", refusal.reason);
    }
    for fine in [
        call("api.example", 80, Some(("GET", "/x"))),
        call("www.example.com", 80, Some(("GET", "/@scope%2fname?a=%61"))),
        call("part.example", 80, Some(("POST", "/a?b=c"))),
        call("some.example.com", 8443, Some(("GET", "/v1/x"))),
    ] {
        cleared(&node, &run, fine).await.settle(Outcome::NotSent { message: "a test".into() });
    }
    let refusals = node.entries("refusal");
    assert!(refusals.iter().any(|refusal| refusal.text("host") == Some("evil.example")), "{refusals:?}");
}

#[tokio::test]
async fn a_person_is_asked_and_the_connection_waits() {
    let folder = tempfile::tempdir().unwrap();
    let node = open(folder.path()).await;
    let (_, run) = node.mint().await;
    let post = || call("shop.example", 80, Some(("POST", "/buy")));
    let Admission::Pending(pending) = ask(&node, &run, post()).await else { panic!("not pending") };
    let view = node.kernel.approval(pending.approval()).unwrap();
    assert_eq!(view.host.map(|(host, port)| (host.to_string(), port)), Some(("shop.example".into(), 80)));
    assert_eq!(view.requested.unwrap().text("path"), Some("/buy"));
    let less =
        common::json(r#"{"host":"shop.example","port":80,"protocol":"http","method":"POST","path":"/"}"#);
    let narrowed = node.kernel.approve(pending.approval(), &dana(), Some(less), None).await;
    assert!(narrowed.unwrap_err().to_string().contains("as it is"));
    node.kernel.approve(pending.approval(), &dana(), None, None).await.unwrap();
    let Admission::Cleared(clearance) = pending.wait().await else { panic!("not cleared") };
    clearance.settle(Outcome::NotSent { message: "a test".into() });
    // Once.
    assert!(matches!(ask(&node, &run, post()).await, Admission::Pending(_)));
}

#[tokio::test]
async fn a_suspension_cuts_a_connection_and_a_restart_knows_what_was_open() {
    let folder = tempfile::tempdir().unwrap();
    let node = open(folder.path()).await;
    let (_, run) = node.mint().await;
    let open_one = cleared(&node, &run, call("www.example.com", 443, None)).await;
    let scope = Scope { workspace: Some(workspace()), ..Scope::default() };
    let suspend = Suspend { scope, reason: "a test".into(), duration: None };
    node.kernel.suspend(suspend, &dana()).await.unwrap();
    assert_eq!(open_one.cancel().check().unwrap_err().code, Code::Suspended);
    assert_eq!(refused(&node, &run, call("www.example.com", 443, None)).await.code, Code::Suspended);
    let copy = crash_copy(folder.path(), &node);
    let again = open_at(copy.path(), node.clock.clone(), setup()).await;
    assert_eq!(again.recovered.unknown, 1);
    let outcomes = again.entries("outcome");
    assert_eq!(outcomes[0].text("status"), Some("unknown"));
    drop(open_one);
}

#[tokio::test]
async fn connections_that_stay_open_leave_an_agent_its_turns() {
    let folder = tempfile::tempdir().unwrap();
    let mut setup = setup();
    let agents = &mut setup.workspaces.get_mut(&workspace()).unwrap().agents;
    agents.get_mut(&AgentName::new("assistant").unwrap()).unwrap().limits.concurrent = Some(1);
    let node = open_at(folder.path(), Clock::manual(start()), setup).await;
    let (_, run) = node.mint().await;
    let mut open = Vec::new();
    for _ in 0..3 {
        open.push(cleared(&node, &run, call("www.example.com", 443, None)).await);
    }
    assert_eq!(node.kernel.run(run.id).unwrap().in_flight, 0);
    drop(open);
    assert_eq!(node.kernel.run(run.id).unwrap().in_flight, 0);
}
