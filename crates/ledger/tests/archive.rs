//! A log that is only read.

#![allow(clippy::unwrap_used, reason = "tests may panic")]

mod common;

use std::fs;

use common::{action, open, put};
use ringfence_ledger::{Archive, Payload, PayloadClass, RoomFor, verify};
use tempfile::tempdir;

fn ids(archive: &Archive) -> Vec<u64> {
    archive.read(0).map(|entry| entry.unwrap().id).collect()
}

#[tokio::test]
async fn a_log_is_read_while_a_node_writes_it() {
    let folder = tempdir().unwrap();
    let (ledger, session, _) = open(folder.path());
    action(&session, 1).durable().await.unwrap();
    let archive = Archive::open(folder.path()).unwrap();
    assert_eq!(ids(&archive), [0, 1]);
    let class = PayloadClass::new("research").unwrap();
    let payload = session.seal(&class, b"secret").unwrap();
    let name = payload.name();
    let mut draft = common::note("with a payload");
    draft.payloads.push(payload);
    session.append(draft, RoomFor::New).unwrap().durable().await.unwrap();
    assert_eq!(archive.size(), 2, "it is as it was looked at");
    archive.refresh().unwrap();
    assert_eq!(ids(&archive), [0, 1, 2]);
    assert_eq!(archive.payload(2, &name).unwrap(), Some(Payload::Content(b"secret".to_vec())));
    assert_eq!(archive.payload(1, &name).unwrap(), None);
    ledger.derive();
    assert_eq!(archive.checkpoint().unwrap().unwrap(), ledger.checkpoint());
    assert_eq!(archive.verifier_key().unwrap().unwrap(), ledger.verifier_key().to_string());
}

#[tokio::test]
async fn reading_changes_nothing_also_where_a_crash_left_half_a_batch() {
    let folder = tempdir().unwrap();
    let (ledger, session, _) = open(folder.path());
    for number in 0..3 {
        put(&session, &number.to_string()).durable().await.unwrap();
    }
    ledger.close();
    drop((session, ledger));
    let wal = folder.path().join("wal/00000001.wal");
    let wal = if wal.exists() { wal } else { first_file(&folder.path().join("wal")) };
    let mut bytes = fs::read(&wal).unwrap();
    let end = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    bytes[end - 4..=end].fill(0);
    fs::write(&wal, &bytes).unwrap();
    // As after a crash: nothing derived yet, and no key of anybody's.
    for derived in ["state", "checkpoint", "key"] {
        let _ = fs::remove_file(folder.path().join(derived));
    }
    let archive = Archive::open(folder.path()).unwrap();
    assert_eq!(ids(&archive), [0, 1], "what was torn was never acknowledged");
    assert_eq!(archive.checkpoint().unwrap(), None);
    assert_eq!(fs::read(&wal).unwrap(), bytes);
    assert!(!folder.path().join("key").exists());
}

fn first_file(folder: &std::path::Path) -> std::path::PathBuf {
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|item| item.unwrap().path()).collect();
    files.sort();
    files.remove(0)
}

#[tokio::test]
async fn a_copy_without_the_private_key_can_be_verified() {
    let folder = tempdir().unwrap();
    let (ledger, session, _) = open(folder.path());
    action(&session, 1).durable().await.unwrap();
    let key = ledger.verifier_key().clone();
    ledger.close();
    fs::remove_file(folder.path().join("key")).unwrap();
    let options = ringfence_ledger::VerifyOptions { key: Some(key), ..Default::default() };
    assert_eq!(verify(folder.path(), &options).unwrap().entries, 2);
}
