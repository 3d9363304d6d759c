//! Single values that several parts of the file have.

use std::fmt::Display;
use std::time::Duration;

use ringfence_document::{Key, Node, Report};
use ringfence_types::{format_duration, parse_duration};
use smol_str::SmolStr;

use crate::limits::DURATION_DAYS_MAX;

/// The longest text of a free word (an environment, a label), in bytes.
const WORD_BYTES_MAX: usize = 128;

/// A duration of at most `seconds_max`.
pub(super) fn duration_within(
    node: &Node,
    what: &str,
    seconds_max: u64,
    report: &mut Report,
) -> Option<Duration> {
    let longest = Duration::from_secs(seconds_max);
    let duration = node.parsed(what, parse_duration, report)?;
    if duration > longest {
        report.error(node.place, format!("{what} can be at most {}", format_duration(longest)));
        return None;
    }
    Some(duration)
}

/// A duration of at most ten years.
pub(super) fn duration(node: &Node, what: &str, report: &mut Report) -> Option<Duration> {
    duration_within(node, what, DURATION_DAYS_MAX * 86_400, report)
}

/// A key that is a name of some kind; `what` as in "the agent".
pub(super) fn key_name<T, E: Display>(
    key: &Key,
    what: &str,
    read: impl FnOnce(&str) -> Result<T, E>,
    report: &mut Report,
) -> Option<T> {
    match read(&key.text) {
        Ok(name) => Some(name),
        Err(error) => {
            report.error(
                key.place,
                format!("{what} cannot be called `{}`: {error}", crate::shown::line(&key.text)),
            );
            None
        }
    }
}

/// A short text without control characters.
pub(super) fn word(node: &Node, what: &str, report: &mut Report) -> Option<SmolStr> {
    let text = node.text(what, report)?;
    if text.len() > WORD_BYTES_MAX || text.chars().any(char::is_control) {
        report.error(node.place, format!("{what} must be one line of at most {WORD_BYTES_MAX} bytes"));
        return None;
    }
    Some(text.clone())
}

/// A list of short texts, or one alone.
pub(super) fn words(node: &Node, what: &str, report: &mut Report) -> Vec<SmolStr> {
    node.one_or_many().iter().filter_map(|element| word(element, what, report)).collect()
}

/// What is written there, or `off`: the outer `None` is an error, the inner one `off`.
#[expect(clippy::option_option, reason = "three answers; a type of its own would say no more")]
pub(super) fn or_off<T>(
    node: &Node,
    report: &mut Report,
    read: impl FnOnce(&Node, &mut Report) -> Option<T>,
) -> Option<Option<T>> {
    // `off` without quotes is a truth value to older YAML; here it is the word.
    if node.as_scalar().is_some_and(|scalar| scalar.text == "off") {
        return Some(None);
    }
    read(node, report).map(Some)
}

/// The members of a mapping.
pub(super) fn mapping<'n>(node: &'n Node, what: &str, report: &mut Report) -> Option<&'n [(Key, Node)]> {
    let members = node.as_mapping();
    if members.is_none() {
        report.error(node.place, format!("{what} must be a mapping, not {}", node.kind()));
    }
    members
}
