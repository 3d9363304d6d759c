//! `ringfence demo` tells its story, and says so when it cannot.

#![allow(clippy::unwrap_used, reason = "tests may panic")]

use std::process::{Command, Output};

fn demo(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ringfence")).arg("demo").args(arguments).output().unwrap()
}

#[test]
fn the_demo_lives_through_all_decisions_and_ends_well() {
    let folder = tempfile::tempdir().unwrap();
    let kept = folder.path().join("kept");
    let output = demo(&["--keep", kept.to_str().unwrap()]);
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{told}{}", String::from_utf8_lossy(&output.stderr));
    for line in [
        "Ringfence demo: agents in sandboxes,",
        "Allowed by reads.",
        "/pages narrowed to 3 by fetch-limits",
        "Refused by mail-stays-inside: not sent.",
        "Denied by no-delete-databases.",
        "Waits for a person, by production-writes.",
        "Dana sees 10 replicas and approves.",
        "the definition is not the approved one",
        "Stopped after 5 rounds: it is a loop.",
        "Stopped at $0.0475 of its $0.05.",
        "In a sandbox of ",
        "All shut; evil.example is on record.",
        "the agent is told",
        "The log is verified offline",
        "In a copy, one word is changed",
    ] {
        assert!(told.contains(line), "{line:?} is missing in:\n{told}");
    }
    assert!(told.lines().count() <= 34, "one screen:\n{told}");
    assert!(kept.join("data/ledger/wal").is_dir(), "--keep keeps the log");
}

#[test]
fn what_is_told_is_what_the_policy_made_of_it_and_fits_the_screen() {
    let folder = tempfile::tempdir().unwrap();
    let examples = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let read = |name: &str| std::fs::read_to_string(examples.join(name)).unwrap();
    let both = format!("{}{}", read("safety-policy.yaml"), read("demo-policy.yaml").replace("rules:\n", ""));
    let other = both.replace("max_replicas: 10", "max_replicas: 7").replace("max_pages: 3", "max_pages: 4");
    assert_ne!(other, both);
    let policy = folder.path().join("other.yaml");
    std::fs::write(&policy, other).unwrap();
    let output = demo(&["--policy", policy.to_str().unwrap()]);
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{told}{}", String::from_utf8_lossy(&output.stderr));
    for line in ["/pages narrowed to 4 by", "Dana sees 7 replicas", "goes through, with 7."] {
        assert!(told.contains(line), "{line:?} is missing in:\n{told}");
    }
    for line in told.lines() {
        assert!(line.chars().count() <= 100, "{} columns: {line}", line.chars().count());
    }
}

#[test]
fn a_policy_that_allows_everything_does_not_go_as_told() {
    let folder = tempfile::tempdir().unwrap();
    let policy = folder.path().join("everything.yaml");
    std::fs::write(&policy, "rules: [{ name: everything, match: {}, decision: ALLOW }]\n").unwrap();
    let output = demo(&["--policy", policy.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("did not go as told"));
}
