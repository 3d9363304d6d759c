//! The log, by the command line: asked, followed, handed on and proved.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at what it does not expect; its helpers too"
)]

mod program;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use program::{Said, place, text};
use ringfence_json::Value;

#[test]
fn the_log_is_asked_verified_and_exported_with_and_without_a_node() {
    let place = place();
    let node = place.up();
    place.run(&["token", "mint", "-w", "lab", "--agent", "assistant"]).expect(0);
    let asked = place.run(&["audit", "query", "--kind", "token", "--json"]).expect(0).stdout;
    assert_eq!(asked.lines().count(), 1, "{asked}");
    assert!(asked.contains("\"agent\":\"assistant\""), "{asked}");
    let checkpoint = place.run(&["audit", "checkpoint"]).expect(0).stdout;
    place.write("checkpoint.txt", &checkpoint);
    place.run(&["audit", "verify", "--since", "checkpoint.txt"]).expect(0);
    assert_eq!(node.stop(), Some(0));

    let offline = place.run(&["audit", "query", "--kind", "token", "--json"]).expect(0).stdout;
    assert_eq!(offline, asked, "the log says another thing without its node");
    let csv = place.run(&["audit", "export", "--format", "csv", "--kind", "token"]).expect(0).stdout;
    assert!(csv.starts_with("id,at,node,kind,") && csv.lines().count() == 2, "{csv}");
    place.run(&["audit", "show", "0"]).expect(0);
    let verified = place.run(&["audit", "verify", "--since", "checkpoint.txt", "--json"]).expect(0).json();
    assert_eq!(verified.get("ok").and_then(Value::as_bool), Some(true));
}

#[test]
fn a_limit_gives_the_newest_in_the_order_of_the_log_and_says_that_there_are_more() {
    let place = place();
    let node = place.up();
    for agent in 0..4 {
        let user = format!("user-{agent}");
        place.run(&["token", "mint", "-w", "lab", "--agent", "assistant", "--user", &user]).expect(0);
    }
    let users = |limit: &str| {
        let asked = place.run(&["audit", "query", "--kind", "token", "--limit", limit]).expect(0).stdout;
        let lines = place.run(&["audit", "query", "--kind", "token", "--limit", limit, "--json"]).expect(0);
        let of = |line: &str| text(&program::json(line), "user");
        (lines.stdout.lines().map(of).collect::<Vec<_>>(), asked.contains("there are more"))
    };
    let check = || {
        assert_eq!(users("2"), (vec!["user-2".to_owned(), "user-3".to_owned()], true));
        assert_eq!(users("4").0[0], "user-0");
        assert!(!users("4").1 && !users("5").1, "there are just four");
        assert_eq!(users("5000").0.len(), 4);
    };
    check();
    assert_eq!(node.stop(), Some(0));
    // From the folder alone.
    check();
}

#[test]
fn a_log_that_was_cut_is_not_whole() {
    let place = place();
    let node = place.up();
    place.run(&["token", "mint", "-w", "lab", "--agent", "assistant"]).expect(0);
    let checkpoint = place.run(&["audit", "checkpoint"]).expect(0).stdout;
    place.write("checkpoint.txt", &checkpoint);
    assert_eq!(node.stop(), Some(0));
    std::fs::remove_dir_all(place.path().join("state")).unwrap();
    let node = place.up();
    assert_eq!(node.stop(), Some(0));
    let said = place.run(&["audit", "verify", "--since", "checkpoint.txt"]);
    assert!(said.code != 0, "another log passed for the one that was kept: {}", said.stdout);
}

/// Everything below a folder with its size, sorted.
fn files(folder: &Path) -> Vec<(String, u64)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            found.extend(files(&entry.path()));
        } else {
            found.push((entry.path().display().to_string(), entry.metadata().unwrap().len()));
        }
    }
    found.sort();
    found
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to.join(entry.file_name()));
        } else {
            std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

/// The key in the line that a checkpoint says on standard error.
fn key_of(said: &Said) -> String {
    let line = said.stderr.lines().find_map(|line| line.strip_prefix("verifier key: "));
    line.unwrap_or_else(|| panic!("no key in {:?}", said.stderr)).to_owned()
}

#[test]
fn a_copy_without_the_private_key_is_verified_by_the_key_that_a_checkpoint_names() {
    let place = place();
    let node = place.up();
    place.run(&["token", "mint", "-w", "lab", "--agent", "assistant"]).expect(0);
    let asked = place.run(&["audit", "checkpoint"]).expect(0);
    let key = key_of(&asked);
    place.write("checkpoint.txt", &asked.stdout);
    assert_eq!(node.stop(), Some(0));
    let offline = place.run(&["audit", "checkpoint"]).expect(0);
    assert_eq!(key_of(&offline), key);
    let json = place.run(&["audit", "checkpoint", "--json"]).expect(0).json();
    assert_eq!((text(&json, "key"), text(&json, "checkpoint")), (key.clone(), offline.stdout));

    copy(&place.path().join("state/ringfence/ledger"), &place.path().join("copy"));
    std::fs::remove_file(place.path().join("copy/key")).unwrap();
    let arguments = ["audit", "verify", "copy", "--key", &key, "--since", "checkpoint.txt"];
    let verified = place.run(&arguments).expect(0);
    assert_eq!(verified.stderr, "", "progress is for terminals");
    let other = key.replacen(['0', '1', '2', '3'], "4", 1);
    assert_ne!(place.run(&["audit", "verify", "copy", "--key", &other]).code, 0);
}

#[test]
fn reading_a_log_changes_nothing_in_it_and_takes_it_from_nobody() {
    let place = place();
    let node = place.up();
    place.run(&["token", "mint", "-w", "lab", "--agent", "assistant"]).expect(0);
    // Killed, so that the log ends as a crash leaves it.
    drop(node);
    let ledger = place.path().join("state/ringfence/ledger");
    let before = files(&ledger);
    for arguments in [
        &["audit", "query"][..],
        &["audit", "show", "0"],
        &["audit", "export"],
        &["audit", "verify"],
        &["policy", "simulate"],
    ] {
        place.run(arguments).expect(0);
    }
    assert_eq!(files(&ledger), before);
}

#[test]
fn what_a_node_writes_is_its_owners_alone() {
    let place = place();
    // As a careless hand makes it.
    let data = place.path().join("state/ringfence");
    std::fs::create_dir_all(&data).unwrap();
    std::fs::set_permissions(&data, std::fs::Permissions::from_mode(0o755)).unwrap();
    let node = place.up();
    place.run(&["token", "mint", "-w", "lab", "--agent", "assistant"]).expect(0);
    assert_eq!(node.stop(), Some(0));
    let all = files(&data);
    assert!(all.iter().any(|(path, _)| path.ends_with("/index.db")), "{all:?}");
    for (path, _) in all {
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        let for_others = mode & 0o077;
        // The public key is for everybody.
        assert!(for_others == 0 || path.ends_with("/key.pub"), "{path} has the mode {mode:o}");
    }
}

#[test]
fn entries_are_found_by_when_they_were_and_exported_as_they_are() {
    let place = place();
    let node = place.up();
    place.run(&["token", "mint", "-w", "lab", "--agent", "assistant"]).expect(0);
    let entry = place.run(&["audit", "query", "--kind", "token", "--json"]).expect(0).json();
    let at = text(&entry, "at");
    let count = |arguments: &[&str]| {
        let all = [&["audit", "query", "--kind", "token", "--json"], arguments].concat();
        place.run(&all).expect(0).stdout.lines().count()
    };
    for (arguments, found) in [
        (&["--since", at.as_str()][..], 1),
        (&["--until", at.as_str()], 0),
        (&["--since", "1h"], 1),
        (&["--until", "1h"], 0),
        (&["--approver", "dana"], 0),
    ] {
        assert_eq!(count(arguments), found, "{arguments:?}");
    }
    let exported = place.run(&["audit", "export", "--kind", "token"]).expect(0);
    assert_eq!(exported.json(), entry);
    assert_eq!(exported.stderr, "", "progress is for terminals");
    drop(node);
}

#[test]
fn what_happens_is_followed_as_it_happens() {
    let place = place();
    let node = place.up();
    let mut tail = place.follow(&["audit", "tail", "--kind", "token,run", "--last", "1"]);
    let minted =
        place.run(&["token", "mint", "-w", "lab", "--agent", "assistant", "--json"]).expect(0).json();
    let run = text(&minted, "run");
    tail.line_with(&run);
    let mut logs = place.follow(&["runs", "logs", &run, "--follow", "--json"]);
    logs.line_with("\"kind\":\"token\"");
    place.run(&["kill", &run, "--reason", "enough"]).expect(0);
    logs.line_with("enough");
    tail.line_with("enough");
    drop(node);
}
