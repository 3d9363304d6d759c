//! An answer of OpenAI's Chat Completions as one of Anthropic's Messages.

use ringfence_json::{Object, Value};

use super::Malformed;
use super::names::tool_id;
use super::node::{Node, Read, arguments};
use super::stop::stop_reason;
use super::usage::Counts;
use crate::Family;

/// Says an answer of OpenAI's (API reference, "The chat completion object") as one of Anthropic's ("Create a message",
/// returns). `model` is the name the client asked for.
///
/// A refusal is a text with stop reason `refusal`. Arguments keep their numbers' literal text. Without usage, which some
/// compatible servers do not send, all counts are 0. `reasoning_content` is left out: as a thinking block it would lack
/// Anthropic's signature, and a conversation that holds one is refused there later.
///
/// # Errors
/// When the answer is not what OpenAI's API promises, or its tool calls are cut off or are no JSON.
pub fn chat_to_messages_answer(answer: &Object, model: &str) -> Result<Object, Malformed> {
    Ok(translate(&Node::root(answer, Family::OpenAi), model)?)
}

fn translate(answer: &Node<'_>, model: &str) -> Read<Object> {
    let choices = answer.items("choices")?;
    let [choice] = &choices[..] else {
        return Err(answer.fault("choices", "must hold one choice"));
    };
    let message = choice.child("message")?;
    for name in ["audio", "function_call"] {
        if message.get(name).is_some() {
            return Err(message.fault(name, "is nothing anybody asked for"));
        }
    }
    let refusal = message.optional_text("refusal")?.filter(|refusal| !refusal.is_empty());
    let texts = message.optional_text("content")?.into_iter().chain(refusal).filter(|text| !text.is_empty());
    let mut content: Vec<Value> =
        texts.map(|text| Object::new().with("type", "text").with("text", text).into()).collect();
    let calls = message.items("tool_calls")?;
    for call in &calls {
        content.push(tool_use(call)?.into());
    }
    let reason = stop_reason(choice.text("finish_reason")?, !calls.is_empty(), refusal.is_some());
    let reason = reason.ok_or_else(|| choice.fault("finish_reason", "is not known"))?;
    let counts = answer.optional_child("usage")?.map(|usage| Counts::of_chat(&usage)).transpose()?;
    let message = start(answer.text("id")?, model, content, counts.unwrap_or_default());
    Ok(message.with("stop_reason", reason))
}

/// A message of the assistant, not ended.
pub(super) fn start(id: &str, model: &str, content: Vec<Value>, counts: Counts) -> Object {
    Object::new()
        .with("id", id)
        .with("type", "message")
        .with("role", "assistant")
        .with("model", model)
        .with("content", content)
        .with("stop_reason", Value::Null)
        .with("stop_sequence", Value::Null)
        .with("usage", counts.to_messages())
}

fn tool_use(call: &Node<'_>) -> Read<Object> {
    if call.optional_text("type")?.is_some_and(|kind| kind != "function") {
        return Err(call.fault("type", "is no call of a function"));
    }
    let id = tool_id(call.text("id")?, &call.at.member("id"))?;
    let function = call.child("function")?;
    let input = arguments(function.text("arguments")?, &function.at.member("arguments"))?;
    let call = Object::new().with("type", "tool_use").with("id", id);
    Ok(call.with("name", function.text("name")?).with("input", input))
}
