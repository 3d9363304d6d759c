//! What of an answer the model wrote.

use ringfence_json::{Object, Value};

use crate::Api;
use crate::tokens::Tokenizer;

/// Bytes of something encrypted or encoded for about one token.
const OPAQUE_BYTES: u64 = 4;

/// Something that the model wrote.
#[derive(Clone, Copy)]
pub(super) enum Part<'a> {
    /// A text.
    Text(&'a str),
    /// Something that stands for a text that is not shown, such as encrypted reasoning, or for a sound.
    Opaque(&'a str),
}

/// Counts parts.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Output {
    pub bytes: u64,
    pub tokens: u64,
}

// === impl Output ===

impl Output {
    pub fn add(&mut self, tokenizer: Option<Tokenizer>, part: Part<'_>) {
        let (Part::Text(text) | Part::Opaque(text)) = part;
        let bytes = u64::try_from(text.len()).unwrap_or(u64::MAX);
        let tokens = match (part, tokenizer) {
            (Part::Text(text), Some(tokenizer)) => tokenizer.count(text),
            (Part::Opaque(_), Some(_)) => bytes.div_ceil(OPAQUE_BYTES),
            (_, None) => 0,
        };
        self.bytes = self.bytes.saturating_add(bytes);
        self.tokens = self.tokens.saturating_add(tokens);
    }
}

/// About how many tokens the model wrote in a whole answer; for answers that come without a usage.
pub fn output_tokens(api: Api, answer: &Value, tokenizer: Tokenizer) -> u64 {
    let mut output = Output::default();
    if let Some(answer) = answer.as_object() {
        each(api, answer, &mut |part| output.add(Some(tokenizer), part));
    }
    output.tokens
}

/// All parts of a whole answer.
pub(super) fn each<'a>(api: Api, answer: &'a Object, to: &mut dyn FnMut(Part<'a>)) {
    match api {
        Api::Chat => {
            for message in objects(answer, "choices").filter_map(|choice| object(choice, "message")) {
                chat(message, to);
            }
        }
        Api::Responses => objects(answer, "output").for_each(|item| self::item(item, to)),
        Api::Messages => objects(answer, "content").for_each(|block| self::block(block, to)),
        Api::Embeddings | Api::CountTokens => {}
    }
}

/// A message of Chat Completions, or what a chunk adds to it. Reasoning is no part of OpenAI's; others call it
/// `reasoning_content` or `reasoning`.
pub(super) fn chat<'a>(message: &'a Object, to: &mut dyn FnMut(Part<'a>)) {
    texts(message, &["content", "refusal", "reasoning_content"], to);
    if message.get("reasoning_content").is_none_or(Value::is_null) {
        texts(message, &["reasoning"], to);
    }
    objects(message, "content").for_each(|part| texts(part, &["text", "refusal", "thinking"], to));
    let calls =
        objects(message, "tool_calls").flat_map(|call| [object(call, "function"), object(call, "custom")]);
    for call in calls.flatten().chain(object(message, "function_call")) {
        texts(call, &["name", "arguments", "input"], to);
    }
    if let Some(audio) = object(message, "audio") {
        texts(audio, &["transcript"], to);
        opaque(audio, "data", to);
    }
}

/// An output item of the Responses API.
pub(super) fn item<'a>(item: &'a Object, to: &mut dyn FnMut(Part<'a>)) {
    // A hosted tool's own words are not the model's, what it asks of the tool is.
    texts(item, &["name", "arguments", "input", "code"], to);
    for part in objects(item, "content").chain(objects(item, "summary")) {
        texts(part, &["text", "refusal"], to);
    }
    if let Some(action) = object(item, "action") {
        texts(action, &["query", "command", "text"], to);
    }
    opaque(item, "encrypted_content", to);
}

/// A content block of the Messages API.
pub(super) fn block<'a>(block: &'a Object, to: &mut dyn FnMut(Part<'a>)) {
    match block.text("type").unwrap_or_default() {
        "text" => texts(block, &["text"], to),
        "thinking" => texts(block, &["thinking"], to),
        "redacted_thinking" => opaque(block, "data", to),
        kind if kind.ends_with("tool_use") => {
            texts(block, &["name"], to);
            if let Some(input) = block.get("input") {
                strings(input, to);
            }
        }
        // What a hosted tool found is read, not written.
        _ => {}
    }
}

/// Names and texts in the arguments of a tool, wherever they are.
fn strings<'a>(value: &'a Value, to: &mut dyn FnMut(Part<'a>)) {
    match value {
        Value::String(text) => to(Part::Text(text)),
        Value::Number(number) => to(Part::Text(number.as_str())),
        Value::Bool(_) | Value::Null => to(Part::Text("true")),
        Value::Array(elements) => elements.iter().for_each(|element| strings(element, to)),
        Value::Object(members) => members.iter().for_each(|(name, value)| {
            to(Part::Text(name));
            strings(value, to);
        }),
    }
}

pub(super) fn texts<'a>(object: &'a Object, names: &[&str], to: &mut dyn FnMut(Part<'a>)) {
    for text in names.iter().filter_map(|name| object.text(name)).filter(|text| !text.is_empty()) {
        to(Part::Text(text));
    }
}

pub(super) fn opaque<'a>(object: &'a Object, name: &str, to: &mut dyn FnMut(Part<'a>)) {
    if let Some(text) = object.text(name).filter(|text| !text.is_empty()) {
        to(Part::Opaque(text));
    }
}

pub(super) fn object<'a>(object: &'a Object, name: &str) -> Option<&'a Object> {
    object.get(name).and_then(Value::as_object)
}

/// The objects in an array.
pub(super) fn objects<'a>(object: &'a Object, name: &str) -> impl Iterator<Item = &'a Object> {
    let array = object.get(name).and_then(Value::as_array).unwrap_or_default();
    array.iter().filter_map(Value::as_object)
}
