//! The log and the people's side, read through the command line.

use serde_json::Value;

use crate::limits::EFFECT;
use crate::node::Node;
use crate::patience::eventually;

/// The entries of one kind, oldest first.
pub async fn entries(node: &Node, kind: &str) -> Vec<Value> {
    node.cli(&["audit", "query", "--kind", kind, "--json"]).await.expect(0).lines()
}

/// The whole log, oldest first, without the index: every durable entry.
pub async fn exported(node: &Node) -> Vec<Value> {
    node.cli(&["audit", "export"]).await.expect(0).lines()
}

/// Waits until there are `count` entries of a kind, since the index follows the log.
pub async fn at_least(node: &Node, kind: &str, count: usize) -> Vec<Value> {
    eventually(EFFECT, &format!("{count} entries of kind {kind}"), async || {
        let entries = entries(node, kind).await;
        (entries.len() >= count).then_some(entries)
    })
    .await
}

/// Waits for the one approval that is asked for now.
pub async fn asked(node: &Node) -> Value {
    eventually(EFFECT, "an approval that is asked for", async || {
        let mut waiting = node.cli(&["approvals", "list", "--json"]).await.expect(0).lines();
        (waiting.len() == 1).then(|| waiting.remove(0))
    })
    .await
}

/// Expects the log to be whole, by the offline verifier.
pub async fn verify(node: &Node) {
    node.cli(&["audit", "verify", "--json"]).await.expect(0);
}
