//! What an agent asks for.

use std::borrow::Cow;
use std::sync::Arc;

use ringfence_json::{Object, Value};
use ringfence_types::{Digest, ServerName, ToolName};

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
        /// What the server is told of an earlier round of the same call.
        continuation: Option<Object>,
    },
    /// `resources/read`
    Resource {
        /// Which.
        uri: String,
        /// What the server is told of an earlier round of the same call.
        continuation: Option<Object>,
    },
    /// `prompts/get`
    Prompt {
        /// Which.
        name: String,
        /// Its arguments.
        arguments: Object,
        /// What the server is told of an earlier round of the same call.
        continuation: Option<Object>,
    },
    /// Anything else that reaches the server with something of the agent's in it.
    Other {
        /// The JSON-RPC method, such as `completion/complete`.
        method: &'static str,
        /// Its parameters.
        parameters: Object,
    },
}

/// The member under which a call's continuation stands beside its arguments where they are recorded, bound to an
/// approval, and shown to people: the answers that the agent gives to what the server asked for in its last result
/// (`inputResponses`, `requestState`; MCP 2026-07-28, "Multi Round-Trip Requests"). No argument may have this name.
pub const CONTINUATION: &str = "io.modelcontextprotocol/continuation";

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
            Self::Resource { uri, .. } => Object::new().with("uri", uri.as_str()),
            Self::Prompt { name, arguments, .. } => {
                Object::new().with("name", name.as_str()).with("arguments", arguments.clone())
            }
            Self::Other { parameters, .. } => parameters.clone(),
        }
    }

    /// What the agent answers to an earlier round of the same call. Rules see none of it: it is the server's question.
    pub fn continuation(&self) -> Option<&Object> {
        match self {
            Self::Tool { continuation, .. }
            | Self::Resource { continuation, .. }
            | Self::Prompt { continuation, .. } => continuation.as_ref(),
            Self::Other { .. } => None,
        }
    }

    /// All that the server is given with these arguments: what is recorded, and what an approval is for.
    pub(crate) fn recorded<'a>(&self, arguments: &'a Object) -> Cow<'a, Object> {
        match self.continuation() {
            None => Cow::Borrowed(arguments),
            Some(continuation) => Cow::Owned(arguments.clone().with(CONTINUATION, continuation.clone())),
        }
    }

    /// The same call with other arguments: what [`Call::arguments`] gave, narrowed. `None` when they no longer make
    /// such a call, a resource without a URI, say.
    pub(crate) fn with_arguments(&self, arguments: Object) -> Option<Self> {
        Some(match self {
            Self::Tool { tool, continuation, .. } => {
                Self::Tool { tool: tool.clone(), arguments, continuation: continuation.clone() }
            }
            Self::Resource { continuation, .. } => {
                Self::Resource { uri: arguments.text("uri")?.to_owned(), continuation: continuation.clone() }
            }
            Self::Prompt { continuation, .. } => Self::Prompt {
                continuation: continuation.clone(),
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

/// Takes the continuation out of what was recorded.
pub(crate) fn take_continuation(recorded: &mut Object) -> Option<Object> {
    recorded.remove(CONTINUATION).and_then(Value::into_object)
}

/// The call of that tool name of which this was recorded: the reverse of [`Call::tool_name`] and [`Call::recorded`].
pub(crate) fn call_of(tool: &str, is_tool: bool, recorded: &Object) -> Option<Call> {
    let mut arguments = recorded.clone();
    let continuation = take_continuation(&mut arguments);
    if is_tool {
        return Some(Call::Tool { tool: ToolName::new(tool).ok()?, arguments, continuation });
    }
    let blank = match tool {
        "resources/read" => Call::Resource { uri: String::new(), continuation },
        "prompts/get" => Call::Prompt { name: String::new(), arguments: Object::new(), continuation },
        other => {
            let method = OTHER_METHODS.iter().find(|method| **method == other)?;
            Call::Other { method, parameters: Object::new() }
        }
    };
    blank.with_arguments(arguments)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_continuation_is_part_of_what_is_recorded_and_not_of_the_arguments() {
        let continuation = Some(Object::new().with("requestState", "s"));
        let arguments = || Object::new().with("n", 1_u64);
        let tool = ToolName::new("t").unwrap();
        let name = || "p".to_owned();
        for (call, is_tool) in [
            (Call::Tool { tool, arguments: arguments(), continuation: continuation.clone() }, true),
            (Call::Resource { uri: "a:b".to_owned(), continuation: continuation.clone() }, false),
            (
                Call::Prompt { name: name(), arguments: arguments(), continuation: continuation.clone() },
                false,
            ),
        ] {
            let seen = call.arguments();
            let recorded = call.recorded(&seen);
            assert!(!seen.contains(CONTINUATION) && recorded.contains(CONTINUATION), "{call:?}");
            assert_ne!(digest_of(&seen), digest_of(&recorded));
            assert_eq!(call_of(call.tool_name(), is_tool, &recorded), Some(call.clone()));
            assert_eq!(call.with_arguments(seen), Some(call));
        }
    }
}
