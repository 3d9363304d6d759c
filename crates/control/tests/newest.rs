//! The newest entries of a log, with its index, without it, and while the index is behind.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at what it does not expect; its helpers too"
)]

use ringfence_control::audit::{Books, Filter};
use ringfence_json::Object;
use ringfence_ledger::{Draft, Ledger, Options, RoomFor};
use ringfence_types::{EntryKind, NodeName, Timestamp};

/// More than the stretches that are looked at first.
const ENTRIES: u64 = 5000;

/// A log in which every seventh entry is a refusal, its first five entries all of them.
fn log(folder: &std::path::Path) -> Ledger {
    let (ledger, _) =
        Ledger::open(&folder.join("ledger"), Options::new(NodeName::new("node-1").unwrap())).unwrap();
    let session = ledger.session().unwrap();
    for id in 0..ENTRIES {
        let kind = if id < 5 || id.is_multiple_of(7) { EntryKind::Refusal } else { EntryKind::Run };
        let at = Timestamp::from_micros(1_795_251_600_000_000 + id);
        let body = Object::new().with("reason", "x").with("event", "started").with("by", "owner");
        let draft = Draft { kind, at, body, payloads: Vec::new() };
        let _ = session.append(draft, RoomFor::Operator).unwrap();
    }
    while ledger.durable() < ENTRIES {
        std::thread::yield_now();
    }
    ledger.derive();
    ledger
}

fn refusals() -> Filter {
    let mut filter = Filter::default();
    filter.set("kind", "refusal").unwrap();
    filter
}

/// Page by page from the end to the beginning, in the order of the log.
fn backwards(books: &Books, filter: &Filter, limit: usize) -> Vec<u64> {
    let (mut all, mut before) = (Vec::new(), Some(u64::MAX));
    while let Some(at) = before {
        let page = books.newest(filter, at, limit).unwrap();
        let ids: Vec<u64> = page.entries.iter().map(|entry| entry.id).collect();
        assert!(ids.len() <= limit && ids.is_sorted(), "{ids:?}");
        all.splice(0..0, ids);
        before = page.previous;
    }
    all
}

#[test]
fn the_newest_are_found_with_and_without_the_index_and_pages_leave_nothing_out() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = log(folder.path());
    let wanted: Vec<u64> = (0..ENTRIES).filter(|id| *id < 5 || id.is_multiple_of(7)).collect();
    let indexed = Books::new(ledger, &folder.path().join("index.sqlite"));
    // It is behind while the first questions are asked, and whole in the end.
    let books = [indexed, Books::open(folder.path()).unwrap()];
    for books in &books {
        for limit in [1, 3, 500, 1000] {
            let page = books.newest(&refusals(), u64::MAX, limit).unwrap();
            let ids: Vec<u64> = page.entries.iter().map(|entry| entry.id).collect();
            let expected = &wanted[wanted.len().saturating_sub(limit)..];
            assert_eq!(ids, expected, "the newest {limit}");
        }
        for limit in [100, 719, 10_000] {
            assert_eq!(backwards(books, &refusals(), limit), wanted, "pages of {limit}");
        }
        let all: Vec<u64> = (0..ENTRIES).collect();
        assert_eq!(backwards(books, &Filter::default(), 999), all);
        let none = books.newest(&refusals(), 0, 5).unwrap();
        assert!(none.entries.is_empty() && none.previous.is_none());
    }
}
