//! Members of a messages request that are neither conversation nor tools.

use ringfence_json::{Number, Object, Value};

use crate::translate::node::{Node, Read};

/// Stop sequences OpenAI takes.
const STOPS_MAX: usize = 4;
/// Bytes OpenAI takes as the name of a user.
const USER_BYTES_MAX: usize = 64;
/// The name a schema gets, which OpenAI requires and shows to the model.
const SCHEMA_NAME: &str = "answer";
/// Budgets of thinking below these are little and medium effort, in tokens.
const LITTLE_TOKENS: u64 = 4096;
const MEDIUM_TOKENS: u64 = 16_384;

/// `stop_sequences`.
pub(super) fn stop(request: &Node<'_>) -> Read<Option<Vec<Value>>> {
    let at = request.at.member("stop_sequences");
    let Some(all) = request.optional_array("stop_sequences")?.filter(|all| !all.is_empty()) else {
        return Ok(None);
    };
    for (index, stop) in all.iter().enumerate() {
        at.item(index).text(stop)?;
    }
    if all.len() > STOPS_MAX {
        return Err(at.fault(format!("this model's provider takes at most {STOPS_MAX}")));
    }
    Ok(Some(all.to_vec()))
}

/// `temperature` or `top_p`: 0 to 1 at Anthropic means the same at OpenAI.
pub(super) fn share(request: &Node<'_>, name: &str) -> Read<Option<Number>> {
    let number = request.number(name)?;
    let outside =
        |number: &&Number| number.compare(&0_u64.into()).is_lt() || number.compare(&1_u64.into()).is_gt();
    match number {
        Some(number) if outside(&number) => Err(request.fault(name, "must be between 0 and 1")),
        number => Ok(number.cloned()),
    }
}

/// Anthropic, "Effort" and "Extended thinking"; OpenAI, `reasoning_effort`.
pub(super) fn effort(request: &Node<'_>, dropped: &mut Vec<String>) -> Read<Option<String>> {
    let budget = match request.optional_child("thinking")? {
        None => None,
        Some(thinking) => match thinking.text("type")? {
            "disabled" => {
                // OpenAI's models that cannot think refuse a word for it, and those that must cannot be stopped.
                dropped.push(request.at.member("thinking").path());
                return effort_word(request).map(|_| None);
            }
            "enabled" => thinking.count("budget_tokens")?,
            "adaptive" | "between_tools" => None,
            _ => return Err(thinking.fault("type", "is not known to be translated")),
        },
    };
    let of_budget = budget.map(|tokens| match tokens {
        0..LITTLE_TOKENS => "low",
        LITTLE_TOKENS..MEDIUM_TOKENS => "medium",
        _ => "high",
    });
    Ok(effort_word(request)?.or(of_budget).map(str::to_owned))
}

fn effort_word<'a>(request: &Node<'a>) -> Read<Option<&'a str>> {
    let Some(config) = request.optional_child("output_config")? else {
        return Ok(None);
    };
    config.only(&["effort", "format"])?;
    let effort = config.optional_text("effort")?;
    match effort {
        None | Some("low" | "medium" | "high" | "xhigh" | "max") => Ok(effort),
        Some(_) => Err(config.fault("effort", "must be one of: low, medium, high, xhigh, max")),
    }
}

/// Anthropic, "Structured outputs"; OpenAI, "Structured outputs", where only a strict schema is kept to.
pub(super) fn format(request: &Node<'_>) -> Read<Option<Object>> {
    let settled = match request.optional_child("output_config")? {
        Some(config) => config.optional_child("format")?,
        None => None,
    };
    let Some(format) =
        settled.map_or_else(|| request.optional_child("output_format"), |format| Ok(Some(format)))?
    else {
        return Ok(None);
    };
    if format.text("type")? != "json_schema" {
        return Err(format.fault("type", "must be `json_schema`"));
    }
    format.only(&["type", "schema"])?;
    let schema = format.child("schema")?.object.clone();
    let named = Object::new().with("name", SCHEMA_NAME).with("schema", schema).with("strict", true);
    Ok(Some(Object::new().with("type", "json_schema").with("json_schema", named)))
}

/// `metadata.user_id`, left out where it is longer than OpenAI takes: the answer does not depend on it.
pub(super) fn user<'a>(request: &Node<'a>, dropped: &mut Vec<String>) -> Read<Option<&'a str>> {
    let Some(metadata) = request.optional_child("metadata")? else {
        return Ok(None);
    };
    metadata.only(&["user_id"])?;
    let user = metadata.optional_text("user_id")?;
    if user.is_some_and(|user| user.len() > USER_BYTES_MAX) {
        dropped.push(metadata.at.member("user_id").path());
        return Ok(None);
    }
    Ok(user)
}

/// Both have `auto` as their default.
pub(super) fn service_tier(request: &Node<'_>) -> Read<Option<&'static str>> {
    match request.optional_text("service_tier")? {
        None | Some("auto") => Ok(None),
        Some("standard_only") => Ok(Some("default")),
        Some(_) => Err(request.fault("service_tier", "must be one of: auto, standard_only")),
    }
}

/// Anthropic, "Context editing" (beta). Thoughts are never sent on, so clearing them is done; other edits are not.
pub(super) fn context_management(request: &Node<'_>, dropped: &mut Vec<String>) -> Read<()> {
    let Some(management) = request.optional_child("context_management")? else {
        return Ok(());
    };
    management.only(&["edits"])?;
    for edit in management.items("edits")? {
        if !edit.text("type")?.starts_with("clear_thinking_") {
            return Err(
                edit.fault("type", "this model's provider does not edit a conversation: leave it out")
            );
        }
    }
    dropped.push(management.at.path());
    Ok(())
}
