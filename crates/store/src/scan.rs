//! The same questions, answered from the entries alone.

use ringfence_ledger::{Entry, ReadError};

use crate::error::StoreError;
use crate::query::Query;
use crate::row::Row;

/// An entry that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// What would be indexed of it.
    pub row: Row,
    /// Its canonical JSON.
    pub bytes: Vec<u8>,
}

/// Looks through entries, oldest first, for what the query asks; for a log without an index, and for entries as they
/// come. After an error it ends.
pub fn scan<'q>(
    entries: impl Iterator<Item = Result<Entry, ReadError>> + 'q,
    query: &'q Query,
) -> impl Iterator<Item = Result<Found, StoreError>> + 'q {
    let limit = query.limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
    let mut failed = false;
    entries
        .map_while(move |entry| (!failed).then(|| look(entry, query).inspect_err(|_| failed = true)))
        .filter_map(Result::transpose)
        .take(limit)
}

fn look(entry: Result<Entry, ReadError>, query: &Query) -> Result<Option<Found>, StoreError> {
    let entry = entry?;
    let row = Row::read(&entry.bytes).map_err(|fault| StoreError::Entry { id: entry.id, fault })?;
    Ok(query.matches(&row).then_some(Found { row, bytes: entry.bytes }))
}
