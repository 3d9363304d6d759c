//! A request of Anthropic's Messages as one of OpenAI's Chat Completions.

mod content;
mod options;
mod results;
mod tools;
mod turns;

use ringfence_json::{Object, Value};

use super::fields::{Fate, is_empty, never, sort_out};
use super::node::{Node, Read};
use super::{Translated, Untranslatable};
use crate::Family;

/// Says a request of Anthropic's (API reference, "Create a message") as one of OpenAI's ("Create chat completion").
///
/// - `system` and messages of role `system` become system messages, where they stand.
/// - A `tool_result` becomes a tool message; one with `is_error` begins with `[error]`; its images and files, which a tool
///   message cannot hold, follow in a user message that says whose they are.
/// - `thinking` with a budget becomes a `reasoning_effort` (below 4,096 tokens low, below 16,384 medium, else high), unless
///   `output_config.effort` says one; adaptive thinking is the model's own choice there.
/// - Thoughts of earlier turns are left out and listed, for only Anthropic can read them. So is `cache_control`.
/// - The limit becomes `max_completion_tokens`.
///
/// Tools that Anthropic hosts, `top_k`, citations and uploaded files are refused. Counting tokens is not translated.
///
/// # Errors
/// When the request is malformed, or asks for something on which the answer depends and for which OpenAI has no word.
pub fn messages_to_chat(request: &Object) -> Result<Translated, Untranslatable> {
    let mut dropped = Vec::new();
    let body = translate(&Node::root(request, Family::Anthropic), &mut dropped)?;
    Ok(Translated::new(body, dropped))
}

const FIELDS: &[(&str, Fate)] = &[
    ("cache_control", Fate::Dropped),
    ("container", Fate::Only(never, "is a machine of another provider: leave it out")),
    ("context_management", Fate::Said),
    ("diagnostics", Fate::Dropped),
    ("inference_geo", Fate::Only(never, "this model's provider does not take a place: leave it out")),
    ("max_tokens", Fate::Said),
    (
        "mcp_servers",
        Fate::Only(is_empty, "tools that a provider reaches itself cannot be translated: leave it out"),
    ),
    ("messages", Fate::Said),
    ("metadata", Fate::Said),
    ("model", Fate::Said),
    ("output_config", Fate::Said),
    // The name of `output_config.format` before it was settled.
    ("output_format", Fate::Said),
    ("service_tier", Fate::Said),
    ("speed", Fate::Only(is_standard, "this model's provider has no such mode: leave it out")),
    ("stop_sequences", Fate::Said),
    ("stream", Fate::Said),
    ("system", Fate::Said),
    ("temperature", Fate::Said),
    ("thinking", Fate::Said),
    ("tool_choice", Fate::Said),
    ("tools", Fate::Said),
    ("top_k", Fate::Only(never, "this model's provider has no such setting: leave it out")),
    ("top_p", Fate::Said),
];

fn translate(request: &Node<'_>, dropped: &mut Vec<String>) -> Read<Object> {
    sort_out(request, FIELDS, dropped)?;
    options::context_management(request, dropped)?;
    let limit = match request.count("max_tokens")? {
        Some(limit) if limit > 0 => limit,
        Some(_) => {
            return Err(
                request.fault("max_tokens", "must be 1 or more: this model's provider has no warming")
            );
        }
        None => return Err(request.fault("max_tokens", "is missing")),
    };
    let choice = tools::choice(request)?;
    let stream = request.flag("stream")?;
    // Without this, OpenAI sends no usage in a stream.
    let stream_options = (stream == Some(true)).then(|| Object::new().with("include_usage", true));
    Ok(Object::new()
        .with("model", request.text("model")?)
        .with("messages", turns::read(request, dropped)?)
        .with("max_completion_tokens", limit)
        .with_some("tools", tools::tools(request, dropped)?)
        .with_some("tool_choice", choice.said)
        .with_some("parallel_tool_calls", choice.single.then_some(false))
        .with_some("stop", options::stop(request)?)
        .with_some("temperature", options::share(request, "temperature")?)
        .with_some("top_p", options::share(request, "top_p")?)
        .with_some("reasoning_effort", options::effort(request, dropped)?)
        .with_some("response_format", options::format(request)?)
        .with_some("user", options::user(request, dropped)?)
        .with_some("service_tier", options::service_tier(request)?)
        .with_some("stream", stream)
        .with_some("stream_options", stream_options))
}

fn is_standard(value: &Value) -> bool {
    value.as_str() == Some("standard")
}
