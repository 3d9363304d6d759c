//! Tool definitions: seen, pinned, gone.

use std::sync::Arc;

use ringfence_json::{Object, Value};
use ringfence_policy::ToolDefinition;
use ringfence_types::{PersonName, ServerName, ToolName, WorkspaceName};

use super::read::{Damaged, Members, damaged};

/// What became known of a tool's definition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PinState {
    /// The server gives this one now.
    Seen,
    /// This one is the right one.
    Pinned,
    /// The server no longer has the tool.
    Gone,
}

/// A tool definition was seen, pinned, or is gone. The definition stands in the entry itself, not in a payload: it
/// must outlive every retention.
#[derive(Debug, Clone)]
pub(crate) struct PinRecord {
    pub workspace: WorkspaceName,
    pub server: ServerName,
    pub tool: ToolName,
    pub state: PinState,
    /// Present unless the tool is gone.
    pub definition: Option<Arc<ToolDefinition>>,
    /// Who said so; the node itself at first use and for what it saw.
    pub by: PersonName,
    /// Whether `by` is a person.
    pub person: bool,
}

impl PinState {
    fn as_str(self) -> &'static str {
        match self {
            Self::Seen => "seen",
            Self::Pinned => "pinned",
            Self::Gone => "gone",
        }
    }
}

impl std::str::FromStr for PinState {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        [Self::Seen, Self::Pinned, Self::Gone].into_iter().find(|each| each.as_str() == text).ok_or(())
    }
}

impl PinRecord {
    pub(crate) fn body(&self) -> Object {
        let definition = self.definition.as_deref();
        Object::new()
            .with("workspace", &self.workspace)
            .with("server", &self.server)
            .with("tool", &self.tool)
            .with("state", self.state.as_str())
            .with_some("digest", definition.map(|definition| definition.digest.to_string()))
            .with_some("definition", definition.map(|definition| definition.object.clone()))
            .with("by", &self.by)
            .with("person", self.person)
    }

    pub(crate) fn read(members: Members<'_>) -> Result<Self, Damaged> {
        let state = members.parse("state")?;
        let definition = match members.0.get("definition") {
            Some(object) => Some(read_definition(object, members)?),
            None if state == PinState::Gone => None,
            None => return Err(damaged("definition")),
        };
        Ok(Self {
            workspace: members.parse("workspace")?,
            server: members.parse("server")?,
            tool: members.parse("tool")?,
            state,
            definition,
            by: members.parse("by")?,
            person: members.flag("person")?,
        })
    }
}

fn read_definition(object: &Value, members: Members<'_>) -> Result<Arc<ToolDefinition>, Damaged> {
    let definition = ToolDefinition::parse(object).map_err(|_| damaged("definition"))?;
    if definition.digest != members.parse("digest")? {
        return Err(damaged("digest"));
    }
    Ok(Arc::new(definition))
}
