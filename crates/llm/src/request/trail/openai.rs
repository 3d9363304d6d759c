//! Trails in OpenAI's requests.

use ringfence_json::{Object, Value};

use super::{Gathered, Outcome};

/// Chat: calls stand in the assistant's messages, results in messages of the role `tool`.
pub(super) fn chat<'a>(request: &'a Object, trail: &mut Gathered<'a>) {
    for message in request.get("messages").and_then(Value::as_array).unwrap_or_default() {
        let Some(message) = message.as_object() else { continue };
        trail.messages += 1;
        let content = message.get("content");
        match message.text("role") {
            Some("system" | "developer") => trail.system(content),
            Some("user") => trail.user(content.unwrap_or(&Value::Null)),
            Some("assistant") => calls(message, trail),
            Some("tool") => trail.result(message.text("tool_call_id"), Outcome { content, failed: None }),
            // The functions of old have no ids.
            Some("function") => trail.result(message.text("name"), Outcome { content, failed: None }),
            _ => {}
        }
    }
}

fn calls<'a>(message: &'a Object, trail: &mut Gathered<'a>) {
    for call in message.get("tool_calls").and_then(Value::as_array).unwrap_or_default() {
        let Some(called) = call.get("function").or_else(|| call.get("custom")).and_then(Value::as_object)
        else {
            continue;
        };
        let arguments = called.get("arguments").or_else(|| called.get("input"));
        let id = call.get("id").and_then(Value::as_str);
        trail.call(id, called.text("name").unwrap_or_default(), arguments);
    }
    if let Some(called) = message.get("function_call").and_then(Value::as_object) {
        let name = called.text("name").unwrap_or_default();
        trail.call(Some(name), name, called.get("arguments"));
    }
}

/// Responses: calls and results are items beside messages.
pub(super) fn responses<'a>(request: &'a Object, trail: &mut Gathered<'a>) {
    trail.system(request.get("instructions").filter(|instructions| !instructions.is_null()));
    match request.get("input") {
        Some(input @ Value::String(_)) => {
            trail.messages += 1;
            trail.user(input);
        }
        Some(Value::Array(items)) => {
            for item in items.iter().filter_map(Value::as_object) {
                trail.messages += 1;
                one(item, trail);
            }
        }
        _ => {}
    }
}

fn one<'a>(item: &'a Object, trail: &mut Gathered<'a>) {
    let kind = item.text("type").unwrap_or("message");
    // A local shell's result has the id of its call for its own.
    let id = || item.text("call_id").or_else(|| item.text("id"));
    match kind {
        "message" => match item.text("role") {
            Some("system" | "developer") => trail.system(item.get("content")),
            Some("user") => trail.user(item.get("content").unwrap_or(&Value::Null)),
            _ => {}
        },
        "function_call" | "custom_tool_call" => {
            let arguments = item.get("arguments").or_else(|| item.get("input"));
            trail.call(id(), item.text("name").unwrap_or_default(), arguments);
        }
        "local_shell_call" | "shell_call" | "apply_patch_call" | "computer_call" => {
            let arguments = ["action", "actions", "operation"].iter().find_map(|name| item.get(name));
            trail.call(id(), kind, arguments);
        }
        "function_call_output"
        | "custom_tool_call_output"
        | "local_shell_call_output"
        | "shell_call_output"
        | "apply_patch_call_output"
        | "computer_call_output" => {
            let failed = (item.text("status") == Some("failed")).then_some(true);
            trail.result(id(), Outcome { content: item.get("output"), failed });
        }
        _ => {}
    }
}
