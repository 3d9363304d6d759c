//! What an agent asks for.

use std::sync::Arc;

use ringfence_json::{Object, Value};
use ringfence_types::{Digest, Scope, ServerName, ToolName};

use crate::Run;

/// One action as an agent asks for it, before anything was decided.
#[derive(Debug, Clone)]
pub struct Proposal {
    /// Whose.
    pub run: Arc<Run>,
    /// Of which tool server.
    pub server: ServerName,
    /// What.
    pub call: Call,
}

/// What is asked of a tool server (MCP 2026-07-28, server features).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Call {
    /// `tools/call`
    Tool {
        /// The tool, by its server's name for it.
        tool: ToolName,
        /// Its arguments.
        arguments: Object,
    },
    /// `resources/read`
    Resource {
        /// Which.
        uri: String,
    },
    /// `prompts/get`
    Prompt {
        /// Which.
        name: String,
        /// Its arguments.
        arguments: Object,
    },
    /// Anything else that reaches the server with something of the agent's in it.
    Other {
        /// The JSON-RPC method, such as `completion/complete`.
        method: &'static str,
        /// Its parameters.
        parameters: Object,
    },
}

// === impl Proposal ===

impl Proposal {
    /// What suspensions are held against.
    pub(crate) fn scope(&self) -> Scope {
        let tool = ToolName::new(self.call.tool_name()).ok();
        Scope { server: Some(self.server.clone()), tool, ..self.run.scope() }
    }
}

// === impl Call ===

impl Call {
    /// The tool's name, or the method that stands for one: grants and rules know resources as the tool
    /// `resources/read`.
    pub fn tool_name(&self) -> &str {
        match self {
            Self::Tool { tool, .. } => tool.as_str(),
            Self::Resource { .. } => "resources/read",
            Self::Prompt { .. } => "prompts/get",
            Self::Other { method, .. } => method,
        }
    }

    /// Whether this is a tool, which has a pinned definition.
    pub fn is_tool(&self) -> bool {
        matches!(self, Self::Tool { .. })
    }

    /// What rules see as the arguments.
    pub(crate) fn arguments(&self) -> Object {
        match self {
            Self::Tool { arguments, .. } => arguments.clone(),
            Self::Resource { uri } => Object::new().with("uri", uri.as_str()),
            Self::Prompt { name, arguments } => {
                Object::new().with("name", name.as_str()).with("arguments", arguments.clone())
            }
            Self::Other { parameters, .. } => parameters.clone(),
        }
    }

    /// The same call with other arguments: what [`Call::arguments`] gave, narrowed. `None` when they no longer make
    /// such a call, a resource without a URI, say.
    pub(crate) fn with_arguments(&self, arguments: Object) -> Option<Self> {
        Some(match self {
            Self::Tool { tool, .. } => Self::Tool { tool: tool.clone(), arguments },
            Self::Resource { .. } => Self::Resource { uri: arguments.text("uri")?.to_owned() },
            Self::Prompt { .. } => Self::Prompt {
                name: arguments.text("name")?.to_owned(),
                arguments: arguments.get("arguments").and_then(Value::as_object).cloned().unwrap_or_default(),
            },
            Self::Other { method, .. } => Self::Other { method, parameters: arguments },
        })
    }
}

/// The SHA-256 of arguments in canonical form (RFC 8785, numbers as written).
pub(crate) fn digest_of(arguments: &Object) -> Digest {
    Digest::of(&arguments.to_canonical())
}

/// The methods that stand for tools, other than resources and prompts.
pub const OTHER_METHODS: &[&str] = &["completion/complete", "resources/subscribe", "resources/unsubscribe"];

/// The call of that tool name with these arguments: the reverse of [`Call::tool_name`] and [`Call::arguments`].
pub(crate) fn call_of(tool: &str, is_tool: bool, arguments: &Object) -> Option<Call> {
    if is_tool {
        return Some(Call::Tool { tool: ToolName::new(tool).ok()?, arguments: arguments.clone() });
    }
    let blank = match tool {
        "resources/read" => Call::Resource { uri: String::new() },
        "prompts/get" => Call::Prompt { name: String::new(), arguments: Object::new() },
        other => {
            let method = OTHER_METHODS.iter().find(|method| **method == other)?;
            Call::Other { method, parameters: Object::new() }
        }
    };
    blank.with_arguments(arguments.clone())
}
