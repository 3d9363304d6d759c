//! The answer to a query, page by page.

use std::str::FromStr;

use ringfence_types::Timestamp;
use rusqlite::types::Type;
use smol_str::SmolStr;

use crate::error::{At, StoreError};
use crate::limits::PAGE_ROWS;
use crate::members::json;
use crate::query::Query;
use crate::reader::{Borrowed, IndexReader};
use crate::row::Row;
use crate::sql;

/// What a query asks for, oldest first; up to where the index was when it was asked. Between pages nothing is held in
/// the database, so a slow reader hinders nobody. After an error it ends.
pub struct Rows {
    reader: IndexReader,
    borrowed: Option<Borrowed>,
    query: Query,
    page: std::vec::IntoIter<Row>,
    next_id: u64,
    end: u64,
    left: u64,
}

// === impl Rows ===

impl Rows {
    pub(crate) fn new(reader: IndexReader, query: Query, (from, to): (u64, u64)) -> Self {
        let after = query.after.map_or(0, |after| after.saturating_add(1));
        Self {
            reader,
            borrowed: None,
            page: Vec::new().into_iter(),
            next_id: from.max(after),
            end: query.before.map_or(to, |before| before.min(to)),
            left: query.limit.unwrap_or(u64::MAX),
            query,
        }
    }

    fn turn(&mut self) -> Result<(), StoreError> {
        let borrowed = match self.borrowed.take() {
            Some(borrowed) => borrowed,
            None => self.reader.borrow()?,
        };
        let wanted = self.left.min(PAGE_ROWS);
        let asked = sql::page(&self.query, clamp(self.next_id), clamp(self.end), clamp(wanted));
        let read = borrowed.with(|connection| {
            let read = || {
                let mut statement = connection.prepare_cached(&asked.sql)?;
                let found = statement.query_map(rusqlite::params_from_iter(asked.parameters), row)?;
                found.collect::<rusqlite::Result<Vec<Row>>>()
            };
            read().at("read entries", self.reader.path())
        })?;
        let found = read.len() as u64;
        self.left -= found.min(self.left);
        match read.last() {
            Some(last) if found == wanted && self.left > 0 => {
                self.next_id = last.id + 1;
                self.borrowed = Some(borrowed);
            }
            _ => self.left = 0,
        }
        self.page = read.into_iter();
        Ok(())
    }
}

impl Iterator for Rows {
    type Item = Result<Row, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(row) = self.page.next() {
            return Some(Ok(row));
        }
        if self.left == 0 || self.next_id >= self.end {
            return None;
        }
        if let Err(error) = self.turn() {
            self.left = 0;
            return Some(Err(error));
        }
        self.page.next().map(Ok)
    }
}

impl std::fmt::Debug for Rows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rows").field("next_id", &self.next_id).field("end", &self.end).finish_non_exhaustive()
    }
}

/// Ids have 63 bits in the database; a larger number asks for nothing more.
fn clamp(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Reads the columns of a row (see `sql`).
pub(crate) fn row(found: &rusqlite::Row<'_>) -> rusqlite::Result<Row> {
    let text = |column| Ok::<_, rusqlite::Error>(found.get_ref(column)?.as_str_or_null()?.map(SmolStr::new));
    Ok(Row {
        id: found.get(0)?,
        at: Timestamp::from_micros(found.get(1)?),
        kind: required(2, text(2)?.as_ref())?,
        workspace: text(3)?,
        agent: text(4)?,
        run: text(5)?,
        server: text(6)?,
        tool: text(7)?,
        decision: word(8, text(8)?.as_ref())?,
        code: text(9)?,
        status: text(10)?,
        rule: text(11)?,
        rules: rules(text(12)?)?,
        approver: text(13)?,
        count: found.get(14)?,
        action: text(15)?,
        approval: text(16)?,
        user: text(17)?,
        conversation: text(18)?,
        model: text(19)?,
        named: text(20)?,
    })
}

fn required<T: FromStr>(column: usize, text: Option<&SmolStr>) -> rusqlite::Result<T> {
    word(column, text)?.ok_or_else(|| unreadable(column))
}

pub(crate) fn word<T: FromStr>(column: usize, text: Option<&SmolStr>) -> rusqlite::Result<Option<T>> {
    text.map(|text| text.parse().map_err(|_| unreadable(column))).transpose()
}

fn rules(text: Option<SmolStr>) -> rusqlite::Result<Vec<SmolStr>> {
    let Some(text) = text else { return Ok(Vec::new()) };
    let read =
        || json(&text)?.as_array()?.iter().map(|name| name.as_str().map(SmolStr::new)).collect::<Option<_>>();
    read().ok_or_else(|| unreadable(12))
}

fn unreadable(column: usize) -> rusqlite::Error {
    rusqlite::Error::InvalidColumnType(column, "a word the program does not know".to_owned(), Type::Text)
}
