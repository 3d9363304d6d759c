//! How much there is of what.

use ringfence_types::{Decision, EntryKind};
use rusqlite::Connection;
use smol_str::SmolStr;

use crate::rows::word;
use crate::sql;

/// How many entries of one kind had one decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Count {
    /// What they record.
    pub kind: EntryKind,
    /// What policy said; `None` for those where it says nothing.
    pub decision: Option<Decision>,
    /// How many there are.
    pub entries: u64,
    /// How many they stand for: repeated refusals are one entry with a count.
    pub alike: u64,
}

/// By kind and decision, in their order; the range is of ids.
pub(crate) fn read(connection: &Connection, (from, to): (u64, u64)) -> rusqlite::Result<Vec<Count>> {
    let mut statement = connection.prepare_cached(sql::COUNTS)?;
    let found = statement.query_map([from, to], |row| {
        let text =
            |column| Ok::<_, rusqlite::Error>(row.get_ref(column)?.as_str_or_null()?.map(SmolStr::new));
        let kind = word(0, text(0)?.as_ref())?.ok_or(rusqlite::Error::QueryReturnedNoRows)?;
        Ok(Count { kind, decision: word(1, text(1)?.as_ref())?, entries: row.get(2)?, alike: row.get(3)? })
    })?;
    let mut counts: Vec<Count> = found.collect::<rusqlite::Result<_>>()?;
    counts.sort_unstable_by_key(|count| (count.kind, count.decision));
    Ok(counts)
}
