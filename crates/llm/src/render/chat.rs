//! OpenAI's chat completions.

use bytes::Bytes;
use ringfence_json::{Object, Value};
use ringfence_types::Usage;
use smol_str::SmolStr;

use super::pieces::pieces;
use super::{Part, Said, Stop, written};
use crate::events::event;

/// What a stream ends with.
const DONE: &[u8] = b"[DONE]";

pub(super) fn whole(said: &Said) -> Object {
    let choice = |index: u64| {
        Object::new()
            .with("index", index)
            .with("message", message(said))
            .with("logprobs", Value::Null)
            .with("finish_reason", finish(said.stop))
    };
    let choices: Vec<Object> = (0..said.answers.max(1)).map(choice).collect();
    head(said, "chat.completion").with("choices", choices).with("usage", usage(&said.usage))
}

fn message(said: &Said) -> Object {
    let text = said.texts();
    let calls: Vec<Object> =
        said.calls().map(|(at, tool, arguments)| call(said, at, tool, &arguments)).collect();
    let content = if text.is_empty() && !calls.is_empty() { Value::Null } else { text.into() };
    Object::new()
        .with("role", "assistant")
        .with("content", content)
        .with("refusal", Value::Null)
        .with("annotations", Vec::<Value>::new())
        .with_some("tool_calls", (!calls.is_empty()).then_some(calls))
}

fn call(said: &Said, at: usize, tool: &SmolStr, arguments: &str) -> Object {
    let function = Object::new().with("name", tool.clone()).with("arguments", arguments);
    Object::new().with("id", said.part_id("call", at)).with("type", "function").with("function", function)
}

pub(super) fn stream(said: &Said, chunks: Option<usize>, tell_usage: bool) -> Vec<Bytes> {
    let stream = Stream { said, tell_usage };
    let opening = Object::new().with("role", "assistant").with("content", "").with("refusal", Value::Null);
    let mut all = vec![stream.all_choices(&opening, None)];
    let mut called = 0_u64;
    for (at, part) in said.parts.iter().enumerate() {
        match part {
            // OpenAI keeps it to itself.
            Part::Think(_) => {}
            Part::Text(text) => stream.text(text, chunks, &mut all),
            Part::Call { tool, arguments } => {
                stream.call(called, &call(said, at, tool, ""), &written(arguments), chunks, &mut all);
                called += 1;
            }
        }
    }
    let mut last = stream.all_choices(&Object::new(), Some(finish(said.stop))).to_vec();
    if tell_usage {
        let chunk = head(said, "chat.completion.chunk").with("choices", Vec::<Value>::new());
        last.extend_from_slice(&data(chunk.with("usage", usage(&said.usage))));
    }
    last.extend_from_slice(&event(None, DONE));
    all.push(last.into());
    all
}

struct Stream<'a> {
    said: &'a Said,
    tell_usage: bool,
}

// === impl Stream ===

impl Stream<'_> {
    fn text(&self, text: &str, chunks: Option<usize>, all: &mut Vec<Bytes>) {
        let piece = |piece: &str| self.all_choices(&Object::new().with("content", piece), None);
        all.extend(pieces(text, chunks).into_iter().map(piece));
    }

    fn call(&self, index: u64, call: &Object, arguments: &str, chunks: Option<usize>, all: &mut Vec<Bytes>) {
        let delta = |call: Object| Object::new().with("tool_calls", vec![call]);
        let mut first = Object::new().with("index", index);
        for (name, value) in call.iter() {
            first.insert(name.clone(), value.clone());
        }
        all.push(self.all_choices(&delta(first), None));
        for piece in pieces(arguments, chunks) {
            let function = Object::new().with("arguments", piece);
            let next = Object::new().with("index", index).with("function", function);
            all.push(self.all_choices(&delta(next), None));
        }
    }

    /// The same chunk for each of the answers.
    fn all_choices(&self, delta: &Object, finish: Option<&str>) -> Bytes {
        let mut all = Vec::new();
        for index in 0..self.said.answers.max(1) {
            let choice = Object::new()
                .with("index", index)
                .with("delta", delta.clone())
                .with("logprobs", Value::Null)
                .with("finish_reason", finish.map_or(Value::Null, Value::from));
            let chunk = head(self.said, "chat.completion.chunk").with("choices", vec![choice]);
            let chunk = if self.tell_usage { chunk.with("usage", Value::Null) } else { chunk };
            all.extend_from_slice(&data(chunk));
        }
        all.into()
    }
}

fn head(said: &Said, object: &str) -> Object {
    Object::new()
        .with("id", format!("chatcmpl-{}", said.id))
        .with("object", object)
        .with("created", said.created)
        .with("model", said.model.clone())
}

fn data(chunk: Object) -> Bytes {
    event(None, &Value::Object(chunk).to_bytes())
}

fn finish(stop: Stop) -> &'static str {
    match stop {
        Stop::End => "stop",
        Stop::Length => "length",
        Stop::Tools => "tool_calls",
        Stop::Filter => "content_filter",
    }
}

fn usage(usage: &Usage) -> Object {
    let (input, output) = (usage.input_total(), usage.output_total());
    Object::new()
        .with("prompt_tokens", input)
        .with("completion_tokens", output)
        .with("total_tokens", input.saturating_add(output))
        .with("prompt_tokens_details", read(usage))
        .with("completion_tokens_details", Object::new().with("reasoning_tokens", usage.reasoning))
}

/// What of the input was read from a cache or written into one.
pub(super) fn read(usage: &Usage) -> Object {
    let written = usage.cache_write.saturating_add(usage.cache_write_1h);
    let split =
        Object::new().with("ttl_30m_tokens", usage.cache_write).with("ttl_12h_tokens", usage.cache_write_1h);
    Object::new()
        .with("cached_tokens", usage.cached_input)
        .with("cache_write_tokens", written)
        .with_some("cache_write_tokens_details", (written > 0).then_some(split))
}
