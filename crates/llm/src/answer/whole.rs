//! An answer in one piece.

use ringfence_json::{Object, Value};
use ringfence_types::Usage;
use smol_str::SmolStr;

use super::output::{Output, each, object, objects};
use super::usage::{Anthropic, Reading, is_too_little, openai};
use super::{Answered, Failed, hosted};
use crate::Api;

/// Reads a whole answer with a status of 2xx.
///
/// Counting tokens costs nothing, so its answer has a usage of nothing.
pub fn whole(api: Api, answer: &Value) -> Answered {
    let Some(answer) = answer.as_object() else { return Answered::default() };
    let mut output = Output::default();
    each(api, answer, &mut |part| output.add(None, part));
    let mut read = match api {
        Api::Chat => chat(answer),
        Api::Responses => response(answer),
        Api::Messages => message(answer),
        Api::Embeddings => Answered { ..used(object(answer, "usage").map(openai)) },
        Api::CountTokens => Answered { usage: Some(Usage::default()), ..Answered::default() },
    };
    read.output_bytes = output.bytes;
    read.doubtful |= read.usage.is_some_and(|usage| is_too_little(usage.output_total(), output.bytes));
    read
}

fn used(reading: Option<Reading>) -> Answered {
    Answered {
        usage: reading.map(|reading| reading.usage),
        doubtful: reading.is_some_and(|reading| reading.doubtful),
        ..Answered::default()
    }
}

fn chat(answer: &Object) -> Answered {
    let reading = object(answer, "usage").map(openai);
    let complete = reading.filter(|reading| reading.has_input && reading.has_output);
    let mut read = used(reading);
    read.doubtful |= reading.is_some() && complete.is_none();
    read.tier = tier(answer);
    read.finish = objects(answer, "choices").filter_map(|choice| word(choice, "finish_reason")).last();
    read.failed = failure(answer);
    read
}

fn response(answer: &Object) -> Answered {
    let mut read = used(object(answer, "usage").map(openai));
    let (uses, is_sound) = hosted::openai(answer);
    read.doubtful |= !is_sound;
    read.hosted = uses;
    read.tier = tier(answer);
    read.finish = ending(answer);
    read.failed = failure(answer);
    read
}

fn message(answer: &Object) -> Answered {
    let usage = object(answer, "usage");
    let mut read = used(usage.map(|usage| Anthropic::read(usage).reading()));
    if let Some(usage) = usage {
        let (uses, is_sound) = hosted::anthropic(usage);
        read.doubtful |= !is_sound;
        read.hosted = uses;
        read.tier = anthropic_tier(usage);
    }
    read.finish = word(answer, "stop_reason");
    read.failed = failure(answer);
    read
}

/// The tier of an answer or chunk of OpenAI's.
pub(super) fn tier(answer: &Object) -> Option<SmolStr> {
    word(answer, "service_tier")
}

/// The tier in a usage of Anthropic's. Its fast mode is priced as a tier is, so it counts as one.
pub(super) fn anthropic_tier(usage: &Object) -> Option<SmolStr> {
    word(usage, "speed").filter(|speed| speed != "standard").or_else(|| word(usage, "service_tier"))
}

/// How a response of OpenAI's ends: its status, or why it is incomplete.
pub(super) fn ending(response: &Object) -> Option<SmolStr> {
    let incomplete = object(response, "incomplete_details").and_then(|details| word(details, "reason"));
    incomplete.or_else(|| word(response, "status"))
}

/// What an `error` member says.
pub(super) fn failure(answer: &Object) -> Option<Failed> {
    let error = answer.get("error").filter(|error| !error.is_null())?;
    let error = error.as_object();
    let kind = error.and_then(|error| word(error, "code").or_else(|| word(error, "type")));
    Some(Failed { kind: kind.unwrap_or_else(|| "error".into()) })
}

/// Bytes of a provider's word that is kept.
const WORD_BYTES_MAX: usize = 64;

/// A short text.
pub(super) fn word(object: &Object, name: &str) -> Option<SmolStr> {
    object.text(name).filter(|word| word.len() <= WORD_BYTES_MAX).map(SmolStr::new)
}
