//! What calls cost, added up from the log alone.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::node::Node;
use crate::upstream::text;

/// What a token of input costs with [`super::Setup`]: a dollar for a million.
pub const INPUT_NANOS: u64 = 1_000;

/// What a token of output costs: ten dollars for a million.
pub const OUTPUT_NANOS: u64 = 10_000;

/// One call of a model, as the log has it.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// Its id.
    pub action: String,
    /// What was set aside for it, in nano-dollars.
    pub reserved: u64,
    /// Its intent.
    pub intent: Value,
    /// Its outcome, once there is one.
    pub outcome: Option<Value>,
}

/// All calls of models in a log.
#[derive(Clone, Debug)]
pub struct Log {
    /// The calls, oldest first.
    pub calls: Vec<Call>,
    /// How many entries there are in all.
    pub entries: usize,
    /// All of them.
    pub all: Vec<Value>,
}

impl Log {
    /// Reads the log. An outcome without an intent, or a second one, is a failed test.
    pub async fn read(node: &Node) -> Self {
        let all = node.cli(&["audit", "query", "--json"]).await.expect(0).lines();
        let mut calls: Vec<Call> = Vec::new();
        let mut places = BTreeMap::new();
        for entry in &all {
            match (entry["kind"].as_str(), entry.get("model")) {
                (Some("intent"), Some(_)) => {
                    places.insert(text(entry, "action"), calls.len());
                    calls.push(Call::begun(entry));
                }
                (Some("outcome"), Some(_)) => {
                    let place = places.get(&text(entry, "action"));
                    let call = place.map(|place| &mut calls[*place]);
                    let call = call.unwrap_or_else(|| panic!("an outcome without its intent: {entry}"));
                    assert!(call.outcome.is_none(), "two outcomes: {entry}");
                    call.outcome = Some(entry.clone());
                    call.expect_priced();
                }
                _ => {}
            }
        }
        Self { calls, entries: all.len(), all }
    }

    /// Calls without an outcome.
    pub fn open(&self) -> usize {
        self.calls.iter().filter(|call| call.outcome.is_none()).count()
    }

    /// What all of them were charged, in nano-dollars.
    pub fn spent(&self) -> u64 {
        self.calls.iter().map(Call::charged).sum()
    }

    /// The last call.
    #[track_caller]
    pub fn last(&self) -> &Call {
        self.calls.last().unwrap_or_else(|| panic!("there is no call of a model in the log"))
    }

    /// The bases of all charges.
    pub fn bases(&self) -> BTreeSet<String> {
        self.calls.iter().map(Call::basis).collect()
    }
}

impl Call {
    fn begun(intent: &Value) -> Self {
        let reserved = intent["reserved"]["usd_nanos"].as_u64();
        let reserved = reserved.unwrap_or_else(|| panic!("nothing set aside: {intent}"));
        Self { action: text(intent, "action"), reserved, intent: intent.clone(), outcome: None }
    }

    /// What its outcome says that it came to.
    pub fn charge(&self) -> &Value {
        self.outcome.as_ref().map_or(&Value::Null, |outcome| &outcome["charge"])
    }

    /// What it was charged, in nano-dollars.
    pub fn charged(&self) -> u64 {
        self.charge()["usd_nanos"].as_u64().unwrap_or(0)
    }

    /// On what that is based.
    pub fn basis(&self) -> String {
        text(self.charge(), "basis")
    }

    /// How it ended.
    pub fn status(&self) -> String {
        text(self.outcome.as_ref().unwrap_or(&Value::Null), "status")
    }

    /// Tokens of one kind that it was charged for.
    pub fn used(&self, kind: &str) -> u64 {
        self.charge()["usage"][kind].as_u64().unwrap_or(0)
    }

    /// Expects the charge to be what its basis says, by the prices of [`super::Setup`].
    fn expect_priced(&self) {
        let input = ["input", "cached_input", "cache_write", "cache_write_1h"].map(|kind| self.used(kind));
        let output = ["output", "reasoning"].map(|kind| self.used(kind));
        let cost = input.iter().sum::<u64>() * INPUT_NANOS + output.iter().sum::<u64>() * OUTPUT_NANOS;
        let expected = match self.basis().as_str() {
            "nothing" | "cached" => 0,
            "reserved" => self.reserved,
            _ => cost,
        };
        assert_eq!(self.charge()["reserved"]["usd_nanos"].as_u64(), Some(self.reserved), "{self:?}");
        assert_eq!(self.charge()["usd_nanos"].as_u64(), Some(expected), "{self:?}");
    }
}
