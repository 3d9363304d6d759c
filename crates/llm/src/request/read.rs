//! What a request asks for.

use ringfence_json::{Object, Value};
use ringfence_types::CacheWrite;
use smol_str::{SmolStr, format_smolstr};

use super::asked::{Asked, Features, Switches};
use super::objection::{At, Objection};
use super::trail::Trail;
use super::walk::{Found, NAME_BYTES_MAX, Walk, expected, text};
use super::weigh::{weigh, weigh_object};
use super::{inputs, table};
use crate::Api;

/// The most tokens that a limit may say: more than any model writes, far below what could overflow.
pub const OUTPUT_MAX: u64 = 1_000_000_000;
/// The most answers that one request may ask for, as OpenAI has it.
pub const ANSWERS_MAX: u64 = 128;
/// The longest name of a service tier or region, in bytes.
const WORD_BYTES_MAX: usize = 32;

type Read<T> = Result<T, Objection>;

/// Reads a request strictly.
///
/// # Errors
/// When it has a part that is on no list, that cannot be, or that needs a switch which is off.
pub fn read(api: Api, request: &Object, switches: &Switches) -> Result<Asked, Objection> {
    let whole = At::WHOLE;
    let deep = || Objection::invalid(&whole, "nested deeper than 96 objects and lists");
    let weight = weigh_object(request).ok_or_else(deep)?;
    let mut walk = Walk { switches, found: Found::default() };
    walk.members(table::fields(api), request, false, &whole)?;
    let mut found = walk.found;
    require_input(api, request)?;
    let output = output(api, request)?;
    thinking(api, request, output)?;
    let stream = flag(request, "stream", &whole)?;
    if api == Api::Responses
        && let Some(uses) = number(request, "max_tool_calls", 0, OUTPUT_MAX, &whole)?
    {
        found.hosted.iter_mut().for_each(|tool| tool.uses = Some(uses));
    }
    Ok(Asked {
        api,
        model: model(request)?,
        stream,
        usage_asked: usage_asked(api, stream, request)?,
        output,
        extra_output: request.get("prediction").and_then(weigh).unwrap_or(0),
        answers: number(request, "n", 1, ANSWERS_MAX, &whole)?.unwrap_or(1),
        tier: tier(api, request)?,
        // Since its models of 2026, OpenAI bills what it writes into its cache, and decides by itself when it does.
        writes_cache: match api {
            Api::Chat | Api::Responses => found.writes_cache.max(CacheWrite::Short),
            Api::Messages => found.writes_cache,
            Api::Embeddings | Api::CountTokens => CacheWrite::Never,
        },
        images: found.images,
        image_bytes: found.image_bytes,
        documents: found.documents,
        document_bytes: found.document_bytes,
        text_bytes: weight.saturating_sub(found.image_bytes).saturating_sub(found.document_bytes),
        provider_tools: found.provider_tools,
        hidden_input: found.hidden_input,
        inputs: if api == Api::Embeddings { inputs::count(request)? } else { 0 },
        features: features(request, &found)?,
        hosted: found.hosted,
        tools: found.tools,
        stores: switches.stored && stores(api, request),
        keep_out: !switches.stored && stores(api, request),
        trail: Trail::of(api, request),
        unknown: found.unknown,
    })
}

fn model(request: &Object) -> Read<SmolStr> {
    let at = At::WHOLE;
    let at = at.member("model");
    match request.get("model") {
        Some(Value::String(name)) if (1..=NAME_BYTES_MAX).contains(&name.len()) => Ok(name.clone()),
        Some(Value::String(_)) => Err(Objection::invalid(&at, "the name of a model has 1 to 256 bytes")),
        Some(other) => Err(expected("a text", other, &at)),
        None => Err(Objection::invalid(&at, "name a model")),
    }
}

fn require_input(api: Api, request: &Object) -> Read<()> {
    let given = |name: &str| request.get(name).is_some_and(|value| !value.is_null());
    let (name, elsewhere): (_, &[&str]) = match api {
        Api::Responses => ("input", &["previous_response_id", "conversation", "prompt"]),
        Api::Embeddings => ("input", &[]),
        Api::Chat | Api::Messages | Api::CountTokens => ("messages", &[]),
    };
    if given(name) || elsewhere.iter().any(|name| given(name)) {
        return Ok(());
    }
    Err(Objection::invalid(&At::WHOLE.member(name), "say what is to be answered"))
}

/// The member that holds the limit, and what it may be at least. Anthropic takes 0 for a request that only fills the
/// cache.
fn output(api: Api, request: &Object) -> Read<Option<u64>> {
    let whole = At::WHOLE;
    let limit = |name, least| number(request, name, least, OUTPUT_MAX, &whole);
    match api {
        Api::Chat => match (limit("max_completion_tokens", 1)?, limit("max_tokens", 1)?) {
            (Some(one), Some(other)) if one != other => Err(Objection::invalid(
                &whole.member("max_tokens"),
                "this and max_completion_tokens say different things; keep one of them",
            )),
            (one, other) => Ok(one.or(other)),
        },
        Api::Responses => limit("max_output_tokens", 1),
        Api::Messages => limit("max_tokens", 0),
        Api::Embeddings | Api::CountTokens => Ok(None),
    }
}

/// Thinking counts within the limit only where its budget is below the limit: above it, what the model writes is
/// bounded by nothing but what it can write at all.
fn thinking(api: Api, request: &Object, output: Option<u64>) -> Read<()> {
    let Some(thinking) = request.get("thinking").and_then(Value::as_object) else { return Ok(()) };
    let whole = At::WHOLE;
    let at = whole.member("thinking");
    let budget = number(thinking, "budget_tokens", 1, OUTPUT_MAX, &at)?;
    if api == Api::Messages && budget.zip(output).is_some_and(|(budget, limit)| budget >= limit) {
        return Err(Objection::invalid(&at.member("budget_tokens"), "this has to be less than max_tokens"));
    }
    Ok(())
}

fn usage_asked(api: Api, stream: bool, request: &Object) -> Read<bool> {
    let whole = At::WHOLE;
    let asked = match request.get("stream_options").and_then(Value::as_object) {
        Some(options) => flag(options, "include_usage", &whole.member("stream_options"))?,
        None => false,
    };
    Ok(asked || !stream || api != Api::Chat)
}

fn tier(api: Api, request: &Object) -> Read<Option<SmolStr>> {
    let tier = word(request, "service_tier")?;
    let geography = word(request, "inference_geo")?.filter(|geography| geography != "global");
    let fast = request.text("speed") == Some("fast");
    Ok(match (api, fast, geography) {
        (Api::Messages, true, Some(geography)) => Some(format_smolstr!("fast+geo_{geography}")),
        (Api::Messages, true, None) => Some("fast".into()),
        (Api::Messages, false, Some(geography)) => Some(format_smolstr!("geo_{geography}")),
        // One thing under two names; it is billed under the second.
        (Api::Chat | Api::Responses, ..) if tier.as_deref() == Some("fast") => Some("priority".into()),
        _ => tier,
    })
}

/// Whether the provider keeps it if it is sent as it is.
fn stores(api: Api, request: &Object) -> bool {
    let stored = request.get("store").and_then(Value::as_bool);
    let refers =
        |name: &str| request.get(name).is_some_and(|value| !value.is_null() && *value != false.into());
    match api {
        Api::Chat => stored == Some(true),
        Api::Responses => stored != Some(false) || refers("background") || refers("conversation"),
        Api::Messages => refers("thread") || refers("container"),
        Api::Embeddings | Api::CountTokens => false,
    }
}

fn features(request: &Object, found: &Found) -> Read<Features> {
    let whole = At::WHOLE;
    let at = |path: &[&str]| {
        let mut value = request.get(path.first()?)?;
        for name in &path[1..] {
            value = value.get(name)?;
        }
        Some(value)
    };
    let format = [at(&["response_format", "type"]), at(&["text", "format", "type"])];
    let is = |word: &str| format.iter().flatten().any(|format| format.as_str() == Some(word));
    let given = |path: &[&str]| at(path).is_some_and(|value| !value.is_null());
    let effort = [at(&["reasoning_effort"]), at(&["reasoning", "effort"])];
    let thinks = at(&["thinking", "type"]).and_then(Value::as_str).is_some_and(|kind| kind != "disabled");
    let schema = is("json_schema") || given(&["output_config", "format"]) || given(&["output_format"]);
    Ok(Features {
        json: schema || is("json_object"),
        json_schema: schema,
        tools: !found.tools.is_empty() || !found.hosted.is_empty(),
        images: found.images > 0,
        documents: found.documents > 0,
        reasoning: thinks
            || effort.iter().flatten().any(|value| value.as_str().is_some_and(|word| word != "none")),
        logprobs: flag(request, "logprobs", &whole)?
            || number(request, "top_logprobs", 0, OUTPUT_MAX, &whole)?.unwrap_or(0) > 0,
    })
}

/// `true`, or nothing.
fn flag(object: &Object, name: &str, at: &At<'_>) -> Read<bool> {
    match object.get(name) {
        None | Some(Value::Null) => Ok(false),
        Some(value) => value.as_bool().ok_or_else(|| expected("true or false", value, &at.member(name))),
    }
}

/// A whole number within bounds, or nothing.
fn number(object: &Object, name: &str, least: u64, most: u64, at: &At<'_>) -> Read<Option<u64>> {
    match object.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Number(number)) => match number.as_u64() {
            Some(number) if (least..=most).contains(&number) => Ok(Some(number)),
            _ => {
                let what = format!("expected a whole number from {least} to {most}");
                Err(Objection::invalid(&at.member(name), &what))
            }
        },
        Some(value) => Err(expected("a whole number", value, &at.member(name))),
    }
}

/// A word of a provider, or nothing.
fn word(request: &Object, name: &str) -> Read<Option<SmolStr>> {
    let whole = At::WHOLE;
    let at = whole.member(name);
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-');
    match request.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match text(value, &at)? {
            word if (1..=WORD_BYTES_MAX).contains(&word.len()) && word.bytes().all(plain) => {
                Ok(Some(word.into()))
            }
            _ => Err(Objection::invalid(&at, "expected a short word in lower case")),
        },
    }
}
