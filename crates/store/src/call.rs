//! What entries say of the money of model calls: what an intent set aside, what an outcome booked.

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
    Charged { usd: u64, usage: Usage, basis: &'static str, doubtful: bool },
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
                charged(text).map(Some).ok_or(EntryFault::Member("charge"))
            }
            _ => Ok(None),
        }
    }
}

fn reserved(text: &str) -> Option<Booking> {
    let object = json(text)?.into_object()?;
    Some(Booking::Reserved { usd: number(&object, "usd_nanos")?, tokens: number(&object, "tokens")? })
}

fn charged(text: &str) -> Option<Booking> {
    let object = json(text)?.into_object()?;
    let basis = object.text("basis")?;
    Some(Booking::Charged {
        usd: number(&object, "usd_nanos")?,
        usage: Usage::from_object(object.get("usage")?.as_object()?)?,
        basis: BASES.into_iter().find(|known| *known == basis)?,
        doubtful: object.get("doubtful").is_some_and(|doubtful| *doubtful == Value::Bool(true)),
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
        let charged = Booking::Charged { usd: u64::MAX, usage, basis: "counted", doubtful: true };
        assert_eq!(booking(OUTCOME), Ok(Some(charged)));
        assert_eq!(booking(&OUTCOME.replace("outcome", "incident")), Ok(None));
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
        ] {
            assert_eq!(booking(&OUTCOME.replace(from, to)), Err(EntryFault::Member("charge")), "{from}");
        }
    }
}
