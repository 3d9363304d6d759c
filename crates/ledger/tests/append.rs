//! Appending and reading back.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod common;

use common::{note, open, open_with, options, put, texts};
use ringfence_ledger::{AppendError, Faults, Ledger, OpenError, RoomFor, check_entry, limits};
use ringfence_types::Timestamp;

#[test]
fn what_was_acknowledged_is_there_after_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let (ledger, session, recovery) = open(folder.path());
    assert_eq!((recovery.size, recovery.torn_bytes), (0, 0));
    for number in 0..100 {
        put(&session, &format!("note {number}")).durable_blocking().unwrap();
    }
    let before = texts(&ledger);
    assert_eq!(before.len(), 100);
    ledger.close();
    assert!(ledger.session().is_none());
    assert_eq!(session.append(note("late"), RoomFor::New).unwrap_err(), AppendError::Ended);
    drop((ledger, session));

    let (ledger, session, recovery) = open(folder.path());
    assert_eq!((recovery.size, ledger.durable(), ledger.size()), (100, 100, 100));
    assert_eq!(texts(&ledger), before);
    let ticket = put(&session, "one more");
    assert_eq!(ticket.id(), 100);
    ticket.durable_blocking().unwrap();
}

#[test]
fn entries_say_what_they_are_in_the_order_of_their_ids() {
    let folder = tempfile::tempdir().unwrap();
    let (ledger, session, _) = open(folder.path());
    let mut draft = note("first");
    draft.at = Timestamp::from_micros(5_000_000);
    let _ = session.append(draft, RoomFor::New).unwrap();
    let mut early = note("written later, with an earlier clock");
    early.at = Timestamp::from_micros(4_000_000);
    let ticket = session.append(early, RoomFor::New).unwrap();
    assert_eq!(ticket.at(), Timestamp::from_micros(5_000_000));
    ticket.durable_blocking().unwrap();
    let texts = texts(&ledger);
    for (index, text) in texts.iter().enumerate() {
        let view = check_entry(text.as_bytes()).unwrap();
        assert_eq!((view.id, view.node), (index as u64, "node-1"));
        assert_eq!(view.at, "1970-01-01T00:00:05.000000Z");
    }
    assert_eq!(ledger.last_at(), Timestamp::from_micros(5_000_000));
}

#[test]
fn log_time_does_not_run_backwards_across_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let (ledger, session, _) = open(folder.path());
    put(&session, "now").durable_blocking().unwrap();
    drop((session, ledger));
    let (ledger, session, _) = open(folder.path());
    let last = ledger.last_at();
    assert!(last > Timestamp::default());
    let mut early = note("early");
    early.at = Timestamp::from_micros(1);
    assert_eq!(session.append(early, RoomFor::New).unwrap().at(), last);
}

#[test]
fn the_longest_entry_fits_and_a_longer_one_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (ledger, session, _) = open(folder.path());
    let empty = session.append(note(""), RoomFor::New).unwrap();
    empty.durable_blocking().unwrap();
    let spare = limits::ENTRY_BYTES_MAX - texts(&ledger)[0].len();
    let longest = session.append(note(&"x".repeat(spare)), RoomFor::New).unwrap();
    longest.durable_blocking().unwrap();
    assert_eq!(texts(&ledger)[1].len(), limits::ENTRY_BYTES_MAX);
    let refused = session.append(note(&"x".repeat(spare + 1)), RoomFor::New).unwrap_err();
    assert!(matches!(refused, AppendError::TooLarge { .. }), "{refused}");
}

#[test]
fn a_log_of_many_segments_reads_from_anywhere() {
    let folder = tempfile::tempdir().unwrap();
    let (ledger, session, _) = open(folder.path());
    let filler = "x".repeat(9_000);
    for number in 0..400_u32 {
        let ticket = put(&session, &format!("{number} {filler}"));
        if number % 7 == 0 {
            ticket.durable_blocking().unwrap();
        }
    }
    put(&session, "last").durable_blocking().unwrap();
    assert!(std::fs::read_dir(folder.path().join("wal")).unwrap().count() >= 4);
    drop(session);
    drop(ledger);
    let (ledger, _, recovery) = open(folder.path());
    assert_eq!(recovery.size, 401);
    for from in [0, 1, 6, 7, 8, 113, 399, 400] {
        let first = ledger.read(from).unwrap().next().unwrap().unwrap();
        assert_eq!(first.id, from);
        assert_eq!(check_entry(&first.bytes).unwrap().id, from);
    }
    assert_eq!(texts(&ledger).len(), 401);
    assert!(ledger.read(401).unwrap().next().is_none());
}

#[test]
fn a_reader_at_the_end_goes_on_when_more_is_durable() {
    let folder = tempfile::tempdir().unwrap();
    let (ledger, session, _) = open(folder.path());
    let mut reader = ledger.read(0).unwrap();
    assert!(reader.next().is_none());
    for round in 0..5 {
        put(&session, "a").durable_blocking().unwrap();
        assert_eq!(reader.next().unwrap().unwrap().id, round);
        assert!(reader.next().is_none());
    }
}

#[test]
fn a_second_node_on_the_same_folder_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (ledger, session, _) = open(folder.path());
    let refused = Ledger::open(folder.path(), options()).unwrap_err();
    assert!(matches!(refused, OpenError::InUse { .. }));
    let text = refused.to_string();
    assert!(text.contains(&std::process::id().to_string()) && text.contains("--data"), "{text}");
    put(&session, "the first goes on").durable_blocking().unwrap();
    drop((ledger, session));
    let _ = open(folder.path());
}

#[test]
fn what_arrives_during_a_sync_is_one_batch() {
    let folder = tempfile::tempdir().unwrap();
    let mut options = options();
    options.faults = Faults::default();
    let faults = options.faults.clone();
    let (_ledger, session, _) = open_with(folder.path(), options);
    faults.slow_syncs(std::time::Duration::from_millis(50));
    let before = faults.syncs_done();
    let first = put(&session, "alone");
    std::thread::sleep(std::time::Duration::from_millis(20));
    let rest: Vec<_> = (0..100).map(|_| put(&session, "together")).collect();
    first.durable_blocking().unwrap();
    for ticket in rest {
        ticket.durable_blocking().unwrap();
    }
    assert_eq!(faults.syncs_done() - before, 2);
}

#[tokio::test]
async fn many_can_wait_for_the_same_batch() {
    let folder = tempfile::tempdir().unwrap();
    let (ledger, session, _) = open(folder.path());
    let mut waiting = tokio::task::JoinSet::new();
    for number in 0..500 {
        let session = session.clone();
        waiting.spawn(async move { put(&session, &format!("{number}")).durable().await });
    }
    while let Some(result) = waiting.join_next().await {
        result.unwrap().unwrap();
    }
    assert_eq!(ledger.durable(), 500);
}
