//! The lives of runs as the log has them, checked against what a life may be.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::upstream::text;

/// One run.
#[derive(Debug, Clone)]
pub struct Life {
    /// Its agent.
    pub agent: String,
    /// Its steps, in order.
    pub steps: Vec<String>,
    /// Its end.
    pub end: Option<Value>,
}

/// All runs of a log that were started by the node.
#[derive(Debug, Clone, Default)]
pub struct Lives(pub BTreeMap<String, Life>);

impl Lives {
    /// Reads them, oldest first; a step that does not lead on from the one before is a failed test, and so is an action
    /// without its one outcome, or one of a run that was over.
    pub fn read(log: &[Value]) -> Self {
        let mut lives = Self::default();
        let (mut open, mut settled) = (BTreeMap::new(), BTreeSet::new());
        for entry in log {
            match entry["kind"].as_str() {
                Some("run") if is_of_files(entry) => lives.expect_files_in_time(entry),
                Some("run") if entry["run"].is_string() => lives.step(entry),
                Some("intent") => {
                    lives.expect_acting(entry);
                    let action = text(entry, "action");
                    assert!(open.insert(action, text(entry, "at")).is_none(), "two intents: {entry}");
                }
                Some("outcome") => {
                    let action = text(entry, "action");
                    assert!(open.contains_key(&action), "an outcome without its intent: {entry}");
                    assert!(settled.insert(action), "two outcomes: {entry}");
                }
                _ => {}
            }
        }
        let unsettled: Vec<&String> = open.keys().filter(|action| !settled.contains(*action)).collect();
        assert!(unsettled.is_empty(), "without an outcome: {unsettled:?}");
        lives
    }

    fn step(&mut self, entry: &Value) {
        let (run, event) = (text(entry, "run"), text(entry, "event"));
        if event == "queued" {
            let life = Life { agent: text(entry, "agent"), steps: vec![event], end: None };
            assert!(self.0.insert(run, life).is_none(), "queued twice: {entry}");
            return;
        }
        let life = self.0.get_mut(&run).unwrap_or_else(|| panic!("never queued: {entry}"));
        let last = life.steps.last().map_or("", String::as_str);
        assert!(may_follow(last, &event), "after {last}: {entry}");
        if event == "signalled" {
            // It stands where it stood.
            return;
        }
        if event == "ended" {
            assert!(
                !text(entry, "why").is_empty() && !text(entry, "reason").is_empty(),
                "no reason: {entry}"
            );
            life.end = Some(entry.clone());
        }
        life.steps.push(event);
    }

    /// What a run leaves is named before its end, and what it is given before it runs.
    fn expect_files_in_time(&self, entry: &Value) {
        let life = entry["run"].as_str().and_then(|run| self.0.get(run));
        if let Some(life) = life {
            let last = life.steps.last().map_or("", String::as_str);
            let in_time = match entry["event"].as_str() {
                Some("state_given") => last == "starting",
                // For want of room, long after.
                Some("output_pruned") => true,
                _ => last != "ended",
            };
            assert!(in_time, "after {last}: {entry}");
        }
    }

    /// Whoever acts has begun and is not over.
    fn expect_acting(&self, intent: &Value) {
        let life = intent["run"].as_str().and_then(|run| self.0.get(run));
        if let Some(life) = life {
            let last = life.steps.last().map_or("", String::as_str);
            assert!(!matches!(last, "queued" | "ended"), "it acts while it is {last}: {intent}");
        }
    }

    /// Expects every run to have ended, but for those of tool servers, which are there while somebody may call them.
    pub fn expect_ended(&self) {
        let open: Vec<_> =
            self.0.iter().filter(|(_, life)| life.end.is_none() && !life.is_a_servers()).collect();
        assert!(open.is_empty(), "never ended: {open:?}");
    }

    /// Expects all that was there in an earlier state of this log to have ended since.
    pub fn expect_ended_since(&self, earlier: &Self) {
        for (run, life) in &earlier.0 {
            let ended = self.0.get(run).is_some_and(|life| life.end.is_some());
            assert!(ended, "{run} was there and has not ended: {life:?}");
        }
    }

    /// How many ended why.
    pub fn ends(&self) -> BTreeMap<String, usize> {
        let mut ends = BTreeMap::new();
        for life in self.0.values() {
            *ends.entry(life.why()).or_default() += 1;
        }
        ends
    }

    /// How many have been through a step.
    pub fn been(&self, step: &str) -> usize {
        self.0.values().filter(|life| life.steps.iter().any(|each| each == step)).count()
    }
}

impl Life {
    /// Whether it is not an agent's but a tool server's.
    pub fn is_a_servers(&self) -> bool {
        self.agent.starts_with("tool:")
    }

    /// Why it ended.
    pub fn why(&self) -> String {
        self.end.as_ref().map(|end| text(end, "why")).unwrap_or_default()
    }
}

/// Whether an entry of the kind `run` is no step of a life but about files.
fn is_of_files(entry: &Value) -> bool {
    let event = entry["event"].as_str().unwrap_or_default();
    event == "artifacts" || event == "output_pruned" || event.starts_with("state_")
}

/// Whether a life goes on like this.
fn may_follow(last: &str, next: &str) -> bool {
    match next {
        "starting" => last == "queued",
        "running" => last == "starting",
        "paused" => matches!(last, "running" | "resumed"),
        "signalled" => matches!(last, "running" | "resumed" | "paused"),
        "resumed" => last == "paused",
        "stopping" => matches!(last, "queued" | "starting" | "running" | "resumed" | "paused"),
        "ended" => last != "ended",
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::panic::catch_unwind;

    use serde_json::json;

    use super::*;

    fn step(event: &str) -> Value {
        json!({ "kind": "run", "run": "run_1", "agent": "a", "event": event, "why": "person", "reason": "x" })
    }

    fn action(kind: &str) -> Value {
        json!({ "kind": kind, "run": "run_1", "action": "act_1", "at": "now" })
    }

    #[test]
    fn a_life_that_is_whole_is_read_and_others_are_not() {
        let steps = |events: &[&str]| events.iter().map(|event| step(event)).collect::<Vec<_>>();
        let whole = steps(&["queued", "starting", "running", "paused", "resumed", "stopping", "ended"]);
        Lives::read(&steps(&[
            "queued",
            "starting",
            "running",
            "signalled",
            "paused",
            "signalled",
            "resumed",
            "ended",
        ]));
        let lives = Lives::read(&whole);
        lives.expect_ended();
        assert_eq!(lives.ends(), BTreeMap::from([("person".to_owned(), 1)]));
        let acting = |log: &[Value], at: usize, more: &[Value]| [&log[..at], more, &log[at..]].concat();
        let both = [action("intent"), action("outcome")];
        Lives::read(&acting(&whole, 3, &both));
        let left = steps(&["artifacts", "state_kept"]);
        Lives::read(&acting(&acting(&whole, 6, &left), 2, &steps(&["state_given"])));
        for broken in [
            steps(&["queued", "running"]),
            steps(&["queued", "ended", "ended"]),
            steps(&["starting"]),
            steps(&["queued", "signalled"]),
            steps(&["queued", "starting", "running", "stopping", "paused"]),
            acting(&whole, 7, &both),
            acting(&whole, 7, &left),
            acting(&whole, 3, &steps(&["state_given"])),
            acting(&whole, 3, &both[..1]),
            acting(&whole, 3, &both[1..]),
            acting(&whole, 3, &[&both[..], &both[1..]].concat()),
        ] {
            assert!(catch_unwind(|| Lives::read(&broken)).is_err(), "{broken:?}");
        }
        assert!(catch_unwind(|| Lives::read(&whole[..2]).expect_ended()).is_err());
    }
}
