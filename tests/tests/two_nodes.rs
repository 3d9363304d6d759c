//! Two nodes on one data folder: the second is told who has it, and the first does not notice.

use ringfence_tests::audit;
use ringfence_tests::config::Config;
use ringfence_tests::mcp::Client;
use ringfence_tests::node::Node;
use ringfence_tests::upstream::Upstream;
use serde_json::json;

const UP: [&str; 8] =
    ["up", "-c", "ringfence.yaml", "--gateway", "127.0.0.1:0", "--control", "127.0.0.1:0", "--json"];

#[tokio::test]
async fn a_second_node_on_the_same_data_is_refused_and_the_first_goes_on() {
    let upstream = Upstream::plain(None, &[]).await;
    let mut node = Node::start(&Config::open_url(&upstream.url)).await;
    let client = Client::modern(&node.mcp("tools"), Some(&node.mint("lab").await));
    client.call("echo", json!({ "text": "before" })).await.expect_done();

    for _ in 0..2 {
        let second = node.cli(&UP).await.expect(2);
        let holder = format!("process {}", node.pid().unwrap());
        assert!(second.stderr.contains(&holder), "it does not name the first: {}", second.stderr);
        assert!(second.stderr.contains("--data"), "no way out: {}", second.stderr);
        assert!(second.stdout.is_empty(), "it announced itself: {}", second.stdout);
    }

    // The socket is still the first one's.
    assert_eq!(node.cli(&["status", "--json"]).await.expect(0).json()["admitting"], true);
    client.call("echo", json!({ "text": "after" })).await.expect_done();
    audit::at_least(&node, "outcome", 2).await;
    audit::verify(&node).await;

    // Once the first has gone, in whatever way, the folder is free.
    node.kill().await;
    node.restart().await;
    assert_eq!(node.cli(&["status", "--json"]).await.expect(0).json()["admitting"], true);
}
