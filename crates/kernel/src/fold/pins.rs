//! Tool definitions: which is the right one, which one the server gives.

use std::collections::BTreeMap;
use std::sync::Arc;

use ringfence_policy::ToolDefinition;
use ringfence_types::{PersonName, ServerName, ToolName, WorkspaceName};

use crate::record::{PinRecord, PinState};

/// The tools by workspace and server.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pins {
    servers: BTreeMap<(WorkspaceName, ServerName), BTreeMap<ToolName, Pin>>,
    /// How often a definition was taken as the right one since the start.
    pub(crate) changes: u64,
}

/// What is known of one tool's definition.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pin {
    /// The right one, who said so, and whether that was a person.
    pub pinned: Option<Pinned>,
    /// The one its server gives now; `None` when it no longer has the tool.
    pub seen: Option<Arc<ToolDefinition>>,
}

/// A definition taken as the right one.
#[derive(Debug, Clone)]
pub(crate) struct Pinned {
    pub definition: Arc<ToolDefinition>,
    pub by: PersonName,
    pub person: bool,
}

impl Pins {
    pub(super) fn apply(&mut self, record: &PinRecord) {
        let server = self.servers.entry((record.workspace.clone(), record.server.clone())).or_default();
        let pin = server.entry(record.tool.clone()).or_default();
        match (record.state, &record.definition) {
            (PinState::Seen, Some(definition)) => pin.seen = Some(definition.clone()),
            (PinState::Pinned, Some(definition)) => {
                self.changes += 1;
                pin.pinned = Some(Pinned {
                    definition: definition.clone(),
                    by: record.by.clone(),
                    person: record.person,
                });
            }
            (PinState::Gone, _) => pin.seen = None,
            // Reading has refused such an entry.
            (PinState::Seen | PinState::Pinned, None) => {}
        }
        if pin.pinned.is_none() && pin.seen.is_none() {
            server.remove(&record.tool);
        }
    }

    pub(crate) fn get(&self, workspace: &WorkspaceName, server: &ServerName, tool: &str) -> Option<&Pin> {
        self.server(workspace, server)?.get(tool)
    }

    /// The tools of a server by name; `None` if it was never seen.
    pub(crate) fn server(
        &self,
        workspace: &WorkspaceName,
        server: &ServerName,
    ) -> Option<&BTreeMap<ToolName, Pin>> {
        self.servers.get(&(workspace.clone(), server.clone()))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&WorkspaceName, &ServerName, &ToolName, &Pin)> {
        self.servers.iter().flat_map(|((workspace, server), tools)| {
            tools.iter().map(move |(tool, pin)| (workspace, server, tool, pin))
        })
    }
}

impl Pin {
    /// The pinned definition, if it is the one the server gives.
    pub(crate) fn current(&self) -> Option<&Pinned> {
        let seen = self.seen.as_ref()?;
        self.pinned.as_ref().filter(|pinned| pinned.definition.digest == seen.digest)
    }
}
