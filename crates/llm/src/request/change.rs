//! What is changed in a request before it is sent.

use ringfence_json::{Object, Value};

use crate::Api;

/// Under which name a chat request says its limit that says none yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ChatLimit {
    /// `max_completion_tokens`: OpenAI itself, where newer models take nothing else.
    MaxCompletionTokens,
    /// `max_tokens`: those who are compatible with it.
    MaxTokens,
}

/// A change cannot be made to this request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotApplicable {
    /// The API has no such thing.
    #[error("{0} has no place in a request of this kind")]
    NoPlace(&'static str),
    /// The least that thinking takes does not fit below the limit.
    #[error("the request asks for thinking, which needs a limit of more than {THINKING_TOKENS_MIN} tokens")]
    Thinking,
    /// A rule changed what cannot be changed, or did not lower it.
    #[error("a rule may only lower max_output_tokens and n of a model call; it changed something else")]
    Changed,
}

/// The smallest budget for thinking that Anthropic takes, in tokens.
const THINKING_TOKENS_MIN: u64 = 1_024;
/// What a response is asked to include so that the next request can bring its thoughts along where nothing is kept.
const ENCRYPTED: &str = "reasoning.encrypted_content";

/// Names the model.
pub fn set_model(request: &mut Object, name: &str) {
    request.insert("model", name);
}

/// Limits each answer to so many tokens, under the name that the request uses already. A budget for thinking that
/// would reach the limit is lowered with it.
///
/// # Errors
/// When the API has no limit, or thinking does not fit below it; then nothing is changed.
pub fn set_output(
    request: &mut Object,
    api: Api,
    limit: u64,
    unsaid: ChatLimit,
) -> Result<(), NotApplicable> {
    match api {
        Api::Chat => set_chat_output(request, limit, unsaid),
        Api::Responses => drop(request.insert("max_output_tokens", limit)),
        Api::Messages => {
            lower_thinking(request, limit)?;
            request.insert("max_tokens", limit);
        }
        Api::Embeddings | Api::CountTokens => return Err(NotApplicable::NoPlace("a limit on output")),
    }
    Ok(())
}

fn set_chat_output(request: &mut Object, limit: u64, unsaid: ChatLimit) {
    let mut said = false;
    for name in ["max_completion_tokens", "max_tokens"] {
        if let Some(value) = request.get_mut(name).filter(|value| !value.is_null()) {
            *value = limit.into();
            said = true;
        }
    }
    if !said {
        let name = match unsaid {
            ChatLimit::MaxCompletionTokens => "max_completion_tokens",
            ChatLimit::MaxTokens => "max_tokens",
        };
        request.insert(name, limit);
    }
}

fn lower_thinking(request: &mut Object, limit: u64) -> Result<(), NotApplicable> {
    let thinking = request.get_mut("thinking").and_then(Value::as_object_mut);
    let Some(budget) = thinking.and_then(|thinking| thinking.get_mut("budget_tokens")) else { return Ok(()) };
    if budget.as_u64().is_some_and(|tokens| tokens >= limit) {
        let lower = limit.checked_sub(1).filter(|lower| *lower >= THINKING_TOKENS_MIN);
        *budget = lower.ok_or(NotApplicable::Thinking)?.into();
    }
    Ok(())
}

/// Asks for so many answers.
///
/// # Errors
/// When the API gives only one, and this is another number.
pub fn set_answers(request: &mut Object, api: Api, answers: u64) -> Result<(), NotApplicable> {
    match (api, answers) {
        (Api::Chat, _) => drop(request.insert("n", answers)),
        (_, 1) => {}
        _ => return Err(NotApplicable::NoPlace("a number of answers")),
    }
    Ok(())
}

/// Asks for the usage at the end of a stream, where it has to be asked for, leaving the other options for streams as
/// they are.
pub fn ask_usage(request: &mut Object, api: Api) {
    if api != Api::Chat || request.get("stream").and_then(Value::as_bool) != Some(true) {
        return;
    }
    match request.get_mut("stream_options") {
        Some(Value::Object(options)) => drop(options.insert("include_usage", true)),
        _ => drop(request.insert("stream_options", Object::new().with("include_usage", true))),
    }
}

/// Has OpenAI keep nothing of the request, where it would otherwise. With `reasoning`, for models that think, the
/// answer brings its thoughts along encrypted, because the next request could not refer to them; models that do not
/// think refuse that.
pub fn set_store_false(request: &mut Object, api: Api, reasoning: bool) {
    match api {
        Api::Chat if request.contains("store") => drop(request.insert("store", false)),
        Api::Responses => {
            request.insert("store", false);
            if reasoning {
                include(request, ENCRYPTED);
            }
        }
        _ => {}
    }
}

fn include(request: &mut Object, what: &str) {
    match request.get_mut("include") {
        Some(Value::Array(all)) if all.iter().any(|one| one.as_str() == Some(what)) => {}
        Some(Value::Array(all)) => all.push(what.into()),
        _ => drop(request.insert("include", vec![what])),
    }
}

/// Asks for a service tier.
///
/// # Errors
/// When the API has none.
pub fn set_tier(request: &mut Object, api: Api, tier: &str) -> Result<(), NotApplicable> {
    match api {
        Api::Chat | Api::Responses | Api::Messages => drop(request.insert("service_tier", tier)),
        Api::Embeddings | Api::CountTokens => return Err(NotApplicable::NoPlace("a service tier")),
    }
    Ok(())
}
