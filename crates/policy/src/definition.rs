//! What a server says of a tool, as it is pinned.
//!
//! The whole object is kept and digested: whatever a server adds or changes, in a member known here or not, makes
//! another definition.

mod difference;

use std::sync::Arc;

use ringfence_json::{Object, Value};
use ringfence_types::{Digest, NameError, ToolName};

pub use self::difference::{Change, Difference, diff};
use crate::limits::{DEFINITION_BYTES_MAX, DESCRIPTION_BYTES_MAX, TITLE_BYTES_MAX};
use crate::schema::{InputSchema, SchemaError};

/// A tool of an MCP server (MCP 2026-07-28, `Tool`; the same members in the revisions since 2025-06-18).
#[derive(Debug, Clone)]
pub struct ToolDefinition {
    /// The name its server gives it.
    pub name: ToolName,
    /// What people call it.
    pub title: Option<String>,
    /// What models are told about it.
    pub description: Option<String>,
    /// What its arguments must fit.
    pub input: Arc<InputSchema>,
    /// What its structured results must fit.
    pub output: Option<Arc<InputSchema>>,
    /// Whether the server says that it only looks. A hint from a stranger: it counts only once a person approved
    /// the definition.
    pub read_only_hint: Option<bool>,
    /// SHA-256 over the canonical JSON (RFC 8785, numbers as written) of the whole object.
    pub digest: Digest,
    /// The object as the server sent it.
    pub object: Value,
}

/// Why a tool object cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DefinitionError {
    /// Not a JSON object.
    #[error("a tool definition is an object, not {found}")]
    NotAnObject {
        /// What it is instead.
        found: &'static str,
    },
    /// Too long.
    #[error("`{member}` is longer than {max} bytes")]
    TooLong {
        /// Which member; `definition` for the whole.
        member: &'static str,
        /// The bound.
        max: usize,
    },
    /// A member that must be there is not.
    #[error("the tool definition has no `{member}`")]
    Missing {
        /// Which.
        member: &'static str,
    },
    /// A member of the wrong type.
    #[error("`{member}` must be {expected}, not {found}")]
    Type {
        /// Which.
        member: &'static str,
        /// What it must be.
        expected: &'static str,
        /// What it is instead.
        found: &'static str,
    },
    /// A name that cannot be one.
    #[error("the tool's name cannot be used: {0}")]
    Name(#[from] NameError),
    /// The arguments of a tool are an object, so its schema has to say so.
    #[error("`inputSchema` must have `type: \"object\"`")]
    InputNotAnObject,
    /// A schema that cannot be used.
    #[error("`{member}`: {error}")]
    Schema {
        /// Which member.
        member: &'static str,
        /// What is wrong with it.
        error: SchemaError,
    },
}

// === impl ToolDefinition ===

impl ToolDefinition {
    /// Reads a tool object.
    ///
    /// # Errors
    /// When a known member is missing, of the wrong type or over its bound, or a schema cannot be used.
    pub fn parse(object: &Value) -> Result<Self, DefinitionError> {
        let members = object.as_object().ok_or(DefinitionError::NotAnObject { found: object.kind() })?;
        let canonical = object.to_canonical();
        if canonical.len() > DEFINITION_BYTES_MAX {
            return Err(DefinitionError::TooLong { member: "definition", max: DEFINITION_BYTES_MAX });
        }
        let name = text(members, "name", usize::MAX)?.ok_or(DefinitionError::Missing { member: "name" })?;
        let input =
            schema(members, "inputSchema")?.ok_or(DefinitionError::Missing { member: "inputSchema" })?;
        if input.schema().get("type").and_then(Value::as_str) != Some("object") {
            return Err(DefinitionError::InputNotAnObject);
        }
        Ok(Self {
            name: ToolName::new(&name)?,
            title: text(members, "title", TITLE_BYTES_MAX)?,
            description: text(members, "description", DESCRIPTION_BYTES_MAX)?,
            input: Arc::new(input),
            output: schema(members, "outputSchema")?.map(Arc::new),
            read_only_hint: read_only_hint(members)?,
            digest: Digest::of(&canonical),
            object: object.clone(),
        })
    }

    /// The digest that [`ToolDefinition::parse`] would give the object, also where it cannot be parsed: to recognise
    /// a definition that was refused before.
    pub fn digest_of(object: &Value) -> Digest {
        Digest::of(&object.to_canonical())
    }
}

fn text(members: &Object, member: &'static str, max: usize) -> Result<Option<String>, DefinitionError> {
    match members.get(member) {
        None => Ok(None),
        Some(Value::String(text)) if text.len() > max => Err(DefinitionError::TooLong { member, max }),
        Some(Value::String(text)) => Ok(Some(text.to_string())),
        Some(other) => Err(DefinitionError::Type { member, expected: "a string", found: other.kind() }),
    }
}

fn schema(members: &Object, member: &'static str) -> Result<Option<InputSchema>, DefinitionError> {
    match members.get(member) {
        None => Ok(None),
        Some(schema @ Value::Object(_)) => {
            InputSchema::parse(schema).map(Some).map_err(|error| DefinitionError::Schema { member, error })
        }
        Some(other) => Err(DefinitionError::Type { member, expected: "an object", found: other.kind() }),
    }
}

fn read_only_hint(members: &Object) -> Result<Option<bool>, DefinitionError> {
    let annotations = match members.get("annotations") {
        None => return Ok(None),
        Some(Value::Object(annotations)) => annotations,
        Some(other) => {
            return Err(DefinitionError::Type {
                member: "annotations",
                expected: "an object",
                found: other.kind(),
            });
        }
    };
    match annotations.get("readOnlyHint") {
        None => Ok(None),
        Some(Value::Bool(hint)) => Ok(Some(*hint)),
        Some(other) => Err(DefinitionError::Type {
            member: "annotations.readOnlyHint",
            expected: "true or false",
            found: other.kind(),
        }),
    }
}
