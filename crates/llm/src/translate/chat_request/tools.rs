//! Tools of a chat request.

use ringfence_json::{Object, Value};

use super::options::one_of;
use crate::translate::names::{MESSAGES_NAME_BYTES_MAX, tool_name};
use crate::translate::node::{Node, Read};

/// What a request says on the choice of a tool.
pub(super) struct Choice {
    pub(super) said: Option<Object>,
}

// === impl Choice ===

impl Choice {
    /// Whether a tool must be called.
    pub(super) fn forces(&self) -> bool {
        let kind = self.said.as_ref().and_then(|said| said.text("type"));
        matches!(kind, Some("any" | "tool"))
    }
}

/// `tools`: functions become Anthropic's custom tools ("Define tools").
pub(super) fn tools(request: &Node<'_>) -> Read<Option<Vec<Object>>> {
    let all: Vec<Object> = request.items("tools")?.iter().map(tool).collect::<Read<_>>()?;
    Ok((!all.is_empty()).then_some(all))
}

fn tool(tool: &Node<'_>) -> Read<Object> {
    const CUSTOM: &str = "must be `function`: this model's provider has no tools whose input is a text";
    if tool.text("type")? != "function" {
        return Err(tool.fault("type", CUSTOM));
    }
    tool.only(&["type", "function"])?;
    let function = tool.child("function")?;
    function.only(&["name", "description", "parameters", "strict"])?;
    let name = tool_name(function.text("name")?, MESSAGES_NAME_BYTES_MAX, &function.at.member("name"))?;
    Ok(Object::new()
        .with("name", name)
        .with_some("description", function.optional_text("description")?)
        .with("input_schema", input_schema(&function)?)
        .with_some("strict", function.flag("strict")?.filter(|strict| *strict)))
}

/// The schema of the arguments, which Anthropic wants to be of type `object`. A function without one takes nothing.
fn input_schema(function: &Node<'_>) -> Read<Object> {
    let Some(parameters) = function.optional_child("parameters")? else {
        return Ok(Object::new().with("type", "object").with("properties", Object::new()));
    };
    match parameters.get("type") {
        None => Ok(parameters.object.clone().with("type", "object")),
        Some(kind) if kind.as_str() == Some("object") => Ok(parameters.object.clone()),
        Some(_) => Err(parameters.fault("type", "must be `object`")),
    }
}

/// `tool_choice` and `parallel_tool_calls`, which are one member at Anthropic.
pub(super) fn choice(request: &Node<'_>) -> Read<Choice> {
    let tools = request.optional_array("tools")?.is_some_and(|tools| !tools.is_empty());
    let single = request.flag("parallel_tool_calls")? == Some(false);
    let said = match request.get("tool_choice") {
        None if single && tools => Some(Object::new().with("type", "auto")),
        None => None,
        Some(choice) => word(request, choice)?,
    };
    let forces = said.as_ref().is_some_and(|said| said.text("type") != Some("none"));
    if forces && !tools {
        if request.get("tool_choice").and_then(Value::as_str) == Some("auto") {
            return Ok(Choice { said: None });
        }
        return Err(request.fault("tool_choice", "needs `tools` to choose from"));
    }
    let said = said.filter(|_| tools);
    Ok(Choice {
        said: if single && forces {
            said.map(|said| said.with("disable_parallel_tool_use", true))
        } else {
            said
        },
    })
}

fn word(request: &Node<'_>, choice: &Value) -> Read<Option<Object>> {
    let kind = |kind: &str| Object::new().with("type", kind);
    let at = request.at.member("tool_choice");
    if let Value::String(word) = choice {
        return match word.as_str() {
            "auto" => Ok(Some(kind("auto"))),
            "none" => Ok(Some(kind("none"))),
            "required" => Ok(Some(kind("any"))),
            _ => Err(one_of(request, "tool_choice", "auto, none, required")),
        };
    }
    let named = at.object(choice)?;
    if named.text("type")? != "function" {
        return Err(
            named.fault("type", "must be `function`: to allow some tools only, send only those as `tools`")
        );
    }
    named.only(&["type", "function"])?;
    let function = named.child("function")?;
    function.only(&["name"])?;
    let name = tool_name(function.text("name")?, MESSAGES_NAME_BYTES_MAX, &function.at.member("name"))?;
    Ok(Some(kind("tool").with("name", name)))
}
