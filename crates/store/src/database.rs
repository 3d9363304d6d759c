//! The database file: opened, made, put aside.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use crate::error::{At, StoreError};
use crate::limits::{BUSY_MS, JOURNAL_BYTES_MAX, READER_CACHE_KIB, WRITER_CACHE_KIB};
use crate::{spend_sql, sql};

/// Opens the database to write it; makes it when there is none.
///
/// # Errors
/// [`StoreError::Version`] for another format, [`StoreError::Corrupt`] for a file that is no such database.
pub(crate) fn open_to_write(path: &Path) -> Result<Connection, StoreError> {
    // Names of users and tools stand in it; the journal beside it gets the same mode.
    OpenOptions::new().append(true).create(true).mode(0o600).open(path).at("open", path)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags).at("open the database", path)?;
    prepare(&connection, WRITER_CACHE_KIB).at("set up the database", path)?;
    set_up_journal(&connection).at("set up the journal", path)?;
    match version(&connection).at("read the format", path)? {
        sql::VERSION => check_tables(&connection).at("look at the tables", path)?,
        0 if is_empty(&connection).at("read the tables", path)? => {
            make_tables(&mut connection).at("make the tables", path)?;
        }
        found => return Err(StoreError::Version { path: path.to_owned(), found }),
    }
    Ok(connection)
}

/// Opens the database to read it only.
///
/// # Errors
/// As [`open_to_write`]; [`StoreError::Missing`] when there is none.
pub(crate) fn open_to_read(path: &Path) -> Result<Connection, StoreError> {
    if !path.exists() {
        return Err(StoreError::Missing { path: path.to_owned() });
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).at("open the database", path)?;
    prepare(&connection, READER_CACHE_KIB).at("set up the database", path)?;
    match version(&connection).at("read the format", path)? {
        sql::VERSION => Ok(connection),
        // A node is just making it.
        0 => Err(StoreError::Missing { path: path.to_owned() }),
        found => Err(StoreError::Version { path: path.to_owned(), found }),
    }
}

fn prepare(connection: &Connection, cache_kib: u32) -> rusqlite::Result<()> {
    connection.busy_timeout(Duration::from_millis(BUSY_MS))?;
    connection.pragma_update(None, "cache_size", -i64::from(cache_kib))?;
    connection.pragma_update(None, "temp_store", "MEMORY")
}

/// Readers go on while the writer writes. Losing the last transactions costs only reading them again, so nothing is
/// synced but where the file would otherwise be torn.
fn set_up_journal(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.pragma_update(None, "journal_size_limit", JOURNAL_BYTES_MAX)
}

fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

fn is_empty(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row("SELECT COUNT(*) = 0 FROM sqlite_schema", [], |row| row.get(0))
}

/// A statement can be prepared only if its tables are there.
fn check_tables(connection: &Connection) -> rusqlite::Result<()> {
    let mut statements = [
        sql::INSERT_ENTRY,
        sql::FIND_WORD,
        sql::FIND_RULE_SET,
        sql::INSERT_RULE_MEMBER,
        spend_sql::SETTLE_CALL,
        spend_sql::CORRECT_CALL,
    ]
    .iter();
    statements.try_for_each(|statement| connection.prepare(statement).map(drop))
}

fn make_tables(connection: &mut Connection) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    transaction.execute_batch(sql::SCHEMA)?;
    transaction.execute_batch(spend_sql::CALLS)?;
    transaction.pragma_update(None, "user_version", sql::VERSION)?;
    transaction.commit()
}

/// Keeps a damaged database for whoever wants to know why, in place of the one kept before. Returns where.
pub(crate) fn put_aside(path: &Path) -> Result<PathBuf, StoreError> {
    let aside = beside(path, ".damaged");
    if path.exists() {
        fs::rename(path, &aside).at("put aside", path)?;
    }
    remove(path)?;
    Ok(aside)
}

/// Removes the database and its journal.
pub(crate) fn remove(path: &Path) -> Result<(), StoreError> {
    for file in [path.to_owned(), beside(path, "-wal"), beside(path, "-shm")] {
        match fs::remove_file(&file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error).at("remove", &file),
            _ => {}
        }
    }
    Ok(())
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
