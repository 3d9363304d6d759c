//! Tiles, checkpoints and proofs, read by implementations that others wrote.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod common;

use std::path::Path;

use common::{open, put};
use ct_merkle::mem_backed_tree::MemoryBackedTree;
use proptest::prelude::*;
use ringfence_ledger::{Checkpoint, InclusionProof, Ledger, ProofError, Session};
use sha2::Sha256;
use tlog_tiles::{Hash, Tile, TileHashReader, TileReader};

struct Files<'a>(&'a Path);

impl TileReader for Files<'_> {
    fn height(&self) -> u8 {
        8
    }

    fn read_tiles(&self, tiles: &[Tile]) -> Result<Vec<Vec<u8>>, tlog_tiles::Error> {
        // This crate's paths name the height (tile/8/…); C2SP tlog-tiles fixes it at 8 and leaves it out.
        let path = |tile: &Tile| self.0.join(tile.path().replacen("tile/8/", "tile/", 1));
        Ok(tiles.iter().map(|tile| std::fs::read(path(tile)).unwrap()).collect())
    }

    fn save_tiles(&self, _: &[Tile], _: &[Vec<u8>]) {}
}

fn fill(ledger: &Ledger, session: &Session, count: u64) {
    let mut last = None;
    for number in 0..count {
        last = Some(put(session, &format!("note {number}")));
    }
    if let Some(last) = last {
        last.durable_blocking().unwrap();
    }
    ledger.derive();
}

fn their_tree(ledger: &Ledger) -> MemoryBackedTree<Sha256, Vec<u8>> {
    let mut tree = MemoryBackedTree::new();
    for entry in ledger.read(0).unwrap() {
        tree.push(entry.unwrap().bytes);
    }
    tree
}

#[test]
fn another_implementation_reads_the_tiles_and_proves_every_entry() {
    let folder = tempfile::tempdir().unwrap();
    let (ledger, session, _) = open(folder.path());
    for step in [1, 254, 1, 1, 300, 70_000] {
        fill(&ledger, &session, step);
        let note = std::fs::read(folder.path().join("checkpoint")).unwrap();
        let (text, _) = std::str::from_utf8(&note).unwrap().split_once("\n\n").unwrap();
        let theirs = tlog_tiles::Checkpoint::from_bytes(format!("{text}\n").as_bytes()).unwrap();
        let size = ledger.durable();
        assert_eq!(theirs.size(), size);
        assert_eq!(theirs.origin(), ledger.verifier_key().name());
        let files = Files(folder.path());
        let reader = TileHashReader::new(size, *theirs.hash(), &files);
        assert_eq!(tlog_tiles::tree_hash(size, &reader).unwrap(), *theirs.hash());
        for id in [0, size / 3, size / 2, size.saturating_sub(2), size - 1] {
            let entry = ledger.read(id).unwrap().next().unwrap().unwrap();
            let proof = tlog_tiles::prove_record(size, id, &reader).unwrap();
            let leaf = tlog_tiles::record_hash(&entry.bytes);
            tlog_tiles::check_record(&proof, size, *theirs.hash(), id, leaf).unwrap();
            let ours = ledger.prove(id).unwrap().unwrap();
            let theirs: Vec<[u8; 32]> = proof.iter().map(|hash: &Hash| hash.0).collect();
            assert_eq!(ours.hashes, theirs);
        }
    }
}

#[test]
fn another_implementation_finds_the_same_root() {
    let folder = tempfile::tempdir().unwrap();
    let (ledger, session, _) = open(folder.path());
    for step in [0, 1, 255, 1, 700] {
        fill(&ledger, &session, step);
        let checkpoint = Checkpoint::open(&ledger.checkpoint(), ledger.verifier_key()).unwrap();
        let tree = their_tree(&ledger);
        assert_eq!(checkpoint.size, tree.len());
        assert_eq!(checkpoint.root.as_slice(), tree.root().as_bytes().as_slice());
    }
    let tree = their_tree(&ledger);
    for id in 0..tree.len() {
        let entry = ledger.read(id).unwrap().next().unwrap().unwrap();
        let ours = ledger.prove(id).unwrap().unwrap();
        ours.verify(&entry.bytes, ledger.verifier_key()).unwrap();
        let digests: Vec<_> = ours.hashes.iter().map(|hash| (*hash).into()).collect();
        let theirs = ct_merkle::InclusionProof::<Sha256>::from_digests(digests.iter());
        tree.root().verify_inclusion(&entry.bytes, id, &theirs).unwrap();
    }
}

#[test]
fn bundles_hold_the_entries_and_old_partial_ones_are_gone() {
    let folder = tempfile::tempdir().unwrap();
    let (ledger, session, _) = open(folder.path());
    for step in [10, 10, 300, 5] {
        fill(&ledger, &session, step);
    }
    let tile = folder.path().join("tile");
    let mut found: Vec<String> = walk(&tile);
    found.sort();
    let expected = ["0/000", "0/001.p/69", "1/000.p/1", "entries/000", "entries/001.p/69"];
    assert_eq!(found, expected);
    let bundle = std::fs::read(tile.join("entries/001.p/69")).unwrap();
    let first = ledger.read(256).unwrap().next().unwrap().unwrap().bytes;
    assert_eq!(bundle[..2], u16::try_from(first.len()).unwrap().to_be_bytes());
    assert_eq!(bundle[2..2 + first.len()], first);
}

fn walk(folder: &Path) -> Vec<String> {
    fn into(base: &Path, folder: &Path, found: &mut Vec<String>) {
        for item in std::fs::read_dir(folder).unwrap() {
            let path = item.unwrap().path();
            if path.is_dir() {
                into(base, &path, found);
            } else {
                found.push(path.strip_prefix(base).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    let mut found = Vec::new();
    into(folder, folder, &mut found);
    found
}

#[test]
fn the_tree_goes_on_after_every_kind_of_restart() {
    let folder = tempfile::tempdir().unwrap();
    let mut expected = 0;
    for (round, count) in [3_u64, 253, 1_000, 0, 513].into_iter().enumerate() {
        let (ledger, session, recovery) = open(folder.path());
        assert_eq!(recovery.size, expected);
        fill(&ledger, &session, count);
        expected += count;
        let checkpoint = Checkpoint::open(&ledger.checkpoint(), ledger.verifier_key()).unwrap();
        assert_eq!(checkpoint.root.as_slice(), their_tree(&ledger).root().as_bytes().as_slice());
        drop((ledger, session));
        match round {
            0 => std::fs::write(folder.path().join("checkpoint"), "").unwrap(),
            1 => std::fs::remove_file(folder.path().join("state")).unwrap(),
            2 => std::fs::remove_dir_all(folder.path().join("tile")).unwrap(),
            _ => {}
        }
        if round == 2 {
            std::fs::remove_file(folder.path().join("state")).unwrap();
        }
    }
}

#[test]
fn a_proof_holds_for_its_entry_key_and_checkpoint_only() {
    let folder = tempfile::tempdir().unwrap();
    let (ledger, session, _) = open(folder.path());
    fill(&ledger, &session, 300);
    let entry = ledger.read(137).unwrap().next().unwrap().unwrap().bytes;
    let proof = ledger.prove(137).unwrap().unwrap();
    let text = proof.to_string();
    assert!(text.starts_with("c2sp.org/tlog-proof@v1\nindex 137\n"), "{text}");
    let read: InclusionProof = text.parse().unwrap();
    assert_eq!(read, proof);
    assert_eq!(read.verify(&entry, ledger.verifier_key()).unwrap().size, 300);
    let mut other = entry.clone();
    other[20] ^= 1;
    assert_eq!(read.verify(&other, ledger.verifier_key()).unwrap_err(), ProofError::Wrong);
    let moved = InclusionProof { index: 138, ..read.clone() };
    assert_eq!(moved.verify(&entry, ledger.verifier_key()).unwrap_err(), ProofError::Wrong);
    let strangers = tempfile::tempdir().unwrap();
    let (stranger, _session, _) = open(strangers.path());
    assert!(read.verify(&entry, stranger.verifier_key()).is_err());
    let swapped = InclusionProof { checkpoint: read.checkpoint.replace("\n300\n", "\n301\n"), ..read };
    assert!(swapped.verify(&entry, ledger.verifier_key()).is_err());
    assert!(ledger.prove(300).unwrap().is_none());
}

proptest! {
    #[test]
    fn no_text_makes_the_readers_of_proofs_and_checkpoints_panic(text in "(c2sp.org/tlog-proof@v1\n)?(index [0-9]{1,3}\n)?[ -~\n—]{0,80}") {
        let _ = text.parse::<InclusionProof>();
        let _ = Checkpoint::parse(&text);
        let _ = text.parse::<ringfence_ledger::VerifierKey>();
    }
}
