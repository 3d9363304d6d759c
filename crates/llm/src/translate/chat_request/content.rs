//! The content of chat messages as blocks.

use ringfence_json::{Object, Value};

use crate::translate::fault::Fault;
use crate::translate::media::{document_source, image_source};
use crate::translate::node::{At, Node, Read};

/// Who says it, which decides what it may consist of.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Speaker {
    System,
    User,
    Assistant,
    Tool,
}

/// The `content` of a message as blocks; none when it has none. Text of white space only is left out and listed, since
/// Anthropic refuses a block of it.
pub(super) fn blocks(message: &Node<'_>, speaker: Speaker, dropped: &mut Vec<String>) -> Read<Vec<Value>> {
    let mut blocks = Vec::new();
    let at = message.at.member("content");
    match message.get("content") {
        None => {}
        Some(Value::String(said)) => text(said, &at, &mut blocks, dropped),
        Some(Value::Array(parts)) => {
            for (index, part) in parts.iter().enumerate() {
                read_part(&at.item(index).object(part)?, speaker, &mut blocks, dropped)?;
            }
        }
        Some(_) => return Err(at.fault("must be a string or an array of parts")),
    }
    Ok(blocks)
}

/// Adds a text.
pub(super) fn text(text: &str, at: &At, blocks: &mut Vec<Value>, dropped: &mut Vec<String>) {
    if text.trim().is_empty() {
        dropped.push(at.path());
    } else {
        blocks.push(Object::new().with("type", "text").with("text", text).into());
    }
}

fn read_part(
    part: &Node<'_>,
    speaker: Speaker,
    blocks: &mut Vec<Value>,
    dropped: &mut Vec<String>,
) -> Result<(), Fault> {
    if part.get("prompt_cache_breakpoint").is_some() {
        dropped.push(part.at.member("prompt_cache_breakpoint").path());
    }
    let kind = part.text("type")?;
    match (kind, speaker) {
        ("text", _) => {
            part.only(&["type", "text", "prompt_cache_breakpoint"])?;
            text(part.text("text")?, &part.at.member("text"), blocks, dropped);
        }
        ("refusal", Speaker::Assistant) => {
            part.only(&["type", "refusal"])?;
            text(part.text("refusal")?, &part.at.member("refusal"), blocks, dropped);
        }
        ("image_url", Speaker::User | Speaker::Tool) => blocks.push(image(part, dropped)?.into()),
        ("file", Speaker::User | Speaker::Tool) => blocks.push(file(part)?.into()),
        ("input_audio", _) => return Err(part.fault("type", "this model's provider takes no audio")),
        _ => return Err(part.fault("type", "is no part that can stand in a message of this role")),
    }
    Ok(())
}

/// OpenAI, "Images and vision"; Anthropic, "Vision". The level of detail is a hint that Anthropic does not take.
fn image(part: &Node<'_>, dropped: &mut Vec<String>) -> Read<Object> {
    part.only(&["type", "image_url", "prompt_cache_breakpoint"])?;
    let image = part.child("image_url")?;
    image.only(&["url", "detail"])?;
    if image.optional_text("detail")?.is_some_and(|detail| detail != "auto") {
        dropped.push(image.at.member("detail").path());
    }
    let source = image_source(image.text("url")?, &image.at.member("url"))?;
    Ok(Object::new().with("type", "image").with("source", source))
}

/// OpenAI, "File inputs"; Anthropic, "PDF support".
fn file(part: &Node<'_>) -> Read<Object> {
    part.only(&["type", "file", "prompt_cache_breakpoint"])?;
    let file = part.child("file")?;
    if file.get("file_id").is_some() {
        return Err(file.fault("file_id", "is a file of another provider: send its content as `file_data`"));
    }
    file.only(&["file_data", "filename"])?;
    let source = document_source(file.text("file_data")?, &file.at.member("file_data"))?;
    let document = Object::new().with("type", "document").with("source", source);
    Ok(document.with_some("title", file.optional_text("filename")?))
}
