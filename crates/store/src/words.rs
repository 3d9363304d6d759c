//! The numbers of words and of rule sets, as the writer needs them.

use std::collections::HashMap;
use std::path::Path;

use ringfence_json::Value;
use rusqlite::{Connection, OptionalExtension};

use crate::error::{EntryFault, StoreError};
use crate::fields::{Rules, Text};
use crate::limits::{WORD_CACHED_BYTES_MAX, WORDS_CACHED_MAX};
use crate::sql;

/// What has been looked up. Forgotten whenever a transaction fails: its words were not written.
#[derive(Debug, Default)]
pub(crate) struct Words {
    numbers: HashMap<Box<str>, i64>,
    rule_sets: HashMap<Box<str>, i64>,
    key: String,
}

/// An entry cannot be written.
pub(crate) enum WriteError {
    Database(rusqlite::Error),
    Fault(EntryFault),
}

// === impl Words ===

impl Words {
    pub(crate) fn forget(&mut self) {
        *self = Self::default();
    }

    pub(crate) fn word(&mut self, connection: &Connection, text: &str) -> rusqlite::Result<i64> {
        if let Some(id) = self.numbers.get(text) {
            return Ok(*id);
        }
        let id = find_or_insert(connection, [sql::FIND_WORD, sql::INSERT_WORD], text)?.0;
        remember(&mut self.numbers, text, id);
        Ok(id)
    }

    pub(crate) fn optional(
        &mut self,
        connection: &Connection,
        text: &Text<'_>,
    ) -> rusqlite::Result<Option<i64>> {
        text.as_deref().map(|text| self.word(connection, text)).transpose()
    }

    /// The number of the set of rules that an entry names; `None` when it names none.
    pub(crate) fn rule_set(
        &mut self,
        connection: &Connection,
        rules: &Rules<'_>,
    ) -> Result<Option<i64>, WriteError> {
        let mut key = std::mem::take(&mut self.key);
        rules.key(&mut key);
        let known = self.rule_sets.get(key.as_str()).copied();
        let found = match known {
            _ if key.is_empty() => Ok(None),
            Some(id) => Ok(Some(id)),
            None => self.new_rule_set(connection, rules, &key),
        };
        self.key = key;
        found
    }

    fn new_rule_set(
        &mut self,
        connection: &Connection,
        rules: &Rules<'_>,
        key: &str,
    ) -> Result<Option<i64>, WriteError> {
        let names = rules.names().map_err(WriteError::Fault)?;
        if names.is_empty() {
            return Ok(None);
        }
        let text = Value::from(names.clone()).to_canonical();
        let text = String::from_utf8_lossy(&text);
        let (id, is_new) = find_or_insert(connection, [sql::FIND_RULE_SET, sql::INSERT_RULE_SET], &text)?;
        if is_new {
            for name in &names {
                let word = self.word(connection, name)?;
                connection.prepare_cached(sql::INSERT_RULE_MEMBER)?.execute([word, id])?;
            }
        }
        remember(&mut self.rule_sets, key, id);
        Ok(Some(id))
    }
}

fn remember(known: &mut HashMap<Box<str>, i64>, text: &str, id: i64) {
    if text.len() > WORD_CACHED_BYTES_MAX {
        return;
    }
    if known.len() >= WORDS_CACHED_MAX {
        known.clear();
    }
    known.insert(text.into(), id);
}

fn find_or_insert(
    connection: &Connection,
    [find, insert]: [&'static str; 2],
    text: &str,
) -> rusqlite::Result<(i64, bool)> {
    let found = connection.prepare_cached(find)?.query_row([text], |row| row.get(0)).optional()?;
    match found {
        Some(id) => Ok((id, false)),
        None => Ok((connection.prepare_cached(insert)?.insert([text])?, true)),
    }
}

// === impl WriteError ===

impl WriteError {
    pub(crate) fn at(self, id: u64, path: &Path) -> StoreError {
        match self {
            Self::Fault(fault) => StoreError::Entry { id, fault },
            Self::Database(error) => StoreError::database("write an entry", path, error),
        }
    }
}

impl From<rusqlite::Error> for WriteError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(error)
    }
}
