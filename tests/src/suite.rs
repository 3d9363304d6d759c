//! The official conformance suite.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;

use serde::Deserialize;
use tokio::process::Command;

use crate::limits::SUITE;
use crate::parts;
use crate::patience::within;

/// What the suite said about one check.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "UPPERCASE")]
pub enum Status {
    /// It passed.
    Success,
    /// It failed.
    Failure,
    /// A recommendation is not followed.
    Warning,
    /// It does not apply.
    Skipped,
    /// Something worth knowing.
    Info,
}

/// What the suite said about each check, by `scenario/check`. A check that a scenario makes several times has its
/// number behind `#`, from the second on.
pub type Scores = BTreeMap<String, Status>;

/// The revisions for which the suite has requirements.
pub const REVISIONS: [&str; 2] = ["2025-11-25", "2026-07-28"];

/// Runs every scenario that a revision requires against a server.
pub async fn run(url: &str, revision: &str) -> Scores {
    let output = tempfile::tempdir().unwrap_or_else(|error| panic!("no temporary folder: {error}"));
    let mut command = Command::new(parts::node());
    command
        .arg(parts::package("conformance"))
        .args(["server", "--url", url, "--requirements", revision, "--output-dir"])
        .arg(output.path())
        .stdin(std::process::Stdio::null())
        .kill_on_drop(true);
    let run = within(SUITE, &format!("the conformance suite for {revision}"), command.output()).await;
    let run = run.unwrap_or_else(|error| panic!("the conformance suite: {error}"));
    // It exits 1 when a check failed, which the scores say better.
    let scores = read(output.path());
    let said = String::from_utf8_lossy(&run.stdout);
    assert!(!scores.is_empty(), "the suite left no scores ({}): {said}", run.status);
    scores
}

/// How many checks have a status.
pub fn count(scores: &Scores, status: Status) -> usize {
    scores.values().filter(|score| **score == status).count()
}

#[derive(Deserialize)]
struct Check {
    id: String,
    status: Status,
}

/// Reads the suite's output: a folder for each scenario, with a list of checks.
fn read(output: &Path) -> Scores {
    let mut scores = Scores::new();
    let folders = std::fs::read_dir(output).unwrap_or_else(|error| panic!("{}: {error}", output.display()));
    for folder in folders.flatten() {
        let name = folder.file_name().to_string_lossy().into_owned();
        let path = folder.path().join("checks.json");
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            // A scenario that the suite gave up on has no checks: what it has on the other side shows as missing.
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => panic!("{}: {error}", path.display()),
        };
        let checks: Vec<Check> =
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        add(&mut scores, scenario(&name), checks);
    }
    scores
}

fn add(scores: &mut Scores, scenario: &str, checks: Vec<Check>) {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for check in checks {
        let times = seen.entry(check.id.clone()).or_default();
        *times += 1;
        let number = if *times == 1 { String::new() } else { format!("#{times}") };
        scores.insert(format!("{scenario}/{}{number}", check.id), check.status);
    }
}

/// The scenario in a folder's name, `server-SCENARIO-2026-11-21T13-12-27-881Z`.
fn scenario(folder: &str) -> &str {
    const STAMP: usize = "-2026-11-21T13-12-27-881Z".len();
    let name = folder.strip_prefix("server-").unwrap_or(folder);
    name.get(..name.len().saturating_sub(STAMP)).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::{Check, Scores, Status, add, scenario};

    #[test]
    fn a_folder_names_its_scenario() {
        assert_eq!(scenario("server-tools-list-2026-11-21T13-12-27-881Z"), "tools-list");
        assert_eq!(scenario("server-server-stateless-2026-11-21T13-12-27-881Z"), "server-stateless");
    }

    #[test]
    fn a_check_made_twice_counts_twice() {
        let mut scores = Scores::new();
        let check = |status| Check { id: "a".to_owned(), status };
        add(&mut scores, "s", vec![check(Status::Success), check(Status::Failure)]);
        let names: Vec<_> = scores.iter().map(|(name, status)| (name.as_str(), *status)).collect();
        assert_eq!(names, [("s/a", Status::Success), ("s/a#2", Status::Failure)]);
    }
}
