//! Tool definitions: what servers say, and what people take as right.

use std::collections::HashMap;
use std::sync::Arc;

use ringfence_ledger::RoomFor;
use ringfence_policy::ToolDefinition;
use ringfence_types::{Digest, Scope, ServerName, ToolName, WorkspaceName};

use super::{LedgerUnavailable, durable};
use crate::actor::node_name;
use crate::fold::Pin;
use crate::limits::{DEFINITION_BYTES_MAX, DEFINITIONS_RATE, TOOLS_MAX};
use crate::record::{PinRecord, PinState, Record};
use crate::setup::Trust;
use crate::state::State;
use crate::{Actor, Kernel};

/// Which of the definitions seen a person takes as right.
#[derive(Debug, Clone)]
pub enum PinSelection {
    /// Everything the server gives now.
    All,
    /// One tool, if its definition still has this digest.
    One {
        /// The tool.
        tool: ToolName,
        /// The definition the person has looked at; whatever the server gives now, if absent.
        digest: Option<Digest>,
    },
}

/// Why nothing was pinned.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PinError {
    /// Never seen.
    #[error("no tools of {server} have been seen; is it running and configured in {workspace}?")]
    UnknownServer {
        /// The workspace.
        workspace: WorkspaceName,
        /// The server.
        server: ServerName,
    },
    /// Not among what the server gives.
    #[error("{server} gives no tool {tool}; `ringfence tools list` shows what it gives")]
    UnknownTool {
        /// The server.
        server: ServerName,
        /// The tool.
        tool: ToolName,
    },
    /// It changed again.
    #[error("the definition of {tool} is not the one you looked at any more; see `ringfence tools diff`")]
    Changed {
        /// The tool.
        tool: ToolName,
    },
    /// See there.
    #[error(transparent)]
    LedgerUnavailable(#[from] LedgerUnavailable),
}

impl Kernel {
    /// Takes note of all the tools a server gives now. New and changed ones are recorded; at the first list of a
    /// server under `trust: first-use` they are pinned as well. Tools the server no longer gives are gone.
    ///
    /// # Errors
    /// When the log cannot take it.
    pub async fn observe(
        &self,
        workspace: &WorkspaceName,
        server: &ServerName,
        definitions: &[Arc<ToolDefinition>],
    ) -> Result<(), LedgerUnavailable> {
        let setup = self.0.setup.load_full();
        let trust = setup.workspaces.get(workspace).map_or(Trust::Explicit, |workspace| workspace.trust);
        let ticket = {
            let mut state = self.0.state.lock();
            let given = unambiguous(definitions);
            let place = (workspace.clone(), server.clone());
            let now = self.0.clock.now();
            let meter = state.definitions.entry(place).or_default();
            let is_calm = meter.check(DEFINITIONS_RATE, now).is_ok();
            let mut records = news(&state, workspace, server, &given, trust);
            if !is_calm {
                hide_seen(&state, &mut records);
            } else if records.iter().any(|record| record.state == PinState::Seen)
                && let Some(meter) = state.definitions.get_mut(&(workspace.clone(), server.clone()))
            {
                meter.take(DEFINITIONS_RATE, now);
            }
            let mut last = None;
            if let Some((event, reason)) = worth_a_look(&state, workspace, server, &records, is_calm) {
                let scope = Scope {
                    workspace: Some(workspace.clone()),
                    server: Some(server.clone()),
                    ..Scope::default()
                };
                last = Some(self.0.incident(&mut state, scope, event, &reason, RoomFor::New)?);
            }
            for record in records {
                last = Some(state.commit(&self.0.clock, &Record::Pin(record), Vec::new(), RoomFor::New)?);
            }
            last
        };
        match ticket {
            Some(ticket) => durable(ticket).await.map(drop),
            None => Ok(()),
        }
    }

    /// Takes definitions that a server gives now as the right ones. Returns which tools.
    ///
    /// # Errors
    /// When there are none such, one has changed since it was looked at, or the log cannot take it.
    pub async fn approve_pins(
        &self,
        workspace: &WorkspaceName,
        server: &ServerName,
        selection: &PinSelection,
        by: &Actor,
    ) -> Result<Vec<ToolName>, PinError> {
        let (tools, ticket) = {
            let mut state = self.0.state.lock();
            let chosen = chosen(&state, workspace, server, selection)?;
            let mut last = None;
            let mut tools = Vec::new();
            for (tool, definition) in chosen {
                tools.push(tool.clone());
                let record = PinRecord {
                    workspace: workspace.clone(),
                    server: server.clone(),
                    tool,
                    state: PinState::Pinned,
                    definition: Some(definition),
                    by: by.person.clone(),
                    person: true,
                };
                let ticket = state.commit(&self.0.clock, &Record::Pin(record), Vec::new(), RoomFor::Operator);
                last = Some(ticket.map_err(LedgerUnavailable::from)?);
            }
            (tools, last)
        };
        if let Some(ticket) = ticket {
            durable(ticket).await?;
        }
        Ok(tools)
    }
}

/// What people should look at in these records: that something is another thing than was taken as right, or that
/// nobody could keep up with it.
fn worth_a_look(
    state: &State,
    workspace: &WorkspaceName,
    server: &ServerName,
    records: &[PinRecord],
    is_calm: bool,
) -> Option<(&'static str, String)> {
    if !is_calm {
        let reason =
            format!("{server} changes its tools faster than anybody can look at them; they are hidden");
        return (!records.is_empty()).then_some(("definitions_unstable", reason));
    }
    let pinned = |tool: &ToolName| {
        state.fold.pins.get(workspace, server, tool.as_str()).is_some_and(|pin| pin.pinned.is_some())
    };
    let seen = records.iter().filter(|record| record.state == PinState::Seen);
    let changed: Vec<&str> =
        seen.filter(|record| pinned(&record.tool)).map(|record| record.tool.as_str()).take(10).collect();
    let reason = format!("{server} gives other definitions of: {}", changed.join(", "));
    (!changed.is_empty()).then_some(("definition_changed", reason))
}

/// The records that lead from what is known of a server's tools to what it gives now.
fn news(
    state: &State,
    workspace: &WorkspaceName,
    server: &ServerName,
    definitions: &[&Arc<ToolDefinition>],
    trust: Trust,
) -> Vec<PinRecord> {
    let known = state.fold.pins.server(workspace, server);
    let first_list = known.is_none();
    let pin_of = |tool: &ToolName| known.and_then(|tools| tools.get(tool));
    let record = |tool: &ToolName, state, definition| PinRecord {
        workspace: workspace.clone(),
        server: server.clone(),
        tool: tool.clone(),
        state,
        definition,
        by: node_name(),
        person: false,
    };
    let mut records = Vec::new();
    for definition in definitions.iter().copied().filter(|definition| fits(definition)).take(TOOLS_MAX) {
        let seen = pin_of(&definition.name).and_then(|pin| pin.seen.as_ref());
        if seen.is_none_or(|seen| seen.digest != definition.digest) {
            records.push(record(&definition.name, PinState::Seen, Some(Arc::clone(definition))));
        }
        if first_list && trust == Trust::FirstUse {
            records.push(record(&definition.name, PinState::Pinned, Some(Arc::clone(definition))));
        }
    }
    let given =
        |tool: &ToolName| definitions.iter().any(|definition| definition.name == *tool && fits(definition));
    let gone = known.into_iter().flatten().filter(|(tool, pin)| pin.seen.is_some() && !given(tool));
    records.extend(gone.map(|(tool, _)| record(tool, PinState::Gone, None)));
    records
}

/// The definitions of tools that a list names once. A server that defines a tool in two ways does not define it.
fn unambiguous(definitions: &[Arc<ToolDefinition>]) -> Vec<&Arc<ToolDefinition>> {
    let mut digests = HashMap::new();
    for definition in definitions {
        digests
            .entry(&definition.name)
            .and_modify(|known: &mut Option<Digest>| {
                *known = known.filter(|known| *known == definition.digest);
            })
            .or_insert(Some(definition.digest));
    }
    definitions.iter().filter(|definition| digests.remove(&definition.name).flatten().is_some()).collect()
}

/// Definitions that change faster than anybody can look at them are not recorded: the tools count as gone meanwhile.
fn hide_seen(state: &State, records: &mut Vec<PinRecord>) {
    records.retain_mut(|record| {
        if record.state != PinState::Seen {
            return true;
        }
        record.state = PinState::Gone;
        record.definition = None;
        let pin = state.fold.pins.get(&record.workspace, &record.server, record.tool.as_str());
        pin.is_some_and(|pin| pin.seen.is_some())
    });
}

/// Whether a definition can stand in an entry of the log.
fn fits(definition: &ToolDefinition) -> bool {
    definition.object.to_canonical().len() <= DEFINITION_BYTES_MAX
}

fn chosen(
    state: &State,
    workspace: &WorkspaceName,
    server: &ServerName,
    selection: &PinSelection,
) -> Result<Vec<(ToolName, Arc<ToolDefinition>)>, PinError> {
    let Some(tools) = state.fold.pins.server(workspace, server) else {
        return Err(PinError::UnknownServer { workspace: workspace.clone(), server: server.clone() });
    };
    match selection {
        PinSelection::All => {
            let open = tools.iter().filter(|(_, pin)| pin.current().is_none_or(|pinned| !pinned.person));
            Ok(open.filter_map(|(tool, pin)| pin.seen.clone().map(|seen| (tool.clone(), seen))).collect())
        }
        PinSelection::One { tool, digest } => {
            let seen: Option<Arc<ToolDefinition>> = tools.get(tool).and_then(|pin: &Pin| pin.seen.clone());
            let unknown = || PinError::UnknownTool { server: server.clone(), tool: tool.clone() };
            let seen = seen.ok_or_else(unknown)?;
            if digest.is_some_and(|digest| digest != seen.digest) {
                return Err(PinError::Changed { tool: tool.clone() });
            }
            Ok(vec![(tool.clone(), seen)])
        }
    }
}
