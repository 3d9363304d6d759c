//! Anthropic's messages.

use bytes::Bytes;
use ringfence_json::{Object, Value};
use ringfence_types::Usage;

use super::pieces::pieces;
use super::{Part, Said, Stop, written};
use crate::events::event;

/// What a thought is signed with; nobody checks it here.
const SIGNATURE: &str = "c2NyaXB0ZWQ=";

pub(super) fn whole(said: &Said) -> Object {
    let blocks: Vec<Object> = said.parts.iter().enumerate().map(|(at, part)| block(said, at, part)).collect();
    head(said)
        .with("content", blocks)
        .with("stop_reason", finish(said.stop))
        .with("stop_sequence", Value::Null)
        .with("usage", usage(&said.usage))
}

fn head(said: &Said) -> Object {
    Object::new()
        .with("id", format!("msg_{}", said.id))
        .with("type", "message")
        .with("role", "assistant")
        .with("model", said.model.clone())
}

fn block(said: &Said, at: usize, part: &Part) -> Object {
    match part {
        Part::Think(text) => {
            Object::new().with("type", "thinking").with("thinking", text.clone()).with("signature", SIGNATURE)
        }
        Part::Text(text) => Object::new().with("type", "text").with("text", text.clone()),
        Part::Call { tool, arguments } => Object::new()
            .with("type", "tool_use")
            .with("id", said.part_id("toolu", at))
            .with("name", tool.clone())
            .with("input", arguments.clone()),
    }
}

pub(super) fn stream(said: &Said, chunks: Option<usize>) -> Vec<Bytes> {
    // Counts only ever grow, and what was written is told in the end.
    let begun = Usage { output: said.usage.output_total().min(1), reasoning: 0, ..said.usage };
    let message = head(said)
        .with("content", Vec::<Value>::new())
        .with("stop_reason", Value::Null)
        .with("stop_sequence", Value::Null)
        .with("usage", usage(&begun));
    let start = Object::new().with("type", "message_start").with("message", message);
    let mut all = vec![named(start)];
    for (at, part) in said.parts.iter().enumerate() {
        part_of_stream(said, at, part, chunks, &mut all);
    }
    let delta = Object::new().with("stop_reason", finish(said.stop)).with("stop_sequence", Value::Null);
    let delta =
        Object::new().with("type", "message_delta").with("delta", delta).with("usage", usage(&said.usage));
    let mut last = named(delta).to_vec();
    last.extend_from_slice(&named(Object::new().with("type", "message_stop")));
    all.push(last.into());
    all
}

/// A block: what begins it comes with its first piece, what ends it with its last.
fn part_of_stream(said: &Said, at: usize, part: &Part, chunks: Option<usize>, all: &mut Vec<Bytes>) {
    let place = u64::try_from(at).unwrap_or(u64::MAX);
    let of = |kind: &str| Object::new().with("type", kind).with("index", place);
    let empty = match part {
        Part::Think(_) => block(said, at, &Part::Think("".into())).with("signature", ""),
        Part::Text(_) => block(said, at, &Part::Text("".into())),
        Part::Call { tool, .. } => {
            block(said, at, &Part::Call { tool: tool.clone(), arguments: Object::new() })
        }
    };
    let (kind, member, text) = match part {
        Part::Think(text) => ("thinking_delta", "thinking", text.to_string()),
        Part::Text(text) => ("text_delta", "text", text.to_string()),
        Part::Call { arguments, .. } => ("input_json_delta", "partial_json", written(arguments)),
    };
    let first = all.len();
    let delta = |delta: Object| named(of("content_block_delta").with("delta", delta));
    for piece in pieces(&text, chunks) {
        all.push(delta(Object::new().with("type", kind).with(member, piece)));
    }
    if all.len() == first {
        all.push(Bytes::new());
    }
    let mut begin = named(of("content_block_start").with("content_block", empty)).to_vec();
    begin.extend_from_slice(&all[first]);
    all[first] = begin.into();
    let mut end = all.pop().unwrap_or_default().to_vec();
    if matches!(part, Part::Think(_)) {
        end.extend_from_slice(&delta(
            Object::new().with("type", "signature_delta").with("signature", SIGNATURE),
        ));
    }
    end.extend_from_slice(&named(of("content_block_stop")));
    all.push(end.into());
}

/// An event that is called what its data says.
fn named(data: Object) -> Bytes {
    let name = data.text("type").unwrap_or_default().to_owned();
    event(Some(&name), &Value::Object(data).to_bytes())
}

fn finish(stop: Stop) -> &'static str {
    match stop {
        Stop::End => "end_turn",
        Stop::Length => "max_tokens",
        Stop::Tools => "tool_use",
        Stop::Filter => "refusal",
    }
}

fn usage(usage: &Usage) -> Object {
    let written = usage.cache_write.saturating_add(usage.cache_write_1h);
    let creation = Object::new()
        .with("ephemeral_5m_input_tokens", usage.cache_write)
        .with("ephemeral_1h_input_tokens", usage.cache_write_1h);
    let thinking = (usage.reasoning > 0).then(|| Object::new().with("thinking_tokens", usage.reasoning));
    Object::new()
        .with("input_tokens", usage.input)
        .with("cache_creation_input_tokens", written)
        .with("cache_read_input_tokens", usage.cached_input)
        .with("cache_creation", creation)
        .with("output_tokens", usage.output_total())
        .with_some("output_tokens_details", thinking)
}
