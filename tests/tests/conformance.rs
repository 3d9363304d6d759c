//! No check of the official suite that passes direct fails through `/mcp/{server}`, but for the listed differences.

use ringfence_tests::config::Config;
use ringfence_tests::differences::{self, compare};
use ringfence_tests::everything::Everything;
use ringfence_tests::node::Node;
use ringfence_tests::shim::Shim;
use ringfence_tests::suite::{self, REVISIONS, Status};
use ringfence_tests::upstream::Upstream;

/// Runs the suite direct and through a node, for each revision.
async fn no_worse_through_the_gateway(server: &str, url: &str) {
    let node = Node::start(&Config::open_url(url)).await;
    let shim = Shim::start(&node.mcp("tools"), &node.mint("lab").await).await;
    let known = differences::known();
    let mut worse = Vec::new();
    for revision in REVISIONS {
        let direct = suite::run(url, revision).await;
        let through = suite::run(&shim.url, revision).await;
        let passed = |scores| suite::count(scores, Status::Success);
        println!("{server}, {revision}: {} pass direct, {} through", passed(&direct), passed(&through));
        worse.extend(compare(&direct, &through, server, revision, &known).err());
    }
    assert!(worse.is_empty(), "{}", worse.join("\n"));
}

#[tokio::test]
async fn the_fixture_passes_as_much_through_the_gateway_as_direct() {
    let fixture = Upstream::fixture(None).await;
    no_worse_through_the_gateway("fixture", &fixture.url).await;
}

#[tokio::test]
async fn server_everything_passes_as_much_through_the_gateway_as_direct() {
    let everything = Everything::start().await;
    no_worse_through_the_gateway("everything", &everything.url).await;
}
