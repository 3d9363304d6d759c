//! What the tests share: a log like a node's.
#![allow(dead_code, reason = "each test binary uses a part")]

use std::path::Path;

use ringfence_json::{Object, Value};
use ringfence_ledger::{Draft, Ledger, Options, RoomFor, Session};
use ringfence_types::{ActionId, ApprovalId, EntryKind, NodeName, RunId, Timestamp};

/// 2026-11-21T09:00:00Z
pub const START: u64 = 1_795_251_600_000_000;
/// From one entry to the next, in microseconds.
pub const STEP: u64 = 1_000_000;

pub struct Log {
    pub ledger: Ledger,
    session: Session,
    next: u64,
}

impl Log {
    pub fn open(folder: &Path) -> Self {
        let mut options = Options::new(NodeName::new("node-1").unwrap());
        options.segment_bytes = 1 << 20;
        let (ledger, recovery) = Ledger::open(folder, options).unwrap();
        let session = ledger.session().unwrap();
        Self { ledger, session, next: recovery.size }
    }

    /// Appends an entry, a second after the last.
    pub fn put(&mut self, kind: EntryKind, body: Object) {
        let draft = Draft { kind, at: moment(self.next), body, payloads: Vec::new() };
        let _ = self.session.append(draft, RoomFor::Operator).unwrap();
        self.next += 1;
    }

    /// Waits until everything is durable and under a checkpoint.
    pub fn settle(&self) {
        while self.ledger.durable() < self.next {
            std::thread::yield_now();
        }
        self.ledger.derive();
    }

    /// Actions, each cleared and settled, some refused; `number` of entries in all.
    pub fn fill(&mut self, number: u64) {
        for turn in 0..number {
            let index = self.next / 2;
            let subject =
                subject(index % 7, ["query", "fetch", "delete"][usize::try_from(index % 3).unwrap()]);
            let body = subject.with("action", action(index).to_string());
            if index.is_multiple_of(5) {
                self.put(EntryKind::Refusal, refused(body, 1));
            } else if turn.is_multiple_of(2) {
                self.put(EntryKind::Intent, cleared(body, &["reads", "all"]));
            } else {
                self.put(EntryKind::Outcome, body.with("status", "completed"));
            }
        }
        self.settle();
    }
}

pub fn moment(entry: u64) -> Timestamp {
    Timestamp::from_micros(START + entry * STEP)
}

fn random(number: u64) -> [u8; 10] {
    let mut random = [0; 10];
    random[..8].copy_from_slice(&number.to_be_bytes());
    random
}

pub fn run(number: u64) -> RunId {
    RunId::new(moment(0), random(number))
}

pub fn action(number: u64) -> ActionId {
    ActionId::new(moment(number), random(number))
}

pub fn approval(number: u64) -> ApprovalId {
    ApprovalId::new(moment(number), random(number))
}

pub fn subject(run_number: u64, tool: &str) -> Object {
    Object::new()
        .with("workspace", if run_number.is_multiple_of(2) { "research" } else { "support" })
        .with("agent", if run_number.is_multiple_of(3) { "assistant" } else { "mailer" })
        .with("run", run(run_number).to_string())
        .with("server", if run_number.is_multiple_of(2) { "search" } else { "files" })
        .with("tool", tool)
}

pub fn texts(values: &[&str]) -> Value {
    values.iter().map(|value| Value::from(*value)).collect::<Vec<_>>().into()
}

pub fn cleared(body: Object, rules: &[&str]) -> Object {
    body.with("decision", "ALLOW").with("rule", rules[0]).with("rules", texts(rules))
}

pub fn refused(body: Object, count: u64) -> Object {
    body.with("decision", "DENY")
        .with("code", "denied_by_policy")
        .with("rule", "no-deletes")
        .with("rules", texts(&["no-deletes", "all"]))
        .with_some("count", (count > 1).then_some(count))
}
