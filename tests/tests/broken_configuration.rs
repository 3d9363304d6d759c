//! Files that are wrong for a while: the old configuration stays in force, the node says so, and a good one takes effect.
#![expect(clippy::unwrap_used, reason = "a panic is how a test fails, in its helpers too")]

use std::collections::BTreeSet;
use std::path::PathBuf;

use ringfence_tests::audit;
use ringfence_tests::config::Config;
use ringfence_tests::limits::EFFECT;
use ringfence_tests::mcp::Client;
use ringfence_tests::node::Node;
use ringfence_tests::patience::eventually;
use ringfence_tests::upstream::{Upstream, text};
use serde_json::{Value, json};

/// Prices that no model here has.
const PRICES: &str = "source: us\nas_of: 2026-11-21\nmodels:\n  one: { input: 1.00, output: 2.00 }\n";

struct Scene {
    node: Node,
    client: Client,
    _upstream: Upstream,
    /// The file that is broken, and what it holds when it is right.
    path: PathBuf,
    right: String,
}

impl Scene {
    async fn start(file: &str) -> Self {
        let upstream = Upstream::plain(None, &[]).await;
        let mut config = Config::open_url(&upstream.url);
        config.files[0].1.insert_str(0, "prices: [prices.yaml]\n");
        config.files.push(("prices.yaml", PRICES.to_owned()));
        let node = Node::start(&config).await;
        let client = Client::modern(&node.mcp("tools"), Some(&node.mint("lab").await));
        let right = config.files.iter().find(|(name, _)| *name == file).unwrap().1.clone();
        let path = node.folder().join(file);
        let scene = Self { path, node, client, _upstream: upstream, right };
        scene.goes_on().await;
        scene
    }

    async fn goes_on(&self) {
        self.client.call("echo", json!({ "text": "hi" })).await.expect_done();
    }

    /// The digests of all configurations that were in force; one is put into force again when tools are pinned.
    async fn in_force(&self) -> BTreeSet<String> {
        audit::entries(&self.node, "config").await.iter().map(|entry| text(entry, "config")).collect()
    }

    async fn refused(&self) -> Option<Value> {
        let status = self.node.cli(&["status", "--json"]).await.expect(0).json();
        status.get("refused_configuration").filter(|refused| !refused.is_null()).cloned()
    }

    /// The node has seen a file that it does not take, whose complaint has this in it; everything else is as before.
    async fn is_told(&self, complaint: &str) {
        eventually(EFFECT, &format!("a status that complains of {complaint}"), async || {
            let cause = self.refused().await?["cause"].as_str()?.to_owned();
            cause.contains(complaint).then_some(())
        })
        .await;
        self.goes_on().await;
        let said = self.node.said();
        let told = said.lines().find(|line| line.contains(complaint) && line.contains("old configuration"));
        assert!(told.is_some(), "nothing on standard error: {said}");
        assert_eq!(self.in_force().await.len(), 1, "another one was put into force");
    }

    /// Wrong, gone, half there, empty, not even text, and right again.
    async fn lives_through_it(&self) {
        std::fs::write(&self.path, format!("{}\nrulez: []\n", self.right)).unwrap();
        self.is_told("rulez").await;
        std::fs::remove_file(&self.path).unwrap();
        self.is_told("No such file").await;
        let half = &self.right[..self.right.len() * 2 / 3];
        std::fs::write(&self.path, half).unwrap();
        eventually(EFFECT, "a half written file is refused", async || {
            let cause = self.refused().await?["cause"].as_str()?.to_owned();
            (!cause.contains("No such file")).then_some(())
        })
        .await;
        self.goes_on().await;
        std::fs::write(&self.path, [0xff, 0xfe, 0x00]).unwrap();
        self.is_told("UTF-8").await;
        std::fs::write(&self.path, "").unwrap();
        self.is_told("empty").await;

        std::fs::write(&self.path, &self.right).unwrap();
        eventually(EFFECT, "what was wrong is forgotten", async || {
            self.refused().await.is_none().then_some(())
        })
        .await;
        self.goes_on().await;
    }
}

/// What denies everything, as a change that is seen from outside.
const DENY: &str =
    "rules:\n  - name: nothing\n    match: {}\n    decision: DENY\n    reason: Closed today.\n";

#[tokio::test]
async fn a_broken_configuration_changes_nothing_and_a_good_one_takes_effect() {
    let scene = Scene::start("ringfence.yaml").await;
    scene.lives_through_it().await;

    let narrower = scene.right.replace("tools: ['tools/*']", "tools: ['tools/record']");
    assert_ne!(narrower, scene.right);
    std::fs::write(&scene.path, narrower).unwrap();
    eventually(EFFECT, "the grant is gone", async || {
        let answer = scene.client.call("echo", json!({ "text": "hi" })).await;
        (answer.code() == "not_granted").then_some(())
    })
    .await;
    assert_eq!(scene.in_force().await.len(), 2, "what is in force now does not stand in the log");
    audit::verify(&scene.node).await;
}

#[tokio::test]
async fn a_broken_policy_changes_nothing_and_a_good_one_takes_effect() {
    let scene = Scene::start("open-policy.yaml").await;
    scene.lives_through_it().await;

    std::fs::write(&scene.path, DENY).unwrap();
    eventually(EFFECT, "the new policy denies", async || {
        let answer = scene.client.call("echo", json!({ "text": "hi" })).await;
        (answer.code() == "denied_by_policy" && answer.text().contains("Closed today.")).then_some(())
    })
    .await;
    assert_eq!(scene.in_force().await.len(), 2, "what is in force now does not stand in the log");
    audit::verify(&scene.node).await;
}

#[tokio::test]
async fn broken_prices_change_nothing_and_good_ones_take_effect() {
    let scene = Scene::start("prices.yaml").await;
    scene.lives_through_it().await;

    std::fs::write(&scene.path, scene.right.replace("1.00", "1.50")).unwrap();
    eventually(EFFECT, "the new prices are in force", async || {
        (scene.in_force().await.len() == 2).then_some(())
    })
    .await;
    scene.goes_on().await;
    audit::verify(&scene.node).await;
}

#[tokio::test]
async fn a_node_does_not_start_with_a_broken_policy_and_names_the_file() {
    let scene = Scene::start("open-policy.yaml").await;
    std::fs::write(&scene.path, "rules: [\n").unwrap();
    eventually(EFFECT, "the file is refused", async || scene.refused().await.map(|_| ())).await;
    let said = scene.node.cli(&["up", "-c", "ringfence.yaml"]).await.expect(2);
    assert!(said.stderr.contains("open-policy.yaml"), "{}", said.stderr);
    scene.goes_on().await;
}
