//! Results of tools as chat messages.

use ringfence_json::{Object, Value};
use smol_str::SmolStr;

use super::content::{Content, as_content, content, document, image, left_out, text, text_block};
use crate::translate::names::tool_id;
use crate::translate::node::{Node, Read};

/// What a result that is an error begins with: Chat has no member for it.
const ERROR: &str = "[error]";
/// What stands in for a result that is all images and files.
const BELOW: &str = "[see the next user message]";

/// One result.
pub(super) struct ToolResult {
    pub(super) id: SmolStr,
    /// The tool message.
    pub(super) message: Value,
    /// What a tool message cannot hold, for the user message after it.
    pub(super) beside: Vec<Value>,
}

/// Anthropic, "Handle tool calls"; OpenAI, "Create chat completion", tool messages, which hold texts only.
pub(super) fn tool_result(block: &Node<'_>, dropped: &mut Vec<String>) -> Read<ToolResult> {
    block.only(&["type", "tool_use_id", "content", "is_error", "cache_control"])?;
    left_out(block, &["cache_control"], dropped);
    let id = tool_id(block.text("tool_use_id")?, &block.at.member("tool_use_id"))?;
    let mut texts = Vec::new();
    let mut beside = Vec::new();
    match content(block)? {
        None => {}
        Some(Content::Text(said)) => texts.push(text(said)),
        Some(Content::Blocks(blocks)) => {
            for block in blocks {
                for part in parts(&block, dropped)? {
                    let is_text = part.get("type").and_then(Value::as_str) == Some("text");
                    if is_text { texts.push(part) } else { beside.push(part) }
                }
            }
        }
    }
    if !beside.is_empty() {
        texts.extend(texts.is_empty().then(|| text(BELOW)));
        beside.insert(0, text(&format!("[from the result of tool call {id}]")));
    }
    if block.flag("is_error")? == Some(true) {
        mark(&mut texts);
    }
    let content = if texts.is_empty() { "".into() } else { as_content(texts) };
    let message =
        Object::new().with("role", "tool").with("tool_call_id", id.clone()).with("content", content);
    Ok(ToolResult { id, message: message.into(), beside })
}

fn parts(block: &Node<'_>, dropped: &mut Vec<String>) -> Read<Vec<Value>> {
    match block.text("type")? {
        "text" => Ok(vec![text_block(block, dropped)?]),
        "image" => Ok(vec![image(block, dropped)?]),
        "document" => document(block, dropped),
        _ => Err(block
            .fault("type", "cannot be translated in the result of a tool: send text, images or documents")),
    }
}

/// Puts the mark before the first text, which servers that take a string only then still get as one.
fn mark(texts: &mut Vec<Value>) {
    let marked = match texts.first().and_then(|first| first.get("text")).and_then(Value::as_str) {
        None | Some("") => ERROR.to_owned(),
        Some(said) => format!("{ERROR} {said}"),
    };
    match texts.first_mut() {
        Some(first) => *first = text(&marked),
        None => texts.push(text(&marked)),
    }
}
