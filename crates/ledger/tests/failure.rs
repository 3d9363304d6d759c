//! Syncs that fail, disks that are full, batches that are half written.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod common;

use std::fs;
use std::time::Duration;

use common::{class, draft, note, open, open_with, options, put, texts};
use proptest::prelude::*;
use ringfence_json::Object;
use ringfence_ledger::{
    AppendError, Faults, Ledger, Lost, OpenError, RoomFor, VerifyOptions, check_entry, limits, verify,
};
use ringfence_types::EntryKind;

/// Waits until the writer has prepared what it wants to have ready: its syncs would take the failure that is planned.
fn quiet(faults: &Faults) {
    let mut before = u64::MAX;
    while before != faults.syncs_done() {
        before = faults.syncs_done();
        std::thread::sleep(Duration::from_millis(150));
    }
}

#[tokio::test]
async fn a_failed_sync_ends_the_session_and_the_log_goes_on_without_what_was_lost() {
    let folder = tempfile::tempdir().unwrap();
    let options = options();
    let faults = options.faults.clone();
    let (ledger, session, _) = open_with(folder.path(), options);
    put(&session, "kept").durable().await.unwrap();
    let first = session.incarnation();
    quiet(&faults);
    faults.fail_syncs(1);
    assert_eq!(put(&session, "lost").durable().await, Err(Lost));
    session.over().await;
    assert_eq!(session.append(note("stale"), RoomFor::New).unwrap_err(), AppendError::Ended);
    assert!(session.reserve(1, 100).is_err() && session.seal(&class(), b"x").is_err());
    let session = ledger.next_session().await.unwrap();
    assert_eq!(session.incarnation(), first + 1);
    let ticket = put(&session, "after");
    assert_eq!(ticket.id(), 1);
    ticket.durable().await.unwrap();
    let texts = texts(&ledger);
    assert!(texts.len() == 2 && texts[0].contains("kept") && texts[1].contains("after"), "{texts:?}");
    ledger.close();
    assert_eq!(verify(folder.path(), &VerifyOptions::default()).unwrap().entries, 2);
}

#[tokio::test]
async fn half_written_batches_and_payloads_leave_no_trace() {
    let folder = tempfile::tempdir().unwrap();
    let options = options();
    let faults = options.faults.clone();
    let (ledger, mut session, _) = open_with(folder.path(), options);
    for round in 0..6_u64 {
        let mut draft = draft(EntryKind::Incident, Object::new().with("round", round));
        draft.payloads.push(session.seal(&class(), &vec![1; 5_000]).unwrap());
        session.append(draft, RoomFor::New).unwrap().durable().await.unwrap();
        // The payload's write fails, then the log's.
        let mut draft = note(&"lost ".repeat(1_000));
        if round % 2 == 0 {
            draft.payloads.push(session.seal(&class(), &vec![2; 5_000]).unwrap());
        }
        quiet(&faults);
        faults.fail_writes(1);
        assert_eq!(session.append(draft, RoomFor::New).unwrap().durable().await, Err(Lost));
        session.over().await;
        session = ledger.next_session().await.unwrap();
    }
    assert_eq!(ledger.durable(), 6);
    ledger.close();
    drop((session, ledger));
    let (ledger, _session, recovery) = open(folder.path());
    assert_eq!((recovery.size, recovery.torn_bytes), (6, 0));
    ledger.close();
    let report = verify(folder.path(), &VerifyOptions::default()).unwrap();
    assert_eq!((report.entries, report.payloads), (6, 6));
}

#[test]
fn room_and_payloads_of_an_incarnation_that_is_over_are_void() {
    let folder = tempfile::tempdir().unwrap();
    let options = options();
    let faults = options.faults.clone();
    let (ledger, session, _) = open_with(folder.path(), options);
    let mut room = session.reserve(4, 1_000).unwrap();
    let payload = session.seal(&class(), b"stale").unwrap();
    quiet(&faults);
    faults.fail_syncs(1);
    assert_eq!(put(&session, "lost").durable_blocking(), Err(Lost));
    let next = loop {
        match ledger.session() {
            Some(session) => break session,
            None => std::thread::sleep(Duration::from_millis(1)),
        }
    };
    assert_eq!(next.append(note("x"), RoomFor::Reserved(&mut room)).unwrap_err(), AppendError::Ended);
    let mut with_payload = note("x");
    with_payload.payloads.push(payload);
    assert_eq!(next.append(with_payload, RoomFor::New).unwrap_err(), AppendError::Ended);
    assert_eq!(ledger.space().reserved, 0);
    drop(room);
    assert_eq!(ledger.space().reserved, 0);
    put(&next, "fine").durable_blocking().unwrap();
}

#[test]
fn a_full_disk_refuses_new_entries_and_takes_reserved_ones_and_operators() {
    let folder = tempfile::tempdir().unwrap();
    let options = options();
    let faults = options.faults.clone();
    let (ledger, session, _) = open_with(folder.path(), options);
    let mut room = session.reserve(10, 20_000).unwrap();
    faults.disk_full(true);
    let long = "x".repeat(19_000);
    let refused = loop {
        match session.append(note(&long), RoomFor::New) {
            Ok(ticket) => ticket.durable_blocking().unwrap(),
            Err(AppendError::Overloaded) => std::thread::sleep(Duration::from_millis(1)),
            Err(other) => break other,
        }
    };
    assert_eq!(refused, AppendError::Full);
    assert!(session.reserve(1, 60_000).is_err());
    for _ in 0..10 {
        session.append(note(&long), RoomFor::Reserved(&mut room)).unwrap().durable_blocking().unwrap();
    }
    assert!(matches!(
        session.append(note(&long), RoomFor::Reserved(&mut room)).unwrap_err(),
        AppendError::RoomTooSmall { .. }
    ));
    session.append(note("a suspension"), RoomFor::Operator).unwrap().durable_blocking().unwrap();
    faults.disk_full(false);
    let again = loop {
        match session.append(note(&long), RoomFor::New) {
            Ok(ticket) => break ticket,
            Err(AppendError::Full | AppendError::Overloaded) => std::thread::sleep(Duration::from_millis(5)),
            Err(other) => panic!("{other}"),
        }
    };
    again.durable_blocking().unwrap();
    assert!(!ledger.space().full);
    ledger.close();
    verify(folder.path(), &VerifyOptions::default()).unwrap();
}

#[test]
fn a_payload_without_room_is_refused_before_its_entry_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let options = options();
    let faults = options.faults.clone();
    let (_ledger, session, _) = open_with(folder.path(), options);
    session.open_class(&class()).unwrap();
    faults.disk_full(true);
    let mut sealed = Vec::new();
    let refused = loop {
        match session.seal(&class(), &vec![0; 1 << 20]) {
            Ok(payload) => sealed.push(payload),
            Err(error) => break error,
        }
    };
    assert_eq!(refused, ringfence_ledger::SealError::Full);
    // What was promised can be written, and what is given back can be promised again.
    let mut draft = note("with a payload");
    draft.payloads.push(sealed.pop().unwrap());
    session.append(draft, RoomFor::New).unwrap().durable_blocking().unwrap();
    assert!(session.seal(&class(), &vec![0; 1 << 20]).is_err());
    sealed.pop();
    assert!(session.seal(&class(), &vec![0; 1 << 20]).is_ok());
}

/// A log of three batches in one segment: its bytes, and the ends of the batches.
fn three_batches() -> (tempfile::TempDir, Vec<u8>, Vec<usize>) {
    let folder = tempfile::tempdir().unwrap();
    let (ledger, session, _) = open(folder.path());
    let path = folder.path().join("wal/0000000001.wal");
    let mut ends = Vec::new();
    for number in 0..3 {
        let tickets: Vec<_> = (0..3).map(|index| put(&session, &format!("{number} {index}"))).collect();
        for ticket in tickets {
            ticket.durable_blocking().unwrap();
        }
        let bytes = fs::read(&path).unwrap();
        ends.push(bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1);
    }
    ledger.close();
    let bytes = fs::read(&path).unwrap();
    // As if nothing had been derived yet: the log alone has to say what is there.
    fs::remove_file(folder.path().join("checkpoint")).unwrap();
    let _ = fs::remove_file(folder.path().join("state"));
    (folder, bytes, ends)
}

#[test]
fn a_tail_cut_anywhere_in_the_last_batch_is_truncated_and_the_log_goes_on() {
    let (folder, bytes, ends) = three_batches();
    let path = folder.path().join("wal/0000000001.wal");
    // Every byte of a header, and then some.
    for cut in (ends[1]..ends[1] + 40).chain((ends[1]..ends[2]).step_by(13)) {
        let mut torn = bytes.clone();
        torn[cut..].fill(0);
        fs::write(&path, &torn).unwrap();
        let _ = fs::remove_file(folder.path().join("checkpoint"));
        let _ = fs::remove_dir_all(folder.path().join("tile"));
        let (ledger, session, recovery) = open(folder.path());
        let batches_left = check_batches(&recovery, &ledger);
        let at_a_border = cut == ends[1] || recovery.size > 6;
        assert!(recovery.torn_bytes > 0 || at_a_border, "cut at {cut}");
        put(&session, "goes on").durable_blocking().unwrap();
        ledger.close();
        assert_eq!(verify(folder.path(), &VerifyOptions::default()).unwrap().entries, batches_left + 1);
    }
}

/// What was acknowledged before the last sync is there; of the last batch all or nothing.
fn check_batches(recovery: &ringfence_ledger::Recovery, ledger: &Ledger) -> u64 {
    assert!(recovery.size >= 6 && recovery.size < 9, "{recovery:?}");
    for (index, text) in texts(ledger).iter().enumerate() {
        assert_eq!(check_entry(text.as_bytes()).unwrap().id, index as u64);
    }
    recovery.size
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn damage_before_the_last_batch_refuses_to_open_and_says_where(byte in any::<prop::sample::Index>(), bit in 0_u8..8) {
        let (folder, bytes, _) = three_batches();
        // The first batch, behind the segment's header: later ones prove that it was synced.
        let first_end = 64 + 32 + 1;
        let at = 64 + byte.index(first_end - 64);
        let mut damaged = bytes;
        damaged[at] ^= 1 << bit;
        fs::write(folder.path().join("wal/0000000001.wal"), damaged).unwrap();
        match Ledger::open(folder.path(), options()) {
            Err(OpenError::Damaged(damage)) => {
                prop_assert_eq!(damage.entry, 0);
                prop_assert_eq!(damage.offset, 64);
            }
            other => prop_assert!(false, "{:?}", other.map(|(_, recovery)| recovery)),
        }
    }

    #[test]
    fn garbage_behind_the_end_never_panics_and_never_loses_what_was_acknowledged(
        garbage in prop::collection::vec(any::<u8>(), 1..300),
        gap in 0_usize..100,
    ) {
        let (folder, mut bytes, ends) = three_batches();
        let from = ends[2] + gap;
        bytes[from..from + garbage.len()].copy_from_slice(&garbage);
        fs::write(folder.path().join("wal/0000000001.wal"), bytes).unwrap();
        let (ledger, session, recovery) = open(folder.path());
        prop_assert_eq!(recovery.size, 9);
        put(&session, "goes on").durable_blocking().unwrap();
        ledger.close();
        prop_assert_eq!(verify(folder.path(), &VerifyOptions::default()).unwrap().entries, 10);
    }
}

#[test]
fn a_missing_segment_refuses_to_open() {
    let folder = tempfile::tempdir().unwrap();
    let (ledger, session, _) = open(folder.path());
    for _ in 0..60 {
        put(&session, &"x".repeat(60_000)).durable_blocking().unwrap();
    }
    ledger.close();
    drop((ledger, session));
    let path = folder.path().join("wal/0000000002.wal");
    let kept = fs::read(&path).unwrap();
    fs::remove_file(&path).unwrap();
    let refused = Ledger::open(folder.path(), options()).unwrap_err();
    assert!(matches!(refused, OpenError::Damaged(_)), "{refused}");
    fs::write(&path, kept).unwrap();
    let (ledger, _session, recovery) = open(folder.path());
    assert_eq!(recovery.size, 60);
    drop(ledger);
}

#[test]
fn segments_must_be_of_a_sensible_size() {
    let folder = tempfile::tempdir().unwrap();
    let mut options = options();
    options.segment_bytes = limits::SEGMENT_BYTES_MIN - 1;
    let refused = Ledger::open(folder.path(), options).unwrap_err();
    assert!(refused.to_string().contains("segment_bytes"), "{refused}");
}
