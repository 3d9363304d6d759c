//! What may be different through the gateway, and nothing else.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde::Deserialize;

use crate::parts;
use crate::suite::{Scores, Status};

/// A check that passes direct and does not pass through the gateway, for a reason.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Difference {
    /// `scenario/check`, as the scores name it.
    pub name: String,
    /// The revision it was checked for.
    pub revision: String,
    /// The server behind the gateway: `fixture` or `everything`.
    pub server: String,
    /// Why it cannot or should not pass.
    pub reason: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    difference: Vec<Difference>,
}

/// The differences that are known, from `tests/conformance-differences.toml`.
pub fn known() -> Vec<Difference> {
    let path = parts::repository().join("tests/conformance-differences.toml");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let file: File = toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    for difference in &file.difference {
        assert!(!difference.reason.trim().is_empty(), "{} is listed without a reason", difference.name);
    }
    file.difference
}

/// Compares what the suite said direct and through the gateway.
///
/// # Errors
/// A list of the checks that got worse and are not known, and of the known ones that did not get worse.
pub fn compare(
    direct: &Scores,
    through: &Scores,
    server: &str,
    revision: &str,
    known: &[Difference],
) -> Result<(), String> {
    let known: BTreeSet<&str> = known
        .iter()
        .filter(|difference| difference.server == server && difference.revision == revision)
        .map(|difference| difference.name.as_str())
        .collect();
    let worse: BTreeSet<&str> = direct
        .iter()
        .filter(|(name, status)| **status == Status::Success && through.get(*name) != Some(&Status::Success))
        .map(|(name, _)| name.as_str())
        .collect();
    let mut report = String::new();
    for name in worse.difference(&known) {
        let now = through.get(*name).map_or_else(|| "missing".to_owned(), |status| format!("{status:?}"));
        let _ = writeln!(report, "passes direct, and through the gateway it is {now}: {name}");
    }
    for name in known.difference(&worse) {
        let _ = writeln!(report, "listed as a difference, and is none: {name}");
    }
    if report.is_empty() { Ok(()) } else { Err(format!("{server}, {revision}:\n{report}")) }
}

#[cfg(test)]
mod tests {
    use super::{Difference, compare};
    use crate::suite::{Scores, Status};

    fn scores(list: &[(&str, Status)]) -> Scores {
        list.iter().map(|(name, status)| ((*name).to_owned(), *status)).collect()
    }

    fn listed(name: &str) -> Vec<Difference> {
        vec![Difference {
            name: name.to_owned(),
            revision: "r".to_owned(),
            server: "s".to_owned(),
            reason: "because".to_owned(),
        }]
    }

    #[test]
    fn what_fails_direct_may_fail_through() {
        let (direct, through) = (scores(&[("a", Status::Failure)]), scores(&[("a", Status::Failure)]));
        compare(&direct, &through, "s", "r", &[]).unwrap();
    }

    #[test]
    fn every_way_to_get_worse_is_noticed() {
        let direct = scores(&[("a", Status::Success)]);
        for through in [
            scores(&[("a", Status::Failure)]),
            scores(&[("a", Status::Warning)]),
            scores(&[("a", Status::Skipped)]),
            scores(&[]),
        ] {
            assert!(compare(&direct, &through, "s", "r", &[]).unwrap_err().contains("passes direct"));
            compare(&direct, &through, "s", "r", &listed("a")).unwrap();
        }
    }

    #[test]
    fn a_listed_difference_that_is_none_is_noticed() {
        let same = scores(&[("a", Status::Success)]);
        assert!(compare(&same, &same, "s", "r", &listed("a")).unwrap_err().contains("is none"));
    }

    #[test]
    fn a_difference_of_another_server_or_revision_excuses_nothing() {
        let (direct, through) = (scores(&[("a", Status::Success)]), scores(&[("a", Status::Failure)]));
        compare(&direct, &through, "other", "r", &listed("a")).unwrap_err();
        compare(&direct, &through, "s", "other", &listed("a")).unwrap_err();
    }

    #[test]
    fn the_list_in_the_repository_can_be_read() {
        super::known();
    }
}
