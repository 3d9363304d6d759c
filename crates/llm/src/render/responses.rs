//! OpenAI's responses.

use bytes::Bytes;
use ringfence_json::{Object, Value};
use ringfence_types::Usage;

use super::chat::read;
use super::pieces::pieces;
use super::{Part, Said, Stop, written};
use crate::events::event;

pub(super) fn whole(said: &Said) -> Object {
    let (status, _) = ending(said.stop);
    let items: Vec<Object> =
        said.parts.iter().enumerate().map(|(at, part)| item(said, at, part, status)).collect();
    response(said, status, items, Some(usage(&said.usage)))
}

fn ending(stop: Stop) -> (&'static str, Option<&'static str>) {
    match stop {
        Stop::End | Stop::Tools => ("completed", None),
        Stop::Length => ("incomplete", Some("max_output_tokens")),
        Stop::Filter => ("incomplete", Some("content_filter")),
    }
}

fn response(said: &Said, status: &str, output: Vec<Object>, usage: Option<Object>) -> Object {
    let why = if status == "incomplete" { ending(said.stop).1 } else { None };
    let why = why.map_or(Value::Null, |why| Object::new().with("reason", why).into());
    let format = Object::new().with("type", "text");
    Object::new()
        .with("id", format!("resp_{}", said.id))
        .with("object", "response")
        .with("created_at", said.created)
        .with("status", status)
        .with("background", false)
        .with("error", Value::Null)
        .with("incomplete_details", why)
        .with("instructions", Value::Null)
        .with("max_output_tokens", Value::Null)
        .with("model", said.model.clone())
        .with("output", output)
        .with("parallel_tool_calls", true)
        .with("previous_response_id", Value::Null)
        .with("reasoning", Object::new().with("effort", Value::Null).with("summary", Value::Null))
        .with("store", false)
        .with("temperature", 1_u64)
        .with("text", Object::new().with("format", format))
        .with("tool_choice", "auto")
        .with("tools", Vec::<Value>::new())
        .with("top_p", 1_u64)
        .with("truncation", "disabled")
        .with("usage", usage.map_or(Value::Null, Value::from))
        .with("metadata", Object::new())
}

/// An item with all that is in it.
fn item(said: &Said, at: usize, part: &Part, status: &str) -> Object {
    let of = |prefix: &str, kind: &str| Object::new().with("id", said.part_id(prefix, at)).with("type", kind);
    match part {
        Part::Think(text) => of("rs", "reasoning").with("summary", vec![summary(text)]),
        Part::Text(text) => of("msg", "message")
            .with("status", status)
            .with("role", "assistant")
            .with("content", vec![content(text)]),
        Part::Call { tool, arguments } => of("fc", "function_call")
            .with("status", status)
            .with("call_id", said.part_id("call", at))
            .with("name", tool.clone())
            .with("arguments", written(arguments)),
    }
}

/// The item as it begins, with nothing in it yet.
fn begun(said: &Said, at: usize, part: &Part) -> Object {
    let mut item = item(said, at, part, "in_progress");
    match part {
        Part::Think(_) => item.insert("summary", Vec::<Value>::new()),
        Part::Text(_) => item.insert("content", Vec::<Value>::new()),
        Part::Call { .. } => item.insert("arguments", ""),
    };
    item
}

fn content(text: &str) -> Object {
    Object::new()
        .with("type", "output_text")
        .with("text", text)
        .with("annotations", Vec::<Value>::new())
        .with("logprobs", Vec::<Value>::new())
}

fn summary(text: &str) -> Object {
    Object::new().with("type", "summary_text").with("text", text)
}

pub(super) fn stream(said: &Said, chunks: Option<usize>) -> Vec<Bytes> {
    let mut stream = Stream::default();
    let begun = response(said, "in_progress", Vec::new(), None);
    stream.add("response.created", &Object::new().with("response", begun.clone()));
    stream.add("response.in_progress", &Object::new().with("response", begun));
    stream.cut();
    for (at, part) in said.parts.iter().enumerate() {
        stream.part(said, at, part, chunks);
    }
    let kind = if ending(said.stop).0 == "completed" { "response.completed" } else { "response.incomplete" };
    stream.add(kind, &Object::new().with("response", whole(said)));
    stream.cut();
    stream.all
}

/// A stream so far.
#[derive(Default)]
struct Stream {
    all: Vec<Bytes>,
    /// The piece that is being made.
    piece: Vec<u8>,
    number: u64,
}

// === impl Stream ===

impl Stream {
    fn add(&mut self, kind: &str, members: &Object) {
        let mut data = Object::new().with("type", kind).with("sequence_number", self.number);
        for (name, value) in members.iter() {
            data.insert(name.clone(), value.clone());
        }
        self.number += 1;
        self.piece.extend_from_slice(&event(Some(kind), &Value::Object(data).to_bytes()));
    }

    /// The piece ends here.
    fn cut(&mut self) {
        if !self.piece.is_empty() {
            self.all.push(std::mem::take(&mut self.piece).into());
        }
    }

    fn part(&mut self, said: &Said, at: usize, part: &Part, chunks: Option<usize>) {
        let place = u64::try_from(at).unwrap_or(u64::MAX);
        let item = Item::of(said, at, part);
        let outer = |item: Object| Object::new().with("output_index", place).with("item", item);
        self.add("response.output_item.added", &outer(begun(said, at, part)));
        if let Some(kind) = item.part_added {
            self.add(kind, &item.at().with("part", (item.shown)("")));
        }
        for piece in pieces(&item.text, chunks) {
            self.add(item.delta, &item.at().with("delta", piece));
            self.cut();
        }
        self.add(item.done, &item.at().with(item.member, item.text.clone()));
        if let Some(kind) = item.part_done {
            self.add(kind, &item.at().with("part", (item.shown)(&item.text)));
        }
        self.add("response.output_item.done", &outer(self::item(said, at, part, ending(said.stop).0)));
        self.cut();
    }
}

/// What the events of an item are called.
struct Item {
    /// Where its text stands.
    place: Object,
    text: String,
    part_added: Option<&'static str>,
    delta: &'static str,
    done: &'static str,
    /// In which member of `done` the text is.
    member: &'static str,
    part_done: Option<&'static str>,
    shown: fn(&str) -> Object,
}

// === impl Item ===

impl Item {
    fn of(said: &Said, at: usize, part: &Part) -> Self {
        let place = u64::try_from(at).unwrap_or(u64::MAX);
        let of = |prefix: &str| {
            Object::new().with("item_id", said.part_id(prefix, at)).with("output_index", place)
        };
        match part {
            Part::Think(text) => Self {
                place: of("rs").with("summary_index", 0_u64),
                text: text.to_string(),
                part_added: Some("response.reasoning_summary_part.added"),
                delta: "response.reasoning_summary_text.delta",
                done: "response.reasoning_summary_text.done",
                member: "text",
                part_done: Some("response.reasoning_summary_part.done"),
                shown: summary,
            },
            Part::Text(text) => Self {
                place: of("msg").with("content_index", 0_u64),
                text: text.to_string(),
                part_added: Some("response.content_part.added"),
                delta: "response.output_text.delta",
                done: "response.output_text.done",
                member: "text",
                part_done: Some("response.content_part.done"),
                shown: content,
            },
            Part::Call { arguments, .. } => Self {
                place: of("fc"),
                text: written(arguments),
                part_added: None,
                delta: "response.function_call_arguments.delta",
                done: "response.function_call_arguments.done",
                member: "arguments",
                part_done: None,
                shown: content,
            },
        }
    }

    fn at(&self) -> Object {
        self.place.clone()
    }
}

fn usage(usage: &Usage) -> Object {
    let (input, output) = (usage.input_total(), usage.output_total());
    Object::new()
        .with("input_tokens", input)
        .with("input_tokens_details", read(usage))
        .with("output_tokens", output)
        .with("output_tokens_details", Object::new().with("reasoning_tokens", usage.reasoning))
        .with("total_tokens", input.saturating_add(output))
}
