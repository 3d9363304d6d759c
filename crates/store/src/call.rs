//! What entries say of the money of model calls: what an intent set aside, what an outcome booked, and what a call came
//! to that was booked before that was known.

use ringfence_json::{Object, Value};
use ringfence_types::{EntryKind, Usage};

use crate::error::EntryFault;
use crate::fields::Fields;
use crate::members::json;

/// How a charge can be known, in the words of the log.
pub(crate) const BASES: [&str; 5] = ["reported", "counted", "reserved", "nothing", "cached"];

/// What an entry says of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Booking {
    /// Cleared: so much was set aside.
    Reserved { usd: u64, tokens: u64 },
    /// Settled: so much was booked.
    Charged(Charged),
    /// Settled before it was known what it came to: this was booked in place of what its outcome said.
    Corrected(Charged),
}

/// What was booked for a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Charged {
    pub(crate) usd: u64,
    pub(crate) usage: Usage,
    pub(crate) basis: &'static str,
    pub(crate) doubtful: bool,
    /// How much more it would have cost otherwise.
    pub(crate) saved: u64,
}

// === impl Booking ===

impl Booking {
    /// What the entry says; `None` when it is of nothing that costs money.
    pub(crate) fn of(fields: &Fields<'_>) -> Result<Option<Self>, EntryFault> {
        match (fields.kind, fields.reserved, fields.charge) {
            (EntryKind::Intent, Some(text), _) => {
                reserved(text).map(Some).ok_or(EntryFault::Member("reserved"))
            }
            (EntryKind::Outcome, _, Some(text)) => {
                charged(text).map(|charged| Some(Self::Charged(charged))).ok_or(EntryFault::Member("charge"))
            }
            (EntryKind::Incident, _, Some(text)) => charged(text)
                .map(|charged| Some(Self::Corrected(charged)))
                .ok_or(EntryFault::Member("charge")),
            _ => Ok(None),
        }
    }
}

fn reserved(text: &str) -> Option<Booking> {
    let object = json(text)?.into_object()?;
    Some(Booking::Reserved { usd: number(&object, "usd_nanos")?, tokens: number(&object, "tokens")? })
}

fn charged(text: &str) -> Option<Charged> {
    let object = json(text)?.into_object()?;
    let basis = object.text("basis")?;
    Some(Charged {
        usd: number(&object, "usd_nanos")?,
        usage: Usage::from_object(object.get("usage")?.as_object()?)?,
        basis: BASES.into_iter().find(|known| *known == basis)?,
        doubtful: object.get("doubtful").is_some_and(|doubtful| *doubtful == Value::Bool(true)),
        saved: if object.contains("saved_nanos") { number(&object, "saved_nanos")? } else { 0 },
    })
}

fn number(object: &Object, name: &str) -> Option<u64> {
    object.get(name)?.as_u64()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTCOME: &str = r#"{"at":"2026-11-21T09:30:00.000000Z","charge":{"basis":"counted","doubtful":true,"usage":{"input":2,"reasoning":3},"usd_nanos":18446744073709551615},"id":7,"kind":"outcome","v":1}"#;

    fn booking(entry: &str) -> Result<Option<Booking>, EntryFault> {
        Booking::of(&Fields::read(entry.as_bytes()).unwrap())
    }

    #[test]
    fn charges_are_read_whatever_their_size() {
        let usage = Usage { input: 2, reasoning: 3, ..Usage::default() };
        let charged = Charged { usd: u64::MAX, usage, basis: "counted", doubtful: true, saved: 0 };
        assert_eq!(booking(OUTCOME), Ok(Some(Booking::Charged(charged.clone()))));
        let corrected = booking(&OUTCOME.replace("outcome", "incident"));
        assert_eq!(corrected, Ok(Some(Booking::Corrected(charged.clone()))));
        assert_eq!(booking(&OUTCOME.replace("outcome", "refusal")), Ok(None));
        let saved = OUTCOME.replace("\"usage\"", "\"saved_nanos\":7,\"usage\"");
        assert_eq!(booking(&saved), Ok(Some(Booking::Charged(Charged { saved: 7, ..charged }))));
        let intent =
            r#"{"at":"2026-11-21T09:30:00Z","id":7,"kind":"intent","reserved":{"tokens":5,"usd_nanos":6}}"#;
        assert_eq!(booking(intent), Ok(Some(Booking::Reserved { usd: 6, tokens: 5 })));
    }

    #[test]
    fn a_charge_that_is_none_is_named() {
        for (from, to) in [
            ("counted", "guessed"),
            ("\"input\":2", "\"input\":-2"),
            ("18446744073709551615", "18446744073709551616"),
            ("usd_nanos", "usd"),
            ("\"usage\"", "\"saved_nanos\":-1,\"usage\""),
        ] {
            assert_eq!(booking(&OUTCOME.replace(from, to)), Err(EntryFault::Member("charge")), "{from}");
        }
    }
}
