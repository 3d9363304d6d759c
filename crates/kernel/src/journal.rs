//! The kernel's hand on the log: records in, places out.

use ringfence_ledger::{AppendError, Draft, Ledger, Room, RoomFor, SealedPayload, Session, Ticket};
use ringfence_types::Timestamp;

use crate::record::Record;

/// Writes records within one session of the log. When the log fails and starts anew, the session is over: a fold that
/// was built on entries the log has lost can never write another.
pub(crate) struct Journal {
    session: Session,
}

impl Journal {
    /// A journal on the log's present session; `None` while it has none.
    pub(crate) fn new(ledger: &Ledger) -> Option<Self> {
        ledger.session().map(|session| Self { session })
    }

    /// Whether the log has failed since; nothing can be written until the fold is rebuilt.
    pub(crate) fn is_spent(&self) -> bool {
        self.session.is_over()
    }

    /// Which life of the log this is; another after each failure.
    pub(crate) fn incarnation(&self) -> u64 {
        self.session.incarnation()
    }

    /// Sets room for the outcome of one action aside.
    pub(crate) fn reserve_outcome(&self) -> Result<Room, AppendError> {
        self.session.reserve(1, crate::limits::OUTCOME_BYTES)
    }

    pub(crate) fn append(
        &self,
        at: Timestamp,
        record: &Record,
        payloads: Vec<SealedPayload>,
        room: RoomFor<'_>,
    ) -> Result<Ticket, AppendError> {
        let draft = Draft { kind: record.kind(), at, body: record.body(), payloads };
        self.session.append(draft, room)
    }
}
