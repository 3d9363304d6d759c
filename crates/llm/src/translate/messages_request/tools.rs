//! Tools of a messages request.

use ringfence_json::{Object, Value};

use crate::translate::fields::{Fate, is_empty, is_false, sort_out};
use crate::translate::names::{CHAT_NAME_BYTES_MAX, tool_name};
use crate::translate::node::{Node, Read};

/// What a request says on the choice of a tool.
#[derive(Default)]
pub(super) struct Choice {
    pub(super) said: Option<Value>,
    /// At most one call at a time.
    pub(super) single: bool,
}

const DEFERRED: &str = "this model's provider cannot search for tools: leave it out";
const CALLERS: &str = "only `direct` calls can be translated: leave it out";

const FIELDS: &[(&str, Fate)] = &[
    ("allowed_callers", Fate::Only(is_direct, CALLERS)),
    ("cache_control", Fate::Dropped),
    ("defer_loading", Fate::Only(is_false, DEFERRED)),
    ("description", Fate::Said),
    ("eager_input_streaming", Fate::Dropped),
    (
        "input_examples",
        Fate::Only(is_empty, "this model's provider takes no examples: put them in the description"),
    ),
    ("input_schema", Fate::Said),
    ("name", Fate::Said),
    ("strict", Fate::Said),
    ("type", Fate::Said),
];

/// `tools`: Anthropic's custom tools ("Define tools") become functions.
pub(super) fn tools(request: &Node<'_>, dropped: &mut Vec<String>) -> Read<Option<Vec<Object>>> {
    let mut all = Vec::new();
    for item in request.items("tools")? {
        all.push(tool(&item, dropped)?);
    }
    Ok((!all.is_empty()).then_some(all))
}

fn tool(tool: &Node<'_>, dropped: &mut Vec<String>) -> Read<Object> {
    const HOSTED: &str =
        "is a tool of another provider: only tools with an `input_schema` of their own can be translated";
    if tool.optional_text("type")?.is_some_and(|kind| kind != "custom") {
        return Err(tool.fault("type", HOSTED));
    }
    sort_out(tool, FIELDS, dropped)?;
    let name = tool_name(tool.text("name")?, CHAT_NAME_BYTES_MAX, &tool.at.member("name"))?;
    let function = Object::new()
        .with("name", name)
        .with_some("description", tool.optional_text("description")?)
        .with("parameters", tool.child("input_schema")?.object.clone())
        .with_some("strict", tool.flag("strict")?.filter(|strict| *strict));
    Ok(Object::new().with("type", "function").with("function", function))
}

/// `tool_choice`, which at OpenAI is two members.
pub(super) fn choice(request: &Node<'_>) -> Read<Choice> {
    let Some(choice) = request.optional_child("tool_choice")? else {
        return Ok(Choice::default());
    };
    choice.only(&["type", "name", "disable_parallel_tool_use"])?;
    let said: Value = match choice.text("type")? {
        "auto" => "auto".into(),
        "any" => "required".into(),
        "none" => "none".into(),
        "tool" => {
            let name = tool_name(choice.text("name")?, CHAT_NAME_BYTES_MAX, &choice.at.member("name"))?;
            let function = Object::new().with("name", name);
            Object::new().with("type", "function").with("function", function).into()
        }
        _ => return Err(choice.fault("type", "must be one of: auto, any, tool, none")),
    };
    let tools = request.optional_array("tools")?.is_some_and(|tools| !tools.is_empty());
    match said.as_str() {
        _ if tools => {
            let single =
                choice.flag("disable_parallel_tool_use")? == Some(true) && said.as_str() != Some("none");
            Ok(Choice { said: Some(said), single })
        }
        // OpenAI refuses a choice where there is nothing to choose.
        Some("auto" | "none") => Ok(Choice::default()),
        _ => Err(request.fault("tool_choice", "needs `tools` to choose from")),
    }
}

fn is_direct(value: &Value) -> bool {
    value.as_array().is_some_and(|callers| callers.iter().all(|caller| caller.as_str() == Some("direct")))
}
