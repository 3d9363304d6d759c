//! Verifying a log that nobody runs, and breaking it in every way.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::{action, append, class, draft, open, options, put};
use proptest::prelude::*;
use ringfence_json::Object;
use ringfence_ledger::{Ledger, Report, RoomFor, VerifierKey, VerifyError, VerifyOptions, verify};
use ringfence_types::EntryKind;

struct Sample {
    folder: tempfile::TempDir,
    key: VerifierKey,
    since: String,
}

/// Some thousand entries with payloads, a checkpoint from the middle, closed.
fn sample() -> Sample {
    let folder = tempfile::tempdir().unwrap();
    let (ledger, session, _) = open(folder.path());
    let mut since = String::new();
    for number in 0..700_u64 {
        let last = action(&session, number);
        if number % 5 == 0 {
            let payload = session.seal(&class(), format!("payload {number}").repeat(20).as_bytes()).unwrap();
            let mut draft = draft(EntryKind::Refusal, Object::new().with("number", number));
            draft.payloads.push(payload);
            let _ = session.append(draft, RoomFor::New).unwrap();
        }
        if number % 50 == 0 {
            last.durable_blocking().unwrap();
        }
        if number == 300 {
            ledger.derive();
            since = ledger.checkpoint();
        }
    }
    let key = ledger.verifier_key().clone();
    ledger.close();
    Sample { folder, key, since }
}

fn copy(from: &Path) -> tempfile::TempDir {
    fn into(from: &Path, to: &Path) {
        fs::create_dir_all(to).unwrap();
        for item in fs::read_dir(from).unwrap() {
            let path = item.unwrap().path();
            let target = to.join(path.file_name().unwrap());
            if path.is_dir() {
                into(&path, &target);
            } else {
                fs::copy(&path, &target).unwrap();
            }
        }
    }
    let to = tempfile::tempdir().unwrap();
    into(from, to.path());
    to
}

// === impl Sample ===

impl Sample {
    fn check(&self, folder: &Path) -> Result<Report, VerifyError> {
        let since = Some(self.since.clone());
        verify(folder, &VerifyOptions { key: Some(self.key.clone()), since, ..VerifyOptions::default() })
    }
}

fn broken(result: Result<Report, VerifyError>) -> ringfence_ledger::Broken {
    match result {
        Err(VerifyError::Broken(broken)) => broken,
        other => panic!("not broken: {other:?}"),
    }
}

fn flip(path: &Path, offset: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[offset] ^= 0x10;
    fs::write(path, bytes).unwrap();
}

fn place(path: &Path, text: &str) -> usize {
    let bytes = fs::read(path).unwrap();
    bytes.windows(text.len()).position(|window| window == text.as_bytes()).unwrap()
}

#[test]
fn a_sound_log_is_proved_and_the_report_says_what_was() {
    let sample = sample();
    let report = sample.check(sample.folder.path()).unwrap();
    assert_eq!((report.entries, report.signed, report.settled, report.unsettled), (1540, 1540, 700, 0));
    assert_eq!((report.payloads, report.pruned, report.torn_bytes), (140, 0, 0));
    assert!(matches!(report.since, Some(662..=663)), "{report:?}");
    let alone = verify(sample.folder.path(), &VerifyOptions::default()).unwrap();
    assert!(alone.to_string().contains("only that the log agrees with itself"));
    assert!(!report.to_string().contains("only that"));
}

#[test]
fn verifying_works_on_a_copy_and_beside_a_running_node() {
    let sample = sample();
    let copied = copy(sample.folder.path());
    sample.check(copied.path()).unwrap();
    let (ledger, session, _) = open(sample.folder.path());
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut number = 1_000;
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                action(&session, number).durable_blocking().unwrap();
                ledger.derive();
                number += 1;
            }
        });
        let results: Vec<_> = (0..20).map(|_| sample.check(sample.folder.path())).collect();
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        for result in results {
            result.unwrap();
        }
    });
}

#[test]
fn a_byte_flipped_in_an_entry_of_the_log_is_found() {
    let sample = sample();
    let path = sample.folder.path().join("wal/0000000001.wal");
    let offset = place(&path, "act_00000000000000000000000042");
    flip(&path, offset + 8);
    let broken = broken(sample.check(sample.folder.path()));
    assert!(broken.what.contains("checksum"), "{broken}");
    assert_eq!(broken.file.as_deref(), Some(path.as_path()));
    assert!(broken.offset.unwrap() <= offset as u64);
}

#[test]
fn a_byte_flipped_in_a_tile_a_bundle_or_the_checkpoint_is_found() {
    let sample = sample();
    let first_bundle = place(&sample.folder.path().join("tile/entries/001"), "act_");
    let cases = [
        ("tile/0/002", 40, Some(2 * 256 + 1)),
        ("tile/0/006.p/4", 3, Some(6 * 256)),
        ("tile/1/000.p/6", 70, None),
        ("tile/entries/001", first_bundle, Some(256)),
        ("tile/entries/006.p/4", 1, Some(6 * 256)),
        ("checkpoint", 30, None),
        ("checkpoint", 120, None),
    ];
    for (file, offset, entry) in cases {
        let copied = copy(sample.folder.path());
        let path = copied.path().join(file);
        flip(&path, offset);
        let broken = broken(sample.check(copied.path()));
        assert_eq!(broken.file.as_deref(), Some(path.as_path()), "{broken}");
        assert_eq!(broken.entry, entry, "{broken}");
    }
}

#[test]
fn a_changed_or_missing_payload_is_found() {
    let sample = sample();
    let path = sample.folder.path().join("payloads/180d/0000000001.seg");
    let offset = place(&path, "payload 25payload 25");
    let changed = copy(sample.folder.path());
    flip(&changed.path().join("payloads/180d/0000000001.seg"), offset);
    let found = broken(sample.check(changed.path()));
    assert!(found.what.contains("does not hash to its name") && found.entry.is_some(), "{found}");
    let gone = copy(sample.folder.path());
    fs::remove_file(gone.path().join("payloads/180d/0000000001.seg")).unwrap();
    assert!(broken(sample.check(gone.path())).what.contains("gone"));
    let unread = VerifyOptions { payloads: false, ..VerifyOptions::default() };
    assert!(verify(gone.path(), &unread).is_ok());
}

#[test]
fn a_tail_that_was_cut_off_is_found() {
    let sample = sample();
    let path = sample.folder.path().join("wal/0000000001.wal");
    let end = place(&path, "act_00000000000000000000000699");
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, [&bytes[..end - 200], vec![0; bytes.len() - end + 200].as_slice()].concat()).unwrap();
    let broken = broken(sample.check(sample.folder.path()));
    assert!(broken.what.contains("cut off") && broken.entry.is_some(), "{broken}");
    let refused = Ledger::open(sample.folder.path(), options()).unwrap_err();
    assert!(refused.to_string().contains("cut off"), "{refused}");
}

#[test]
fn a_log_rolled_back_whole_is_found_by_the_checkpoint_that_was_kept() {
    let folder = tempfile::tempdir().unwrap();
    let (ledger, session, _) = open(folder.path());
    action(&session, 1).durable_blocking().unwrap();
    ledger.close();
    let early = copy(folder.path());
    drop((ledger, session));
    let (ledger, session, _) = open(folder.path());
    action(&session, 2).durable_blocking().unwrap();
    ledger.close();
    let kept = VerifyOptions { since: Some(ledger.checkpoint()), ..VerifyOptions::default() };
    assert!(verify(folder.path(), &kept).is_ok());
    assert!(verify(early.path(), &VerifyOptions::default()).is_ok());
    assert!(broken(verify(early.path(), &kept)).what.contains("cut off"));
}

/// Writes the entries of a log anew with the node's own key, leaving out or changing what `keep` says.
fn rebuild(sample: &Sample, keep: impl Fn(u64) -> bool) -> tempfile::TempDir {
    let forged = tempfile::tempdir().unwrap();
    fs::copy(sample.folder.path().join("key"), forged.path().join("key")).unwrap();
    let (ledger, session, _) = open(forged.path());
    for number in (0..700_u64).filter(|number| keep(*number)) {
        let _ = action(&session, number);
    }
    put(&session, "end").durable_blocking().unwrap();
    ledger.close();
    forged
}

#[test]
fn a_history_rewritten_and_signed_with_the_nodes_own_key_is_found_only_by_a_kept_checkpoint() {
    let sample = sample();
    let forged = rebuild(&sample, |number| number != 42);
    let with_key = VerifyOptions { key: Some(sample.key.clone()), ..VerifyOptions::default() };
    assert!(verify(forged.path(), &with_key).is_ok());
    let broken = broken(sample.check(forged.path()));
    assert!(broken.what.contains("the checkpoint that was kept"), "{broken}");
}

#[test]
fn another_key_and_another_log_are_told() {
    let sample = sample();
    let strangers = tempfile::tempdir().unwrap();
    let (stranger, _session, _) = open(strangers.path());
    let with_stranger =
        VerifyOptions { key: Some(stranger.verifier_key().clone()), ..VerifyOptions::default() };
    assert!(broken(verify(sample.folder.path(), &with_stranger)).what.contains("not signed by"));
    let since = VerifyOptions { since: Some(stranger.checkpoint()), ..VerifyOptions::default() };
    assert!(matches!(verify(sample.folder.path(), &since), Err(VerifyError::OtherLog { .. })));
    let nothing = tempfile::tempdir().unwrap();
    assert!(matches!(verify(nothing.path(), &since), Err(VerifyError::NotALog(_))));
}

#[test]
fn outcomes_without_intent_and_second_outcomes_are_found() {
    let outcome = |name: &str| draft(EntryKind::Outcome, Object::new().with("action", name.to_owned()));
    let intent = |name: &str| draft(EntryKind::Intent, Object::new().with("action", name.to_owned()));
    let log = |drafts: Vec<ringfence_ledger::Draft>| {
        let folder = tempfile::tempdir().unwrap();
        let (ledger, session, _) = open(folder.path());
        for draft in drafts {
            let _ = session.append(draft, RoomFor::New).unwrap();
        }
        ledger.close();
        (verify(folder.path(), &VerifyOptions::default()), folder)
    };
    let (result, _folder) = log(vec![intent("a"), outcome("a"), intent("b")]);
    let report = result.unwrap();
    assert_eq!((report.settled, report.unsettled), (1, 1));
    let cases = [
        (vec![intent("a"), outcome("b")], "without its intent", 1),
        (vec![intent("a"), outcome("a"), outcome("a")], "settled before, by entry 1", 2),
        (vec![intent("a"), outcome("a"), intent("a")], "settled before, by entry 1", 2),
        (vec![intent("a"), intent("a")], "second intent", 1),
        (vec![draft(EntryKind::Outcome, Object::new())], "names no action", 0),
    ];
    for (drafts, what, entry) in cases {
        let (result, _folder) = log(drafts);
        let broken = broken(result);
        assert!(broken.what.contains(what) && broken.entry == Some(entry), "{broken}");
    }
}

#[test]
fn an_empty_log_is_sound_and_a_lost_checkpoint_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let (ledger, session, _) = open(folder.path());
    assert_eq!(verify(folder.path(), &VerifyOptions::default()).unwrap().entries, 0);
    put(&session, "x").durable_blocking().unwrap();
    ledger.close();
    fs::remove_file(folder.path().join("checkpoint")).unwrap();
    assert!(broken(verify(folder.path(), &VerifyOptions::default())).what.contains("missing"));
}

#[test]
fn pruned_payloads_break_no_proof() {
    let folder = tempfile::tempdir().unwrap();
    let (ledger, session, _) = open(folder.path());
    let mut names = Vec::new();
    for number in 0..100_u32 {
        let payload = session.seal(&class(), &vec![7; 3_000]).unwrap();
        names.push(payload.name());
        let mut draft = draft(EntryKind::Incident, Object::new().with("number", number));
        draft.payloads.push(payload);
        let ticket = session.append(draft, RoomFor::New).unwrap();
        ticket.durable_blocking().unwrap();
    }
    assert_eq!(
        ledger.payload(3, &names[3]).unwrap(),
        Some(ringfence_ledger::Payload::Content(vec![7; 3_000]))
    );
    let pruned = ledger.prune(&class(), ledger.last_at()).unwrap();
    assert!(pruned.segments >= 3 && pruned.bytes > 200_000, "{pruned:?}");
    assert_eq!(ledger.payload(3, &names[3]).unwrap(), Some(ringfence_ledger::Payload::Pruned));
    assert!(matches!(ledger.payload(99, &names[99]).unwrap(), Some(ringfence_ledger::Payload::Content(_))));
    assert_eq!(ledger.payload(99, &names[3]).unwrap(), None);
    ledger.close();
    let key = Some(ledger.verifier_key().clone());
    let report = verify(folder.path(), &VerifyOptions { key, ..VerifyOptions::default() }).unwrap();
    assert_eq!(report.payloads + report.pruned, 100);
    assert_eq!(report.pruned, pruned.before_entry);
}

#[test]
fn a_class_that_has_gone_quiet_is_pruned_too() {
    let folder = tempfile::tempdir().unwrap();
    let (ledger, session, _) = open(folder.path());
    let store = |text: &str| {
        append(&session, || {
            let mut draft = draft(EntryKind::Incident, Object::new());
            draft.payloads.push(session.seal(&class(), text.as_bytes()).unwrap());
            draft
        })
        .durable_blocking()
        .unwrap();
    };
    store("old");
    let later = ledger.last_at().after(std::time::Duration::from_hours(1));
    assert_eq!(ledger.prune(&class(), later).unwrap().segments, 0);
    // The writer goes on in another file as soon as it is awake.
    let mut tries = 0;
    while ledger.prune(&class(), later).unwrap().segments == 0 {
        tries += 1;
        assert!(tries < 1_000);
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    store("new");
    ledger.close();
    let report = verify(folder.path(), &VerifyOptions::default()).unwrap();
    assert_eq!((report.pruned, report.payloads), (1, 1));
}

/// Every byte that says something, of every file that verify answers for.
fn bytes_of(folder: &Path) -> Vec<(PathBuf, usize)> {
    let mut places = Vec::new();
    let mut folders = vec![folder.join("wal"), folder.join("tile"), folder.join("payloads")];
    places.push((folder.join("checkpoint"), fs::read(folder.join("checkpoint")).unwrap().len()));
    while let Some(folder) = folders.pop() {
        for item in fs::read_dir(folder).unwrap() {
            let path = item.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let bytes = fs::read(&path).unwrap();
                // Behind the last byte that is not zero, nothing was ever acknowledged.
                let used = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
                places.push((path, used));
            }
        }
    }
    places.retain(|(_, used)| *used > 0);
    places
}

#[test]
fn no_byte_of_a_log_can_change_unseen() {
    let sample = sample();
    let places = bytes_of(sample.folder.path());
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(300));
    let strategy = (any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0_u8..8);
    runner
        .run(&strategy, |(file, byte, bit)| {
            let (path, used) = &places[file.index(places.len())];
            let sound = fs::read(path).unwrap();
            let mut changed = sound.clone();
            changed[byte.index(*used)] ^= 1 << bit;
            fs::write(path, changed).unwrap();
            let result = sample.check(sample.folder.path());
            fs::write(path, sound).unwrap();
            prop_assert!(result.is_err(), "{} byte {}", path.display(), byte.index(*used));
            Ok(())
        })
        .unwrap();
    sample.check(sample.folder.path()).unwrap();
}
