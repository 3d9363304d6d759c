//! What rules see of a model call, and what they may change in it.

use ringfence_json::{Object, Value};

use super::{Asked, ChatLimit, NotApplicable, OUTPUT_MAX, set_answers, set_output};
use crate::Api;

/// What rules may lower.
const LIMIT: &str = "max_output_tokens";
const ANSWERS: &str = "n";

/// A model call as rules see it, in the place of a tool's arguments:
///
/// | member | type | |
/// |---|---|---|
/// | `api` | text | `chat`, `responses`, `embeddings`, `messages`, `count_tokens` |
/// | `model` | text | as the request names it |
/// | `max_output_tokens` | number | only where the request says a limit; a rule may lower it |
/// | `n` | number | answers asked for; a rule may lower it |
/// | `stream` | boolean | |
/// | `service_tier` | text | only where the request names one; as in [`Asked::tier`] |
/// | `input_bytes` | number | without inline images and documents |
/// | `images`, `documents` | number | how many |
/// | `inputs` | number | texts to embed; only for embeddings |
/// | `messages`, `tool_results` | number | in the conversation so far |
/// | `tools` | list of texts | names of tools that run at the client |
/// | `hosted_tools` | list of texts | short names of tools that the provider runs |
/// | `features` | list of texts | `json`, `json_schema`, `tools`, `images`, `documents`, `reasoning`, `logprobs` |
/// | `stored` | boolean | whether the provider keeps it |
/// | `hidden_input` | boolean | whether the model may read more than the request holds |
/// | `unknown_fields` | list of texts | where fields are that are on no list |
pub fn rules_view(asked: &Asked) -> Object {
    let hosted: Vec<_> = asked.hosted.iter().map(|tool| tool.name.clone()).collect();
    let features: Vec<_> = asked.features.words().collect();
    let inputs = (asked.api == Api::Embeddings).then_some(asked.inputs);
    Object::new()
        .with("api", asked.api.word())
        .with("model", asked.model.clone())
        .with_some(LIMIT, asked.output)
        .with(ANSWERS, asked.answers)
        .with("stream", asked.stream)
        .with_some("service_tier", asked.tier.clone())
        .with("input_bytes", asked.text_bytes)
        .with("images", asked.images)
        .with("documents", asked.documents)
        .with_some("inputs", inputs)
        .with("messages", asked.trail.messages)
        .with("tool_results", asked.trail.results)
        .with("tools", asked.tools.clone())
        .with("hosted_tools", hosted)
        .with("features", features)
        .with("stored", asked.stores)
        .with("hidden_input", asked.hidden_input)
        .with("unknown_fields", asked.unknown.clone())
}

/// Makes in the request what a rule changed in the view of it. A rule may set a limit on output, or lower it, and
/// lower the number of answers.
///
/// # Errors
/// When a rule changed anything else, or the request cannot be changed so; then nothing is changed.
pub fn apply_narrowed(
    request: &mut Object,
    api: Api,
    before: &Object,
    after: &Object,
    unsaid: ChatLimit,
) -> Result<(), NotApplicable> {
    let untouched = |name: &str| name == LIMIT || name == ANSWERS || before.get(name) == after.get(name);
    let names = before.iter().chain(after.iter()).map(|(name, _)| name);
    if !names.into_iter().all(|name| untouched(name)) {
        return Err(NotApplicable::Changed);
    }
    let (limit, answers) = (lowered(LIMIT, before, after)?, lowered(ANSWERS, before, after)?);
    if answers.is_some() && api != Api::Chat {
        return Err(NotApplicable::NoPlace("a number of answers"));
    }
    if let Some(limit) = limit {
        set_output(request, api, limit, unsaid)?;
    }
    match answers {
        Some(answers) => set_answers(request, api, answers),
        None => Ok(()),
    }
}

/// The new value, if there is one.
fn lowered(name: &str, before: &Object, after: &Object) -> Result<Option<u64>, NotApplicable> {
    let before = before.get(name);
    if before == after.get(name) {
        return Ok(None);
    }
    let most = before.map_or(Some(OUTPUT_MAX), Value::as_u64);
    let new = after.get(name).and_then(Value::as_u64).filter(|new| *new >= 1);
    match (new, most) {
        (Some(new), Some(most)) if new <= most => Ok(Some(new)),
        _ => Err(NotApplicable::Changed),
    }
}
