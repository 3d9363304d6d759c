//! Trails in Anthropic's requests.

use ringfence_json::{Object, Value};

use super::{Gathered, Outcome};

/// Calls stand in the assistant's messages, results in the user's.
pub(super) fn messages<'a>(request: &'a Object, trail: &mut Gathered<'a>) {
    trail.system(request.get("system").filter(|system| !system.is_null()));
    for message in request.get("messages").and_then(Value::as_array).unwrap_or_default() {
        let Some(message) = message.as_object() else { continue };
        trail.messages += 1;
        let content = message.get("content").unwrap_or(&Value::Null);
        let blocks = content.as_array().unwrap_or_default();
        match message.text("role") {
            Some("system") => trail.system(Some(content)),
            Some("assistant") => {
                for block in blocks {
                    call(block, trail);
                }
            }
            Some("user") => {
                let results = trail.results;
                for block in blocks {
                    result(block, trail);
                }
                if trail.results == results {
                    trail.user(content);
                }
            }
            _ => {}
        }
    }
}

fn call<'a>(block: &'a Value, trail: &mut Gathered<'a>) {
    let Some(block) = block.as_object().filter(|block| block.text("type") == Some("tool_use")) else {
        return;
    };
    trail.call(block.text("id"), block.text("name").unwrap_or_default(), block.get("input"));
}

fn result<'a>(block: &'a Value, trail: &mut Gathered<'a>) {
    let Some(block) = block.as_object().filter(|block| block.text("type") == Some("tool_result")) else {
        return;
    };
    let failed = block.get("is_error").and_then(Value::as_bool).unwrap_or(false);
    trail.result(block.text("tool_use_id"), Outcome { content: block.get("content"), failed: Some(failed) });
}
