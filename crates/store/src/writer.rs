//! Entries into the index.

use std::path::{Path, PathBuf};

use ringfence_ledger::{Checkpoint, Ledger, Reader, VerifierKey};
use rusqlite::{Connection, Statement, TransactionBehavior, params};

use crate::call::{Booking, Charged};
use crate::database;
use crate::error::{At, EntryFault, StoreError};
use crate::fields::Fields;
use crate::index::{Progress, Rebuilt};
use crate::limits::BATCH_ENTRIES_MAX;
use crate::mark::{Mark, leaf_hash};
use crate::words::{Words, WriteError};
use crate::{spend_sql, sql};

pub(crate) struct Writer {
    path: PathBuf,
    connection: Connection,
    words: Words,
    source: Option<Source>,
    /// Why the file was made anew, until somebody has been told.
    rebuilt: Option<Rebuilt>,
}

/// The log that is followed, known to be the one that was indexed.
struct Source {
    key: VerifierKey,
    reader: Reader,
}

// === impl Writer ===

impl Writer {
    /// Opens the database, making it anew where it cannot be used.
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        let (connection, rebuilt) = match database::open_to_write(path) {
            Ok(connection) => (connection, None),
            Err(StoreError::Version { found, .. }) => {
                database::remove(path)?;
                (database::open_to_write(path)?, Some(Rebuilt::Version { found }))
            }
            Err(error) if error.is_corrupt() => make_anew(path)?,
            Err(error) => return Err(error),
        };
        Ok(Self { path: path.to_owned(), connection, words: Words::default(), source: None, rebuilt })
    }

    /// Indexes at most one batch; what is wrong with the file is mended first.
    pub(crate) fn step(&mut self, ledger: &Ledger) -> Result<Progress, StoreError> {
        let stepped = match self.attempt(ledger) {
            Err(error) if error.is_corrupt() => {
                tracing::warn!(%error, "the index is damaged");
                self.make_anew()?;
                self.attempt(ledger)
            }
            stepped => stepped,
        };
        let mut progress = stepped.inspect_err(|_| self.forget())?;
        progress.rebuilt = self.rebuilt.take();
        Ok(progress)
    }

    /// Puts a damaged file aside and begins a new one.
    pub(crate) fn make_anew(&mut self) -> Result<(), StoreError> {
        self.forget();
        (self.connection, self.rebuilt) = make_anew(&self.path)?;
        Ok(())
    }

    fn forget(&mut self) {
        self.words.forget();
        self.source = None;
    }

    fn attempt(&mut self, ledger: &Ledger) -> Result<Progress, StoreError> {
        // Taken before anything is read: later it could speak of entries that are not durable for this step.
        let checkpoint = Checkpoint::parse(&ledger.checkpoint()).ok();
        let durable = ledger.durable();
        self.follow(ledger)?;
        let Some(source) = &mut self.source else { return Ok(Progress::default()) };
        if source.reader.next_id() >= durable {
            return Ok(Progress { size: source.reader.next_id(), ..Progress::default() });
        }
        let behavior = TransactionBehavior::Immediate;
        let transaction =
            self.connection.transaction_with_behavior(behavior).at("begin to write", &self.path)?;
        let mut mark = Mark::read(&transaction).at("read how far it is", &self.path)?;
        if mark.size != source.reader.next_id() {
            // Somebody else has written: go on behind them, in the next step.
            self.source = None;
            return Ok(Progress { behind: true, size: mark.size, ..Progress::default() });
        }
        let to = durable.min(mark.size + BATCH_ENTRIES_MAX);
        let indexed = to - mark.size;
        mark.last_hash = write_to(&transaction, &mut self.words, &mut source.reader, to, &self.path)?;
        mark.key = source.key.to_string();
        mark.size = to;
        mark.advance(checkpoint.as_ref());
        mark.write(&transaction).at("write how far it is", &self.path)?;
        transaction.commit().at("commit", &self.path)?;
        Ok(Progress { indexed, size: to, behind: to < durable, rebuilt: None })
    }

    /// Stands where the index ends, in the log that was indexed; begins anew when this is another one.
    fn follow(&mut self, ledger: &Ledger) -> Result<(), StoreError> {
        if self.source.as_ref().is_some_and(|source| source.key == *ledger.verifier_key()) {
            return Ok(());
        }
        let mut mark = Mark::read(&self.connection).at("read how far it is", &self.path)?;
        if !mark.fits(ledger)? {
            tracing::warn!(size = mark.size, "the index is of another log; it is built again");
            self.words.forget();
            database::remove(&self.path)?;
            self.connection = database::open_to_write(&self.path)?;
            self.rebuilt = Some(Rebuilt::OtherLog);
            mark = Mark::default();
        }
        let reader = ledger.read(mark.size)?;
        self.source = Some(Source { key: ledger.verifier_key().clone(), reader });
        Ok(())
    }
}

fn make_anew(path: &Path) -> Result<(Connection, Option<Rebuilt>), StoreError> {
    let aside = database::put_aside(path)?;
    tracing::warn!(aside = %aside.display(), "a damaged index was put aside; it is built again");
    Ok((database::open_to_write(path)?, Some(Rebuilt::Damaged { aside })))
}

/// Writes the entries from where the reader stands up to `to`, of which there is at least one. Returns the last one's
/// hash.
fn write_to(
    connection: &Connection,
    words: &mut Words,
    reader: &mut Reader,
    to: u64,
    path: &Path,
) -> Result<Vec<u8>, StoreError> {
    let mut insert = connection.prepare_cached(sql::INSERT_ENTRY).at("prepare to write", path)?;
    loop {
        let next = reader.next_id();
        let Some((id, entry)) = reader.read_next()? else { return Err(StoreError::Gone { id: next }) };
        write_one(connection, words, &mut insert, id, entry).map_err(|error| error.at(id, path))?;
        if id + 1 >= to {
            return Ok(leaf_hash(entry).as_bytes().to_vec());
        }
    }
}

fn write_one(
    connection: &Connection,
    words: &mut Words,
    insert: &mut Statement<'_>,
    id: u64,
    entry: &[u8],
) -> Result<(), WriteError> {
    let fields = Fields::read(entry).map_err(WriteError::Fault)?;
    if fields.id != id {
        return Err(WriteError::Fault(EntryFault::Place(fields.id)));
    }
    let mut optional = |text| words.optional(connection, text);
    let (workspace, agent, run) =
        (optional(&fields.workspace)?, optional(&fields.agent)?, optional(&fields.run)?);
    let (server, tool, code) = (optional(&fields.server)?, optional(&fields.tool)?, optional(&fields.code)?);
    let (user, conversation, model) =
        (optional(&fields.user)?, optional(&fields.conversation)?, optional(&fields.model)?);
    let (named, operation) = (optional(&fields.named)?, optional(&fields.operation)?);
    let (status, rule, approver) =
        (optional(&fields.status)?, optional(&fields.rule)?, optional(&fields.approver)?);
    let kind = words.word(connection, fields.kind.as_str())?;
    let decision = fields.decision.map(|decision| words.word(connection, decision.as_str())).transpose()?;
    let rule_set = words.rule_set(connection, &fields.rules)?;
    let (action, approval) = (fields.action.as_deref(), fields.approval.as_deref());
    insert.execute(params![
        id,
        fields.at.as_micros(),
        kind,
        workspace,
        agent,
        run,
        server,
        tool,
        decision,
        code,
        status,
        rule,
        rule_set,
        approver,
        fields.count,
        action,
        approval,
        user,
        conversation,
        model,
        named,
    ])?;
    let whose = [workspace, agent, user, conversation, run, model, operation];
    write_booking(connection, &fields, whose)
}

/// What the entry says of a model call's money.
fn write_booking(
    connection: &Connection,
    fields: &Fields<'_>,
    [workspace, agent, user, conversation, run, model, operation]: [Option<i64>; 7],
) -> Result<(), WriteError> {
    let Some(booking) = Booking::of(fields).map_err(WriteError::Fault)? else { return Ok(()) };
    let action = fields.action.as_deref().ok_or(WriteError::Fault(EntryFault::Missing("action")))?;
    let at = fields.at.as_micros();
    match booking {
        Booking::Reserved { usd, tokens } => {
            connection.prepare_cached(spend_sql::INSERT_CALL)?.execute(params![
                action,
                at,
                workspace,
                agent,
                user,
                conversation,
                run,
                model,
                operation,
                usd.cast_signed(),
                tokens.cast_signed(),
            ])?
        }
        Booking::Charged(charged) => write_charge(connection, spend_sql::SETTLE_CALL, action, at, &charged)?,
        Booking::Corrected(charged) => {
            write_charge(connection, spend_sql::CORRECT_CALL, action, at, &charged)?
        }
    };
    Ok(())
}

fn write_charge(
    connection: &Connection,
    sql: &str,
    action: &str,
    at: u64,
    Charged { usd, usage, basis, doubtful, saved }: &Charged,
) -> rusqlite::Result<usize> {
    connection.prepare_cached(sql)?.execute(params![
        action,
        at,
        usd.cast_signed(),
        usage.input.cast_signed(),
        usage.cached_input.cast_signed(),
        usage.cache_write.cast_signed(),
        usage.cache_write_1h.cast_signed(),
        usage.output.cast_signed(),
        usage.reasoning.cast_signed(),
        basis,
        doubtful,
        saved.cast_signed(),
    ])
}
