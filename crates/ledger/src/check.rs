//! Checking one entry: strict, canonical, and without building a value.
//!
//! An entry must be RFC 8785 JSON (numbers as written), so there is exactly one text for what it says. Whoever checks
//! a million entries a few seconds long cannot afford to allocate for each; this looks once at every byte.

use ringfence_types::EntryKind;

use crate::entry::AT_BYTES;
use crate::limits::{ENTRY_BYTES_MAX, ENTRY_DEPTH_MAX};
use crate::scanner::Scanner;

/// What an entry says about itself, borrowed from its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EntryView<'a> {
    /// Its index in the log.
    pub id: u64,
    /// When: RFC 3339 in UTC with six digits of fraction, so that texts sort as moments do.
    pub at: &'a str,
    /// The node that wrote it.
    pub node: &'a str,
    /// What it records.
    pub kind: EntryKind,
    /// The action it belongs to, as written between the quotes.
    pub action: Option<&'a str>,
    /// The text of `payloads`, an array.
    pub payloads: Option<&'a str>,
}

/// The bytes are not an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{what} (byte {offset} of the entry)")]
pub struct EntryError {
    /// Where, in bytes from its start.
    pub offset: usize,
    /// What is wrong.
    pub what: &'static str,
}

/// A payload as an entry names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PayloadRef<'a> {
    /// The class it is kept in.
    pub class: &'a str,
    /// Its name: 64 hexadecimal digits.
    pub name: &'a str,
}

/// Checks the bytes of one entry. Never panics, whatever the bytes are.
///
/// # Errors
/// When they are not canonical JSON, or lack a member that every entry has.
pub fn check_entry(bytes: &[u8]) -> Result<EntryView<'_>, EntryError> {
    if bytes.len() > ENTRY_BYTES_MAX {
        return Err(EntryError { offset: ENTRY_BYTES_MAX, what: "longer than an entry can be" });
    }
    let text = std::str::from_utf8(bytes)
        .map_err(|error| EntryError { offset: error.valid_up_to(), what: "not UTF-8" })?;
    let mut found = Found::default();
    let mut scanner = Scanner::new(text);
    scanner.object(ENTRY_DEPTH_MAX, |name, value| found.member(name, value))?;
    scanner.end()?;
    found.view().map_err(|what| EntryError { offset: 0, what })
}

#[derive(Default)]
struct Found<'a> {
    version: Option<&'a str>,
    id: Option<&'a str>,
    at: Option<&'a str>,
    node: Option<&'a str>,
    kind: Option<&'a str>,
    action: Option<&'a str>,
    payloads: Option<&'a str>,
}

// === impl Found ===

impl<'a> Found<'a> {
    fn member(&mut self, name: &str, value: &'a str) {
        let place = match name {
            "v" => &mut self.version,
            "id" => &mut self.id,
            "at" => &mut self.at,
            "node" => &mut self.node,
            "kind" => &mut self.kind,
            "action" => &mut self.action,
            "payloads" => &mut self.payloads,
            _ => return,
        };
        *place = Some(value);
    }

    fn view(self) -> Result<EntryView<'a>, &'static str> {
        if self.version != Some("1") {
            return Err("`v` is missing or not a version this program reads");
        }
        let id = self.id.filter(|text| is_plain_integer(text)).and_then(|text| text.parse().ok());
        let kind = self.kind.and_then(unquoted).and_then(|word| word.parse().ok());
        Ok(EntryView {
            id: id.ok_or("`id` is missing or not an integer")?,
            at: self
                .at
                .and_then(unquoted)
                .filter(|at| is_moment(at))
                .ok_or("`at` is missing or not a moment")?,
            node: self.node.and_then(unquoted).ok_or("`node` is missing or not a name")?,
            kind: kind.ok_or("`kind` is missing or not a kind of entry")?,
            action: self.action.and_then(unquoted),
            payloads: self.payloads,
        })
    }
}

fn unquoted(value: &str) -> Option<&str> {
    value.strip_prefix('"')?.strip_suffix('"')
}

fn is_plain_integer(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

/// `2026-11-21T09:30:00.000000Z`: the one way this log writes moments.
fn is_moment(text: &str) -> bool {
    const SHAPE: &[u8; AT_BYTES] = b"0000-00-00T00:00:00.000000Z";
    let fits = |(byte, shape): (u8, &u8)| if *shape == b'0' { byte.is_ascii_digit() } else { byte == *shape };
    let within = |range: std::ops::Range<usize>, low: &str, high: &str| {
        text.get(range).is_some_and(|part| (low..=high).contains(&part))
    };
    text.len() == AT_BYTES
        && text.bytes().zip(SHAPE).all(fits)
        && within(5..7, "01", "12")
        && within(8..10, "01", "31")
        && within(11..13, "00", "23")
        && within(14..16, "00", "59")
        && within(17..19, "00", "59")
}

/// The payloads that the text of `payloads` names.
///
/// # Errors
/// When it is not an array of `{class, name, size}`.
pub fn payload_refs(payloads: &str) -> Result<Vec<PayloadRef<'_>>, EntryError> {
    const WRONG: &str = "`payloads` is not an array of {class, name, size}";
    let mut refs = Vec::new();
    let mut scanner = Scanner::new(payloads);
    let mut sound = true;
    scanner.array(ENTRY_DEPTH_MAX, |element| {
        let read = payload_ref(element);
        sound &= read.is_some();
        refs.extend(read);
    })?;
    scanner.end()?;
    if sound { Ok(refs) } else { Err(EntryError { offset: 0, what: WRONG }) }
}

fn payload_ref(element: &str) -> Option<PayloadRef<'_>> {
    let (mut class, mut name) = (None, None);
    let mut scanner = Scanner::new(element);
    let members = scanner.object(1, |member, value| match member {
        "class" => class = unquoted(value),
        "name" => name = unquoted(value),
        _ => {}
    });
    members.ok()?;
    let is_digest = |name: &&str| name.parse::<ringfence_types::Digest>().is_ok();
    Some(PayloadRef { class: class?, name: name.filter(is_digest)? })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use ringfence_json::{Limits, parse};

    use super::*;

    const GOOD: &str = "{\"action\":\"act_1\",\"at\":\"2026-11-21T09:30:00.000000Z\",\"facts\":{\"a\":[1,-2.50,1e9],\"b\":\"\\\"\\n\\u001f\u{e9}\"},\
        \"id\":7,\"kind\":\"intent\",\"node\":\"n1\",\"v\":1}";

    #[test]
    fn a_good_entry_is_read() {
        let view = check_entry(GOOD.as_bytes()).unwrap();
        assert_eq!((view.id, view.node, view.kind), (7, "n1", EntryKind::Intent));
        assert_eq!((view.action, view.at), (Some("act_1"), "2026-11-21T09:30:00.000000Z"));
    }

    #[test]
    fn what_is_not_canonical_or_not_an_entry_is_refused() {
        let cases = [
            ("\"v\":1", "\"v\":2"),
            ("\"v\":1", "\"v\":1,\"v\":1"),
            ("\"v\":1", "\"a\":1"),
            ("\"v\":1", "\"v\": 1"),
            ("\"id\":7", "\"id\":07"),
            ("\"id\":7", "\"id\":-7"),
            ("\"id\":7", "\"id\":7e0"),
            ("\"id\":7", "\"id\":\"7\""),
            ("\"id\":7", "\"ie\":7"),
            ("intent", "intend"),
            ("2026-11", "2026-13"),
            (".000000Z", ".000Z"),
            ("\\n", "\\u000a"),
            ("\\n", "\n"),
            ("\\u001f", "\\u001F"),
            ("\u{e9}", "\\u00e9"),
            ("[1,", "[01,"),
            ("[1,", "[1,,"),
            ("[1,", "[nul,"),
            ("{\"a\":[", "{\"c\":["),
            ("}", "} "),
        ];
        for (from, to) in cases {
            let bad = GOOD.replacen(from, to, 1);
            assert_ne!(bad, GOOD, "{from:?} is not in the entry");
            assert!(check_entry(bad.as_bytes()).is_err(), "{from:?} -> {to:?}");
        }
        assert!(check_entry(&[GOOD.as_bytes(), b"\xff"].concat()).is_err());
        assert!(check_entry(b"").is_err());
        assert!(check_entry("[".repeat(100_000).as_bytes()).is_err());
    }

    #[test]
    fn payload_names_are_read_strictly() {
        let name = "ab".repeat(32);
        let text = format!("[{{\"class\":\"180d\",\"name\":\"{name}\",\"size\":3}}]");
        assert_eq!(payload_refs(&text).unwrap(), [PayloadRef { class: "180d", name: &name }]);
        assert!(payload_refs(&text.replace("ab", "AB")).is_err());
        assert!(payload_refs("[{\"class\":\"180d\"}]").is_err());
        assert!(payload_refs("{}").is_err());
    }

    proptest! {
        #[test]
        fn it_takes_exactly_the_canonical_texts(text in r#"[\[\]{}",:0-2a-c.eE+\- \\untrfalse\u{e9}]{0,20}"#) {
            let document = format!("{{\"x\":{text}}}");
            let mut scanner = Scanner::new(&document);
            let ours = scanner.object(ENTRY_DEPTH_MAX, |_, _| {}).and_then(|()| scanner.end()).is_ok();
            let canonical = parse(document.as_bytes(), &Limits::default())
                .is_ok_and(|value| value.to_canonical() == document.as_bytes());
            prop_assert_eq!(ours, canonical, "{:?}", document);
        }

        #[test]
        fn it_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = check_entry(&bytes);
            let _ = std::str::from_utf8(&bytes).map(payload_refs);
        }

        #[test]
        fn it_never_panics_near_a_good_entry(at in any::<prop::sample::Index>(), byte: u8) {
            let mut bytes = GOOD.as_bytes().to_vec();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            let _ = check_entry(&bytes);
        }
    }
}
