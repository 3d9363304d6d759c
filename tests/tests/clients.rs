//! Agent frameworks connect by changing a URL, and their models understand what happened to each call.
#![expect(clippy::panic, clippy::unwrap_used, reason = "a panic is how a test fails, in its helpers too")]

use ringfence_tests::audit;
use ringfence_tests::config::Config;
use ringfence_tests::node::Node;
use ringfence_tests::script::{self, Framework};
use ringfence_tests::upstream::{Upstream, executed};
use serde_json::json;

/// One script through all four decisions; the last call waits until a person approves it.
async fn lives_through_all_four_decisions(framework: Framework) {
    let folder = tempfile::tempdir().unwrap();
    let calls = folder.path().join("calls");
    let fixture = Upstream::fixture(Some(&calls)).await;
    let node = Node::start(&Config::gate(&fixture.url)).await;
    let (url, token) = (node.everything(), node.mint("staging").await);

    let script = tokio::spawn(async move {
        let script = [
            ("papers__search", json!({ "query": "tides" })),
            ("cluster__deploy", json!({ "service": "web", "replicas": 50, "namespace": "app" })),
            ("cluster__deploy", json!({ "service": "web", "replicas": 2, "namespace": "kube-system" })),
            ("papers__send_mail", json!({ "to": "customer@example.com", "text": "All is well." })),
        ];
        framework.run(&url, Some(&token), &script).await
    });
    let asked = audit::asked(&node).await;
    assert_eq!(executed(&calls).len(), 2, "only what was allowed and narrowed has happened");
    node.cli(&["approvals", "approve", asked["id"].as_str().unwrap()]).await.expect(0);
    let received = script.await.unwrap();

    let [allowed, narrowed, refused, approved] = received.as_slice() else {
        panic!("four answers, not {received:?}")
    };
    assert!(allowed.text.contains("Two papers about tides."), "{allowed:?}");
    assert!(narrowed.text.contains("10"), "{narrowed:?}");
    assert!(!narrowed.text.contains("with 50 replicas"), "{narrowed:?}");
    assert!(refused.text.contains("`namespace`"), "refused without saying what: {refused:?}");
    assert!(refused.text.contains("deployment-limits"), "refused without saying why: {refused:?}");
    assert!(approved.text.contains("Sent to customer@example.com."), "{approved:?}");
    let told = received.iter().map(|one| one.is_error).collect::<Vec<_>>();
    let expected = [false, false, true, false].map(|error| framework.tells_errors.then_some(error));
    assert_eq!(told, expected, "{received:?}");
    assert_eq!(executed(&calls).len(), 3);
    audit::verify(&node).await;
}

#[tokio::test]
async fn the_official_client() {
    lives_through_all_four_decisions(script::MCP).await;
}

#[tokio::test]
async fn fastmcp() {
    lives_through_all_four_decisions(script::FASTMCP).await;
}

#[tokio::test]
async fn langgraph() {
    lives_through_all_four_decisions(script::LANGGRAPH).await;
}

#[tokio::test]
async fn openai_agents() {
    lives_through_all_four_decisions(script::OPENAI_AGENTS).await;
}

#[tokio::test]
async fn pydantic_ai() {
    lives_through_all_four_decisions(script::PYDANTIC_AI).await;
}
