//! What the tests share.
#![allow(dead_code, reason = "each test binary uses a part")]

use std::path::Path;

use ringfence_json::Object;
use ringfence_ledger::{
    AppendError, Draft, Ledger, Options, PayloadClass, Recovery, RoomFor, Session, Ticket,
};
use ringfence_types::{EntryKind, NodeName, Timestamp};

/// Small segments, so that tests see several.
pub fn options() -> Options {
    let mut options = Options::new(NodeName::new("node-1").unwrap());
    options.segment_bytes = 1 << 20;
    options.payload_segment_bytes = 64 << 10;
    options
}

pub fn open(folder: &Path) -> (Ledger, Session, Recovery) {
    open_with(folder, options())
}

pub fn open_with(folder: &Path, options: Options) -> (Ledger, Session, Recovery) {
    let (ledger, recovery) = Ledger::open(folder, options).unwrap();
    let session = ledger.session().unwrap();
    (ledger, session, recovery)
}

pub fn draft(kind: EntryKind, body: Object) -> Draft {
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
    let at = Timestamp::from_micros(u64::try_from(now.as_micros()).unwrap());
    Draft { kind, at, body, payloads: Vec::new() }
}

pub fn note(text: &str) -> Draft {
    draft(EntryKind::Incident, Object::new().with("note", text))
}

/// Appends; waits where small segments make the log ask for more.
pub fn put(session: &Session, text: &str) -> Ticket {
    append(session, || note(text))
}

pub fn append(session: &Session, draft: impl Fn() -> Draft) -> Ticket {
    loop {
        match session.append(draft(), RoomFor::New) {
            Err(AppendError::Overloaded) => std::thread::sleep(std::time::Duration::from_millis(1)),
            other => return other.unwrap(),
        }
    }
}

/// An intent and its outcome.
pub fn action(session: &Session, number: u64) -> Ticket {
    let body = || Object::new().with("action", format!("act_{number:026}")).with("workspace", "research");
    let _ = append(session, || draft(EntryKind::Intent, body()));
    append(session, || draft(EntryKind::Outcome, body().with("result", "done")))
}

pub fn class() -> PayloadClass {
    PayloadClass::new("180d").unwrap()
}

pub fn texts(ledger: &Ledger) -> Vec<String> {
    let entries = ledger.read(0).unwrap();
    entries.map(|entry| String::from_utf8(entry.unwrap().bytes).unwrap()).collect()
}
