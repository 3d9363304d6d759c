//! Incidents: what people should look at.

use ringfence_ledger::{AppendError, RoomFor, Ticket};
use ringfence_types::{IncidentId, Scope};

use crate::Kernel;
use crate::kernel::Inner;
use crate::record::{IncidentRecord, Record};
use crate::state::State;
use crate::text::bounded;

impl Kernel {
    /// Puts on record something that people should look at. `event` is one word.
    pub fn incident(&self, scope: Scope, event: &str, reason: &str) {
        // What the log cannot take is at least among the node's own messages.
        let _ = self.0.incident(&mut self.0.state.lock(), scope, event, reason, RoomFor::New);
    }
}

impl Inner {
    pub(crate) fn incident(
        &self,
        state: &mut State,
        scope: Scope,
        event: &str,
        reason: &str,
        room: RoomFor<'_>,
    ) -> Result<Ticket, AppendError> {
        tracing::warn!(event, reason, "incident");
        let incident = IncidentRecord {
            incident: self.new_id(IncidentId::new),
            scope,
            event: event.into(),
            reason: bounded(reason),
            correction: None,
        };
        state.commit(&self.clock, &Record::Incident(incident), Vec::new(), room)
    }
}
