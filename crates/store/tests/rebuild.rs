//! The index follows the log, goes on where it was, and starts over when it cannot be trusted.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::{Log, cleared, subject};
use ringfence_ledger::Ledger;
use ringfence_store::limits::BATCH_ENTRIES_MAX;
use ringfence_store::{Index, IndexReader, Query, Rebuilt, StoreError, scan};
use ringfence_types::EntryKind;
use tempfile::TempDir;

struct Place {
    folder: TempDir,
}

impl Place {
    fn new() -> Self {
        Self { folder: TempDir::new().unwrap() }
    }

    fn log(&self) -> Log {
        Log::open(&self.folder.path().join("ledger"))
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("index.sqlite")
    }

    fn index(&self) -> Index {
        Index::open(&self.path()).unwrap()
    }
}

/// The index says of every entry what the log says.
fn assert_whole(index: &Index, ledger: &Ledger) {
    let rows: Vec<_> = index.query(&Query::default()).unwrap().map(Result::unwrap).collect();
    let scanned: Vec<_> =
        scan(ledger.read(0).unwrap(), &Query::default()).map(|found| found.unwrap().row).collect();
    assert_eq!(rows.len() as u64, ledger.durable());
    assert_eq!(rows, scanned);
}

#[test]
fn catching_up_twice_does_nothing_and_later_goes_on() {
    let place = Place::new();
    let mut log = place.log();
    log.fill(100);
    let index = place.index();
    assert_eq!(index.catch_up(&log.ledger).unwrap().indexed, 100);
    let again = index.catch_up(&log.ledger).unwrap();
    assert_eq!((again.indexed, again.size, again.rebuilt), (0, 100, None));
    log.fill(50);
    assert_eq!(index.catch_up(&log.ledger).unwrap().indexed, 50);
    drop(index);
    drop(log);
    let mut log = place.log();
    log.fill(10);
    let index = place.index();
    let progress = index.catch_up(&log.ledger).unwrap();
    assert_eq!((progress.indexed, progress.rebuilt), (10, None), "what was indexed before stays");
    assert_whole(&index, &log.ledger);
}

#[test]
fn a_step_is_one_bounded_batch() {
    let place = Place::new();
    let mut log = place.log();
    log.fill(BATCH_ENTRIES_MAX + 10);
    let index = place.index();
    let first = index.step(&log.ledger).unwrap();
    assert_eq!((first.indexed, first.behind), (BATCH_ENTRIES_MAX, true));
    drop(index);
    let index = place.index();
    let second = index.step(&log.ledger).unwrap();
    assert_eq!((second.indexed, second.behind, second.rebuilt), (10, false, None));
    assert_whole(&index, &log.ledger);
}

#[test]
fn a_deleted_file_is_made_again() {
    let place = Place::new();
    let mut log = place.log();
    log.fill(100);
    place.index().catch_up(&log.ledger).unwrap();
    fs::remove_file(place.path()).unwrap();
    let index = place.index();
    assert_eq!(index.catch_up(&log.ledger).unwrap().indexed, 100);
    assert_whole(&index, &log.ledger);
}

fn damaged(damage: impl Fn(&Path)) {
    let place = Place::new();
    let mut log = place.log();
    log.fill(2_000);
    place.index().catch_up(&log.ledger).unwrap();
    damage(&place.path());
    let index = place.index();
    let progress = index.catch_up(&log.ledger).unwrap();
    let Some(Rebuilt::Damaged { aside }) = progress.rebuilt else { panic!("{progress:?}") };
    assert!(aside.exists());
    assert_eq!(progress.indexed, 2_000);
    assert_whole(&index, &log.ledger);
    assert_eq!(index.catch_up(&log.ledger).unwrap().rebuilt, None, "it is said once");
}

#[test]
fn a_truncated_file_is_put_aside_and_made_again() {
    for keep in [10, 5_000, 100_000] {
        damaged(|path| fs::File::options().write(true).open(path).unwrap().set_len(keep).unwrap());
    }
}

#[test]
fn a_file_of_something_else_is_put_aside_and_made_again() {
    damaged(|path| fs::write(path, "not a database".repeat(1_000)).unwrap());
    damaged(|path| {
        let other = rusqlite::Connection::open(path).unwrap();
        other.execute_batch("DROP TABLE words").unwrap();
    });
}

#[test]
fn damage_that_a_question_meets_is_mended_by_the_next_step() {
    let place = Place::new();
    let mut log = place.log();
    log.fill(2_000);
    place.index().catch_up(&log.ledger).unwrap();
    let mut bytes = fs::read(place.path()).unwrap();
    let half = bytes.len() / 2;
    bytes[half..].fill(0xff);
    fs::write(place.path(), bytes).unwrap();
    let index = place.index();
    let error = index.query(&Query::default()).unwrap().find_map(Result::err).unwrap();
    assert!(error.is_corrupt() && error.to_string().contains("the node rebuilds it"), "{error}");
    let progress = index.catch_up(&log.ledger).unwrap();
    assert!(matches!(progress.rebuilt, Some(Rebuilt::Damaged { .. })), "{progress:?}");
    assert_whole(&index, &log.ledger);
}

#[test]
fn a_file_of_another_format_is_made_again() {
    let place = Place::new();
    let mut log = place.log();
    log.fill(10);
    place.index().catch_up(&log.ledger).unwrap();
    rusqlite::Connection::open(place.path()).unwrap().pragma_update(None, "user_version", 77).unwrap();
    assert!(matches!(IndexReader::open(&place.path()), Err(StoreError::Version { found: 77, .. })));
    let index = place.index();
    assert_eq!(index.catch_up(&log.ledger).unwrap().rebuilt, Some(Rebuilt::Version { found: 77 }));
    assert_whole(&index, &log.ledger);
}

#[test]
fn the_index_of_another_log_is_made_again() {
    let place = Place::new();
    let mut log = place.log();
    log.fill(100);
    let index = place.index();
    index.catch_up(&log.ledger).unwrap();
    let elsewhere = Place::new();
    let mut other = elsewhere.log();
    other.fill(120);
    let progress = index.catch_up(&other.ledger).unwrap();
    assert_eq!((progress.indexed, progress.rebuilt), (120, Some(Rebuilt::OtherLog)), "noticed while running");
    assert_whole(&index, &other.ledger);
    drop(index);
    let index = place.index();
    assert_eq!(index.catch_up(&log.ledger).unwrap().rebuilt, Some(Rebuilt::OtherLog), "noticed at the start");
    assert_whole(&index, &log.ledger);
}

/// A log written with the same key, that differs only in the entry `at`.
fn forked(place: &Place, at: u64) -> Log {
    fs::create_dir_all(place.folder.path().join("ledger")).unwrap();
    let mut log = place.log();
    for entry in 0..40 {
        let tool = if entry == at { "changed" } else { "query" };
        log.put(EntryKind::Intent, cleared(subject(0, tool), &["all"]));
    }
    log.settle();
    log
}

#[test]
fn a_log_that_was_written_anew_with_the_same_key_is_noticed() {
    for (at, knows_root) in [(1, true), (39, true), (39, false)] {
        let place = Place::new();
        let log = forked(&place, u64::MAX);
        let index = place.index();
        index.catch_up(&log.ledger).unwrap();
        drop(index);
        if !knows_root {
            // As when no checkpoint was published yet: only the last entry can tell.
            let database = rusqlite::Connection::open(place.path()).unwrap();
            database.execute_batch("UPDATE log SET root_size = 0, root = x''").unwrap();
        }
        log.ledger.close();
        drop(log);
        let ledger = place.folder.path().join("ledger");
        for item in fs::read_dir(&ledger).unwrap().map(|item| item.unwrap().path()) {
            if item.is_dir() {
                fs::remove_dir_all(item).unwrap();
            } else if ["checkpoint", "state"].iter().any(|name| item.ends_with(name)) {
                fs::remove_file(item).unwrap();
            }
        }
        let log = forked(&place, at);
        let index = place.index();
        let progress = index.catch_up(&log.ledger).unwrap();
        assert_eq!(progress.rebuilt, Some(Rebuilt::OtherLog), "entry {at}, root known: {knows_root}");
        assert_whole(&index, &log.ledger);
    }
}

#[test]
fn the_same_root_is_found_at_every_size() {
    let place = Place::new();
    let mut log = place.log();
    for size in 1..40 {
        log.fill(1);
        let index = place.index();
        let progress = index.catch_up(&log.ledger).unwrap();
        assert_eq!((progress.indexed, progress.rebuilt), (1, None), "{size}");
        drop(index);
        log.fill(size % 3);
        let index = place.index();
        let progress = index.catch_up(&log.ledger).unwrap();
        assert_eq!((progress.indexed, progress.rebuilt), (size % 3, None), "{size}");
    }
    assert_whole(&place.index(), &log.ledger);
}
