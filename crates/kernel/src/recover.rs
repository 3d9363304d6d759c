//! From the log to a kernel: at the start, and after the log failed.

use std::path::Path;
use std::sync::Arc;

use ringfence_json::{Limits, Object, Value, parse};
use ringfence_ledger::{Faults, Ledger, ReadError, RoomFor};
use ringfence_types::{Code, EntryKind, Timestamp};

use crate::fold::Fold;
use crate::journal::Journal;
use crate::kernel::{Inner, Options};
use crate::model::Charge;
use crate::operator::{LedgerUnavailable, durable};
use crate::record::{ConfigRecord, Damaged, NodeEvent, OutcomeRecord, Record, RunRecord, Status};
use crate::state::State;
use crate::{Actor, Kernel, Setup, snapshot};

/// What was found when a kernel opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recovered {
    /// Entries in the log.
    pub entries: u64,
    /// Of these, read again because no snapshot covers them.
    pub replayed: u64,
    /// Actions that were cleared and never settled: their outcome is unknown.
    pub unknown: u64,
    /// Bytes of an unfinished batch at the end of the log, never acknowledged, that were cut off.
    pub cut_bytes: u64,
}

/// Why a kernel did not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The log.
    #[error(transparent)]
    Ledger(#[from] ringfence_ledger::OpenError),
    /// The log can be opened but not read.
    #[error("the log cannot be read back: {0}")]
    Read(#[from] ReadError),
    /// An entry is none that this version has written.
    #[error("entry {entry} of the log cannot be understood: {damaged}; run `ringfence audit verify`")]
    Entry {
        /// Which.
        entry: u64,
        /// What is wrong.
        damaged: Damaged,
    },
    /// The log cannot take the first entries.
    #[error(transparent)]
    Unavailable(#[from] LedgerUnavailable),
}

/// Opens the log and everything that follows from it.
pub(crate) async fn open(
    directory: &Path,
    options: Options,
    setup: Setup,
    faults: Faults,
) -> Result<(Kernel, Recovered), OpenError> {
    let mut ledger_options = ringfence_ledger::Options::new(options.node);
    ledger_options.faults = faults;
    if let Some(bytes) = options.segment_bytes {
        ledger_options.segment_bytes = bytes;
    }
    let (ledger, recovery) = Ledger::open(&directory.join("ledger"), ledger_options)?;
    let (fold, replayed) = rebuild(&ledger, directory)?;
    options.clock.not_before(fold.at);
    let recovered = Recovered {
        entries: fold.next,
        replayed,
        unknown: fold.open.len() as u64,
        cut_bytes: recovery.torn_bytes,
    };
    let config = ConfigRecord { config: setup.digest, by: Actor::node().person };
    let journal = Journal::new(&ledger).ok_or(LedgerUnavailable)?;
    let inner = Inner::new(ledger, journal, options.clock, fold, directory.to_owned(), setup);
    let last = {
        let mut state = inner.state.lock();
        inner.settle_unknown(&mut state).map_err(|_| LedgerUnavailable)?;
        let started = RunRecord {
            event: NodeEvent::Started,
            run: None,
            reason: format!("version {}", env!("CARGO_PKG_VERSION")),
            by: Actor::node().person,
        };
        state
            .commit(&inner.clock, &Record::Run(started), Vec::new(), RoomFor::Operator)
            .and_then(|_| state.commit(&inner.clock, &Record::Config(config), Vec::new(), RoomFor::Operator))
            .map_err(|_| LedgerUnavailable)?
    };
    durable(last).await?;
    Ok((Kernel(Arc::new(inner)), recovered))
}

/// The fold of the durable log, from the newest snapshot that the log vouches for. Returns how many entries were
/// read again.
pub(crate) fn rebuild(ledger: &Ledger, directory: &Path) -> Result<(Fold, u64), OpenError> {
    let mut fold = snapshot::newest(ledger, directory).unwrap_or_default();
    let from = fold.next;
    for entry in ledger.read(from)? {
        let entry = entry?;
        let damaged = |damaged| OpenError::Entry { entry: entry.id, damaged };
        let (at, record) = read_entry(&entry.bytes).map_err(damaged)?;
        match record {
            Some(record) => fold.apply(entry.id, at, &record),
            None => fold.skip(entry.id, at),
        }
    }
    let replayed = fold.next - from;
    Ok((fold, replayed))
}

/// Reads one entry of the log.
pub(crate) fn read_entry(bytes: &[u8]) -> Result<(Timestamp, Option<Record>), Damaged> {
    let body = entry_body(bytes)?;
    let member = |name: &str| body.text(name).ok_or_else(|| Damaged(name.into()));
    let at = member("at")?.parse().map_err(|_| Damaged("at".into()))?;
    let kind: EntryKind = member("kind")?.parse().map_err(|_| Damaged("kind".into()))?;
    Ok((at, Record::read(kind, &body)?))
}

fn entry_body(bytes: &[u8]) -> Result<Object, Damaged> {
    parse(bytes, &Limits::default()).ok().and_then(Value::into_object).ok_or_else(|| Damaged("entry".into()))
}

impl Inner {
    /// Settles everything open that no clearance stands for any more: it may have happened, nobody knows.
    pub(crate) fn settle_unknown(&self, state: &mut State) -> Result<(), ringfence_ledger::AppendError> {
        let lost: Vec<_> =
            state.fold.open.keys().copied().filter(|action| !state.is_spoken_for(*action)).collect();
        for action in lost {
            let Some(record) = self.unknown_outcome(state, action) else { continue };
            // Durable with whatever is waited for next; lost before that, it is found open and settled again.
            let _ = state.commit(&self.clock, &Record::Outcome(record), Vec::new(), RoomFor::Operator)?;
        }
        Ok(())
    }

    pub(crate) fn unknown_outcome(
        &self,
        state: &State,
        action: ringfence_types::ActionId,
    ) -> Option<OutcomeRecord> {
        let open = state.fold.open.get(&action)?;
        let elapsed = self.clock.now().since(open.cleared_at);
        Some(OutcomeRecord {
            subject: Arc::new(open.subject.clone()),
            action,
            status: Status::Unknown,
            is_error: false,
            code: Some(Code::OutcomeUnknown),
            reason: Some(
                "the node went down, or lost track, before this was settled: it may have happened".into(),
            ),
            result: None,
            result_bytes: 0,
            duration_us: u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX),
            charge: open.reservation.map(Charge::reserved),
        })
    }

    /// After the log failed and started anew: forgets what it has lost, and writes what it could not take.
    pub(crate) fn rejoin(&self) -> Result<(), OpenError> {
        let mut state = self.state.lock();
        if !state.journal.is_spent() {
            return Ok(());
        }
        // Without a session the log is still being reopened: the next round tries again.
        let Some(journal) = Journal::new(&self.ledger) else { return Ok(()) };
        let (fold, _) = rebuild(&self.ledger, &self.directory)?;
        state.fold = fold;
        state.journal = journal;
        // Runs may be gone that are waited for.
        self.endings.notify_waiters();
        self.write_unwritten(&mut state);
        self.settle_unknown(&mut state).map_err(|_| LedgerUnavailable)?;
        Ok(())
    }
}
