//! What is kept of the files of runs, on record.

use ringfence_json::Value;
use ringfence_ledger::{RoomFor, SealedPayload};

use super::{LedgerUnavailable, durable};
use crate::limits::LISTED_BYTES_MAX;
use crate::record::{FilesEvent, FilesOf, FilesRecord, Record};
use crate::text::bounded;
use crate::{Actor, Kernel};

impl Kernel {
    /// Puts on record what became of files. Names that are too many for an entry are a payload that it names.
    ///
    /// # Errors
    /// When the log cannot take it.
    pub async fn record_files(
        &self,
        of: FilesOf,
        event: FilesEvent,
        by: &Actor,
    ) -> Result<(), LedgerUnavailable> {
        let event = match event {
            FilesEvent::StateNotKept { reason } => FilesEvent::StateNotKept { reason: bounded(&reason) },
            event => event,
        };
        let names = Value::Object(event.names()).to_canonical();
        let payload = if names.len() > LISTED_BYTES_MAX {
            let workspace = of.workspace.as_ref().ok_or(LedgerUnavailable)?;
            Some(self.0.seal(workspace, &names).ok_or(LedgerUnavailable)?)
        } else {
            None
        };
        // What a program makes much of takes no room from operators.
        let room =
            if matches!(event, FilesEvent::Artifacts { .. }) { RoomFor::New } else { RoomFor::Operator };
        let manifest = payload.as_ref().map(SealedPayload::name);
        let record = Record::Files(FilesRecord { of, event, manifest, by: by.person.clone() });
        let ticket = {
            let mut state = self.0.state.lock();
            state.commit(&self.0.clock, &record, payload.into_iter().collect(), room)?
        };
        durable(ticket).await.map(drop)
    }
}
