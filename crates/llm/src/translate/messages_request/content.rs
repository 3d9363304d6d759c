//! Blocks as parts of chat messages.

use ringfence_json::{Object, Value};

use crate::translate::media::{IMAGE_TYPES, PDF, source_url};
use crate::translate::node::{Node, Read};

/// What a document is called that came without a title: OpenAI wants a name.
const UNTITLED: &str = "document.pdf";

/// The blocks of a `content`, a text being one block.
pub(super) enum Content<'a> {
    Text(&'a str),
    Blocks(Vec<Node<'a>>),
}

/// The `content` of a message or a result; `None` when it has none.
pub(super) fn content<'a>(of: &Node<'a>) -> Read<Option<Content<'a>>> {
    match of.get("content") {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(Content::Text(text))),
        Some(Value::Array(_)) => Ok(Some(Content::Blocks(of.items("content")?))),
        Some(_) => Err(of.fault("content", "must be a string or an array of blocks")),
    }
}

/// A part with a text.
pub(super) fn text(text: &str) -> Value {
    Object::new().with("type", "text").with("text", text).into()
}

/// A block of text. What it cites is about the text and left out.
pub(super) fn text_block(block: &Node<'_>, dropped: &mut Vec<String>) -> Read<Value> {
    block.only(&["type", "text", "cache_control", "citations"])?;
    left_out(block, &["cache_control", "citations"], dropped);
    Ok(text(block.text("text")?))
}

/// An image. What the provider does to it before the model sees it is left out.
pub(super) fn image(block: &Node<'_>, dropped: &mut Vec<String>) -> Read<Value> {
    block.only(&["type", "source", "cache_control", "transformations"])?;
    left_out(block, &["cache_control", "transformations"], dropped);
    let url = Object::new().with("url", source_url(&block.child("source")?, &IMAGE_TYPES)?);
    Ok(Object::new().with("type", "image_url").with("image_url", url).into())
}

/// A document: a text stays one, after its title and context, and a PDF becomes a file.
pub(super) fn document(block: &Node<'_>, dropped: &mut Vec<String>) -> Read<Vec<Value>> {
    block.only(&["type", "source", "cache_control", "title", "context", "citations"])?;
    left_out(block, &["cache_control"], dropped);
    if let Some(citations) = block.optional_child("citations")?
        && citations.flag("enabled")? == Some(true)
    {
        return Err(block.fault("citations", "this model's provider cites nothing: leave it out"));
    }
    let source = block.child("source")?;
    let (title, context) = (block.optional_text("title")?, block.optional_text("context")?.map(text));
    match (source.text("type")?, source.optional_text("media_type")?) {
        ("text", _) => {
            source.only(&["type", "media_type", "data"])?;
            Ok(title.map(text).into_iter().chain(context).chain([text(source.text("data")?)]).collect())
        }
        ("base64", Some(PDF)) => {
            let file = Object::new()
                .with("filename", title.unwrap_or(UNTITLED))
                .with("file_data", source_url(&source, &[PDF])?);
            let file = Object::new().with("type", "file").with("file", file);
            Ok(context.into_iter().chain([file.into()]).collect())
        }
        _ => Err(source
            .fault("type", "cannot be read by this model's provider: send a PDF as `base64`, or a text")),
    }
}

/// Lists the members of these names that are there.
pub(super) fn left_out(block: &Node<'_>, names: &[&str], dropped: &mut Vec<String>) {
    for name in names.iter().filter(|name| block.get(name).is_some()) {
        dropped.push(block.at.member(name).path());
    }
}

/// Parts as the `content` of a message: one text is just that, which every server takes.
pub(super) fn as_content(parts: Vec<Value>) -> Value {
    match &parts[..] {
        [only] => match only.as_object().filter(|part| part.text("type") == Some("text")) {
            Some(part) => part.get("text").cloned().unwrap_or_default(),
            None => parts.into(),
        },
        _ => parts.into(),
    }
}
