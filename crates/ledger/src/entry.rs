//! An entry before it has its place: canonical JSON, encoded but for the id.
//!
//! The id is known only under the queue's lock, so everything else is written before: the text without the digits of
//! `id`, and where they go. `at` has a fixed width and can be raised in place.

use ringfence_json::{Object, Value, canonical_order};
use ringfence_types::{EntryKind, NodeName, Timestamp};

use crate::error::AppendError;
use crate::limits::{ENTRY_BYTES_MAX, ENTRY_DEPTH_MAX, ENTRY_PAYLOADS_MAX};
use crate::payload::SealedPayload;

/// The version of entries; their `v`.
pub const ENTRY_VERSION: u64 = 1;

/// The length of `at` as text: RFC 3339 in UTC with six digits of fraction.
pub(crate) const AT_BYTES: usize = 27;

/// The members that only the log sets.
pub(crate) const ENVELOPE: [&str; 6] = ["at", "id", "kind", "node", "payloads", "v"];

/// What is to be recorded.
#[derive(Debug)]
pub struct Draft {
    /// What it records.
    pub kind: EntryKind,
    /// When, in log time. A moment before the last entry's is raised to that one; the ticket says what was written.
    pub at: Timestamp,
    /// The members beside `v`, `id`, `at`, `node`, `kind` and `payloads`, which the log sets.
    pub body: Object,
    /// What is stored beside the entry; it is named in `payloads`, in this order.
    pub payloads: Vec<SealedPayload>,
}

/// A draft as canonical JSON (RFC 8785) without the digits of its id.
pub(crate) struct Encoded {
    text: Vec<u8>,
    at_offset: usize,
    id_offset: usize,
}

// === impl Encoded ===

impl Encoded {
    pub(crate) fn new(node: &NodeName, draft: &Draft) -> Result<Self, AppendError> {
        for name in ENVELOPE {
            if draft.body.contains(name) {
                return Err(AppendError::MemberTaken(name));
            }
        }
        if draft.payloads.len() > ENTRY_PAYLOADS_MAX {
            return Err(AppendError::Malformed("too many payloads"));
        }
        if draft.body.iter().any(|(_, value)| depth_exceeds(value, ENTRY_DEPTH_MAX - 1)) {
            return Err(AppendError::Malformed("nested too deep"));
        }
        let encoded = Self::write(node, draft);
        if encoded.text.len() >= ENTRY_BYTES_MAX {
            return Err(AppendError::TooLarge { bytes: encoded.text.len() });
        }
        Ok(encoded)
    }

    fn write(node: &NodeName, draft: &Draft) -> Self {
        let envelope = [
            ("at", Value::from(draft.at)),
            ("id", Value::Null),
            ("kind", Value::from(draft.kind.as_str())),
            ("node", Value::from(node)),
            ("payloads", payload_names(&draft.payloads)),
            ("v", Value::from(ENTRY_VERSION)),
        ];
        let mut members: Vec<(&str, &Value)> = envelope
            .iter()
            .filter(|(name, _)| *name != "payloads" || !draft.payloads.is_empty())
            .map(|(name, value)| (*name, value))
            .chain(draft.body.iter().map(|(name, value)| (name.as_str(), value)))
            .collect();
        members.sort_unstable_by(|(left, _), (right, _)| canonical_order(left, right));
        let mut encoded = Self { text: Vec::with_capacity(512), at_offset: 0, id_offset: 0 };
        encoded.text.push(b'{');
        for (index, (name, value)) in members.into_iter().enumerate() {
            encoded.member(index, name, value);
        }
        encoded.text.push(b'}');
        encoded
    }

    fn member(&mut self, index: usize, name: &str, value: &Value) {
        if index > 0 {
            self.text.push(b',');
        }
        Value::from(name).write_canonical(&mut self.text);
        self.text.push(b':');
        match name {
            "id" => self.id_offset = self.text.len(),
            "at" => {
                // Past the opening quote.
                self.at_offset = self.text.len() + 1;
                value.write_canonical(&mut self.text);
            }
            _ => value.write_canonical(&mut self.text),
        }
    }

    /// The length of the entry once it has `id`, in bytes.
    pub(crate) fn length(&self, id: &Digits) -> usize {
        self.text.len() + id.as_bytes().len()
    }

    /// Appends the entry. INVARIANT: `at` sorts before `id`, so its offset is the same with and without the digits.
    pub(crate) fn append_to(&self, out: &mut Vec<u8>, id: &Digits, raised_at: Option<Timestamp>) {
        let start = out.len();
        out.extend_from_slice(&self.text[..self.id_offset]);
        out.extend_from_slice(id.as_bytes());
        out.extend_from_slice(&self.text[self.id_offset..]);
        if let Some(at) = raised_at {
            let from = start + self.at_offset;
            out[from..from + AT_BYTES].copy_from_slice(at.to_string().as_bytes());
        }
    }
}

fn payload_names(payloads: &[SealedPayload]) -> Value {
    let name = |payload: &SealedPayload| {
        Object::new()
            .with("class", payload.class().as_str())
            .with("name", payload.name().to_string())
            .with("size", u64::from(payload.size()))
    };
    payloads.iter().map(name).collect::<Vec<_>>().into()
}

fn depth_exceeds(value: &Value, left: usize) -> bool {
    match value {
        Value::Array(elements) => left == 0 || elements.iter().any(|inner| depth_exceeds(inner, left - 1)),
        Value::Object(object) => left == 0 || object.iter().any(|(_, inner)| depth_exceeds(inner, left - 1)),
        _ => false,
    }
}

/// A number as decimal digits, without allocating.
pub(crate) struct Digits {
    digits: [u8; 20],
    from: usize,
}

// === impl Digits ===

impl Digits {
    pub(crate) fn of(mut number: u64) -> Self {
        let mut digits = [b'0'; 20];
        let mut from = digits.len();
        loop {
            from -= 1;
            digits[from] += u8::try_from(number % 10).unwrap_or_default();
            number /= 10;
            if number == 0 {
                return Self { digits, from };
            }
        }
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.digits[self.from..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft(body: Object) -> Draft {
        Draft { kind: EntryKind::Intent, at: Timestamp::from_micros(1_000_000), body, payloads: Vec::new() }
    }

    fn text(draft: &Draft, id: u64, raised: Option<Timestamp>) -> String {
        let encoded = Encoded::new(&NodeName::new("n1").unwrap(), draft).unwrap();
        let mut out = Vec::new();
        encoded.append_to(&mut out, &Digits::of(id), raised);
        assert_eq!(out.len(), encoded.length(&Digits::of(id)));
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn an_entry_is_canonical_with_its_envelope_in_place() {
        let draft = draft(Object::new().with("workspace", "w").with("action", "a").with("zz", 1_u64));
        let written = text(&draft, 4_711, None);
        assert_eq!(
            written,
            "{\"action\":\"a\",\"at\":\"1970-01-01T00:00:01.000000Z\",\"id\":4711,\"kind\":\"intent\",\
             \"node\":\"n1\",\"v\":1,\"workspace\":\"w\",\"zz\":1}"
        );
        let raised = text(&draft, u64::MAX, Some(Timestamp::from_micros(2_000_001)));
        assert!(raised.contains("\"at\":\"1970-01-01T00:00:02.000001Z\",\"id\":18446744073709551615,"));
    }

    #[test]
    fn a_body_cannot_set_what_the_log_sets() {
        let node = NodeName::new("n1").unwrap();
        for name in ENVELOPE {
            let refused = Encoded::new(&node, &draft(Object::new().with(name, "x"))).err();
            assert_eq!(refused, Some(AppendError::MemberTaken(name)));
        }
    }

    #[test]
    fn entries_beyond_the_bounds_are_refused() {
        let node = NodeName::new("n1").unwrap();
        let long = draft(Object::new().with("x", "y".repeat(ENTRY_BYTES_MAX)));
        assert!(matches!(Encoded::new(&node, &long), Err(AppendError::TooLarge { .. })));
        let deep = (0..ENTRY_DEPTH_MAX).fold(Value::Null, |inner, _| Value::Array(vec![inner]));
        let deep = draft(Object::new().with("x", deep));
        assert!(matches!(Encoded::new(&node, &deep), Err(AppendError::Malformed(_))));
    }
}
