//! A request of OpenAI's Chat Completions as one of Anthropic's Messages.

mod content;
mod options;
mod tools;
mod turns;

use ringfence_json::{Number, Object, Value};

use super::fields::{Fate, is_empty, is_false, is_one, is_zero, never, sort_out};
use super::node::{Node, Read};
use super::{Translated, Untranslatable};
use crate::Family;

/// Says a request of OpenAI's (API reference, "Create chat completion") as one of Anthropic's ("Create a message").
///
/// - System and developer messages become `system`. One that stands after the first other message moves there, too (and is
///   listed), as Anthropic's own OpenAI layer does it: only the newest models take it in its place.
/// - Results of tools become one user message of `tool_result` blocks; messages of one role in a row become one.
/// - `reasoning_effort` becomes `output_config.effort` with adaptive thinking; `none` turns thinking off; `minimal` is said
///   as `low` (and listed). Thinking is not asked for where a tool is forced, which Anthropic refuses.
/// - `temperature` is passed on as written up to 1, which is Anthropic's highest, and refused above; `temperature` and
///   `top_p` of 1 are the default and left out, since newer models refuse the member.
/// - `response_format` becomes `output_config.format`; JSON without a schema is refused.
/// - `stream_options` is for [`ChatStream`](super::ChatStream).
///
/// # Errors
/// When the request is malformed, or asks for something on which the answer depends and for which Anthropic has no word.
pub fn chat_to_messages(request: &Object) -> Result<Translated, Untranslatable> {
    let mut dropped = Vec::new();
    let body = translate(&Node::root(request, Family::OpenAi), &mut dropped)?;
    Ok(Translated::new(body, dropped))
}

const LOGPROBS: &str = "this model's provider tells no probabilities of tokens: leave it out";
const PENALTY: &str = "this model's provider has no penalties: leave it out or send 0";
const FUNCTIONS: &str = "is the deprecated form of tools: send `tools` and `tool_choice`";
const AUDIO: &str = "this model's provider takes and writes no audio here: leave it out";

const FIELDS: &[(&str, Fate)] = &[
    ("audio", Fate::Only(never, AUDIO)),
    ("frequency_penalty", Fate::Only(is_zero, PENALTY)),
    ("function_call", Fate::Only(never, FUNCTIONS)),
    ("functions", Fate::Only(is_empty, FUNCTIONS)),
    ("logit_bias", Fate::Only(is_empty, "this model's provider cannot weigh tokens: leave it out")),
    ("logprobs", Fate::Only(is_false, LOGPROBS)),
    ("max_completion_tokens", Fate::Said),
    ("max_tokens", Fate::Said),
    ("messages", Fate::Said),
    // Only for finding stored answers again, and `store` is refused.
    ("metadata", Fate::Dropped),
    ("modalities", Fate::Only(is_text_only, AUDIO)),
    ("model", Fate::Said),
    ("moderation", Fate::Only(never, "this model's provider has no moderation of answers: leave it out")),
    ("n", Fate::Only(is_one, "this model's provider gives one answer to a request: send several requests")),
    ("parallel_tool_calls", Fate::Said),
    // Makes an answer faster, not another.
    ("prediction", Fate::Dropped),
    ("presence_penalty", Fate::Only(is_zero, PENALTY)),
    ("prompt_cache_key", Fate::Dropped),
    ("prompt_cache_options", Fate::Dropped),
    ("prompt_cache_retention", Fate::Dropped),
    ("reasoning_effort", Fate::Said),
    ("response_format", Fate::Said),
    ("safety_identifier", Fate::Said),
    // A best effort without a promise, in OpenAI's own words.
    ("seed", Fate::Dropped),
    ("service_tier", Fate::Said),
    ("stop", Fate::Said),
    (
        "store",
        Fate::Only(is_false, "this model's provider keeps no answers to be fetched later: leave it out"),
    ),
    ("stream", Fate::Said),
    ("stream_options", Fate::Said),
    ("temperature", Fate::Said),
    ("tool_choice", Fate::Said),
    ("tools", Fate::Said),
    ("top_logprobs", Fate::Only(is_zero, LOGPROBS)),
    ("top_p", Fate::Said),
    ("user", Fate::Said),
    ("verbosity", Fate::Only(is_medium, "this model's provider has no such setting: say it in the prompt")),
    (
        "web_search_options",
        Fate::Only(never, "a search the provider hosts cannot be translated: leave it out"),
    ),
];

fn translate(request: &Node<'_>, dropped: &mut Vec<String>) -> Read<Object> {
    sort_out(request, FIELDS, dropped)?;
    let model = request.text("model")?;
    let limit = limit(request)?;
    let conversation = turns::read(request, dropped)?;
    let choice = tools::choice(request)?;
    let thought = options::reasoning(request, choice.forces(), dropped)?;
    let format = options::format(request, dropped)?;
    let output = Object::new().with_some("effort", thought.effort).with_some("format", format);
    Ok(Object::new()
        .with("model", model)
        .with("max_tokens", limit)
        .with_some("system", (!conversation.system.is_empty()).then_some(conversation.system))
        .with("messages", conversation.messages)
        .with_some("tools", tools::tools(request)?)
        .with_some("tool_choice", choice.said)
        .with_some("stop_sequences", options::stop(request)?)
        .with_some("temperature", options::temperature(request)?)
        .with_some("top_p", options::top_p(request)?)
        .with_some("thinking", thought.thinking)
        .with_some("output_config", (!output.is_empty()).then_some(output))
        .with_some("metadata", options::metadata(request)?)
        .with_some("service_tier", options::service_tier(request)?)
        .with_some("stream", request.flag("stream")?))
}

/// The output limit, which Anthropic requires. The gateway gives a request that has none the model's default before.
fn limit(request: &Node<'_>) -> Read<Number> {
    let name = match request.get("max_completion_tokens") {
        Some(_) => "max_completion_tokens",
        None => "max_tokens",
    };
    match request.count(name)? {
        Some(0) => Err(request.fault(name, "must be 1 or more")),
        Some(limit) => Ok(limit.into()),
        None => {
            Err(request.fault("max_completion_tokens", "is missing: this model's provider needs a limit"))
        }
    }
}

fn is_text_only(value: &Value) -> bool {
    value.as_array().is_some_and(|all| all.len() == 1 && all[0].as_str() == Some("text"))
}

fn is_medium(value: &Value) -> bool {
    value.as_str() == Some("medium")
}
