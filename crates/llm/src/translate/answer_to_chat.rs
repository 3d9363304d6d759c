//! An answer of Anthropic's Messages as one of OpenAI's Chat Completions.

use ringfence_json::{Object, Value};

use super::Malformed;
use super::node::{Node, Read};
use super::stop::finish_reason;
use super::usage::Counts;
use crate::Family;

/// Says an answer of Anthropic's (API reference, "Create a message", returns) as one of OpenAI's ("The chat completion
/// object"). `created` is in seconds since 1970; `model` is the name the client asked for.
///
/// Texts are joined into `content`. Thoughts become `reasoning_content`, which is no member of OpenAI's but the one that
/// clients read; what Anthropic has encrypted, and citations, are left out. Arguments keep their literal text. Without usage,
/// which some compatible servers do not send, there is none: an answer that is paid for is given out.
///
/// # Errors
/// When the answer is not what Anthropic's API promises, or holds a block or a stop reason that is not known.
pub fn messages_to_chat_answer(answer: &Object, created: u64, model: &str) -> Result<Object, Malformed> {
    Ok(translate(&Node::root(answer, Family::Anthropic), created, model)?)
}

/// What the blocks of an answer come to.
#[derive(Default)]
struct Said {
    text: String,
    thoughts: String,
    calls: Vec<Value>,
}

fn translate(answer: &Node<'_>, created: u64, model: &str) -> Read<Object> {
    if answer.text("type")? != "message" || answer.text("role")? != "assistant" {
        return Err(answer.at.fault("is not a message of the assistant"));
    }
    answer.array("content")?;
    let mut said = Said::default();
    for block in answer.items("content")? {
        said.add(&block)?;
    }
    let reason = finish_reason(answer.text("stop_reason")?);
    let reason = reason.ok_or_else(|| answer.fault("stop_reason", "is not known"))?;
    let counts = match answer.optional_child("usage")? {
        Some(usage) => {
            let mut counts = Counts::default();
            counts.read_messages(&usage)?;
            Some(counts.to_chat())
        }
        None => None,
    };
    let choice = Object::new()
        .with("index", 0_u64)
        .with("message", said.message(refusal(answer)?))
        .with("logprobs", Value::Null)
        .with("finish_reason", reason);
    Ok(Object::new()
        .with("id", answer.text("id")?)
        .with("object", "chat.completion")
        .with("created", created)
        .with("model", model)
        .with("choices", vec![choice])
        .with_some("usage", counts))
}

/// What Anthropic says about a refusal ("Stop reasons and fallback").
pub(super) fn refusal<'a>(of: &Node<'a>) -> Read<Option<&'a str>> {
    match of.optional_child("stop_details")? {
        Some(details) if details.text("type")? == "refusal" => details.optional_text("explanation"),
        _ => Ok(None),
    }
}

// === impl Said ===

impl Said {
    fn add(&mut self, block: &Node<'_>) -> Read<()> {
        match block.text("type")? {
            "text" => self.text.push_str(block.text("text")?),
            "thinking" => self.thoughts.push_str(block.text("thinking")?),
            "redacted_thinking" => {}
            "tool_use" => {
                let arguments = Value::from(block.child("input")?.object.clone()).to_string();
                let function = Object::new().with("name", block.text("name")?).with("arguments", arguments);
                let call = Object::new().with("id", block.text("id")?).with("type", "function");
                self.calls.push(call.with("function", function).into());
            }
            _ => return Err(block.fault("type", "is not known, or of a tool nobody asked for")),
        }
        Ok(())
    }

    fn message(self, refusal: Option<&str>) -> Object {
        let content = if self.text.is_empty() { Value::Null } else { self.text.into() };
        Object::new()
            .with("role", "assistant")
            .with("content", content)
            .with("refusal", refusal.map_or(Value::Null, Value::from))
            .with_some("reasoning_content", (!self.thoughts.is_empty()).then_some(self.thoughts))
            .with_some("tool_calls", (!self.calls.is_empty()).then_some(self.calls))
    }
}
